"""What one model's masks have and another's have not: drawn over the slide in two colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from histoloop.annotations.records import rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.annotations.records import Mask

GAINED, LOST = "#0072b2", "#e69f00"
"""Blue and orange of Okabe and Ito's palette (2008): told apart with every kind of colour vision, and on H&E."""

_OPACITY = 0.55
_EDGE_PX = 2


def gained_and_lost(new: Mask, old: Mask) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where `new` has a class that `old` (both (H, W), 0 background) has not, and the other way round.

    A pixel whose class is another is both: one class is gained there and one is lost.
    """
    other = new != old
    return other & (new > 0), other & (old > 0)


def draw_changes(shown: NDArray[np.float32], new: Mask, old: Mask) -> None:
    """Lay what was gained and lost over pixels (H, W, 3), in place; where both are, lost is the edge."""
    gained, lost = gained_and_lost(new, old)
    for part, colour, filled in ((lost & ~gained, LOST, True), (gained, GAINED, True), (gained & lost, LOST, False)):
        _draw(shown, part, np.array(rgb(colour), np.float32), filled=filled)


def _draw(shown: NDArray[np.float32], part: NDArray[np.bool_], colour: NDArray[np.float32], *, filled: bool) -> None:
    if not part.any():
        return
    if filled:
        shown[part] += _OPACITY * (colour - shown[part])
    shown[part & ~ndimage.binary_erosion(part, iterations=_EDGE_PX, border_value=1)] = colour
