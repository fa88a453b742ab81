"""Regions of a slide that may be asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.geometry import Region

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from histoloop.slides.tissue import TissueMask

LEAST_TISSUE = 0.5
MOST_OVERLAP = 0.1


def candidate_regions(
    *, width: int, height: int, region_px: int, tissue: TissueMask, excluded: Iterable[Region] = ()
) -> list[Region]:
    """A grid of squares of `region_px` (level-0 px) over a slide, row by row, at least half of each tissue.

    All lie inside the slide: the last of a row or column is moved inwards. A slide smaller than a square gives one
    region, the slide itself (in that direction). Regions of which more than a tenth is covered by an excluded one are
    left out; so is the whole of a small slide once it was asked about.
    """
    taken = list(excluded)
    side_x, side_y = min(region_px, width), min(region_px, height)
    single = side_x == width and side_y == height
    return [
        region
        for region in _squares(width, height, side_x, side_y)
        if (single or tissue.fraction(region) >= LEAST_TISSUE) and not any(_covered(region, other) for other in taken)
    ]


def _squares(width: int, height: int, side_x: int, side_y: int) -> Iterator[Region]:
    for y in _starts(height, side_y):
        for x in _starts(width, side_x):
            yield Region(x, y, side_x, side_y)


def _starts(length: int, side: int) -> list[int]:
    count = -(-length // side)
    return [min(number * side, length - side) for number in range(count)]


def _covered(region: Region, other: Region) -> bool:
    shared = region.intersection(other)
    return shared is not None and shared.area > MOST_OVERLAP * region.area
