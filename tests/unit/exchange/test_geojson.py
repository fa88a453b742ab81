"""GeoJSON as QuPath has it: what is written is read back pixel for pixel, and foreign files are refused."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from histoloop.annotations.records import rgb
from histoloop.errors import DataError, ExportError
from histoloop.exchange.geojson import write_geojson
from histoloop.exchange.outlines.classes import assign_classes
from histoloop.exchange.outlines.filling import FilledOutlines
from histoloop.exchange.outlines.read import read_outlines
from histoloop.exchange.outlines.records import LINES, POINTS, SHAPELESS, UNCLASSIFIED
from histoloop.geometry import Region
from histoloop.localisation.contours import polygons_of_mask

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.annotations.records import ClassScheme, Mask

masks = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(0, 2))

SQUARE = [[2.0, 1.0], [5.0, 1.0], [5.0, 4.0], [2.0, 4.0], [2.0, 1.0]]
WHOLE = Region(0, 0, 8, 6)


def written(path: Path, mask: Mask, scheme: ClassScheme, *, mpp: float | None = None, **options: Any) -> dict[str, Any]:
    write_geojson(path, polygons_of_mask(mask, **options), scheme, mpp=mpp)
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def read_mask(path: Path, region: Region, scheme: ClassScheme) -> Mask:
    """What a file's outlines are in a region, taken as level-0 pixels."""
    values = {name: value for value, name in enumerate(scheme.mask_names, start=1)}
    return FilledOutlines(assign_classes(read_outlines(path), path, values).areas).read(region)


def feature(name: str, *rings: list[list[float]], kind: str = "Polygon") -> dict[str, Any]:
    coordinates = [[ring] for ring in rings] if kind == "MultiPolygon" else list(rings)
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": {"objectType": "annotation", "classification": {"name": name}},
    }


