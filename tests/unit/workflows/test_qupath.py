"""Outlines go to QuPath and come back to the pixel, on slides of which a part of the glass is scanned, and on DICOM."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from slide_writers import write_dicom, write_mirax, write_scn

from histoloop.exchange.outlines.placing import bounds_of
from histoloop.geometry import Region
from histoloop.progress import finish
from histoloop.slides.reader import open_slide
from histoloop.workflows.annotate import import_annotation
from histoloop.workflows.export import export_project
from histoloop.workflows.projects import import_slides

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord

BOUNDS = {"scn": Region(200, 300, 256, 192), "mirax": Region(128, 192, 256, 192), "dicom": Region(0, 0, 512, 640)}
"""Where the tissue of each slide is. QuPath counts from the corner of this, on slides that state it."""

PLACE = Region(40, 50, 60, 30)
"""A rectangle, as QuPath shows where it is."""


@pytest.fixture(params=sorted(BOUNDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def slide_file(kind: str, tmp_path: Path) -> Path:
    """A slide of 512 x 640 pixels (MIRAX: 512 x 448); of the DICOM series the file of a smaller level."""
    bounds = BOUNDS[kind]
    tissue = np.full((bounds.height, bounds.width, 3), (200, 120, 180), np.uint8)
    if kind == "scn":
        return write_scn(tmp_path / "a.scn", tissue, bounds=bounds, width=512, height=640)
    if kind == "mirax":
        return write_mirax(tmp_path / "a.mrxs", tissue, column=2, row=3, columns=8, rows=7)
    (tmp_path / "a").mkdir()
    write_dicom(tmp_path / "a" / "0.dcm", tissue)
    write_dicom(tmp_path / "a" / "2.dcm", np.full((64, 64, 3), 255, np.uint8), kind="LABEL", number=3)
    return write_dicom(tmp_path / "a" / "1.dcm", tissue[::2, ::2].copy(), spacing_mm=0.001, number=2)


@pytest.fixture
def slide(slide_file: Path, project: Project) -> SlideRecord:
    (slide_id,) = finish(import_slides(project, [slide_file])).added
    return project.slides.get(slide_id)


def outlined(slide: SlideRecord, bounds: Region) -> np.ndarray:
    """The mask of a slide with the place outlined, and a hole of 4 x 6 pixels in it."""
    mask = np.zeros((slide.height, slide.width), np.uint8)
    left, top = bounds.x + PLACE.x, bounds.y + PLACE.y
    mask[top : top + PLACE.height, left : left + PLACE.width] = 1
    mask[top + 5 : top + 11, left + 10 : left + 14] = 0
    return mask


def of_qupath() -> dict[str, object]:
    """What QuPath exports of that annotation."""
    right, bottom = PLACE.right, PLACE.bottom
    ring = [[PLACE.x, PLACE.y], [right, PLACE.y], [right, bottom], [PLACE.x, bottom], [PLACE.x, PLACE.y]]
    x, y = PLACE.x + 10, PLACE.y + 5
    hole = [[x, y], [x, y + 6], [x + 4, y + 6], [x + 4, y], [x, y]]
    properties = {"objectType": "annotation", "classification": {"name": "gland", "color": [0, 160, 255]}}
    geometry = {"type": "Polygon", "coordinates": [ring, hole]}
    feature = {"type": "Feature", "id": "1", "geometry": geometry, "properties": properties}
    return {"type": "FeatureCollection", "features": [feature]}


def corners(ring: list[list[float]]) -> set[tuple[float, float]]:
    return {(x, y) for x, y in ring}


def test_openslide_states_where_the_scanned_part_is(slide_file: Path, kind: str) -> None:
    with open_slide(slide_file) as slide:
        stated = bounds_of(slide.properties, slide.extent)
    assert stated == (None if kind == "dicom" else BOUNDS[kind])


def test_outlines_of_qupath_land_where_it_shows_them(
    project: Project, slide: SlideRecord, kind: str, tmp_path: Path
) -> None:
    (tmp_path / "qupath.geojson").write_text(json.dumps(of_qupath()))
    record = import_annotation(project, mask_file=tmp_path / "qupath.geojson", slide_name="a", person="Bo").record
    assert record.region == slide.extent
    assert np.array_equal(project.annotations.load_mask(record.id)[0], outlined(slide, BOUNDS[kind]))


def test_outlines_are_exported_where_qupath_shows_them(
    project: Project, slide: SlideRecord, kind: str, add_map: Callable[..., Path], tmp_path: Path
) -> None:
    add_map(slide, outlined(slide, BOUNDS[kind]).astype(np.float32))
    finish(export_project(project, tmp_path / "out"))
    (feature,) = json.loads((tmp_path / "out" / "a.geojson").read_text())["features"]
    expected = of_qupath()["features"][0]["geometry"]["coordinates"]
    found = feature["geometry"]["coordinates"]
    assert [corners(ring) for ring in found] == [corners(ring) for ring in expected]


@pytest.mark.parametrize("through_qupath", [False, True])
def test_what_is_exported_comes_back_to_the_pixel(
    project: Project,
    slide: SlideRecord,
    kind: str,
    add_map: Callable[..., Path],
    tmp_path: Path,
    through_qupath: bool,
) -> None:
    mask = outlined(slide, BOUNDS[kind])
    add_map(slide, mask.astype(np.float32))
    finish(export_project(project, tmp_path / "out"))
    file = tmp_path / "out" / "a.geojson"
    if through_qupath:  # which keeps nothing but the features
        content = json.loads(file.read_text())
        file.write_text(json.dumps({name: content[name] for name in ("type", "features")}))
    record = import_annotation(project, mask_file=file, slide_name="a", person="Bo").record
    assert np.array_equal(project.annotations.load_mask(record.id)[0], mask)


def test_what_is_imported_goes_back_to_qupath_as_it_was(
    project: Project, slide: SlideRecord, add_map: Callable[..., Path], tmp_path: Path
) -> None:
    add_map(slide, 0.0)
    (tmp_path / "qupath.geojson").write_text(json.dumps(of_qupath()))
    import_annotation(project, mask_file=tmp_path / "qupath.geojson", slide_name="a", person="Bo")
    finish(export_project(project, tmp_path / "out"))
    features = json.loads((tmp_path / "out" / "a.geojson").read_text())["features"]
    (gland,) = [one for one in features if "classification" in one["properties"]]
    expected = of_qupath()["features"][0]["geometry"]["coordinates"]
    assert [corners(ring) for ring in gland["geometry"]["coordinates"]] == [corners(ring) for ring in expected]


@pytest.mark.parametrize("kind", ["dicom"], indirect=False)
def test_a_dicom_series_is_one_slide_with_a_name_in_every_table(
    project: Project, slide: SlideRecord, slide_file: Path, add_map: Callable[..., Path], tmp_path: Path
) -> None:
    folder = slide_file.parent
    again = finish(import_slides(project, [folder, *sorted(folder.iterdir())]))
    assert (again.added, again.failed) == ((), ())
    assert [(one.name, one.path) for one in project.slides.all()] == [("a", folder / "0.dcm")]
    add_map(slide, 1.0)
    for name in ("a", str(folder), str(folder / "2.dcm")):
        import_annotation(project, slide_name=name, region=PLACE, label="benign", person="Bo")
    finish(export_project(project, tmp_path / "out"))
    assert {path.name for path in (tmp_path / "out").glob("a*")} >= {"a.geojson", "a-mask.png", "a-mask.tiff"}
    for table in ("summary.csv", "areas.csv", "annotations.csv"):
        with (tmp_path / "out" / table).open(encoding="utf-8", newline="") as lines:
            assert {(row["slide"], row["path"]) for row in csv.DictReader(lines)} == {("a", str(folder / "0.dcm"))}
