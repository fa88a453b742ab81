"""Masks in bands of rows, for slides whose mask is too large to be held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from histoloop.annotations.records import Mask

BAND_ROWS = 512
"""Rows of a band: those of a chunk of the maps on disk."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskBands:
    """A mask of `height` x `width` pixels that is iterated band by band (rows, width), each time made anew.

    Bands have `BAND_ROWS` rows, only the last may have fewer.
    """

    height: int
    width: int
    made: Callable[[], Iterator[Mask]]

    def __iter__(self) -> Iterator[Mask]:
        return self.made()


def in_bands(mask: Mask) -> MaskBands:
    """A mask that is held, in bands."""
    tops, (height, width) = range(0, len(mask), BAND_ROWS), mask.shape
    return MaskBands(height, width, lambda: (mask[top : top + BAND_ROWS] for top in tops))


def whole_mask(bands: MaskBands) -> Mask:
    """All bands as one mask (height, width)."""
    mask = np.empty((bands.height, bands.width), np.uint8)
    top = 0
    for band in bands:
        mask[top : top + len(band)] = band
        top += len(band)
    return mask


class ValueCounts:
    """How many pixels of each value there are in the bands that were added."""

    def __init__(self) -> None:
        self._counts = np.zeros(256, np.int64)

    def add(self, band: Mask) -> None:
        """Count a band too."""
        self._counts += np.bincount(np.ravel(band), minlength=256)

    def values(self) -> dict[int, int]:
        """Pixels per value, the lowest first; values that there are none of, and 0, are left out."""
        return {int(value): int(self._counts[value]) for value in np.flatnonzero(self._counts) if value}


def values_of_mask(mask: Mask | MaskBands) -> dict[int, int]:
    """How many pixels a mask has of each value but 0, the lowest first; values that it has not are left out."""
    counts = ValueCounts()
    for band in mask if isinstance(mask, MaskBands) else in_bands(mask):
        counts.add(band)
    return counts.values()
