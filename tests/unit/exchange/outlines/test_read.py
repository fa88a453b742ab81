"""Annotation files of QuPath, ASAP and ImageScope, packed or not; what is none of them, or hostile, is refused."""

from __future__ import annotations

import gzip
import json
import os
import time
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from histoloop.errors import DataError
from histoloop.exchange.outlines.classes import Area
from histoloop.exchange.outlines.filling import FilledOutlines
from histoloop.exchange.outlines.geojson import ORIGIN, SAID_OF
from histoloop.exchange.outlines.read import read_outlines
from histoloop.exchange.outlines.records import LINES, POINTS, SHAPELESS, TOO_SMALL, Outlines
from histoloop.geometry import Region

if TYPE_CHECKING:
    from pathlib import Path

SQUARE = [[2.0, 1.0], [5.0, 1.0], [5.0, 4.0], [2.0, 4.0], [2.0, 1.0]]
WHOLE = Region(0, 0, 8, 6)


def feature(ring: Any = SQUARE, classification: Any = "tumour", **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": classification, **properties},
    }


COLLECTION = {"type": "FeatureCollection", "features": [feature()]}


def read(path: Path, content: str | bytes | object) -> Outlines:
    if not isinstance(content, str | bytes):
        content = json.dumps(content)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_outlines(path)


def covered(outlines: Outlines, region: Region = WHOLE) -> list[list[int]]:
    filled = FilledOutlines([Area(1, shape.rings) for shape in outlines.shapes])
    return [list(map(int, row)) for row in filled.read(region)]


def square() -> list[list[int]]:
    mask = np.zeros((6, 8), int)
    mask[1:4, 2:5] = 1
    return mask.tolist()


# --- GeoJSON ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        COLLECTION,
        COLLECTION["features"],
        feature(),
        feature()["geometry"],
        {"type": "GeometryCollection", "geometries": [feature()["geometry"]]},
        {**feature(), "geometry": {"type": "GeometryCollection", "geometries": [feature()["geometry"]]}},
        {"features": [feature()], "crs": {"type": "name", "properties": {"name": 'a { in a "name" }'}}},
        {"type": "FeatureCollection", "bbox": [0, 0, 9, 9], "features": [feature(name='{[\\"}')]},
    ],
    ids=["collection", "list", "feature", "geometry", "collection of geometries", "in a feature", "crs", "braces"],
)
def test_every_form_of_geojson_is_read(tmp_path: Path, content: object) -> None:
    assert covered(read(tmp_path / "a.geojson", content)) == square()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_unicode_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    text = json.dumps({"type": "FeatureCollection", "features": [feature(classification={"name": "Drüse 腺"})]})
    outlines = read(tmp_path / "a.geojson", text.encode(encoding))
    assert outlines.shapes[0].names == ("Drüse 腺",)


@pytest.mark.parametrize(
    ("classification", "names"),
    [
        ("Tumor", ("Tumor",)),
        ({"name": "Tumor", "color": [200, 0, 0]}, ("Tumor",)),
        ({"name": "Tumor: Positive"}, ("Tumor: Positive", "Tumor")),
        ({"names": ["Tumor", "Positive"]}, ("Tumor: Positive", "Tumor")),
        ({"names": ["Tumor"]}, ("Tumor",)),
        ({"names": []}, ()),
        ({"name": None}, ()),
        ({}, ()),
        (None, ()),
        ("", ()),
    ],
)
def test_a_class_is_known_by_its_names(tmp_path: Path, classification: Any, names: tuple[str, ...]) -> None:
    (shape,) = read(tmp_path / "a.geojson", feature(classification=classification)).shapes
    assert shape.names == names


def test_holes_and_parts_are_kept_apart(tmp_path: Path) -> None:
    hole = [[3, 2], [4, 2], [4, 3], [3, 3], [3, 2]]
    corner = [[6, 5], [8, 5], [8, 6], [6, 6], [6, 5]]
    content = feature()
    content["geometry"] = {"type": "MultiPolygon", "coordinates": [[SQUARE, hole], [corner]]}
    outlines = read(tmp_path / "a.geojson", content)
    assert [len(shape.rings) for shape in outlines.shapes] == [2, 1]
    expected = square()
    expected[2][3] = 0
    expected[5][6:8] = [1, 1]
    assert covered(outlines) == expected


