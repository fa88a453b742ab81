"""Outlines filled region by region, so that a whole slide fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoloop.annotations.raster import fill_polygon
from histoloop.exchange.outlines.placing import boxes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.annotations.records import Mask
    from histoloop.exchange.outlines.classes import Area
    from histoloop.exchange.outlines.records import Ring
    from histoloop.geometry import Region


class FilledOutlines:
    """Areas in level-0 pixels. Smaller ones lie on larger ones, whatever their order in the file."""

    def __init__(self, areas: Sequence[Area]) -> None:
        self.areas = sorted(
            areas, key=lambda area: -ring_area(area.rings[0])
        )  # those alike in size stay in their order
        self.boxes_N4 = boxes_of(self.areas)

    def near(self, region: Region) -> list[Area]:
        """The areas whose boxes reach into a region."""
        left, top, right, bottom = self.boxes_N4.T
        found = (left < region.right) & (right > region.x) & (top < region.bottom) & (bottom > region.y)
        return [self.areas[index] for index in np.flatnonzero(found)]

    def read(self, region: Region, *, beneath: int = 0) -> Mask:
        """Values (height, width) of a level-0 region, `beneath` where nothing is.

        A pixel counts when its centre is inside.
        """
        values = np.full((region.height, region.width), beneath, dtype=np.uint8)
        for area in self.near(region):
            fill_polygon(values, [ring - (region.x, region.y) for ring in area.rings], area.value)
        return values


def ring_area(ring: Ring) -> float:
    """Area that a ring encloses in square pixels, by the shoelace formula about the first corner."""
    x, y = (ring - ring[0]).T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
