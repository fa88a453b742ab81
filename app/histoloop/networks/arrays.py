"""Tensors to NumPy arrays and back: what is kept in files knows no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


def to_arrays(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[np.generic]]:
    """The same shapes, types and values; tensors on the CPU share their memory with the arrays."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def to_tensors(arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, Tensor]:
    """The same shapes, types and values, on the CPU; the arrays must be writable and share their memory with them."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def rounded_to_half(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same, with the values that a file in half precision gives back."""
    return {
        name: tensor.half().to(tensor.dtype) if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
