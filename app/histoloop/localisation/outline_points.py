"""An area of a mask as the points of its outline, which can be moved, added and taken away, and filled again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from histoloop.annotations.raster import fill_polygon
from histoloop.annotations.records import Mask
from histoloop.localisation.contours import polygons_of_mask

FEWEST_POINTS = 3


@dataclass(frozen=True, slots=True, eq=False)
class OutlinePoints:
    """The outline of one area: an exterior and its holes, each (N, 2) x and y in mask pixels, not closed.

    `beneath` (H, W) is the mask without the area, 0 in its place; `value` is the mask value of the area.
    """

    rings: tuple[NDArray[np.float64], ...]
    value: int
    beneath: Mask

    def filled(self) -> Mask:
        """The mask with the area as its outline is now."""
        mask = self.beneath.copy()
        fill_polygon(mask, self.rings, self.value)
        return mask

    def moved(self, ring: int, point: int, x: float, y: float) -> OutlinePoints:
        """With a point elsewhere."""
        changed = self.rings[ring].copy()
        changed[point] = x, y
        return self._with(ring, changed)

    def with_point(self, ring: int, after: int, x: float, y: float) -> OutlinePoints:
        """With one more point, which comes after another one."""
        return self._with(ring, np.insert(self.rings[ring], after + 1, (x, y), axis=0))

    def without_point(self, ring: int, point: int) -> OutlinePoints:
        """Without a point; a hole that has too few then goes, an exterior keeps `FEWEST_POINTS`."""
        if len(self.rings[ring]) > FEWEST_POINTS:
            return self._with(ring, np.delete(self.rings[ring], point, axis=0))
        return self if ring == 0 else replace(self, rings=self.rings[:ring] + self.rings[ring + 1 :])

    def nearest_point(self, x: float, y: float) -> tuple[int, int, float]:
        """The ring and number of the point nearest to a place, and how far away it is."""
        found = [
            (ring, int(away.argmin()), float(away.min()))
            for ring, points in enumerate(self.rings)
            if len(away := np.hypot(*(points - (x, y)).T))
        ]
        return min(found, key=lambda each: each[2])

    def nearest_edge(self, x: float, y: float) -> tuple[int, int, float]:
        """The ring and the first point of the edge nearest to a place, and how far away that is."""
        found = []
        for ring, points in enumerate(self.rings):
            way = np.roll(points, -1, axis=0) - points
            length = np.maximum((way**2).sum(axis=1), 1e-9)
            along = np.clip(((np.array((x, y)) - points) * way).sum(axis=1) / length, 0, 1)
            away = np.hypot(*(points + along[:, None] * way - (x, y)).T)
            found.append((ring, int(away.argmin()), float(away.min())))
        return min(found, key=lambda each: each[2])

    def _with(self, ring: int, points: NDArray[np.float64]) -> OutlinePoints:
        return replace(self, rings=(*self.rings[:ring], points, *self.rings[ring + 1 :]))


def outline_at(mask: Mask, x: int, y: int, *, simplify_px: float, classes: int) -> OutlinePoints | None:
    """The outline of the area of a class (1 to `classes`) that a mask pixel belongs to; None where there is none.

    It lies within `simplify_px` mask pixels of the area's edge.
    """
    height, width = mask.shape
    if not (0 <= x < width and 0 <= y < height and 1 <= mask[y, x] <= classes):
        return None
    value = int(mask[y, x])
    labels, _count = ndimage.label(mask == value)
    rows, columns = ndimage.find_objects(labels, max_label=int(labels[y, x]))[-1]
    area = labels[rows, columns] == labels[y, x]
    beneath = mask.copy()
    beneath[rows, columns][area] = 0
    origin = (float(columns.start), float(rows.start))
    (polygon,) = polygons_of_mask(area.astype(np.uint8), origin=origin, simplify_px=simplify_px)
    rings = tuple(ring[:-1] for ring in (polygon.exterior, *polygon.holes))
    return OutlinePoints(rings, value, beneath)
