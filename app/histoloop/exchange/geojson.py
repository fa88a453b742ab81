"""GeoJSON for QuPath: a FeatureCollection of polygons in level-0 pixels, from the corner of the slide's bounds."""

from __future__ import annotations

import dataclasses
import json
import uuid
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import shapely

from histoloop.annotations.records import rgb
from histoloop.exchange.outlines.geojson import ORIGIN, SAID_OF
from histoloop.exchange.writing import export_to, exported_file
from histoloop.geometry import Region
from histoloop.store.records import is_unlike

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from histoloop.annotations.records import ClassScheme
    from histoloop.exchange.tables import AssessmentRow
    from histoloop.localisation.contours import Polygon, Ring

_NAMESPACE = uuid.UUID("6f1f4c54-8a5e-4f0b-9a43-0d3c1b6d7a10")


UNLIKE = "unlike the training data"
"""Of a collection whether its slide is, and in the metadata of its polygons that it is: QuPath shows those."""


def write_geojson(
    path: Path,
    polygons: Iterable[Polygon],
    scheme: ClassScheme,
    *,
    mpp: float | None,
    assessments: Iterable[AssessmentRow] = (),
    bounds: Region | None = None,
    unlike: float | None = None,
) -> None:
    """Write polygons, and regions and slides with a label or a size (`assessments`), as `geojson_file` has them."""
    with geojson_file(path, scheme, mpp=mpp, bounds=bounds, unlike=unlike) as file:
        file.add_all(polygons)
        for assessment in assessments:
            file.add_assessment(assessment)


@contextmanager
def geojson_file(
    path: Path, scheme: ClassScheme, *, mpp: float | None, bounds: Region | None = None, unlike: float | None = None
) -> Iterator[GeojsonFile]:
    """A file of QuPath annotations that is written one by one and at `path` when the block ends well.

    Polygons have their area in square micrometres where `mpp` is known. Where OpenSlide states `bounds` of the slide,
    QuPath shows nothing else and counts from their corner: coordinates do so too, what lies outside is cut off, and the
    collection says where its (0, 0) lies. The same polygons give the same file, ids included. Where `unlike`, the
    distance from the training data, is above 1, the collection and each polygon say that the slide is unlike them.
    Raises ExportError when it cannot be written.
    """
    with exported_file(path) as file:
        written = GeojsonFile(path, file, scheme, mpp=mpp, bounds=bounds, unlike=unlike)
        yield written
        written.finish()


class GeojsonFile:
    """A FeatureCollection that grows: see `geojson_file`. All its polygons are valid in the sense of OGC."""

    def __init__(
        self,
        path: Path,
        file: IO[bytes],
        scheme: ClassScheme,
        *,
        mpp: float | None,
        bounds: Region | None,
        unlike: float | None,
    ) -> None:
        self._path, self._file, self._scheme = path, file, scheme
        self._mpp, self._bounds, self._unlike = mpp, bounds, unlike
        collection: dict[str, Any] = {"type": "FeatureCollection"}
        if unlike is not None:
            collection[UNLIKE] = is_unlike(unlike)
        if bounds is not None:
            collection[ORIGIN] = [bounds.x, bounds.y]
        with export_to(path):
            file.write(_text({**collection, "features": []}).removesuffix("]}").encode())
        self._between = b""

    def add(self, polygon: Polygon, metadata: Mapping[str, str] | None = None) -> None:
        """Write a polygon; in several where the bounds cut it into several, in none where it lies outside.

        QuPath shows its `metadata`: where it comes from.
        """
        for part in [polygon] if self._bounds is None else cut_to_bounds(polygon, self._bounds):
            for shape in _rounded(part):
                self._write(
                    _feature(part, shape, self._scheme, mpp=self._mpp, unlike=self._unlike, metadata=metadata or {})
                )

    def add_all(self, polygons: Iterable[Polygon]) -> None:
        """Write polygons one after the other."""
        for polygon in polygons:
            self.add(polygon)

    def add_assessment(self, assessment: AssessmentRow) -> None:
        """Write a region or slide as a rectangle without a class; not where it lies outside of the bounds."""
        if (place := _seen(assessment.region, self._bounds)) is not None:
            self._write(_text(_region_feature(assessment, place)))

    def finish(self) -> None:
        """Write what comes after the last feature."""
        with export_to(self._path):
            self._file.write(b"]}\n")

    def _write(self, feature: str) -> None:
        with export_to(self._path):
            self._file.write(self._between + feature.encode())
        self._between = b", "


