"""The regions that an annotation of a place becomes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from histoloop.geometry import Region
from histoloop.slides.tissue import find_tissue
from histoloop.workflows.contents.slides import open_project_slide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.slides.tissue import TissueMask
    from histoloop.store.records import SlideRecord

ONE_REGION_PX = 4096
"""Side of what is kept as one region, at most, in level-0 pixels."""

PART_PX = 2048
"""Side of the regions that a larger place becomes, at most."""


def is_one_region(place: Region) -> bool:
    """Whether a place is kept as one region."""
    return max(place.width, place.height) <= ONE_REGION_PX


def parts_of(place: Region) -> Iterator[Region]:
    """The parts of a place larger than one region, row by row, alike in size."""
    columns, rows = math.ceil(place.width / PART_PX), math.ceil(place.height / PART_PX)
    for row, column in np.ndindex(rows, columns):
        left, right = (place.x + place.width * edge // columns for edge in (column, column + 1))
        top, bottom = (place.y + place.height * edge // rows for edge in (row, row + 1))
        yield Region(left, top, right - left, bottom - top)


def tissue_of(slide: SlideRecord) -> TissueMask | None:
    """Where a slide has tissue; None while its file is not there."""
    if not slide.exists():
        return None
    with open_project_slide(slide) as opened:
        return find_tissue(opened)


def has_tissue(tissue: TissueMask | None, region: Region) -> bool:
    """Whether a region may have tissue: it has, or that is not known."""
    return tissue is None or tissue.fraction(region) > 0
