"""An export holds the masks of all predicted slides for other programs, and says what is missing."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import histoloop
from histoloop.annotations.records import AnnotationStatus, Origin
from histoloop.errors import PlaceError
from histoloop.exchange.mask_pictures import open_mask_picture, write_mask_tiff
from histoloop.exchange.outlines.classes import assign_classes
from histoloop.exchange.outlines.filling import FilledOutlines
from histoloop.exchange.outlines.placing import bounds_of
from histoloop.exchange.outlines.read import read_outlines
from histoloop.exchange.tables import UNLIKE
from histoloop.geometry import Region
from histoloop.progress import Progress, finish
from histoloop.slides.reader import open_slide
from histoloop.workflows.annotate import import_annotation
from histoloop.workflows.contents.export_choices import ExportChoices
from histoloop.workflows.export import export_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.annotations.records import ClassScheme, Mask
    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord
    from histoloop.workflows.reports import ExportReport

GLAND = Region(16, 8, 40, 24)


def exported(project: Project, out: Path) -> ExportReport:
    return finish(export_project(project, out))


def read_mask(path: Path) -> Mask:
    """The pixels of a mask picture, as they are."""
    with open_mask_picture(path) as picture:
        return picture.read(slice(0, picture.height), slice(0, picture.width))


def read_outlined(path: Path, region: Region, scheme: ClassScheme) -> Mask:
    """What a file's outlines are in a region, taken as level-0 pixels."""
    values = {name: value for value, name in enumerate(scheme.mask_names, start=1)}
    return FilledOutlines(assign_classes(read_outlines(path), path, values).areas).read(region)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def gland_mask(value: int = 1) -> Mask:
    """A slide of 160 x 96 with one rectangle."""
    mask = np.zeros((96, 160), np.uint8)
    mask[GLAND.y : GLAND.bottom, GLAND.x : GLAND.right] = value
    return mask


@pytest.fixture
def slide(add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]) -> SlideRecord:
    """A predicted slide with one gland."""
    record = add_slide("a.png", mpp=0.5)
    add_map(record, gland_mask().astype(np.float32))
    return record


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("slide")
def test_a_predicted_slide_gives_polygons_two_masks_and_rows_in_two_tables(project: Project, tmp_path: Path) -> None:
    report = exported(project, tmp_path / "new" / "out")
    names = ["a.geojson", "a-mask.png", "a-mask.tiff", "summary.csv", "areas.csv", "annotations.csv"]
    assert [path.name for path in report.files] == names
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == sorted(names)
    assert report.failed == ()


@pytest.mark.usefixtures("slide")
def test_all_files_hold_the_same_mask(project: Project, tmp_path: Path, scheme: ClassScheme) -> None:
    exported(project, tmp_path)
    for name in ("a-mask.png", "a-mask.tiff"):
        assert np.array_equal(read_mask(tmp_path / name), gland_mask())
    assert np.array_equal(read_outlined(tmp_path / "a.geojson", Region(0, 0, 160, 96), scheme), gland_mask())


def test_the_mask_picture_states_its_own_resolution_and_polygons_are_in_level_0_pixels(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path], tmp_path: Path
) -> None:
    add_map(add_slide("a.png", mpp=0.5), gland_mask()[:24, :40].astype(np.float32), downsample=4.0)
    exported(project, tmp_path)
    with open_slide(tmp_path / "a-mask.tiff") as picture:
        assert (picture.width, picture.height) == (40, 24)
        assert picture.mpp == pytest.approx(2.0, rel=1e-6)
    (feature,) = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))["features"]
    (ring,) = feature["geometry"]["coordinates"]
    assert sorted(map(tuple, ring[:-1])) == [(64, 32), (64, 96), (160, 32), (160, 96)]
    assert feature["properties"]["measurements"] == {"Area px^2": 96 * 64, "Area um^2": 96 * 64 / 4}


def test_what_people_painted_is_exported_on_top_of_the_prediction(
    project: Project, slide: SlideRecord, tmp_path: Path, scheme: ClassScheme
) -> None:
    region = Region(80, 40, 40, 40)
    painted = np.full((40, 40), 2, np.uint8)
    draft = project.drafts.start(slide.id, region, mask=painted, origin_model=None, person="Ada", origin=Origin.HUMAN)
    project.drafts.finish(draft.id, AnnotationStatus.DONE)
    exported(project, tmp_path)
    expected = gland_mask()
    expected[40:80, 80:120] = 2
    assert np.array_equal(read_mask(tmp_path / "a-mask.png"), expected)
    assert np.array_equal(read_outlined(tmp_path / "a.geojson", slide.extent, scheme), expected)
    assert [row["class"] for row in rows_of(tmp_path / "areas.csv")] == ["gland", "tumour"]


