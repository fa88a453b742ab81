"""Magnification of what is on the screen, by the resolution of the slide: 10x is a micrometre a screen pixel."""

from __future__ import annotations

from histoloop.language import tr
from histoloop.slides.objective import UM_TIMES_POWER


def magnification(zoom: float, mpp: float) -> float:
    """The power at `zoom` screen pixels per level-0 pixel of `mpp` um."""
    return UM_TIMES_POWER * zoom / mpp


def zoom_of(power: float, mpp: float) -> float:
    """Screen pixels per level-0 pixel of `mpp` um that show a power."""
    return power * mpp / UM_TIMES_POWER


def magnification_in_words(zoom: float, mpp: float | None) -> str:
    """The power, or the share of the full resolution where the slide's own is not known."""
    if mpp is None:
        return tr("{percent:.3g}% of full size", percent=100 * zoom)
    return tr("{power:.3g}x", power=magnification(zoom, mpp))
