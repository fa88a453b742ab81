"""GeoJSON as QuPath and others write it: a collection, a list, a feature or a geometry, feature by feature."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from histoloop.exchange.outlines.records import (
    LINES,
    POINTS,
    SHAPELESS,
    Collector,
    Outlines,
    Ring,
    colour_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ORIGIN = "histoloop_origin"
"""Member of a collection of ours: where its (0, 0) lies on the slide, [x, y] in level-0 pixels."""

SAID_OF = "HistoLoop label of"
"""Marks a rectangle that stands for a region or slide, and is no outline of a mask class."""

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}]', re.DOTALL)
_MAX_BRACES, _MAX_QUOTES = 4_000_000, 40_000_000
_MAX_LISTS, _MAX_COMMAS = 2_000_000, 8_000_000
_GEOMETRIES = frozenset(
    {"Polygon", "MultiPolygon", "Point", "MultiPoint", "LineString", "MultiLineString", "GeometryCollection"}
)


def read_geojson(content: bytes) -> Outlines:
    """The areas in the text of a GeoJSON file; ValueError and its like for what is none."""
    root, features = _divided(content)
    found = Collector()
    for feature in features:
        _collect(feature, found)
    origin = root.get(ORIGIN) if isinstance(root, dict) else None
    return found.outlines(cropped=True, origin=None if origin is None else (float(origin[0]), float(origin[1])))


def _divided(content: bytes) -> tuple[Any, Iterator[Any]]:
    """The file without its features, and the features, each read when its turn comes, so that large files fit."""
    if content.count(b"{") > _MAX_BRACES or content.count(b'"') > _MAX_QUOTES:
        raise ValueError("it holds more objects than can be read")
    spans = _objects(content)
    root = _loads(_skeleton(content, spans))
    features = root if isinstance(root, list) else root.get("features") if isinstance(root, dict) else None
    if isinstance(features, list):
        # an object is the text of its number there; anything else is no feature
        numbers = [int(feature) for feature in features]
        return root, (_loads(content[slice(*spans[number])]) for number in numbers)
    if isinstance(root, dict) and (root.get("type") == "Feature" or root.get("type") in _GEOMETRIES):
        return root, iter([_loads(content)])
    raise ValueError("it is no FeatureCollection, list or Feature")


def _objects(content: bytes) -> list[tuple[int, int]]:
    """(start, end) of each object directly in the list or object that the file is."""
    level = 1 if content.lstrip()[:1] == b"{" else 0
    spans: list[tuple[int, int]] = []
    depth = start = 0
    for token in _TOKEN.finditer(content):
        sign = content[token.start()]
        if sign == 0x7B:  # {
            if depth == level:
                start = token.start()
            depth += 1
        elif sign == 0x7D:  # }
            depth -= 1
            if depth == level:
                spans.append((start, token.end()))
    if depth != 0:
        raise ValueError("it is cut short")
    return spans


def _skeleton(content: bytes, spans: list[tuple[int, int]]) -> bytes:
    """The content with the number of an object in quotes in place of each."""
    pieces: list[bytes] = []
    place = 0
    for number, (start, end) in enumerate(spans):
        pieces += (content[place:start], b'"%d"' % number)
        place = end
    return b"".join((*pieces, content[place:]))


def _loads(text: bytes) -> Any:
    if len(text) > 1 << 20 and (text.count(b"[") > _MAX_LISTS or text.count(b",") > _MAX_COMMAS):
        raise ValueError("one outline holds more points than can be read")
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> float:
    raise ValueError(f"a coordinate is not a number but {constant}")


def _collect(feature: Mapping[str, Any], found: Collector) -> None:
    if feature["type"] in _GEOMETRIES:
        _collect_geometry(feature, (), "", found)
        return
    if feature["type"] == "FeatureCollection":
        for inner in feature["features"]:
            _collect(inner, found)
        return
    properties = feature.get("properties") or {}
    if SAID_OF not in (properties.get("metadata") or {}):
        classification = properties.get("classification")
        _collect_geometry(feature.get("geometry"), _names(classification), _colour(classification), found)
    for child in feature.get("children") or ():
        _collect(child, found)


def _names(classification: Any) -> tuple[str, ...]:
    """A class by its names: a derived one ('Tumor: Positive', or names of its parts) is its first part in the end."""
    if isinstance(classification, dict):
        parts = classification.get("names") or classification.get("name")
    else:
        parts = classification
    if not parts:
        return ()
    whole = ": ".join(map(str, parts)) if isinstance(parts, list) else str(parts)
    return tuple(dict.fromkeys((whole.strip(), whole.split(":")[0].strip())))


def _colour(classification: Any) -> str:
    """The colour of a class, as three numbers or, in older files, as one; empty where it is none that can be read."""
    if not isinstance(classification, dict):
        return ""
    given = classification.get("color", classification.get("colorRGB"))
    if isinstance(given, int):
        return colour_of(given >> 16 & 255, given >> 8 & 255, given & 255)
    if isinstance(given, list) and len(given) >= 3 and all(isinstance(part, (int, float)) for part in given):
        red, green, blue = given[:3]
        return colour_of(red, green, blue)
    return ""


def _collect_geometry(
    geometry: Mapping[str, Any] | None, names: tuple[str, ...], colour: str, found: Collector
) -> None:
    kind = None if geometry is None else geometry["type"]
    if geometry is None or kind not in _GEOMETRIES:
        found.skip(SHAPELESS)
    elif kind == "GeometryCollection":
        for part in geometry["geometries"]:
            _collect_geometry(part, names, colour, found)
    elif kind == "Polygon":
        found.add(names, [_ring(ring) for ring in geometry["coordinates"]], colour=colour)
    elif kind == "MultiPolygon":
        for rings in geometry["coordinates"]:
            found.add(names, [_ring(ring) for ring in rings], colour=colour)
    else:
        found.skip(POINTS if kind in ("Point", "MultiPoint") else LINES)


def _ring(points: list[list[float]]) -> Ring:
    """A third coordinate is left out."""
    places = np.array([(x, y) for x, y, *_ in points]).reshape(-1, 2)
    if places.dtype.kind not in "if":
        raise ValueError("a coordinate is not a number")
    return places.astype(np.float64)
