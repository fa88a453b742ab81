"""A region in hand: its mask with the origin of each pixel, and the plane that a canvas shows and changes of both.

A canvas plane (H, W) uint8 holds mask values. Where the whole region counts, 0 is background and `LEFT_OUT_VALUE` what
was left out. Where the strokes alone count, 0 is what nobody painted, and background that a person painted has the
value `PAINTED_BACKGROUND`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoloop.annotations.raster import apply_patch
from histoloop.annotations.records import LEFT_OUT_VALUE, Counts, Mask, Origin, Patch, is_known

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAINTED_BACKGROUND = 254


class PaintedRegion:
    """Mask and origin (values of `Origin`) of a region, (H, W) each, and the model's mask of it.

    `counts` is what of it counts, and may be changed: nothing is lost by that.
    """

    def __init__(self, mask: Mask, origin: Mask, *, predicted: Mask, counts: Counts) -> None:
        self.mask, self.origin, self.counts = mask.copy(), origin.copy(), counts
        self._predicted = predicted
        whole = np.s_[0 : mask.shape[0], 0 : mask.shape[1]]
        self._tally = self._tally_of(whole)

    @property
    def plane(self) -> Mask:
        """What a canvas shows of it."""
        return self._plane_of(self.mask, self.origin)

    @property
    def share(self) -> float | None:
        """Which share of what is not left out has a class; None where no pixel differs from the model's mask.

        Known without looking at the whole mask, which may be large.
        """
        classed, differing, known = self._tally
        return classed / max(1, known) if differing else None

    @property
    def has_strokes(self) -> bool:
        """Whether a person painted any of it."""
        return bool((self.origin == Origin.HUMAN).any())

    def likeliest(self, classes: int) -> int:
        """The mask value that covers most of it, the first of so many where there is none."""
        counts = [np.count_nonzero(self.mask == value) for value in range(1, classes + 1)]
        return int(np.argmax(counts)) + 1

    def take(self, painted: Patch, before: Patch) -> tuple[Patch, Patch]:
        """Let a person change it as they changed the canvas plane; the region there, with origins, before and after.

        `painted` and `before` are the same rectangle of the canvas plane. Erased where the strokes alone count is what
        nobody painted, and as the model predicts it.
        """
        place = _part(painted)
        was, tally = self._cut(place, painted), self._tally_of(place)
        changed, values = painted.values != before.values, painted.values
        mask = np.where(values == PAINTED_BACKGROUND, np.uint8(0), values)
        origin = np.full(values.shape, Origin.HUMAN, np.uint8)
        if self.counts is Counts.STROKES:
            erased = values == 0
            mask[erased], origin[erased] = self._predicted[place][erased], Origin.UNTOUCHED
        self.mask[place][changed] = mask[changed]
        self.origin[place][changed] = origin[changed]
        self._tally += self._tally_of(place) - tally
        return was, self._cut(place, painted)

    def put(self, patch: Patch) -> Patch:
        """Make it as it was, or will be, in a rectangle; what a canvas shows there then."""
        place = _part(patch)
        tally = self._tally_of(place)
        apply_patch(self.mask, patch)
        if patch.origins is not None:
            self.origin[place] = patch.origins
        self._tally += self._tally_of(place) - tally
        return Patch(patch.x, patch.y, self._plane_of(self.mask[place], self.origin[place]))

    def _plane_of(self, mask: Mask, origin: Mask) -> Mask:
        if self.counts is Counts.REGION:
            return np.where(origin == Origin.LEFT_OUT, np.uint8(LEFT_OUT_VALUE), mask)
        painted = np.where(mask == 0, np.uint8(PAINTED_BACKGROUND), mask)
        return np.where(origin == Origin.HUMAN, painted, np.uint8(0))

    def _tally_of(self, place: tuple[slice, slice]) -> NDArray[np.int64]:
        """How many pixels of a part have a class, differ from the model's mask, and are not left out."""
        mask = self.mask[place]
        counts = (mask, mask != self._predicted[place], is_known(self.origin[place]))
        return np.array([np.count_nonzero(each) for each in counts])

    def _cut(self, place: tuple[slice, slice], patch: Patch) -> Patch:
        return Patch(patch.x, patch.y, self.mask[place].copy(), self.origin[place].copy())


def _part(patch: Patch) -> tuple[slice, slice]:
    height, width = patch.values.shape
    return slice(patch.y, patch.y + height), slice(patch.x, patch.x + width)
