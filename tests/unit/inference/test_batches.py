"""Windows in batches: when the device's memory runs out, half as many at a time go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
import torch

from histoloop.errors import DeviceError
from histoloop.inference.batches import GPU_BATCH, BatchRunner
from histoloop.inference.model import CorePrediction
from histoloop.networks.needed import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.inference.model import Model
    from histoloop.slides.reader import Pixels

CORE = Box.of(0, 0, 1, 1)


class SmallGpu:
    """A model on a GPU with room for so many windows at a time; predicts the colour of a window."""

    def __init__(self, room: int, device: str = "cuda") -> None:
        self.room, self.device = room, torch.device(device)
        self.tried: list[int] = []

    def predict_cores(self, windows: Sequence[Pixels], core: Box, *, precision: str) -> list[CorePrediction]:
        self.tried.append(len(windows))
        if len(windows) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [CorePrediction(None, np.full((1, 1, 1), window[0, 0, 0], np.float32), ()) for window in windows]


def run(gpu: SmallGpu, count: int, size: int | None = None) -> list[float]:
    windows = [np.full((2, 2, 3), number, np.uint8) for number in range(count)]
    runner = BatchRunner(cast("Model", gpu), precision="fast", size=size)
    return [float(found.maps[0, 0, 0]) for found in runner.run(windows, CORE)]


def test_when_memory_runs_out_the_batch_is_halved_and_every_window_predicted_once_in_order() -> None:
    gpu = SmallGpu(room=2)
    assert run(gpu, 9, size=8) == list(range(9))
    assert gpu.tried == [8, 4, 2, 2, 2, 2, 1]


def test_the_smaller_size_stays_for_the_windows_to_come() -> None:
    gpu = SmallGpu(room=1)
    runner = BatchRunner(cast("Model", gpu), precision="fast", size=4)
    windows = [np.zeros((2, 2, 3), np.uint8)] * 4
    runner.run(windows, CORE)
    gpu.tried.clear()
    runner.run(windows, CORE)
    assert gpu.tried == [1, 1, 1, 1]


def test_when_not_even_one_window_fits_the_user_is_told_what_to_do() -> None:
    with pytest.raises(DeviceError, match="not enough GPU memory") as caught:
        run(SmallGpu(room=0), 1)
    assert "--device cpu" in caught.value.advice


def test_a_gpu_takes_several_at_a_time_and_a_processor_one() -> None:
    gpu, processor = SmallGpu(room=99), SmallGpu(room=99, device="cpu")
    assert run(gpu, GPU_BATCH + 1) == run(processor, GPU_BATCH + 1)
    assert gpu.tried == [GPU_BATCH, 1]
    assert set(processor.tried) == {1}