# --- choices ----------------------------------------------------------------------------------------------------------


def with_regions(project: Project, slide: SlideRecord) -> None:
    """Two finished regions: a tumour that Ada painted, and half of the gland that Bo accepted as it was."""
    painted = np.full((40, 40), 2, np.uint8)
    for region, mask, person, origin in (
        (Region(80, 40, 40, 40), painted, "Ada", Origin.HUMAN),
        (Region(16, 8, 20, 24), np.ones((24, 20), np.uint8), "Bo", Origin.UNTOUCHED),
        (Region(130, 8, 20, 20), np.ones((20, 20), np.uint8), "Bo", Origin.UNTOUCHED),
    ):
        draft = project.drafts.start(slide.id, region, mask=mask, origin_model="x", person=person, origin=origin)
        project.drafts.finish(draft.id, AnnotationStatus.DONE)


def exported_with(project: Project, out: Path, **choices: Any) -> Mask:
    finish(export_project(project, out, ExportChoices(**choices)))
    return read_mask(out / "a-mask.png")


def test_every_outline_states_who_drew_it(project: Project, slide: SlideRecord, tmp_path: Path) -> None:
    with_regions(project, slide)
    exported(project, tmp_path)
    drawn = {(row["class"], row["drawn_by"], row["person"]) for row in rows_of(tmp_path / "areas.csv")}
    assert drawn == {("gland", "person and model", "Bo"), ("gland", "accepted", "Bo"), ("tumour", "person", "Ada")}
    features = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))["features"]
    stated = {one["properties"]["metadata"]["drawn by"]: one["properties"]["metadata"] for one in features}
    assert stated["person"]["person"] == "Ada"
    assert "model" not in stated["person"]
    assert stated["accepted"]["model"] == project.models.current().hash
    assert stated["accepted"]["time"].startswith("20")


def test_what_persons_drew_what_they_accepted_and_what_the_model_drew_are_exported_apart(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    with_regions(project, slide)
    whole = exported_with(project, tmp_path / "all")
    parts = {
        who: exported_with(project, tmp_path / who, drawn_by=frozenset({who}))
        for who in ("person", "accepted", "model")
    }
    assert np.array_equal(sum(parts.values()), whole)
    assert parts["person"].sum() == 2 * 40 * 40
    assert parts["accepted"].sum() == 20 * 24 + 20 * 20
    assert parts["model"].sum() == 20 * 24


def test_chosen_slides_classes_and_files_alone_are_written(
    project: Project, slide: SlideRecord, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path],
    tmp_path: Path,
) -> None:  # fmt: skip
    with_regions(project, slide)
    add_map(add_slide("b.png", mpp=0.5), gland_mask().astype(np.float32))
    mask = exported_with(
        project, tmp_path / "out", slide_ids=frozenset({slide.id}), classes=frozenset({"tumour"}),
        formats=frozenset({"png"}),
    )  # fmt: skip
    assert set(np.unique(mask)) == {0, 2}
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a-mask.png", "annotations.csv", "areas.csv", "summary.csv"]
    (row,) = rows_of(tmp_path / "out" / "summary.csv")
    assert (row["slide"], row["files"], row["area_gland_px"], row["area_tumour_px"]) == (
        "a.png", "a-mask.png", "0", "1600",
    )  # fmt: skip
    assert {row["class"] for row in rows_of(tmp_path / "out" / "areas.csv")} == {"tumour"}


@pytest.mark.parametrize(
    "choices", [{"formats": {"svg"}}, {"drawn_by": set()}, {"classes": frozenset()}, {"slide_ids": frozenset()}]
)
def test_a_choice_of_nothing_is_refused(choices: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="export"):
        ExportChoices(**{name: frozenset(value) for name, value in choices.items()})


