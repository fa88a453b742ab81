"""The power of the objective that a file states, and the resolution that it suggests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from histoloop.geometry import PLAUSIBLE_MPP

if TYPE_CHECKING:
    from collections.abc import Mapping

OBJECTIVE = "openslide.objective-power"
"""The property that says so; sources that do not read by OpenSlide use the same name."""

_NAMES = (
    OBJECTIVE,
    "aperio.AppMag",
    "hamamatsu.SourceLens",
    "leica.objective",
    "dicom.OpticalPathSequence[0].ObjectiveLensPower",
)
UM_TIMES_POWER = 10.0
"""Scanners sample 0.25 um per pixel at 40x and 0.5 at 20x, more or less."""


def objective_power(properties: Mapping[str, str]) -> float | None:
    """The power of the objective among the properties of a slide, as 40 of 40x; None where none makes sense."""
    for name in _NAMES:
        try:
            power = float(properties.get(name, ""))
        except ValueError:
            continue
        if mpp_of_objective(power) is not None:
            return power
    return None


def mpp_of_objective(power: float) -> float | None:
    """An estimate of um per level-0 pixel: 10 / power; None where no microscope has that."""
    least, most = PLAUSIBLE_MPP
    if not (math.isfinite(power) and power >= 1):
        return None
    mpp = UM_TIMES_POWER / power
    return mpp if least <= mpp <= most else None