def saved(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def ring_mask() -> Mask:
    """A gland of 6 x 5 pixels with a hole of 2 x 1 in it, and a tumour of one pixel in the hole's row elsewhere."""
    mask = np.zeros((10, 12), np.uint8)
    mask[2:7, 3:9] = 1
    mask[4, 5:7] = 0
    mask[9, 0] = 2
    return mask


# --- writing ----------------------------------------------------------------------------------------------------------


def test_every_part_is_an_annotation_with_the_name_and_colour_of_its_class(
    tmp_path: Path, ring_mask: Mask, scheme: ClassScheme
) -> None:
    collection = written(tmp_path / "a.geojson", ring_mask, scheme)
    assert collection["type"] == "FeatureCollection"
    gland, tumour = collection["features"]
    assert (gland["type"], gland["geometry"]["type"]) == ("Feature", "Polygon")
    assert gland["properties"]["objectType"] == "annotation"
    assert gland["properties"]["isLocked"] is False
    assert gland["properties"]["classification"] == {"name": "gland", "color": [0, 160, 255]}
    assert tumour["properties"]["classification"] == {"name": "tumour", "color": [208, 16, 32]}


def test_rings_are_closed_and_run_along_the_pixel_edges_of_level_0(
    tmp_path: Path, ring_mask: Mask, scheme: ClassScheme
) -> None:
    collection = written(tmp_path / "a.geojson", ring_mask, scheme, downsample=2.5, origin=(100, 10))
    tumour = collection["features"][1]["geometry"]["coordinates"]
    assert tumour == [[[100.0, 32.5], [102.5, 32.5], [102.5, 35.0], [100.0, 35.0], [100.0, 32.5]]]
    for one in collection["features"]:
        for ring in one["geometry"]["coordinates"]:
            assert ring[0] == ring[-1]
            assert len(ring) >= 5


def test_a_hole_is_a_further_ring_of_its_polygon(tmp_path: Path, ring_mask: Mask, scheme: ClassScheme) -> None:
    gland = written(tmp_path / "a.geojson", ring_mask, scheme)["features"][0]
    _exterior, hole = gland["geometry"]["coordinates"]
    assert sorted(map(tuple, hole[:-1])) == [(5, 4), (5, 5), (7, 4), (7, 5)]
    assert gland["properties"]["measurements"]["Area px^2"] == 6 * 5 - 2


def test_areas_are_in_square_micrometres_where_the_resolution_is_known(
    tmp_path: Path, ring_mask: Mask, scheme: ClassScheme
) -> None:
    gland = written(tmp_path / "a.geojson", ring_mask, scheme, mpp=0.25, downsample=4.0)["features"][0]
    assert gland["properties"]["measurements"] == {"Area px^2": 28 * 16, "Area um^2": 28.0}


def test_no_area_in_micrometres_is_made_up_where_the_resolution_is_unknown(
    tmp_path: Path, ring_mask: Mask, scheme: ClassScheme
) -> None:
    for one in written(tmp_path / "a.geojson", ring_mask, scheme, mpp=None)["features"]:
        assert list(one["properties"]["measurements"]) == ["Area px^2"]


def test_the_same_polygons_give_the_same_bytes_and_distinct_ids(
    tmp_path: Path, ring_mask: Mask, scheme: ClassScheme
) -> None:
    ids = [one["id"] for one in written(tmp_path / "a.geojson", ring_mask, scheme, mpp=0.5)["features"]]
    written(tmp_path / "b.geojson", ring_mask, scheme, mpp=0.5)
    assert (tmp_path / "a.geojson").read_bytes() == (tmp_path / "b.geojson").read_bytes()
    assert len({uuid.UUID(one) for one in ids}) == 2


def test_a_mask_without_foreground_is_an_empty_collection(tmp_path: Path, scheme: ClassScheme) -> None:
    collection = written(tmp_path / "a.geojson", np.zeros((4, 4), np.uint8), scheme)
    assert collection == {"type": "FeatureCollection", "features": []}


def test_an_earlier_file_is_replaced_and_nothing_is_left_beside_it(
    tmp_path: Path, ring_mask: Mask, scheme: ClassScheme
) -> None:
    (tmp_path / "a.geojson").write_text("old", encoding="utf-8")
    assert written(tmp_path / "a.geojson", ring_mask, scheme)["features"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.geojson"]


def test_a_folder_that_does_not_exist_is_an_export_error_that_names_the_file(
    tmp_path: Path, scheme: ClassScheme
) -> None:
    with pytest.raises(ExportError, match=r"a\.geojson") as caught:
        write_geojson(tmp_path / "absent" / "a.geojson", [], scheme, mpp=None)
    assert "folder" in caught.value.advice


def test_a_folder_of_that_name_is_an_export_error_and_stays(tmp_path: Path, scheme: ClassScheme) -> None:
    (tmp_path / "a.geojson").mkdir()
    with pytest.raises(ExportError, match="cannot be written"):
        write_geojson(tmp_path / "a.geojson", [], scheme, mpp=None)
    assert [path.name for path in tmp_path.iterdir()] == ["a.geojson"]


@pytest.mark.parametrize(
    ("colour", "parts"), [("#000000", (0, 0, 0)), ("#ffffff", (255, 255, 255)), ("#0a64ff", (10, 100, 255))]
)
def test_a_colour_is_its_red_green_and_blue(colour: str, parts: tuple[int, int, int]) -> None:
    assert rgb(colour) == parts


# --- round trip -------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(masks)
def test_a_mask_comes_back_from_its_geojson_pixel_for_pixel(
    tmp_path_factory: pytest.TempPathFactory, scheme: ClassScheme, mask: Mask
) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.geojson"
    write_geojson(path, polygons_of_mask(mask), scheme, mpp=None)
    height, width = mask.shape
    assert np.array_equal(read_mask(path, Region(0, 0, width, height), scheme), mask)


def test_the_mask_of_a_region_comes_back_from_slide_coordinates(
    tmp_path: Path, ring_mask: Mask, scheme: ClassScheme
) -> None:
    written(tmp_path / "a.geojson", ring_mask, scheme, origin=(5000, 700))
    assert np.array_equal(read_mask(tmp_path / "a.geojson", Region(5000, 700, 12, 10), scheme), ring_mask)
    part = read_mask(tmp_path / "a.geojson", Region(5004, 703, 4, 3), scheme)
    assert np.array_equal(part, ring_mask[3:6, 4:8])


def test_a_coarse_mask_comes_back_enlarged(tmp_path: Path, ring_mask: Mask, scheme: ClassScheme) -> None:
    written(tmp_path / "a.geojson", ring_mask, scheme, downsample=3.0)
    enlarged = ring_mask.repeat(3, axis=0).repeat(3, axis=1)
    assert np.array_equal(read_mask(tmp_path / "a.geojson", Region(0, 0, 36, 30), scheme), enlarged)


# --- reading ----------------------------------------------------------------------------------------------------------


def square_mask(value: int = 1) -> Mask:
    mask = np.zeros((6, 8), np.uint8)
    mask[1:4, 2:5] = value
    return mask


@pytest.mark.parametrize(
    "content",
    [
        {"type": "FeatureCollection", "features": [feature("tumour", SQUARE)]},
        [feature("tumour", SQUARE)],
        feature("tumour", SQUARE),
        feature("Tumour", SQUARE),
        feature("tumour", SQUARE[:-1]),
        feature("tumour", [[*point, 0.0] for point in SQUARE]),
    ],
    ids=["collection", "list", "single", "case", "open ring", "with z"],
)
def test_what_qupath_writes_is_read(tmp_path: Path, scheme: ClassScheme, content: object) -> None:
    mask = read_mask(saved(tmp_path / "a.geojson", content), WHOLE, scheme)
    assert mask.dtype == np.uint8
    assert np.array_equal(mask, square_mask(2))


def test_all_parts_of_a_multipolygon_are_read(tmp_path: Path, scheme: ClassScheme) -> None:
    corner = [[6, 5], [8, 5], [8, 6], [6, 6], [6, 5]]
    content = feature("gland", SQUARE, corner, kind="MultiPolygon")
    expected = square_mask()
    expected[5, 6:8] = 1
    assert np.array_equal(read_mask(saved(tmp_path / "a.geojson", content), WHOLE, scheme), expected)


def test_a_smaller_outline_lies_on_a_larger_one_whatever_their_order(tmp_path: Path, scheme: ClassScheme) -> None:
    everything = [[0, 0], [8, 0], [8, 6], [0, 6], [0, 0]]
    content = [feature("gland", everything), feature("tumour", SQUARE)]
    expected = np.where(square_mask() > 0, 2, 1)
    assert np.array_equal(read_mask(saved(tmp_path / "a.geojson", content), WHOLE, scheme), expected)
    assert np.array_equal(read_mask(saved(tmp_path / "b.geojson", content[::-1]), WHOLE, scheme), expected)


def test_a_pixel_counts_when_its_centre_is_inside(tmp_path: Path, scheme: ClassScheme) -> None:
    content = feature("gland", [[1.4, 0.0], [3.4, 0.0], [3.4, 1.0], [1.4, 1.0], [1.4, 0.0]])
    mask = read_mask(saved(tmp_path / "a.geojson", content), Region(0, 0, 5, 1), scheme)
    assert mask.tolist() == [[0, 1, 1, 0, 0]]


def test_an_annotation_outside_the_region_leaves_it_empty(tmp_path: Path, scheme: ClassScheme) -> None:
    path = saved(tmp_path / "a.geojson", feature("gland", SQUARE))
    assert not read_mask(path, Region(100, 100, 8, 6), scheme).any()
    assert read_mask(path, WHOLE, scheme).any()


def test_a_class_that_the_project_does_not_have_is_named_with_the_choices(tmp_path: Path, scheme: ClassScheme) -> None:
    path = saved(tmp_path / "a.geojson", feature("stroma", SQUARE))
    with pytest.raises(DataError) as caught:
        read_mask(path, WHOLE, scheme)
    assert "'stroma' (1)" in caught.value.message
    assert str(path) in caught.value.message
    assert "gland, tumour" in caught.value.advice
    assert "--map-class 'stroma'=gland" in caught.value.advice


@pytest.mark.parametrize("properties", [{}, {"classification": None}, {"classification": {"name": None}}, None])
def test_outlines_without_a_class_are_left_out_and_counted(
    tmp_path: Path, scheme: ClassScheme, properties: object
) -> None:
    path = saved(tmp_path / "a.geojson", [{**feature("x", SQUARE), "properties": properties}, feature("gland", SQUARE)])
    assigned = assign_classes(read_outlines(path), path, {"gland": 1})
    assert assigned.skipped == {UNCLASSIFIED: 1}
    assert np.array_equal(FilledOutlines(assigned.areas).read(WHOLE), square_mask())


@pytest.mark.parametrize(
    ("geometry", "reason"),
    [
        ({"type": "Point", "coordinates": [1, 2]}, POINTS),
        ({"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]}, POINTS),
        ({"type": "LineString", "coordinates": [[1, 2], [3, 4]]}, LINES),
        ({"type": "MultiLineString", "coordinates": [[[1, 2], [3, 4]]]}, LINES),
        ({"type": "Circle"}, SHAPELESS),
        (None, SHAPELESS),
    ],
)
def test_what_has_no_area_is_left_out_and_counted(
    tmp_path: Path, scheme: ClassScheme, geometry: object, reason: str
) -> None:
    content = [{**feature("gland", SQUARE), "geometry": geometry}, feature("gland", SQUARE)]
    outlines = read_outlines(saved(tmp_path / "a.geojson", content))
    assert outlines.skipped == {reason: 1}
    assert len(outlines.shapes) == 1


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe\x00 not text",
        b"5",
        b"null",
        b'"gland"',
        b"[1, 2]",
        b'{"type": "FeatureCollection"}',
        b'{"type": "FeatureCollection", "features": 3}',
        b'{"features": [{"geometry": {"type": "Polygon"}, "properties": {"classification": {"name": "gland"}}}]}',
        b'{"type": "Feature", "properties": {"classification": "gland"}, "geometry": {}}',
        json.dumps(feature("gland", [["a", "b"], ["c", "d"], ["e", "f"]])).encode(),
        json.dumps(feature("gland", [[1.0], [2.0], [3.0]])).encode(),
        json.dumps(feature("gland", [[float("nan"), 1.0], [2.0, 2.0], [3.0, 0.0]])).encode(),
        json.dumps(feature("gland", [[float("inf"), 1.0], [2.0, 2.0], [3.0, 0.0]])).encode(),
    ],
)
def test_a_broken_or_foreign_file_is_a_data_error_with_advice(tmp_path: Path, scheme: ClassScheme, text: bytes) -> None:
    path = tmp_path / "a.geojson"
    path.write_bytes(text)
    with pytest.raises(DataError, match=r"a\.geojson") as caught:
        read_mask(path, WHOLE, scheme)
    assert "FeatureCollection" in caught.value.advice


def test_a_file_that_is_missing_is_a_data_error_that_names_it(tmp_path: Path, scheme: ClassScheme) -> None:
    with pytest.raises(DataError, match=r"absent\.geojson"):
        read_mask(tmp_path / "absent.geojson", WHOLE, scheme)