def test_specks_are_left_out_of_the_polygons_and_stay_in_the_mask(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path], tmp_path: Path
) -> None:
    mask = gland_mask()
    mask[80:83, 140:143] = 1
    add_map(add_slide("a.png"), mask.astype(np.float32))
    exported(project, tmp_path)
    assert np.array_equal(read_mask(tmp_path / "a-mask.png"), mask)
    assert len(json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))["features"]) == 1
    assert len(rows_of(tmp_path / "areas.csv")) == 1
    assert rows_of(tmp_path / "summary.csv")[0]["area_gland_px"] == str(GLAND.area + 9)


def test_slides_of_one_name_get_files_of_their_own(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path], tmp_path: Path
) -> None:
    for name, value in (("a.png", 0.0), ("a.bmp", 1.0), ("b.png", 1.0)):
        add_map(add_slide(name), value)
    report = exported(project, tmp_path / "out")
    assert len(set(report.files)) == len(report.files) == 3 * 3 + 3
    place = project.slides.all()[1].path.parent.name
    assert not read_mask(tmp_path / "out" / "a-mask.png").any()
    assert read_mask(tmp_path / "out" / f"{place}-a-mask.png").all()
    assert (tmp_path / "out" / "b.geojson").is_file()


@pytest.mark.usefixtures("slide")
def test_the_same_project_gives_the_same_bytes(project: Project, tmp_path: Path) -> None:
    first, second = exported(project, tmp_path / "one"), exported(project, tmp_path / "two")
    for one, other in zip(first.files, second.files, strict=True):
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.usefixtures("slide")
def test_files_of_an_earlier_export_are_replaced_and_others_stay(project: Project, tmp_path: Path) -> None:
    for name in ("summary.csv", "a.geojson", "notes.txt"):
        (tmp_path / name).write_text("old", encoding="utf-8")
    exported(project, tmp_path)
    assert json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))["features"]
    assert rows_of(tmp_path / "summary.csv")
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "old"


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_slide_unlike_the_training_data_is_marked_in_the_table_and_in_its_outlines(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    project.predictions.add(slide.id, project.models.current().id, {"benign": 0.9, "malignant": 0.1}, unlike=1.5)
    exported(project, tmp_path)
    (row,) = rows_of(tmp_path / "summary.csv")
    assert (row["predicted_class"], row["p_benign"], row["unlike_training_data"]) == ("", "", "yes")
    assert row["message"] == UNLIKE
    collection = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))
    assert collection["unlike the training data"] is True
    (metadata,) = [one["properties"]["metadata"] for one in collection["features"]]
    assert (metadata["unlike the training data"], metadata["drawn by"]) == ("yes", "model")


def test_the_summary_tells_class_areas_and_model(project: Project, slide: SlideRecord, tmp_path: Path) -> None:
    project.predictions.add(slide.id, project.models.current().id, {"benign": 0.75, "malignant": 0.25})
    project.slides.set_tissue(slide.id, 10_000.0)
    exported(project, tmp_path)
    assert rows_of(tmp_path / "summary.csv") == [
        {
            "slide": "a.png", "predicted_class": "benign", "p_benign": "0.750000", "p_malignant": "0.250000",
            "tissue_area_um2": "2500.0", "area_gland_um2": "240.0", "area_tumour_um2": "0.0",
            "tissue_area_px": "10000", "area_gland_px": "960", "area_tumour_px": "0",
            "mpp": "0.500000", "model": "tiny", "status": "predicted", "message": "", "label": "",
            "path": str(slide.path), "files": "a.geojson;a-mask.png;a-mask.tiff",
            "model_sha256": project.models.current().hash, "program": f"HistoLoop {histoloop.__version__}",
                "unlike_training_data": "", "distance_from_training_data": "", "mpp_from": "", "numbers": "float32",
                "fingerprint": "", "settings": "", "time": "",
        }
    ]  # fmt: skip