def test_rectangles_that_tell_of_a_region_are_no_outlines(tmp_path: Path) -> None:
    outlines = read(tmp_path / "a.geojson", [feature(metadata={SAID_OF: "region"}), feature(metadata={"x": "y"})])
    assert len(outlines.shapes) == 1
    assert outlines.skipped == {}


def test_a_collection_says_where_it_counts_from(tmp_path: Path) -> None:
    assert read(tmp_path / "a.geojson", COLLECTION).origin is None
    assert read(tmp_path / "a.geojson", {**COLLECTION, ORIGIN: [600, 1000]}).origin == (600, 1000)


def test_rings_that_cross_themselves_are_counted_and_filled_evenly(tmp_path: Path) -> None:
    bow_tie = [[0, 0], [8, 6], [8, 0], [0, 6], [0, 0]]
    outlines = read(tmp_path / "a.geojson", [feature(bow_tie), feature()])
    assert outlines.repaired == 1
    assert covered(read(tmp_path / "b.geojson", feature(bow_tie)))[2] == [1, 1, 1, 0, 0, 1, 1, 1]


def test_outlines_of_fewer_than_three_points_are_counted(tmp_path: Path) -> None:
    outlines = read(tmp_path / "a.geojson", [feature(SQUARE[:2]), feature([]), feature()])
    assert outlines.skipped == {TOO_SMALL: 2}
    assert len(outlines.shapes) == 1


# --- packed -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.geojson.gz", "a.geojson", "a.zip"])
def test_a_gzipped_file_is_read_whatever_its_ending(tmp_path: Path, name: str) -> None:
    assert covered(read(tmp_path / name, gzip.compress(json.dumps(COLLECTION).encode()))) == square()


