"""GeoJSON as QuPath reads and writes it: a FeatureCollection of polygons in level-0 pixels."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from histoloop.errors import DataError
from histoloop.store.files import write_beside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from histoloop.annotations.records import ClassScheme, Mask
    from histoloop.geometry import Region
    from histoloop.inference.contours import Polygon, Ring

_NAMESPACE = uuid.UUID("6f1f4c54-8a5e-4f0b-9a43-0d3c1b6d7a10")


def write_geojson(path: Path, polygons: Sequence[Polygon], scheme: ClassScheme, *, mpp: float | None) -> None:
    """Write polygons as QuPath annotations, with their area in square micrometres where `mpp` is known."""
    features = [_feature(polygon, scheme, mpp=mpp) for polygon in polygons]
    write_beside(path, json.dumps({"type": "FeatureCollection", "features": features}) + "\n")


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


def _coordinates(ring: Ring) -> list[list[float]]:
    return [[round(float(x), 2), round(float(y), 2)] for x, y in ring]


def rgb(colour: str) -> tuple[int, int, int]:
    """'#rrggbb' as three numbers."""
    value = int(colour.removeprefix("#"), 16)
    return value >> 16, value >> 8 & 255, value & 255


def read_geojson_mask(path: Path, region: Region, scheme: ClassScheme) -> Mask:
    """The mask (height, width) of a region out of a GeoJSON file's polygons, at level-0 resolution.

    Classification names must be mask classes of the scheme (in any case); later features cover earlier ones.
    DataError names what does not fit.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        features = content["features"] if isinstance(content, dict) else content
        canvas = Image.new("L", (region.width, region.height), 0)
        for feature in features:
            value = _value_of(feature, scheme, path)
            for rings in _polygons_of(feature["geometry"], path):
                _draw(canvas, rings, value, region)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, IndexError) as error:
        raise DataError(
            f"{path} is not GeoJSON of polygons: {type(error).__name__} {error}.",
            advice="Export the annotations again as a FeatureCollection in pixels.",
        ) from error
    return np.asarray(canvas).copy()


def _value_of(feature: Mapping[str, Any], scheme: ClassScheme, path: Path) -> int:
    classification = feature.get("properties", {}).get("classification") or {}
    name = str(classification.get("name", ""))
    for value, known in enumerate(scheme.mask_names, start=1):
        if known.lower() == name.lower():
            return value
    raise DataError(
        f"{path} has an annotation of the class {name or '(none)'!r}.",
        advice=f"Name its classes {', '.join(scheme.mask_names)}.",
    )


def _polygons_of(geometry: Mapping[str, Any], path: Path) -> Iterator[list[list[list[float]]]]:
    if geometry["type"] == "Polygon":
        yield geometry["coordinates"]
    elif geometry["type"] == "MultiPolygon":
        yield from geometry["coordinates"]
    else:
        raise DataError(
            f"{path} has a {geometry['type']}.", advice="Only areas can be imported: Polygon and MultiPolygon."
        )


def _draw(canvas: Image.Image, rings: list[list[list[float]]], value: int, region: Region) -> None:
    """Fill a polygon's exterior except for its holes; a pixel counts when its centre is inside."""
    part = Image.new("1", canvas.size, 0)
    pen = ImageDraw.Draw(part)
    for number, ring in enumerate(rings):
        points = [(float(x) - region.x - 0.5, float(y) - region.y - 0.5) for x, y, *_ in ring]
        if len(points) >= 3:
            pen.polygon(points, fill=int(number == 0))
    canvas.paste(value, mask=part)
