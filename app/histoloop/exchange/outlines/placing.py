"""Where outlines lie on a slide: relative to all of it or to its bounds, in its pixels or by another scale.

OpenSlide states bounds for slides whose scanned areas fill a part only (MIRAX, Leica SCN, Ventana BIF). QuPath shows
and counts from these; OpenSlide, ASAP and HistoLoop from the corner of all (qupath/qupath issues 820 and 1278).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from histoloop.errors import DataError
from histoloop.exchange.outlines.classes import Area
from histoloop.geometry import Region
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from histoloop.exchange.outlines.records import Outlines

Frame = Literal["auto", "slide", "bounds"]

_INSIDE = 0.999
_ENOUGH = 0.5
_FACTORS = (2, 4, 8, 16, 32, 64)
_LEAST_SPREAD = 0.02


@dataclass(frozen=True, slots=True)
class Ground:
    """A slide that outlines lie on: its whole `extent`, its `bounds` (None: none are known), um per level-0 pixel."""

    name: str
    extent: Region
    bounds: Region | None
    mpp: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Areas in level-0 pixels of the slide, and what was assumed to place them, in words (empty: nothing)."""

    areas: tuple[Area, ...]
    assumed: str = ""


def bounds_of(properties: Mapping[str, str], extent: Region) -> Region | None:
    """The bounds that OpenSlide states, where they are a part of the slide; None without them."""
    try:
        edges = (properties[f"openslide.bounds-{edge}"] for edge in ("x", "y", "width", "height"))
        bounds = Region(*map(int, edges)).intersection(extent)
    except (KeyError, ValueError):
        return None
    return None if bounds == extent else bounds


def place_areas(
    areas: Sequence[Area],
    outlines: Outlines,
    path: Path,
    ground: Ground,
    *,
    frame: Frame = "auto",
    units_um: float | None = None,
) -> Placed:
    """The areas of a file in level-0 pixels of a slide.

    `frame` says what the file counts from; 'auto' follows what the file says, then the program that wrote it, and takes
    the other one where only that fits, and says so. `units_um` is the length of the file's unit in micrometres, None
    for level-0 pixels. DataError where most of the outlines lie outside the slide, with what was seen.
    """
    if units_um is not None:
        areas = _scaled(areas, units_um, path, ground)
    boxes_N4 = boxes_of(areas)
    origin, assumed = _origin(boxes_N4, outlines, ground, frame)
    if _share_inside(boxes_N4, origin, ground.extent) < _ENOUGH:
        raise _outside(boxes_N4, path, ground)
    shift = np.array(origin, dtype=np.float64)
    return Placed(tuple(Area(area.value, tuple(ring + shift for ring in area.rings)) for area in areas), assumed)


def boxes_of(areas: Sequence[Area]) -> NDArray[np.float64]:
    """(N, 4) left, top, right, bottom of the areas."""
    boxes = [(*area.rings[0].min(axis=0), *area.rings[0].max(axis=0)) for area in areas]
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def _scaled(areas: Sequence[Area], units_um: float, path: Path, ground: Ground) -> list[Area]:
    if ground.mpp is None:
        raise DataError(
            tr("{path} cannot be scaled: the resolution of {slide} is unknown.", path=path, slide=ground.name),
            advice=tr("Set the micrometres per pixel of this slide; the microscope or scanner states it."),
        )
    return [Area(area.value, tuple(ring * (units_um / ground.mpp) for ring in area.rings)) for area in areas]


def _origin(
    boxes_N4: NDArray[np.float64], outlines: Outlines, ground: Ground, frame: Frame
) -> tuple[tuple[float, float], str]:
    """Where (0, 0) of the file lies, and what was assumed for it."""
    if frame == "auto" and outlines.origin is not None:
        return outlines.origin, ""
    bounds = ground.bounds
    if bounds is None or frame == "slide":
        return (0, 0), ""
    if frame == "bounds" or (outlines.cropped and not _fits_slide_only(boxes_N4, ground.extent, bounds)):
        assumed = tr(
            "{slide} has bounds: the coordinates were taken to start at their corner at {x}, {y}, as in QuPath.",
            slide=ground.name,
            x=bounds.x,
            y=bounds.y,
        )
        return (bounds.x, bounds.y), "" if frame == "bounds" else assumed
    assumed = tr(
        "{slide} has bounds: the coordinates were taken to start at the corner of the whole slide.", slide=ground.name
    )
    return (0, 0), assumed


def _fits_slide_only(boxes_N4: NDArray[np.float64], extent: Region, bounds: Region) -> bool:
    """Whether outlines reach past a picture of the size of the bounds, and not past the slide."""
    in_bounds = _share_inside(boxes_N4, (0, 0), Region(0, 0, bounds.width, bounds.height))
    return in_bounds < _INSIDE <= _share_inside(boxes_N4, (0, 0), extent)


def _share_inside(boxes_N4: NDArray[np.float64], origin: tuple[float, float], place: Region) -> float:
    """How much of the boxes around the outlines lies in a place; 1 without outlines."""
    low = boxes_N4[:, :2] + origin
    high = np.maximum(boxes_N4[:, 2:] + origin, low + 1e-6)  # a point or a line has a place too
    whole = high - low
    inside = np.minimum(high, (place.right, place.bottom)) - np.maximum(low, (place.x, place.y))
    total = float(whole.prod(axis=1).sum())
    return float(np.maximum(inside, 0).prod(axis=1).sum()) / total if total > 0 else 1.0


def _outside(boxes_N4: NDArray[np.float64], path: Path, ground: Ground) -> DataError:
    return DataError(
        tr(
            "Most outlines of {path} lie outside of {slide}: they reach from {box}, the slide has {width} x {height} "
            "pixels.",
            path=path,
            slide=ground.name,
            box=box_in_words(boxes_N4),
            width=ground.extent.width,
            height=ground.extent.height,
        ),
        advice=hint(boxes_N4, ground) or tr("Check that the file belongs to this slide and is in its level-0 pixels."),
    )


def box_in_words(boxes_N4: NDArray[np.float64]) -> str:
    """The box around all: '10, 20 to 300, 400'."""
    left, top = boxes_N4[:, :2].min(axis=0)
    right, bottom = boxes_N4[:, 2:].max(axis=0)
    edges = {"left": left, "top": top, "right": right, "bottom": bottom}
    return tr("{left}, {top} to {right}, {bottom}", **{name: f"{edge:.6g}" for name, edge in edges.items()})


def hint(boxes_N4: NDArray[np.float64], ground: Ground) -> str:
    """What the outlines may be in, where a factor makes them fit the slide; empty without one."""
    if ground.mpp is not None:
        for unit, um in ((tr("millimetres"), 1000.0), (tr("micrometres"), 1.0)):
            if _fits(boxes_N4 * (um / ground.mpp), ground):
                return tr("They would fit in {unit}: --mask-mpp {um}.", unit=unit, um=f"{um:g}")
    for factor in _FACTORS:
        for scale in (1 / factor, float(factor)):
            if _fits(boxes_N4 * scale, ground):
                return tr(
                    "They would fit at {scale} times the size. If they were drawn on a copy of another "
                    "resolution, state it in micrometres per pixel: --mask-mpp.",
                    scale=f"{scale:g}",
                )
    return ""


def _fits(boxes_N4: NDArray[np.float64], ground: Ground) -> bool:
    place = ground.extent
    spread = float((boxes_N4[:, 2:].max(axis=0) - boxes_N4[:, :2].min(axis=0)).max())
    return _share_inside(boxes_N4, (0, 0), place) >= _INSIDE and spread >= _LEAST_SPREAD * max(
        place.width, place.height
    )