def archive(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            file.writestr(name, json.dumps(COLLECTION))
    return path


@pytest.mark.parametrize("name", ["a.geojson", "folder/a.JSON", "../../outside.geojson", "/etc/outside.geojson"])
def test_the_one_file_of_an_archive_is_read_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in" / "here"
    folder.mkdir(parents=True)
    outlines = read_outlines(archive(folder / "a.zip", name, "readme.txt", "__MACOSX/._a.geojson"))
    assert covered(outlines) == square()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.zip"]


@pytest.mark.parametrize(("names", "words"), [((), "holds 0"), (("a.geojson", "b.geojson"), "holds 2")])
def test_an_archive_of_none_or_several_is_refused(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_outlines(archive(tmp_path / "a.zip", *names))


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", ["a.zip", "a.gz"])
def test_a_damaged_archive_is_refused(tmp_path: Path, name: str, keep: float) -> None:
    path = archive(tmp_path / "a.zip", "a.geojson") if name == "a.zip" else tmp_path / name
    if name == "a.gz":
        path.write_bytes(gzip.compress(json.dumps(COLLECTION).encode()))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(DataError, match=name):
        read_outlines(path)


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histoloop.exchange.outlines.files.MAX_BYTES", 1 << 20)
    with pytest.raises(DataError, match="larger than 1 MB"):
        read(tmp_path / "a.gz", gzip.compress(b" " * (9 << 20)))
    with pytest.raises(DataError, match="larger than 1 MB"):
        read(tmp_path / "a.geojson", b" " * (2 << 20))


# --- XML --------------------------------------------------------------------------------------------------------------

ASAP = """<?xml version="1.0"?>
<!-- <Annotations> of ASAP -->
<ASAP_Annotations><Annotations>
<Annotation Name="a" Type="{kind}" PartOfGroup="{group}" Color="#F4FA58"><Coordinates>
<Coordinate Order="2" X="5" Y="4"/><Coordinate Order="0" X="2" Y="1"/>
<Coordinate Order="1" X="5,0" Y="1.0"/><Coordinate Order="3" X="2" Y="4"/>
</Coordinates></Annotation></Annotations>
<AnnotationGroups><Group Name="nest 1" PartOfGroup="Tumor"/><Group Name="Tumor" PartOfGroup="None"/></AnnotationGroups>
</ASAP_Annotations>"""


@pytest.mark.parametrize("kind", ["Polygon", "Spline", "Rectangle"])
@pytest.mark.parametrize(
    ("group", "names"), [("Tumor", ("Tumor",)), ("nest 1", ("nest 1", "Tumor")), ("None", ()), ("", ())]
)
def test_areas_of_asap_are_read_in_their_order_with_their_groups(
    tmp_path: Path, kind: str, group: str, names: tuple[str, ...]
) -> None:
    outlines = read(tmp_path / "a.xml", ASAP.format(kind=kind, group=group))
    assert covered(outlines) == square()
    assert outlines.shapes[0].names == names
    assert not outlines.cropped


@pytest.mark.parametrize(("kind", "reason"), [("Dot", POINTS), ("PointSet", POINTS), ("Measurement", LINES)])
def test_points_and_measurements_of_asap_are_counted(tmp_path: Path, kind: str, reason: str) -> None:
    outlines = read(tmp_path / "a.xml", ASAP.format(kind=kind, group="Tumor"))
    assert (outlines.shapes, outlines.skipped) == ((), {reason: 1})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_xml_is_read_in_every_encoding_that_it_declares(tmp_path: Path, encoding: str) -> None:
    text = ASAP.format(kind="Polygon", group="Drüse").replace('version="1.0"', f'version="1.0" encoding="{encoding}"')
    text = text.replace("utf-8-sig", "utf-8")
    assert read(tmp_path / "a.xml", text.encode(encoding)).shapes[0].names == ("Drüse",)


def imagescope(*regions: str, name: str = "Tumor") -> str:
    return (
        f'<Annotations MicronsPerPixel="0.25"><Annotation Id="1" Name="{name}" LineColor="255"><Attributes>'
        f'<Attribute Name="Description" Id="0" Value="nest"/></Attributes><Regions><RegionAttributeHeaders/>'
        f"{''.join(regions)}</Regions><Plots/></Annotation></Annotations>"
    )


def roi(*points: tuple[float, float], kind: int = 0, negative: int = 0, text: str = "") -> str:
    vertices = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in points)
    return (
        f'<Region Id="1" Type="{kind}" NegativeROA="{negative}" Text="{text}"><Attributes/>'
        f"<Vertices>{vertices}</Vertices></Region>"
    )


CORNERS = ((2, 1), (5, 1), (5, 4), (2, 4))


def test_regions_of_imagescope_are_read_with_layer_and_text(tmp_path: Path) -> None:
    outlines = read(tmp_path / "a.xml", imagescope(roi(*CORNERS, text="margin")))
    assert covered(outlines) == square()
    assert outlines.shapes[0].names == ("Tumor", "margin", "nest", "Description")


def test_negative_regions_are_holes_of_their_layer(tmp_path: Path) -> None:
    inner = roi((3, 2), (4, 2), (4, 3), (3, 3), negative=1)
    for regions in ((inner, roi(*CORNERS)), (roi(*CORNERS), inner)):
        expected = square()
        expected[2][3] = 0
        assert covered(read(tmp_path / "a.xml", imagescope(*regions))) == expected


def test_rectangles_and_ellipses_of_imagescope_may_be_two_corners(tmp_path: Path) -> None:
    assert covered(read(tmp_path / "a.xml", imagescope(roi((2, 1), (5, 4), kind=1)))) == square()
    (ellipse,) = read(tmp_path / "a.xml", imagescope(roi((0, 0), (400, 200), kind=2))).shapes
    filled = FilledOutlines([Area(1, ellipse.rings)]).read(Region(0, 0, 400, 200))
    assert filled.sum() == pytest.approx(np.pi * 200 * 100, rel=1e-3)


def test_arrows_and_rulers_of_imagescope_are_counted(tmp_path: Path) -> None:
    outlines = read(tmp_path / "a.xml", imagescope(roi((1, 1), (5, 5), kind=3), roi((1, 1), (5, 5), kind=4)))
    assert (outlines.shapes, outlines.skipped) == ((), {LINES: 2})


# --- what is refused --------------------------------------------------------------------------------------------------

BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;">]><ASAP_Annotations>&c;</ASAP_Annotations>'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<",
        b"<svg></svg>",
        b"<ASAP_Annotations>",
        BOMB.encode(),
        BOMB.encode("utf-16"),
        ASAP.format(kind="Polygon", group="a").replace('X="5"', 'X="five"').encode(),
        ASAP.format(kind="Polygon", group="a").replace('X="5"', "").encode(),
        ASAP.format(kind="Polygon", group="a").replace('X="5"', 'X="nan"').encode(),
        imagescope(roi((2, 1), (float("inf"), 4), kind=2)).encode(),
        b'{"type": "FeatureCollection", "features": [{',
        b'{"features": [{}]}',
        b'{"features": ["a"]}',
        b"[[]]",
        b"[{}, 7]",
        b'{"a": "\xff"}',
        json.dumps(feature([[1e300, 1.0], [2.0, 2.0], [3.0, 0.0]])).encode(),
        json.dumps(feature()).replace("5.0", "9" * 20_000).encode(),
        json.dumps(feature()).replace("5.0", "-Infinity").encode(),
        b'{"type": "Feature", "geometry": ' + b'{"type": "GeometryCollection", "geometries": [' * 50_000,
        json.dumps(feature()).replace("[[[2.0", "[" * 100_000).encode(),
        b'{"features": [' + b"[" * 1_000_000,
    ],
)
def test_what_is_no_annotation_file_is_refused_with_words(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"a\.x cannot be read as outlines: .+") as caught:
        read(tmp_path / "a.x", content)
    assert "FeatureCollection" in caught.value.advice
    assert "Error" not in caught.value.message or len(caught.value.message) < 400


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.geojson")
    for name in ("pipe.geojson", "absent.geojson", "."):
        with pytest.raises(DataError, match="there is no such file"):
            read_outlines(tmp_path / name)


