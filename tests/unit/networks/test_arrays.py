"""Tensors and arrays: the same shapes, types and values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from histoloop.networks.arrays import to_arrays, to_tensors


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64, torch.uint8, torch.bool])
def test_tensors_come_back_from_arrays_as_they_were(dtype: torch.dtype) -> None:
    tensors = {"plane": torch.arange(6).view(2, 3).to(dtype), "scalar": torch.tensor(1).to(dtype)}
    again = to_tensors(to_arrays(tensors))
    for name, tensor in tensors.items():
        assert again[name].dtype == dtype
        assert again[name].shape == tensor.shape
        assert torch.equal(again[name], tensor)


def test_trainable_weights_laid_out_in_any_order_are_arrays() -> None:
    weights = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    arrays = to_arrays(weights.state_dict() | {"parameter": weights.weight})
    assert np.array_equal(arrays["weight"], arrays["parameter"])
    assert arrays["weight"].shape == (4, 3, 3, 3)
