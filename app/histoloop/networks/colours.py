"""What the colours of a network's tiles are measured by: their mean and standard deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Colours:
    """Mean and standard deviation of each colour plane (RGB, values in [0, 1])."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def normalise(self, tiles_BCHW: Tensor) -> Tensor:
        """(tile - mean) / std per colour plane; tiles in [0, 1]."""
        shape = (1, 3, 1, 1)
        centred_BCHW = tiles_BCHW - tiles_BCHW.new_tensor(self.mean).view(shape)
        return centred_BCHW.div_(tiles_BCHW.new_tensor(self.std).view(shape))