@pytest.mark.parametrize("unit", [b"{", b'"', b"{}", b'{"a":{}},', b"\\"])
def test_megabytes_of_nothing_are_refused_soon(tmp_path: Path, unit: bytes) -> None:
    began = time.process_time()
    with pytest.raises(DataError):
        read(tmp_path / "a.geojson", b'{"features": [' + unit * 2_000_000)
    assert time.process_time() - began < 30


def test_many_outlines_are_read_one_after_the_other(tmp_path: Path) -> None:
    text = json.dumps(feature())
    outlines = read(tmp_path / "a.geojson", f'{{"features": [{",".join([text] * 2000)}]}}')
    assert len(outlines.shapes) == 2000


def test_more_outlines_than_can_be_held_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histoloop.exchange.outlines.records.MAX_SHAPES", 2)
    with pytest.raises(DataError, match="more than 2 outlines"):
        read(tmp_path / "a.geojson", [feature()] * 3)


def test_collections_in_collections_and_the_children_of_features_are_read_too(tmp_path: Path) -> None:
    parent = {**feature(), "children": [feature(classification="gland")]}
    nested = {"type": "FeatureCollection", "features": [COLLECTION, parent]}
    (tmp_path / "a.geojson").write_text(json.dumps(nested))
    found = read_outlines(tmp_path / "a.geojson")
    assert [shape.names[0] for shape in found.shapes] == ["tumour", "tumour", "gland"]


def test_a_feature_without_a_geometry_is_counted_as_left_out(tmp_path: Path) -> None:
    bare = {"type": "Feature", "properties": {"classification": "gland"}}
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature(), bare]}))
    found = read_outlines(tmp_path / "a.geojson")
    assert found.skipped == {SHAPELESS: 1}