def test_the_areas_name_slide_class_and_place_of_every_polygon(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    exported(project, tmp_path)
    assert rows_of(tmp_path / "areas.csv") == [
        {
            "slide": "a.png", "polygon": "1", "class": "gland", "centre_x_px": "36.0", "centre_y_px": "20.0",
            "area_um2": "240.0", "area_px": "960.0", "path": str(slide.path),
            "drawn_by": "model", "person": "",
        }
    ]  # fmt: skip


def test_without_a_resolution_nothing_is_in_micrometres_and_the_summary_says_why(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path], tmp_path: Path
) -> None:
    add_map(add_slide("a.png", mpp=None), gland_mask().astype(np.float32))
    exported(project, tmp_path)
    (row,) = rows_of(tmp_path / "summary.csv")
    assert [row[name] for name in ("mpp", "tissue_area_um2", "area_gland_um2", "area_tumour_um2")] == [""] * 4
    assert (row["area_gland_px"], row["status"]) == ("960", "predicted")
    assert "resolution is unknown" in row["message"]
    assert rows_of(tmp_path / "areas.csv")[0]["area_um2"] == ""
    (feature,) = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))["features"]
    assert list(feature["properties"]["measurements"]) == ["Area px^2"]
    with open_slide(tmp_path / "a-mask.tiff") as picture:
        assert picture.mpp is None


@pytest.mark.usefixtures("slide")
def test_what_people_said_is_exported_with_person_and_place(
    project: Project, slide: SlideRecord, tmp_path: Path, scheme: ClassScheme
) -> None:
    project.slides.set_label(slide.id, "malignant", person="Ada")
    project.annotations.add(slide.id, Region(4, 8, 20, 10), label="benign", size=0.35, person="Bo")
    painted = np.zeros((10, 20), np.uint8)
    painted[:, :15] = 1
    draft = project.drafts.start(slide.id, Region(100, 60, 20, 10), mask=painted, origin_model=None, person="Cy")
    project.drafts.finish(draft.id, AnnotationStatus.DONE)
    exported(project, tmp_path)

    rows = rows_of(tmp_path / "annotations.csv")
    told = [[row[name] for name in ("of", "label", "size", "size_from", "mask", "person")] for row in rows]
    assert told == [
        ["slide", "malignant", "", "", "no", "Ada"],
        ["region", "benign", "0.3500", "person", "no", "Bo"],
        ["region", "", "0.7500", "mask", "yes", "Cy"],
    ]
    places = [[row[name] for name in ("x_px", "y_px", "width_px", "height_px")] for row in rows]
    assert places == [["0", "0", "160", "96"], ["4", "8", "20", "10"], ["100", "60", "20", "10"]]
    assert rows_of(tmp_path / "summary.csv")[0]["label"] == "malignant"
    features = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))["features"]
    named = {feature["properties"]["name"]: feature for feature in features if "name" in feature["properties"]}
    assert set(named) == {"malignant", "benign, 35%"}
    region = named["benign, 35%"]
    assert region["geometry"]["coordinates"] == [[[4, 8], [24, 8], [24, 18], [4, 18], [4, 8]]]
    assert region["properties"]["measurements"] == {"Size": 0.35}
    assert region["properties"]["metadata"]["person"] == "Bo"
    assert "classification" not in region["properties"]
    mask = gland_mask()
    mask[60:70, 100:120] = painted
    assert np.array_equal(read_outlined(tmp_path / "a.geojson", slide.extent, scheme), mask)


def test_slides_of_one_name_in_two_folders_are_told_apart_in_every_table(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path], tmp_path: Path
) -> None:
    slides = [add_slide(f"patient-{number}/slide.png") for number in (1, 2)]
    for number, slide in enumerate(slides):
        add_map(slide, gland_mask().astype(np.float32))
        project.slides.set_label(slide.id, project.scheme.label_names[number], person="Ada")
    waiting = add_slide("patient-3/slide.png")
    report = exported(project, tmp_path / "out")
    names = ["patient-1/slide.png", "patient-2/slide.png"]
    for table in ("summary.csv", "areas.csv", "annotations.csv"):
        rows = [row for row in rows_of(tmp_path / "out" / table) if "slide-3" not in row["path"]][:2]
        assert [(row["slide"], row["path"]) for row in rows] == [
            (name, str(slide.path)) for name, slide in zip(names, slides, strict=True)
        ]
    assert report.failed == (("patient-3/slide.png", "it is not predicted yet; predict it, then export again"),)
    first, second, third = rows_of(tmp_path / "out" / "summary.csv")
    assert (third["path"], third["files"]) == (str(waiting.path), "")
    assert first["files"] == "patient-1-slide.geojson;patient-1-slide-mask.png;patient-1-slide-mask.tiff"
    written = {path.name for path in (tmp_path / "out").iterdir()} - {"summary.csv", "areas.csv", "annotations.csv"}
    assert {*first["files"].split(";"), *second["files"].split(";")} == written


