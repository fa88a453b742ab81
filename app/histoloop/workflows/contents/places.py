"""Places that somebody wants to annotate without being asked: clipped to the slide, refused where that cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoloop.annotations.raster import fill_polygon
from histoloop.errors import DataError, HistoLoopError
from histoloop.geometry import Region
from histoloop.language import tr
from histoloop.slides.tiling import working_downsample
from histoloop.workflows.contents.candidate_regions import region_side_px

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord

SMALLEST_PX = 32
"""Shortest side of a region, in level-0 pixels: a cell of a class map, below which a network sees nothing of it."""

LARGEST_PX = 4096
"""Longest side of a region, in level-0 pixels: all of it is in memory at once when it is painted and learned from.

At a model's own resolution a ResNet-18 takes 0.6 GB for a region of 2048 x 2048 pixels, and four times that for this.
"""


def place_on_slide(slide: SlideRecord, wanted: Region) -> Region:
    """The part of a rectangle that lies on a slide; DataError where that is nothing, too small or too large."""
    place = wanted.intersection(slide.extent)
    if place is None:
        raise DataError(
            tr("This area lies outside {slide}.", slide=slide.name), advice=tr("Choose an area on the slide.")
        )
    smallest = min(SMALLEST_PX, slide.width, slide.height)
    if min(place.width, place.height) < smallest:
        raise DataError(
            tr("{width} x {height} pixels are too few to annotate.", width=place.width, height=place.height),
            advice=tr("Choose an area of at least {side} x {side} pixels, or click for the usual size.", side=smallest),
        )
    if max(place.width, place.height) > LARGEST_PX:
        raise DataError(
            tr("{width} x {height} pixels are too many for one region.", width=place.width, height=place.height),
            advice=tr(
                "A region is held in memory as a whole: choose areas of at most {side} x {side} pixels.",
                side=LARGEST_PX,
            ),
        )
    return place


def place_on_line(slide: SlideRecord, line: NDArray[np.float64]) -> Region:
    """The rectangle on a slide of what lies inside a line (N, 2), in level-0 pixels; DataError as of `place_on_slide`.

    Where the line encloses too little, so that hardly a pixel would be annotated, too.
    """
    (left, top), (right, bottom) = np.floor(line.min(axis=0)), np.ceil(line.max(axis=0))
    wanted = Region(int(left), int(top), max(1, int(right - left)), max(1, int(bottom - top)))
    place = place_on_slide(slide, wanted)
    inside = np.zeros((place.height, place.width), np.uint8)
    fill_polygon(inside, [line - (place.x, place.y)], 1)
    if np.count_nonzero(inside) < min(SMALLEST_PX, place.width, place.height) ** 2:
        raise DataError(
            tr("The line encloses too little to annotate."), advice=tr("Draw it around the place, back to its start.")
        )
    return place


def usual_place(project: Project, slide: SlideRecord, x: float, y: float, *, region_map_px: int) -> Region:
    """A square of the size that is asked about, around a point (level-0 pixels), moved so that it is on the slide.

    `region_map_px` is its side in pixels that the model sees; at level 0 where no model says how large these are.
    """
    try:
        downsample = working_downsample(slide.mpp, project.models.current_card().mpp)
    except (HistoLoopError, ValueError):
        downsample = 1.0
    side = region_side_px(downsample, region_map_px)
    width, height = min(side, slide.width), min(side, slide.height)
    left = min(max(0, round(x - width / 2)), slide.width - width)
    top = min(max(0, round(y - height / 2)), slide.height - height)
    return Region(left, top, width, height)
