"""Polygons of the connected parts of a mask, on pixel edges."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import approximate_polygon

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.annotations.records import Mask

BAND_ROWS = 512
"""Rows of a mask that are worked on at a time: some thirty bytes a pixel, of the rest one."""

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
    Douglas-Peucker may move an outline. Parts smaller than `min_area_px` mask pixels are left out. Besides the mask,
    a band of it and its outlines are held in memory.
    """
    return [
        _placed(polygon, downsample, origin)
        for value in values_of_mask(mask)
        for polygon in _polygons_of_value(mask, value, min_area_px, simplify_px)
    ]


def values_of_mask(mask: Mask) -> dict[int, int]:
    """How many pixels a mask has of each value, the lowest first; values that it has not, and 0, are left out."""
    counts = np.zeros(256, np.int64)
    for rows in _bands(len(mask)):
        counts += np.bincount(mask[rows].ravel(), minlength=256)
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts) if value}


def _bands(height: int) -> Iterator[slice]:
    for top in range(0, height, BAND_ROWS):
        yield slice(top, min(top + BAND_ROWS, height))


def _polygons_of_value(mask: Mask, value: int, min_area_px: float, simplify_px: float) -> Iterator[Polygon]:
    exteriors: dict[int, Ring] = {}
    holes: dict[int, list[Ring]] = {}
    for part, ring in _rings(_edges(mask, value, min_area_px), width=mask.shape[1]):
        if signed_area(ring) > 0:
            exteriors[part] = _simplified(ring, simplify_px)
        else:
            holes.setdefault(part, []).append(_simplified(ring, simplify_px))
    for part in sorted(exteriors):
        inner = tuple(hole for hole in holes.get(part, ()) if signed_area(hole) != 0)
        yield Polygon(exteriors[part], inner, value)


_STEPS = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])
"""x, y of the directions right, down, left, up: each a right turn from the one before."""

_CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))
"""x, y of the corner of a pixel where its edge in each direction starts: its upper, right, lower and left one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Edges:
    """Directed pixel edges (N) between a part and something else, the part to the right: start (N, 2) x and y."""

    starts: NDArray[np.int32]
    directions: NDArray[np.int8]
    parts: NDArray[np.int32]


def _rings(edges: _Edges, *, width: int) -> Iterator[tuple[int, Ring]]:
    """(part, closed outline) of 4-connected parts along pixel edges, corners only, the inside always to the right.

    Exteriors run clockwise on the screen, holes counterclockwise. Where two pixels of one part touch by a corner only,
    the outline turns left, so that rings touch but never cross themselves.
    """
    following = _following(edges, width=width + 1).tolist()
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
        turns = edges.directions[corners] != edges.directions[np.roll(corners, 1)]
        points = edges.starts[corners[turns]].astype(np.float64)
        yield int(edges.parts[first]), np.concatenate([points, points[:1]])


def _edges(mask: Mask, value: int, min_area_px: float) -> _Edges:
    """The edges of the parts of a value that have at least `min_area_px` pixels, by direction, then row by row.

    Parts are numbered from 0 by their first pixels, row by row. The mask is labelled band by band, and what goes on in
    the next band is joined afterwards.
    """
    starts: list[list[NDArray[np.int32]]] = [[], [], [], []]
    parts: list[list[NDArray[np.int32]]] = [[], [], [], []]
    sizes: list[NDArray[np.intp]] = []
    touching: list[NDArray[np.int32]] = []
    above = np.zeros(mask.shape[1], np.int32)
    count = 0
    for rows in _bands(len(mask)):
        around = np.pad(mask[max(0, rows.start - 1) : rows.stop + 1] == value, 1)
        around = around[rows.start > 0 :][: rows.stop - rows.start + 2]
        inside = around[1:-1, 1:-1]
        pieces, found = ndimage.label(inside)
        labels = pieces.astype(np.int32, copy=False)
        labels[inside] += count - 1
        joined = inside[0] & around[0, 1:-1]
        touching.append(np.unique(np.stack([above[joined], labels[0, joined]], axis=1), axis=0))
        sizes.append(np.bincount(labels[inside] - count, minlength=found))
        above, count = labels[-1].copy(), count + found
        # above, right, below, left
        neighbours = (around[:-2, 1:-1], around[1:-1, 2:], around[2:, 1:-1], around[1:-1, :-2])
        for direction, neighbour in enumerate(neighbours):
            y, x = np.nonzero(inside & ~neighbour)
            parts[direction].append(labels[y, x])
            corner = _CORNERS[direction]
            starts[direction].append(np.stack([x + corner[0], y + rows.start + corner[1]], axis=1).astype(np.int32))
    number = _joined(np.concatenate(touching), count)
    size = np.bincount(number, weights=np.concatenate(sizes))
    all_parts = number[np.concatenate(list(itertools.chain(*parts)))]
    directions = np.repeat(np.arange(4, dtype=np.int8), [sum(map(len, of)) for of in parts])
    wanted = size[all_parts] >= min_area_px
    return _Edges(np.concatenate(list(itertools.chain(*starts)))[wanted], directions[wanted], all_parts[wanted])


def _joined(touching: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """The part of each of `count` pieces, of which pairs touch (N, 2); parts are numbered by their first pieces."""
    pairs = (np.ones(len(touching), np.bool_), (touching[:, 0], touching[:, 1]))
    _, part = connected_components(coo_array(pairs, shape=(count, count)), directed=False)
    _, first = np.unique(part, return_index=True)
    order = np.empty(len(first), np.int32)
    order[np.argsort(first)] = np.arange(len(first))
    numbers: NDArray[np.int32] = order[part]
    return numbers


def _following(edges: _Edges, *, width: int) -> NDArray[np.intp]:
    """For every edge the next one of its outline."""
    starts, directions = edges.starts.astype(np.int64), edges.directions
    ends = starts + _STEPS[directions]
    most = int(edges.parts.max(initial=0)) + 1
    start_keys = (starts[:, 1] * width + starts[:, 0]) * most + edges.parts
    end_keys = (ends[:, 1] * width + ends[:, 0]) * most + edges.parts
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
