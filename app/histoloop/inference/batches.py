"""Windows in batches: as many at a time as the device has memory for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from histoloop.errors import DeviceError
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.inference.model import CorePrediction, Model
    from histoloop.inference.precision import Precision
    from histoloop.networks.needed import Box
    from histoloop.slides.reader import Pixels

GPU_BATCH = 4


class BatchRunner:
    """Predicts windows by a model, `size` at a time (by default one on a processor, `GPU_BATCH` on a GPU).

    When the device's memory runs out the size is halved, from then on, and the windows are predicted again.
    """

    def __init__(self, model: Model, *, precision: Precision, size: int | None = None) -> None:
        self.size = size or (1 if model.device.type == "cpu" else GPU_BATCH)
        self._model = model
        self._precision = precision

    def run(self, windows: Sequence[Pixels], core: Box) -> list[CorePrediction]:
        """Of each window (H, W, 3) what the model predicts of its core; all windows are of one size.

        DeviceError when not even one window fits into the device's memory.
        """
        found: list[CorePrediction] = []
        while len(found) < len(windows):
            batch = windows[len(found) : len(found) + self.size]
            if (predicted := self._tried(batch, core)) is not None:
                found += predicted
                continue
            self.size = len(batch) // 2  # outside of the handler, whose traceback holds on to tensors
            torch.cuda.empty_cache()
        return found

    def _tried(self, batch: Sequence[Pixels], core: Box) -> list[CorePrediction] | None:
        """None where the memory does not suffice for so many."""
        try:
            return self._model.predict_cores(batch, core, precision=self._precision)
        except torch.OutOfMemoryError as error:
            if len(batch) == 1:
                raise DeviceError(
                    tr("There is not enough GPU memory for this model."),
                    advice=tr("Close other programs that use it, or choose the processor (--device cpu)."),
                ) from error
            return None
