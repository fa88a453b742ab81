"""The colours of probabilities, the same on screen and in pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STOPS = (
    (0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21), (250, 193, 39),
    (252, 255, 164),
)  # fmt: skip
"""Stops, evenly from 0 to 1, of the perceptually even colour map 'inferno' (S. van der Walt and N. Smith, CC0)."""


def heat(probability: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """(H, W, 3) colours, 0 to 255, of probabilities (H, W) in [0, 1]."""
    stops = np.array(STOPS, np.float32)
    place = np.clip(probability, 0, 1) * (len(stops) - 1)
    below = np.minimum(place.astype(np.intp), len(stops) - 2)
    share = (place - below)[..., None].astype(np.float32)
    colours: NDArray[np.float32] = stops[below] + (stops[below + 1] - stops[below]) * share
    return colours
