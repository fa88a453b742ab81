"""Polygons of the connected parts of a mask, on pixel edges."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from histoloop.localisation.bands import in_bands
from histoloop.localisation.tracing import Points, Rings, Tracer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from histoloop.annotations.records import Mask

Ring = NDArray[np.float64]
"""(N, 2) x and y, closed: the last point repeats the first."""

_LEAST_WITH_HOLE = 8
"""Pixels inside the outline of a part that has a hole, at least."""


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
    """Polygons of the 4-connected parts of every class of a mask, as `Outliner` has them, by class, then by place."""
    outliner = Outliner(
        mask.shape[1], downsample=downsample, origin=origin, min_area_px=min_area_px, simplify_px=simplify_px
    )
    polygons = [polygon for band in in_bands(mask) for polygon in outliner.add(band)] + outliner.close()
    return sorted(polygons, key=lambda polygon: (polygon.value, *polygon.exterior[0, ::-1].tolist()))


class Outliner:
    """Makes polygons of the 4-connected parts of every class of a mask, whose rows it is given from top to bottom.

    A mask pixel is `downsample` level-0 pixels wide and its first one lies at `origin` (x, y level-0). Not simplified,
    a polygon's area is exactly that of its pixels; `simplify_px` (mask pixels) is the distance by which
    Douglas-Peucker may move an outline. Parts smaller than `min_area_px` mask pixels are left out. All polygons are
    valid in the sense of OGC: rings touch in points at most, and holes lie inside.

    A polygon comes as soon as its last row is known: by last row, then by class, then by place, whatever the bands. In
    memory are a band, and of parts that are not done yet their corners, 8 bytes each.
    """

    def __init__(
        self,
        width: int,
        *,
        downsample: float = 1.0,
        origin: tuple[float, float] = (0.0, 0.0),
        min_area_px: float = 0.0,
        simplify_px: float = 0.0,
    ) -> None:
        self._tracer = Tracer(width)
        self._downsample, self._origin = downsample, np.array(origin, np.float64)
        self._min_area_px, self._simplify_px = min_area_px, simplify_px
        self._holes: list[_Hole] = []

    def add(self, band: Mask) -> list[Polygon]:
        """Take the next rows (H, width); the polygons that end above the last of them."""
        return self._polygons(self._tracer.add(band))

    def close(self) -> list[Polygon]:
        """The polygons that end with the last row."""
        return self._polygons(self._tracer.close())

    def _polygons(self, rings: Rings) -> list[Polygon]:
        areas = rings.areas()
        self._holes += [
            _Hole(rings.ring(number), int(rings.values[number]), -float(areas[number]))
            for number in np.flatnonzero(areas < 0).tolist()
        ]
        parts = [
            part
            for part in self._parts(rings, areas)
            if part.area - sum(hole.area for hole in part.holes) >= self._min_area_px
        ]
        shapes = _simplified(parts, self._simplify_px)
        return [self._placed(part.value, shape) for part, shape in zip(parts, shapes, strict=True)]

    def _parts(self, rings: Rings, areas: NDArray[np.float64]) -> list[_Part]:
        """Parts with their holes, which wait no longer then."""
        exteriors = np.flatnonzero(areas > 0)
        if len(exteriors) == 0:
            return []
        bottoms = np.maximum.reduceat(rings.points[:, 1], rings.starts[:-1])[exteriors]
        left, top = rings.points[rings.starts[exteriors]].T
        exteriors = exteriors[np.lexsort([left, top, rings.values[exteriors], bottoms])]
        parts = [_Part(rings.ring(one), int(rings.values[one]), float(areas[one]), []) for one in exteriors.tolist()]
        large = [part for part in parts if part.area >= _LEAST_WITH_HOLE]
        if not self._holes or not large:
            return parts
        of_hole = _parts_around(large, self._holes)
        for hole, number in zip(self._holes, of_hole, strict=True):
            if number is not None:
                large[number].holes.append(hole)
        for part in large:
            part.holes.sort(key=lambda hole: hole.points[0, ::-1].tolist())
        self._holes = [hole for hole, number in zip(self._holes, of_hole, strict=True) if number is None]
        return parts

    def _placed(self, value: int, shape: Sequence[NDArray[np.float64]]) -> Polygon:
        exterior, *holes = (ring * self._downsample + self._origin for ring in shape)
        return Polygon(exterior, tuple(holes), value)


@dataclass(frozen=True, slots=True, eq=False)
class _Hole:
    """The outline of a hole of a class, and its area in pixels."""

    points: Points
    value: int
    area: float


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The outline of a part, the area inside it in pixels, and its holes."""

    points: Points
    value: int
    area: float
    holes: list[_Hole]