def test_what_is_known_of_a_slide_is_not_exported_as_that_of_another_in_its_place(
    project: Project, slide: SlideRecord, add_slide: Callable[..., SlideRecord], tmp_path: Path
) -> None:
    other = add_slide("b.png", width=320, height=200)
    slide.path.write_bytes(other.path.read_bytes())
    report = exported(project, tmp_path / "out")
    name, reason = report.failed[0]
    assert name == "a.png"
    assert f"{slide.path} is not the slide it should be: its content differs." in reason
    assert not list((tmp_path / "out").glob("a[.-]*"))
    assert rows_of(tmp_path / "out" / "areas.csv") == []
    (row, _other) = rows_of(tmp_path / "out" / "summary.csv")
    assert (row["slide"], row["status"], row["area_gland_px"]) == ("a.png", "failed", "")


# --- what is missing --------------------------------------------------------------------------------------------------


def test_a_slide_that_is_not_predicted_is_reported_and_the_rest_is_exported(
    project: Project, slide: SlideRecord, add_slide: Callable[..., SlideRecord], tmp_path: Path
) -> None:
    add_slide("b.png")
    report = exported(project, tmp_path / "out")
    ((name, reason),) = report.failed
    assert name == "b.png"
    assert "not predicted yet" in reason
    assert [(row["slide"], row["status"]) for row in rows_of(tmp_path / "out" / "summary.csv")] == [
        (slide.name, "predicted"), ("b.png", "not predicted"),
    ]  # fmt: skip
    assert not list((tmp_path / "out").glob("b*"))


def test_a_slide_whose_file_is_missing_is_exported_from_its_maps(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    slide.path.unlink()
    assert exported(project, tmp_path / "out").failed == ()
    assert np.array_equal(read_mask(tmp_path / "out" / "a-mask.png"), gland_mask())


def test_a_project_without_slides_gives_tables_of_headers(project: Project, tmp_path: Path) -> None:
    report = exported(project, tmp_path)
    assert [path.name for path in report.files] == ["summary.csv", "areas.csv", "annotations.csv"]
    assert all(rows_of(path) == [] for path in report.files)


@pytest.mark.usefixtures("slide")
def test_a_place_that_is_no_folder_is_an_error_that_names_it(project: Project, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    with pytest.raises(PlaceError, match=r"Nothing can be written to .*out: File exists") as caught:
        exported(project, tmp_path / "out")
    assert "folder that you may write to" in caught.value.advice
    assert (tmp_path / "out").read_text(encoding="utf-8") == "a file"


@pytest.mark.usefixtures("slide")
def test_a_file_that_cannot_be_replaced_fails_its_slide_alone_and_leaves_no_half(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path], tmp_path: Path
) -> None:
    add_map(add_slide("b.png"), 1.0)
    (tmp_path / "out" / "a-mask.png").mkdir(parents=True)
    ((name, reason),) = exported(project, tmp_path / "out").failed
    assert name == "a.png"
    assert "a-mask.png cannot be written: Is a directory" in reason
    assert not (tmp_path / "out" / "a.geojson").exists()
    assert read_mask(tmp_path / "out" / "b-mask.png").all()
    told = [(row["slide"], row["status"], row["message"]) for row in rows_of(tmp_path / "out" / "summary.csv")]
    assert told == [("a.png", "failed", reason), ("b.png", "predicted", "")]


@pytest.mark.parametrize("damage", ["chunk", "metadata", "all"])
def test_damaged_maps_are_named_and_the_other_slides_are_exported(
    project: Project, slide: SlideRecord, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path],
    tmp_path: Path, damage: str,
) -> None:  # fmt: skip
    folder = add_map(add_slide("b.png"), gland_mask().astype(np.float32))
    pattern = {"chunk": "foreground/0/c/0/0", "metadata": "zarr.json", "all": "**/*"}[damage]
    for file in folder.glob(pattern):
        if file.is_file():
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 0xFF
            file.write_bytes(content)
    ((name, reason),) = exported(project, tmp_path / "out").failed
    assert name == "b.png"
    assert reason
    rows = rows_of(tmp_path / "out" / "summary.csv")
    assert [(row["slide"], row["status"]) for row in rows] == [(slide.name, "predicted"), ("b.png", "failed")]
    assert not list((tmp_path / "out").glob("b*"))


