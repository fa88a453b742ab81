"""GeoJSON as QuPath reads and writes it: a FeatureCollection of polygons in level-0 pixels."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoloop.annotations.raster import fill_polygon
from histoloop.annotations.records import rgb
from histoloop.errors import DataError
from histoloop.exchange.writing import export_to
from histoloop.language import tr
from histoloop.store.files import write_beside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from histoloop.annotations.records import ClassScheme, Mask
    from histoloop.exchange.tables import Said
    from histoloop.geometry import Region
    from histoloop.localisation.contours import Polygon, Ring

SAID_OF = "HistoLoop label of"
"""Marks a rectangle that tells of a region or slide, and is no outline of a mask class."""

_NAMESPACE = uuid.UUID("6f1f4c54-8a5e-4f0b-9a43-0d3c1b6d7a10")


def write_geojson(
    path: Path, polygons: Sequence[Polygon], scheme: ClassScheme, *, mpp: float | None, said: Sequence[Said] = ()
) -> None:
    """Write polygons as QuPath annotations, with their area in square micrometres where `mpp` is known.

    Regions and slides that people `said` a label or a size of are rectangles without a class. The same polygons give
    the same file, ids included. Raises ExportError when it cannot be written.
    """
    features = [_feature(polygon, scheme, mpp=mpp) for polygon in polygons] + [_region_feature(one) for one in said]
    with export_to(path):
        write_beside(path, json.dumps({"type": "FeatureCollection", "features": features}, allow_nan=False) + "\n")


def _feature(polygon: Polygon, scheme: ClassScheme, *, mpp: float | None) -> dict[str, Any]:
    mask_class = scheme.masks[polygon.value - 1]
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
            "measurements": measurements,
        },
    }


def _region_feature(said: Said) -> dict[str, Any]:
    left, top = said.region.x, said.region.y
    right, bottom = left + said.region.width, top + said.region.height
    rings = [[[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]]
    words = [said.label or ""] + ([] if said.size is None else [f"{said.size:.0%}"])
    described = {"label": said.label or "", "person": said.person, "time": said.time}
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(_NAMESPACE, f"{said.of} {rings}")),
        "geometry": {"type": "Polygon", "coordinates": rings},
        "properties": {
            "objectType": "annotation",
            "name": ", ".join(word for word in words if word),
            "isLocked": True,
            "metadata": {SAID_OF: said.of, **described},
            "measurements": {} if said.size is None else {"Size": round(said.size, 4)},
        },
    }


def _coordinates(ring: Ring) -> list[list[float]]:
    return [[round(float(x), 2), round(float(y), 2)] for x, y in ring]


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """A polygon of a file: its mask value and its rings, exterior and holes, (N, 2) x and y in level-0 pixels."""

    value: int
    rings: tuple[NDArray[np.float64], ...]


def read_geojson_mask(path: Path, region: Region, scheme: ClassScheme) -> Mask:
    """The mask (height, width) of a region out of a GeoJSON file's polygons, at level-0 resolution.

    Classification names must be mask classes of the scheme (in any case). DataError names what does not fit.
    """
    return draw_areas(read_geojson_areas(path, scheme), region)


def draw_areas(areas: Sequence[Area], region: Region) -> Mask:
    """The mask (height, width) of a region: a pixel counts when its centre is inside; later areas cover earlier."""
    mask = np.zeros((region.height, region.width), dtype=np.uint8)
    for area in areas:
        fill_polygon(mask, [ring - (region.x, region.y) for ring in area.rings], area.value)
    return mask


def read_geojson_areas(path: Path, scheme: ClassScheme) -> list[Area]:
    """The polygons of a GeoJSON file in its order; names and errors as in `read_geojson_mask`."""
    areas: list[Area] = []
    try:
        for feature in _features(json.loads(path.read_text(encoding="utf-8-sig"))):
            value = _value_of(feature, scheme, path)
            for rings in _polygons_of(feature["geometry"], path):
                areas.append(Area(value, tuple(map(_ring, rings))))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DataError(
            tr("{path} is not GeoJSON of polygons: {reason}.", path=path, reason=f"{type(error).__name__}, {error}"),
            advice=tr("Export the annotations again as a FeatureCollection in pixels."),
        ) from error
    return areas


def _features(content: Any) -> list[Any]:
    """The outlines in what QuPath writes: a collection, a bare list, or a single feature."""
    if isinstance(content, dict):
        content = [content] if content["type"] == "Feature" else content["features"]
    return [feature for feature in content if SAID_OF not in ((feature.get("properties") or {}).get("metadata") or {})]


def _value_of(feature: Mapping[str, Any], scheme: ClassScheme, path: Path) -> int:
    classification = (feature.get("properties") or {}).get("classification") or {}
    name = str(classification.get("name", ""))
    for value, known in enumerate(scheme.mask_names, start=1):
        if known.lower() == name.lower():
            return value
    raise DataError(
        tr("{path} has an annotation of the class {name!r}.", path=path, name=name or tr("(none)")),
        advice=tr("Name its classes {names}.", names=", ".join(scheme.mask_names)),
    )


def _polygons_of(geometry: Mapping[str, Any], path: Path) -> Iterator[list[list[list[float]]]]:
    if geometry["type"] == "Polygon":
        yield geometry["coordinates"]
    elif geometry["type"] == "MultiPolygon":
        yield from geometry["coordinates"]
    else:
        raise DataError(
            tr("{path} has a {shape}.", path=path, shape=geometry["type"]),
            advice=tr("Only areas can be imported: Polygon and MultiPolygon."),
        )


def _ring(points: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """(N, 2) x and y in level-0 pixels; a third coordinate is left out."""
    ring = np.array([(float(x), float(y)) for x, y, *_ in points], dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(ring).all():
        raise ValueError("a coordinate is not a number")
    return ring