def _parts_around(parts: Sequence[_Part], holes: Sequence[_Hole]) -> list[int | None]:
    """For each hole the part that it is in, of several (one lies in a hole of the other) the first: it ends first."""
    inside = np.array([hole.points[0] for hole in holes]) + 0.5  # the middle of the first pixel of the hole
    tree = shapely.STRtree(shapely.points(inside))
    part, hole = tree.query(shapely.polygons(_line_rings([one.points for one in parts])), predicate="contains")
    same = np.array([one.value for one in parts])[part] == np.array([one.value for one in holes])[hole]
    part, hole = part[same], hole[same]
    order = np.lexsort([part, hole])
    of, first = np.unique(hole[order], return_index=True)
    found: list[int | None] = [None] * len(holes)
    for number, one in zip(of.tolist(), part[order][first].tolist(), strict=True):
        found[number] = one
    return found


def _line_rings(rings: Sequence[Points]) -> NDArray[Any]:
    """Rings of shapely."""
    indices = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    lines: NDArray[Any] = shapely.linearrings(np.concatenate(rings).astype(np.float64), indices=indices)
    return lines


def _simplified(parts: Sequence[_Part], tolerance: float) -> Iterator[list[Ring]]:
    """The rings of each part, the exterior first: simplified, unless it would collapse, and the polygon valid.

    Ring by ring by Douglas and Peucker; a polygon that this makes invalid is simplified as a whole, which is slower.
    """
    if not parts:
        return
    exact = _line_rings([ring for part in parts for ring in (part.points, *(hole.points for hole in part.holes))])
    counts = np.array([1 + len(part.holes) for part in parts])
    firsts = np.concatenate([[0], np.cumsum(counts)])
    rings = exact
    if tolerance > 0:
        simple = shapely.simplify(exact, tolerance, preserve_topology=False)
        rings = np.where(_keeps_its_side(simple, exact), simple, exact)
        polygons = _assembled(rings, firsts)
        for number in np.flatnonzero(~shapely.is_valid(polygons)):
            of = slice(firsts[number], firsts[number + 1])
            rings[of] = _simplified_whole(exact[of], tolerance)
    coordinates, ring_of = shapely.get_coordinates(rings, return_index=True)
    divided = np.split(coordinates, np.searchsorted(ring_of, np.arange(1, len(rings))))
    for first, last in itertools.pairwise(firsts):
        yield divided[first:last]


def _keeps_its_side(simple: NDArray[Any], exact: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether a simplified ring still has an inside, on the side on which it was."""
    enough = shapely.get_num_coordinates(simple) >= 4
    kept = np.zeros(len(exact), np.bool_)
    turn = shapely.is_ccw(simple[enough]) == shapely.is_ccw(exact[enough])
    kept[enough] = turn & (shapely.area(shapely.polygons(simple[enough])) > 0)
    return kept


def _assembled(rings: NDArray[Any], firsts: NDArray[np.intp]) -> NDArray[Any]:
    """Polygons of rings, of which each begins with its exterior."""
    polygons: NDArray[Any] = shapely.polygons(rings[firsts[:-1]])
    for number in np.flatnonzero(np.diff(firsts) > 1):
        polygons[number] = shapely.polygons(rings[firsts[number]], holes=rings[firsts[number] + 1 : firsts[number + 1]])
    return polygons


def _simplified_whole(rings: NDArray[Any], tolerance: float) -> NDArray[Any]:
    """The rings of a polygon that is simplified so that none of them crosses another; as they were where that fails."""
    simple = shapely.simplify(shapely.polygons(rings[0], holes=rings[1:]), tolerance, preserve_topology=True)
    if simple.geom_type != "Polygon" or not shapely.is_valid(simple) or shapely.is_empty(simple):
        return rings
    found: NDArray[Any] = np.array([simple.exterior, *simple.interiors], dtype=object)
    if len(found) != len(rings) or not _keeps_its_side(found, rings).all():
        return rings
    return found