def _text(value: object) -> str:
    return json.dumps(value, allow_nan=False)


def cut_to_bounds(polygon: Polygon, bounds: Region) -> list[Polygon]:
    """The parts of a polygon inside of bounds, counted from their corner."""
    corner, size = np.array((bounds.x, bounds.y), dtype=np.float64), (bounds.width, bounds.height)
    exterior, *holes = (ring - corner for ring in (polygon.exterior, *polygon.holes))
    if (exterior >= 0).all() and (exterior <= size).all():
        return [dataclasses.replace(polygon, exterior=exterior, holes=tuple(holes))]
    inside = shapely.intersection(shapely.Polygon(exterior, holes), shapely.box(0, 0, *size))
    return [
        dataclasses.replace(polygon, exterior=rings[0], holes=tuple(rings[1:]))
        for rings in map(_rings_of, _areas(inside))
    ]


def _areas(geometry: shapely.Geometry) -> list[shapely.Polygon]:
    """The polygons that a geometry is made of, without its lines and points."""
    parts = shapely.get_parts(shapely.get_parts(geometry))  # a collection may hold several of several
    return [part for part in parts if isinstance(part, shapely.Polygon) and not part.is_empty]


def _rings_of(polygon: shapely.Polygon) -> list[Ring]:
    """The exterior, clockwise on the screen, and the holes, counterclockwise."""
    turned = shapely.orient_polygons(polygon)
    return [shapely.get_coordinates(ring) for ring in (turned.exterior, *turned.interiors)]


def _rounded(polygon: Polygon) -> list[shapely.Polygon]:
    """A polygon to a hundredth of a pixel; where that is not valid, the valid ones that it becomes."""
    exterior, *holes = (ring.round(2) for ring in (polygon.exterior, *polygon.holes))
    rounded = shapely.Polygon(exterior, holes)
    if shapely.is_valid(rounded):
        return [rounded]
    exact = shapely.Polygon(polygon.exterior, polygon.holes)
    return [shapely.orient_polygons(part) for part in _areas(shapely.set_precision(exact, 0.01))]


def _seen(region: Region, bounds: Region | None) -> Region | None:
    """A region as QuPath shows it; None where it lies outside of the bounds."""
    if bounds is None:
        return region
    inside = region.intersection(bounds)
    return None if inside is None else Region(inside.x - bounds.x, inside.y - bounds.y, inside.width, inside.height)


def _feature(
    polygon: Polygon,
    shape: shapely.Polygon,
    scheme: ClassScheme,
    *,
    mpp: float | None,
    unlike: float | None,
    metadata: Mapping[str, str],
) -> str:
    """The text of a polygon's feature; its shape is that of the polygon, rounded."""
    mask_class, geometry = scheme.shown_as(polygon.value), shapely.to_geojson(shape)
    measurements = {"Area px^2": round(polygon.area_px, 3)}
    if mpp is not None:
        measurements["Area um^2"] = round(polygon.area_um2(mpp), 3)
    described = {**({UNLIKE: "yes"} if is_unlike(unlike) else {}), **metadata}
    before = {"type": "Feature", "id": str(uuid.uuid5(_NAMESPACE, f"{mask_class.name} {geometry}"))}
    properties = {
        "objectType": "annotation",
        "classification": {"name": mask_class.name, "color": list(rgb(mask_class.colour))},
        "isLocked": False,
        **({"metadata": described} if described else {}),
        "measurements": measurements,
    }
    return f'{_text(before)[:-1]}, "geometry": {geometry}, "properties": {_text(properties)}}}'


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
