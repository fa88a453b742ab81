"""The threshold that makes the best masks of a method's maps on validation tiles, without keeping the maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.training.measures.metrics import BoolMask

_STEPS = 256
"""A power of two, so that values times it are exact and counts are those of `value > threshold` itself."""


@dataclass(frozen=True, slots=True)
class BestThreshold:
    """A pixel is foreground where its value is above `threshold`; `dice` is the mean Dice of the tiles at it."""

    threshold: float
    dice: float
    tiles: int


class ThresholdSearch:
    """Mean Dice of tiles that come one after the other, at each of the thresholds 1/256, 2/256 .. 255/256.

    Exact: each tile's values are counted between the thresholds, in its foreground and altogether. 0 and 1 are left
    out because a model's card does not take them.
    """

    def __init__(self) -> None:
        self._dice = np.zeros(_STEPS - 1)
        self._tiles = 0

    def add(self, value_HW: NDArray[np.floating[Any]], truth_HW: BoolMask) -> None:
        """Take in one tile's map, values in [0, 1], and its true foreground; ValueError where they do not fit."""
        if value_HW.shape != truth_HW.shape:
            raise ValueError(f"a map {value_HW.shape} cannot be compared with a truth {truth_HW.shape}")
        if not ((value_HW >= 0) & (value_HW <= 1)).all():
            raise ValueError("values of a map must lie in [0, 1]")
        places = np.ceil(value_HW.astype(np.float64) * _STEPS).astype(np.intp)
        predicted, agreed = _above(places), _above(places[truth_HW])
        total = predicted + np.count_nonzero(truth_HW)
        # the same convention as everywhere: two empty masks agree
        self._dice += np.where(total > 0, 2 * agreed / np.maximum(total, 1), 1.0)
        self._tiles += 1

    def best(self) -> BestThreshold:
        """The threshold of the highest mean Dice; of equals the one nearest to 0.5, then the lower. Needs a tile."""
        if not self._tiles:
            raise ValueError("a threshold cannot be chosen without tiles")
        thresholds = np.arange(1, _STEPS) / _STEPS
        mean_dice = self._dice / self._tiles
        equals = np.flatnonzero(np.isclose(mean_dice, mean_dice.max(), rtol=0, atol=1e-12))
        chosen = equals[np.argmin(np.abs(thresholds[equals] - 0.5))]
        return BestThreshold(float(thresholds[chosen]), float(mean_dice[chosen]), self._tiles)


def _above(places: NDArray[np.intp]) -> NDArray[np.intp]:
    """Numbers of values above each threshold; a value above k / 256, and no higher threshold, has the place k + 1."""
    counts = np.bincount(places.ravel(), minlength=_STEPS + 1)
    at_least = counts[::-1].cumsum()[::-1]
    return at_least[2:]
