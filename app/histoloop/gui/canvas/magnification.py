"""Magnification of what is on the screen, by the resolution of the slide: 10x is a micrometre a screen pixel."""

from __future__ import annotations

from histoloop.language import tr

_UM_TIMES_POWER = 10.0
"""Scanners sample 0.25 um per pixel at 40x and 0.5 at 20x, more or less."""


def magnification(zoom: float, mpp: float) -> float:
    """The power at `zoom` screen pixels per level-0 pixel of `mpp` um."""
    return _UM_TIMES_POWER * zoom / mpp


def zoom_of(power: float, mpp: float) -> float:
    """Screen pixels per level-0 pixel of `mpp` um that show a power."""
    return power * mpp / _UM_TIMES_POWER


def magnification_in_words(zoom: float, mpp: float | None) -> str:
    """The power, or the share of the full resolution where the slide's own is not known."""
    if mpp is None:
        return tr("{percent:.3g} % of full size", percent=100 * zoom)
    return tr("{power:.3g}x", power=magnification(zoom, mpp))
