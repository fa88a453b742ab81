"""What one model's masks have and another's have not, and the two colours it is seen in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from histoloop.annotations.records import Mask

GAINED, LOST = "#0072b2", "#e69f00"
"""Blue and orange of Okabe and Ito's palette (2008): told apart with every kind of colour vision, and on H&E."""


def gained_and_lost(new: Mask, old: Mask) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where `new` has a class that `old` (both (H, W), 0 background) has not, and the other way round.

    A pixel whose class is another is both: one class is gained there and one is lost.
    """
    other = new != old
    return other & (new > 0), other & (old > 0)
