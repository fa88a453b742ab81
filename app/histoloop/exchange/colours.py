"""Colours as one number each, to be counted and looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def packed(colours: NDArray[Any]) -> NDArray[np.uint32]:
    """(...) numbers of colours (..., 3 or 4); those that are transparent are black."""
    parts = colours.astype(np.uint32)
    number: NDArray[np.uint32] = np.asarray(parts[..., 0] << 16 | parts[..., 1] << 8 | parts[..., 2], np.uint32)
    return number if colours.shape[-1] == 3 else np.where(colours[..., 3] == 0, np.uint32(0), number)


def unpacked(numbers: NDArray[Any]) -> NDArray[np.uint8]:
    """(N, 3) colours of their numbers."""
    return np.stack([numbers >> 16 & 255, numbers >> 8 & 255, numbers & 255], axis=-1).astype(np.uint8)
