"""GeoJSON for QuPath: a FeatureCollection of polygons in level-0 pixels, from the corner of the slide's bounds."""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

from histoloop.annotations.records import rgb
from histoloop.exchange.outlines.geojson import ORIGIN, SAID_OF
from histoloop.exchange.writing import export_to
from histoloop.geometry import Region
from histoloop.store.files import write_beside
from histoloop.store.records import is_unlike

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from histoloop.annotations.records import ClassScheme
    from histoloop.exchange.tables import AssessmentRow
    from histoloop.localisation.contours import Polygon, Ring

_NAMESPACE = uuid.UUID("6f1f4c54-8a5e-4f0b-9a43-0d3c1b6d7a10")


UNLIKE = "unlike the training data"
"""Of a collection whether its slide is, and in the metadata of its polygons that it is: QuPath shows those."""


def write_geojson(
    path: Path,
    polygons: Sequence[Polygon],
    scheme: ClassScheme,
    *,
    mpp: float | None,
    assessments: Sequence[AssessmentRow] = (),
    bounds: Region | None = None,
    unlike: float | None = None,
) -> None:
    """Write polygons as QuPath annotations, with their area in square micrometres where `mpp` is known.

    Regions and slides with a label or a size (`assessments`) are rectangles without a class. Where OpenSlide states
    `bounds` of the slide, QuPath shows nothing else and counts from their corner: coordinates do so too, what lies
    outside is cut off, and the collection says where its (0, 0) lies. The same polygons give the same file, ids
    included. Where `unlike`, the distance from the training data, is above 1, the collection and each polygon say that
    the slide is unlike them. Raises ExportError when it cannot be written.
    """
    shown = polygons if bounds is None else list(_cut(polygons, bounds))
    features = [_feature(polygon, scheme, mpp=mpp, unlike=unlike) for polygon in shown]
    features += [_region_feature(one, place) for one in assessments if (place := _seen(one.region, bounds)) is not None]
    collection: dict[str, Any] = {"type": "FeatureCollection"}
    if unlike is not None:
        collection[UNLIKE] = is_unlike(unlike)
    if bounds is not None:
        collection[ORIGIN] = [bounds.x, bounds.y]
    collection["features"] = features
    with export_to(path):
        write_beside(path, json.dumps(collection, allow_nan=False) + "\n")


def _cut(polygons: Sequence[Polygon], bounds: Region) -> Iterator[Polygon]:
    """Polygons inside the bounds, counted from their corner."""
    corner, size = np.array((bounds.x, bounds.y), dtype=np.float64), (bounds.width, bounds.height)
    for polygon in polygons:
        rings = [cut_to_box(ring - corner, size) for ring in (polygon.exterior, *polygon.holes)]
        if len(rings[0]) >= 3:
            holes = tuple(hole for hole in rings[1:] if len(hole) >= 3)
            yield dataclasses.replace(polygon, exterior=rings[0], holes=holes)


def cut_to_box(ring: Ring, size: tuple[int, int]) -> Ring:
    """A closed ring (N, 2) without what lies outside of a box at (0, 0), closed; fewer than 3 points where nothing is.

    Sutherland and Hodgman (Reentrant polygon clipping, CACM 1974): what falls apart stays joined along the box's edge.
    """
    if (ring >= 0).all() and (ring <= size).all():
        return ring
    for axis in (0, 1):
        for sign, limit in ((1.0, 0.0), (-1.0, -float(size[axis]))):
            ring = _cut_half(ring, axis, sign, limit)
            if len(ring) < 3:
                return ring
    return np.concatenate([ring, ring[:1]])


def _cut_half(ring: Ring, axis: int, sign: float, limit: float) -> Ring:
    """The part of a ring where sign * coordinate >= limit."""
    points = ring[:-1] if len(ring) > 1 and (ring[0] == ring[-1]).all() else ring
    before = np.roll(points, 1, axis=0)
    here, there = sign * points[:, axis] >= limit, sign * before[:, axis] >= limit
    kept: list[np.ndarray[Any, np.dtype[np.float64]]] = []
    for point, last, inside, was_inside in zip(points, before, here, there, strict=True):
        if inside != was_inside:
            share = (sign * limit - last[axis]) / (point[axis] - last[axis])
            crossing = last + share * (point - last)
            crossing[axis] = sign * limit
            kept.append(crossing)
        if inside:
            kept.append(point)
    return np.array(kept, dtype=np.float64).reshape(-1, 2)


def _seen(region: Region, bounds: Region | None) -> Region | None:
    """A region as QuPath shows it; None where it lies outside of the bounds."""
    if bounds is None:
        return region
    inside = region.intersection(bounds)
    return None if inside is None else Region(inside.x - bounds.x, inside.y - bounds.y, inside.width, inside.height)


def _feature(polygon: Polygon, scheme: ClassScheme, *, mpp: float | None, unlike: float | None) -> dict[str, Any]:
    mask_class = scheme.shown_as(polygon.value)
    rings = [_coordinates(ring) for ring in (polygon.exterior, *polygon.holes)]
    measurements = {"Area px^2": round(polygon.area_px, 3)}
    if mpp is not None:
        measurements["Area um^2"] = round(polygon.area_um2(mpp), 3)
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(_NAMESPACE, f"{mask_class.name} {rings[0]}")),
        "geometry": {"type": "Polygon", "coordinates": rings},
        "properties": {
            "objectType": "annotation",
            "classification": {"name": mask_class.name, "color": list(rgb(mask_class.colour))},
            "isLocked": False,
            **({"metadata": {UNLIKE: "yes"}} if is_unlike(unlike) else {}),
            "measurements": measurements,
        },
    }


def _region_feature(assessment: AssessmentRow, place: Region) -> dict[str, Any]:
    left, top, right, bottom = place.x, place.y, place.right, place.bottom
    rings = [[[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]]
    words = [assessment.label or ""] + ([] if assessment.size is None else [f"{assessment.size:.0%}"])
    described = {"label": assessment.label or "", "person": assessment.person, "time": assessment.time}
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(_NAMESPACE, f"{assessment.of} {rings}")),
        "geometry": {"type": "Polygon", "coordinates": rings},
        "properties": {
            "objectType": "annotation",
            "name": ", ".join(word for word in words if word),
            "isLocked": True,
            "metadata": {SAID_OF: assessment.of, **described},
            "measurements": {} if assessment.size is None else {"Size": round(assessment.size, 4)},
        },
    }


def _coordinates(ring: Ring) -> list[list[float]]:
    return [[round(float(x), 2), round(float(y), 2)] for x, y in ring]