@pytest.mark.usefixtures("slide")
def test_a_full_disk_stops_the_export_and_what_was_done_stays(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name in ("b.png", "c.png"):
        add_map(add_slide(name), 1.0)

    def write(path: Path, mask: Mask, scheme: ClassScheme, *, mpp: float | None) -> None:
        if path.name.startswith("b"):
            raise OSError(errno.ENOSPC, "No space left on device")
        write_mask_tiff(path, mask, scheme, mpp=mpp)

    monkeypatch.setattr("histoloop.workflows.export.write_mask_tiff", write)
    with pytest.raises(PlaceError, match=r"Nothing can be written to .*out: No space left on device"):
        exported(project, tmp_path / "out")
    assert [row["slide"] for row in rows_of(tmp_path / "out" / "summary.csv")] == ["a.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a-mask.png", "a-mask.tiff", "a.geojson", "annotations.csv", "areas.csv", "summary.csv",
    ]  # fmt: skip


def test_a_name_that_leaves_no_room_for_endings_is_shortened_and_the_summary_names_the_files(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path], tmp_path: Path
) -> None:
    long = "m" * 240
    add_map(add_slide(f"{long}.png"), 1.0)
    assert exported(project, tmp_path / "out").failed == ()
    (row,) = rows_of(tmp_path / "out" / "summary.csv")
    stem = f"{'m' * 191}-{hashlib.sha256(long.encode()).hexdigest()[:8]}"
    assert row["files"] == f"{stem}.geojson;{stem}-mask.png;{stem}-mask.tiff"
    assert read_mask(tmp_path / "out" / f"{stem}-mask.tiff").all()


@pytest.mark.usefixtures("slide")
def test_an_export_tells_of_each_slide_and_ends_with_all_done(
    project: Project, add_slide: Callable[..., SlideRecord], tmp_path: Path
) -> None:
    add_slide("b.png")
    steps: list[Progress] = []
    finish(export_project(project, tmp_path / "out"), steps.append)
    assert [(step.message, step.fraction) for step in steps] == [("a.png", 0), ("b.png", 0.5), ("", 1)]


@pytest.mark.usefixtures("slide")
def test_mask_pictures_are_in_the_colours_of_the_project(project: Project, tmp_path: Path) -> None:
    exported(project, tmp_path)
    for name in ("a-mask.png", "a-mask.tiff"):
        with Image.open(tmp_path / name) as picture:
            assert picture.convert("RGB").getpixel((GLAND.x, GLAND.y)) == (0, 160, 255)


def test_outlines_of_a_slide_with_bounds_count_from_their_corner_and_come_back(
    project: Project, slide: SlideRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = {"x": "30", "y": "4", "width": "100", "height": "60"}
    properties = {f"openslide.bounds-{name}": value for name, value in stated.items()}
    monkeypatch.setattr(
        "histoloop.workflows.export.bounds_of", lambda _properties, extent: bounds_of(properties, extent)
    )
    project.slides.set_label(slide.id, "benign", person="Ada")
    exported(project, tmp_path)
    content = json.loads((tmp_path / "a.geojson").read_text())
    assert content["histoloop_origin"] == [30, 4]
    corners = [point for one in content["features"] for ring in one["geometry"]["coordinates"] for point in ring]
    assert min(x for x, _y in corners) == min(y for _x, y in corners) == 0
    assert max(x for x, _y in corners) == 100
    assert max(y for _x, y in corners) == 60
    record = import_annotation(project, mask_file=tmp_path / "a.geojson", slide_name="a.png", person="Bo").record
    expected = gland_mask()
    expected[:, :30] = 0  # QuPath does not show it
    assert np.array_equal(project.annotations.load_mask(record.id)[0], expected)


def test_a_slide_that_may_have_bounds_and_is_not_there_is_named(
    project: Project, paint_tissue: Callable[..., Path], add_map: Callable[..., Path], tmp_path: Path
) -> None:
    path = paint_tissue(tmp_path / "b.png").rename(tmp_path / "b.scn")
    record = project.slides.add(path, width=160, height=96, mpp=0.5, vendor="leica")
    add_map(record, gland_mask().astype(np.float32))
    path.rename(tmp_path / "elsewhere.scn")
    ((name, reason),) = exported(project, tmp_path / "out").failed
    assert name == "b.scn"
    assert "corner of the whole slide" in reason
