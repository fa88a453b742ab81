"""Polygons of the connected parts of a mask, on pixel edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import approximate_polygon

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.annotations.records import Mask

Ring = NDArray[np.float64]
"""(N, 2) x and y, closed: the last point repeats the first."""


@dataclass(frozen=True, slots=True, eq=False)
class Polygon:
    """The outline of one connected part of a mask and its holes, level-0 pixels; `value` is its mask value."""

    exterior: Ring
    holes: tuple[Ring, ...]
    value: int

    @property
    def area_px(self) -> float:
        """Level-0 pixels inside, holes taken out."""
        return abs(signed_area(self.exterior)) - sum(abs(signed_area(hole)) for hole in self.holes)

    def area_um2(self, mpp: float) -> float:
        """Square micrometres inside, at a resolution in um per level-0 pixel."""
        return self.area_px * mpp**2


def signed_area(ring: Ring) -> float:
    """Shoelace formula; positive when the ring runs clockwise on the screen (y down)."""
    x, y = ring[:, 0], ring[:, 1]
    return float(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2


def polygons_of_mask(
    mask: Mask,
    *,
    downsample: float = 1.0,
    origin: tuple[float, float] = (0.0, 0.0),
    min_area_px: float = 0.0,
    simplify_px: float = 0.0,
) -> list[Polygon]:
    """Polygons of the 4-connected parts of every class of a mask, by class, then by place.

    A mask pixel is `downsample` level-0 pixels wide and its first one lies at `origin` (x, y level-0). Not simplified,
    a polygon's area is exactly that of its pixels; `simplify_px` (mask pixels) is the distance by which
    Douglas-Peucker may move an outline. Parts smaller than `min_area_px` mask pixels are left out.
    """
    return [
        _placed(polygon, downsample, origin)
        for value in np.unique(mask[mask > 0])
        for polygon in _polygons_of_value(mask == value, int(value), min_area_px, simplify_px)
    ]


def _polygons_of_value(
    part_of_class: NDArray[np.bool_], value: int, min_area_px: float, simplify_px: float
) -> Iterator[Polygon]:
    labels, count = ndimage.label(part_of_class)
    wanted = np.bincount(labels.ravel(), minlength=count + 1) >= min_area_px
    exteriors: dict[int, Ring] = {}
    holes: dict[int, list[Ring]] = {}
    for part, ring in _rings(labels.astype(np.int32)):
        if not wanted[part]:
            continue
        if signed_area(ring) > 0:
            exteriors[part] = _simplified(ring, simplify_px)
        else:
            holes.setdefault(part, []).append(_simplified(ring, simplify_px))
    for part in sorted(exteriors):
        inner = tuple(hole for hole in holes.get(part, ()) if signed_area(hole) != 0)
        yield Polygon(exteriors[part], inner, value)


_STEPS = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])
"""x, y of the directions right, down, left, up: each a right turn from the one before."""


def _rings(labels: NDArray[np.int32]) -> Iterator[tuple[int, Ring]]:
    """(label, closed outline) of 4-connected parts along pixel edges, corners only, the inside always to the right.

    Exteriors run clockwise on the screen, holes counterclockwise. Where two pixels of one part touch by a corner only,
    the outline turns left, so that rings touch but never cross themselves.
    """
    starts, directions, parts = _edges(labels)
    following = _following(starts, directions, parts, width=labels.shape[1] + 1).tolist()
    seen = bytearray(len(following))
    for first in range(len(following)):
        if seen[first]:
            continue
        ring, edge = [], first
        while not seen[edge]:
            seen[edge] = 1
            ring.append(edge)
            edge = following[edge]
        corners = np.array(ring)
        turns = directions[corners] != directions[np.roll(corners, 1)]
        points = starts[corners[turns]].astype(np.float64)
        yield int(parts[first]), np.concatenate([points, points[:1]])


def _edges(labels: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int32]]:
    """Directed pixel edges between a part and something else: start (x, y), direction, label of the part."""
    around = np.pad(labels, 1)
    inside = around[1:-1, 1:-1]
    neighbours = (around[:-2, 1:-1], around[1:-1, 2:], around[2:, 1:-1], around[1:-1, :-2])  # above, right, below, left
    corners = ((0, 0), (1, 0), (1, 1), (0, 1))
    starts, directions, parts = [], [], []
    for direction, (neighbour, corner) in enumerate(zip(neighbours, corners, strict=True)):
        rows, columns = np.nonzero((inside > 0) & (inside != neighbour))
        starts.append(np.stack([columns + corner[0], rows + corner[1]], axis=1))
        directions.append(np.full(len(rows), direction))
        parts.append(inside[rows, columns])
    return np.concatenate(starts), np.concatenate(directions), np.concatenate(parts)


def _following(
    starts: NDArray[np.intp], directions: NDArray[np.intp], parts: NDArray[np.int32], *, width: int
) -> NDArray[np.intp]:
    """For every edge the next one of its outline."""
    ends = starts + _STEPS[directions]
    most = int(parts.max(initial=0)) + 1
    start_keys = (starts[:, 1] * width + starts[:, 0]) * most + parts
    end_keys = (ends[:, 1] * width + ends[:, 0]) * most + parts
    order = np.argsort(start_keys, kind="stable")
    place = np.searchsorted(start_keys[order], end_keys, side="left")
    following = order[place]
    choice = np.searchsorted(start_keys[order], end_keys, side="right") - place == 2
    other = order[np.minimum(place + 1, len(order) - 1)]
    left_turn = (directions - 1) % 4
    use_other = choice & (directions[other] == left_turn)
    chosen: NDArray[np.intp] = np.where(use_other, other, following)
    return chosen


def _simplified(ring: Ring, tolerance: float) -> Ring:
    """Douglas-Peucker; a ring that would collapse stays as it is."""
    if tolerance <= 0 or len(ring) <= 5:
        return ring
    simple: Ring = approximate_polygon(ring, tolerance)
    return simple if len(simple) >= 4 and signed_area(simple) * signed_area(ring) > 0 else ring


def _placed(polygon: Polygon, downsample: float, origin: tuple[float, float]) -> Polygon:
    return Polygon(
        polygon.exterior * downsample + origin,
        tuple(hole * downsample + origin for hole in polygon.holes),
        polygon.value,
    )
