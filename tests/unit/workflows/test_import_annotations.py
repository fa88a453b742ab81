"""Annotations of other programs come as they were looked at, all of a file or nothing, and can be taken back."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from histoloop.annotations.records import Counts, Origin
from histoloop.errors import DataError, HistoLoopError, ProjectError
from histoloop.geometry import Region
from histoloop.progress import finish
from histoloop.store.project import Project
from histoloop.workflows.annotate import import_annotation
from histoloop.workflows.contents import import_regions
from histoloop.workflows.contents.import_preview import (
    FilePreview,
    look_at_file,
    regions_of,
    which_lie_in,
    which_overlap,
)
from histoloop.workflows.contents.mask_files import MaskFile, remembered_classes
from histoloop.workflows.contents.slides_of_files import slides_of_file
from histoloop.workflows.import_annotations import PlannedImport, import_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from histoloop.store.records import AnnotationRecord, SlideRecord
    from histoloop.workflows.reports import ImportedAnnotation

SQUARE = Region(10, 20, 30, 40)

edges = st.tuples(*[st.integers(0, 8)] * 2, *[st.integers(1, 6)] * 2)
regions = edges.map(lambda numbers: Region(*numbers))


@pytest.fixture
def slide(add_slide: Callable[..., SlideRecord]) -> SlideRecord:
    """A slide of 160 x 96 pixels."""
    return add_slide("a.png")


def feature(place: Region, name: str | None, *, colour: Any = (200, 0, 0)) -> dict[str, Any]:
    ring = [
        [place.x, place.y], [place.right, place.y], [place.right, place.bottom], [place.x, place.bottom],
        [place.x, place.y],
    ]  # fmt: skip
    kind = {} if name is None else {"classification": {"name": name, "color": list(colour)}}
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": kind}


def geojson(path: Path, *features: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def looked_at(project: Project, slide: SlideRecord, path: Path, **options: Any) -> FilePreview:
    return finish(look_at_file(project, MaskFile(path, **options), slide))


def planned(preview: FilePreview, chosen: Mapping[str, str] | None = None, **options: Any) -> PlannedImport:
    """A file as it was looked at, with the classes that are sure and those that were chosen."""
    of_classes = {
        each.names: (chosen or {}).get(each.names[0] if each.names else "", each.means) for each in preview.classes
    }
    seen = frozenset(record.id for record in preview.earlier)
    kept, remember = options.pop("kept", frozenset()), options.pop("remember", {})
    file = MaskFile(preview.path, chosen={names: own for names, own in of_classes.items() if own}, **options)
    becomes = regions_of(preview, [of_classes[each.names] for each in preview.classes], counts=file.counts)
    is_there = preview.slide_is_there
    return PlannedImport(file, preview.stamp, preview.slide_id, tuple(becomes), is_there, seen, kept, remember)


def imported(project: Project, plan: PlannedImport, *, person: str = "Ada") -> ImportedAnnotation:
    return finish(import_file(project, plan, person=person))


def counts(project: Project, record: AnnotationRecord) -> list[int]:
    return np.bincount(project.annotations.load_mask(record.id)[0].ravel(), minlength=3).tolist()


# --- looking ----------------------------------------------------------------------------------------------------------


def test_classes_are_found_by_their_spelling_and_others_wait_for_somebody_to_say(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    file = geojson(
        tmp_path / "a.geojson",
        feature(SQUARE, "Tumors"),
        feature(Region(60, 10, 10, 10), "Stroma", colour=(1, 2, 255)),
        feature(Region(80, 10, 10, 5), "Stroma"),
        feature(Region(100, 10, 4, 4), "Ignore*"),
        feature(Region(120, 10, 4, 4), "Region*"),
        feature(Region(140, 10, 4, 4), None),
    )
    found = looked_at(project, slide, file)
    assert [(each.names, each.count, each.area_px, each.means) for each in found.classes] == [
        (("Tumors",), 1, 1200.0, "tumour"),
        (("Stroma",), 2, 150.0, None),
        (("Ignore*",), 1, 16.0, "Ignore*"),
        (("Region*",), 1, 16.0, "-"),
        ((), 1, 16.0, None),
    ]
    assert found.classes[1].colour == "#0102ff"
    assert project.annotations.all() == []


def test_an_outline_that_crosses_itself_has_the_area_that_it_fills(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    bow = feature(SQUARE, "Tumour")
    bow["geometry"]["coordinates"] = [[[10, 10], [90, 90], [90, 10], [10, 90], [10, 10]]]
    found = looked_at(project, slide, geojson(tmp_path / "a.geojson", bow, feature(SQUARE, "Tumour")))
    assert found.classes[0].area_px == pytest.approx(3200 + 1200, rel=0.03)


def test_what_was_said_of_a_class_before_is_offered_again(project: Project, slide: SlideRecord, tmp_path: Path) -> None:
    file = geojson(tmp_path / "a.geojson", feature(SQUARE, "Stroma"))
    imported(project, planned(looked_at(project, slide, file), {"Stroma": "gland"}, remember={"stroma": "gland"}))
    assert remembered_classes(project) == {"stroma": "gland"}
    (stroma,) = looked_at(project, slide, file).classes
    assert (stroma.means, stroma.is_remembered) == ("gland", True)


@pytest.mark.parametrize(
    ("pixels", "classes"),
    [
        (np.array([[0, 1], [2, 2]], np.uint8), [("2", 2, "tumour"), ("1", 1, "gland")]),
        (np.array([[0, 255], [0, 255]], np.uint8), [("255", 2, None)]),
        (np.array([[0, 3], [7, 7]], np.uint16), [("7", 2, None), ("3", 1, None)]),
        (np.arange(100, dtype=np.uint8).reshape(10, 10), [("*", 99, None)]),
        (np.array([[False, True], [True, True]]), [("1", 3, None)]),
        (np.array([[[0, 0, 0], [0, 160, 255]]], np.uint8), [("#00a0ff", 1, "gland")]),
        (np.array([[[0, 0, 0], [9, 99, 9]]], np.uint8), [("#096309", 1, None)]),
    ],
    ids=[
        "numbers",
        "two values, two classes",
        "too high",
        "a number for each object",
        "one bit",
        "colours",
        "another colour",
    ],
)
def test_values_of_a_picture_are_classes_only_where_that_is_sure(
    project: Project, add_slide: Callable[..., SlideRecord], tmp_path: Path, pixels: Any, classes: list[Any]
) -> None:
    slide = add_slide("a.png", width=16 * pixels.shape[1], height=16 * pixels.shape[0])
    Image.fromarray(pixels).save(tmp_path / "a_mask.png")
    found = looked_at(project, slide, tmp_path / "a_mask.png")
    assert [(each.names[0], each.count, each.means) for each in found.classes] == classes


def test_regions_of_a_large_slide_go_by_what_is_chosen(
    project: Project, add_slide: Callable[..., SlideRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_regions, "ONE_REGION_PX", 64)
    monkeypatch.setattr(import_regions, "PART_PX", 32)
    slide = add_slide("b.png", width=160, height=64, until=60)
    found = looked_at(project, slide, geojson(tmp_path / "b.geojson", feature(Region(130, 4, 8, 8), "tumour")))
    left = {Region(x, y, 32, 32) for x in (0, 32) for y in (0, 32)}
    assert set(regions_of(found, ["tumour"])) == left | {Region(128, 0, 32, 32)}
    assert set(regions_of(found, ["background"])) == left
    assert regions_of(found, ["tumour"], counts=Counts.STROKES) == [Region(128, 0, 32, 32)]


@pytest.mark.parametrize(
    ("name", "slides"),
    [
        ("a.geojson", ["a.png"]),
        ("A_mask.PNG", ["a.png"]),
        ("a.geojson.gz", ["a.png"]),
        ("b.svs.geojson", ["b.svs"]),
        ("b.geojson", ["b.svs", "b.png"]),
        ("other.xml", []),
    ],
)
def test_a_file_belongs_to_the_slide_that_it_is_named_after(
    project: Project, add_slide: Callable[..., SlideRecord], tmp_path: Path, name: str, slides: list[str]
) -> None:
    first = add_slide("a.png")
    others = [
        dataclasses.replace(first, id=first.id + number, name=each, path=first.path.with_name(each))
        for number, each in enumerate(("b.svs", "b.png"), start=1)
    ]
    assert [slide.name for slide in slides_of_file(tmp_path / name, [first, *others])] == slides


@given(st.lists(regions, max_size=6), st.lists(regions, max_size=6))
def test_regions_are_compared_with_many_others_at_once(ones: list[Region], others: list[Region]) -> None:
    assert which_overlap(ones, others) == [any(one.overlaps(other) for other in others) for one in ones]
    assert which_lie_in(ones, others) == [any(other.contains(one) for other in others) for one in ones]


# --- importing --------------------------------------------------------------------------------------------------------


def test_a_file_comes_as_was_chosen_to_the_pixel(project: Project, slide: SlideRecord, tmp_path: Path) -> None:
    file = geojson(
        tmp_path / "a.geojson",
        feature(SQUARE, "Tumor"),
        feature(Region(60, 10, 10, 10), "Stroma"),
        feature(Region(80, 10, 10, 10), "Blur"),
        feature(Region(100, 10, 10, 10), "Ink"),
    )
    choice = {"Stroma": "gland", "Blur": "Ignore*", "Ink": "-"}
    done = imported(project, planned(looked_at(project, slide, file), choice))
    assert counts(project, done.record) == [160 * 96 - 1300, 100, 1200]
    origin = project.annotations.load_mask(done.record.id)[1]
    assert (origin[10:20, 80:90] == Origin.LEFT_OUT).all()
    assert np.count_nonzero(origin == Origin.LEFT_OUT) == 100
    assert done.left_out == ("1 left out: outlines of classes that are mapped to nothing.",)


def test_only_what_is_outlined_counts_where_that_was_chosen(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    file = geojson(tmp_path / "a.geojson", feature(SQUARE, "tumour"), feature(Region(60, 10, 10, 10), "background"))
    done = imported(project, planned(looked_at(project, slide, file), counts=Counts.STROKES))
    origin = project.annotations.load_mask(done.record.id)[1]
    assert np.count_nonzero(origin == Origin.HUMAN) == 1300
    assert np.count_nonzero(origin == Origin.LEFT_OUT) == 160 * 96 - 1300
    assert done.record.counts is Counts.STROKES


def test_the_values_of_a_picture_are_what_was_chosen(project: Project, slide: SlideRecord, tmp_path: Path) -> None:
    pixels = np.zeros((96, 160), np.uint8)
    pixels[:10, :10], pixels[20:40, :10], pixels[50:60, :10] = 7, 200, 255
    Image.fromarray(pixels).save(tmp_path / "a.png_mask.png")
    preview = looked_at(project, slide, tmp_path / "a.png_mask.png")
    done = imported(project, planned(preview, {"7": "tumour", "200": "gland", "255": "Ignore*"}))
    assert counts(project, done.record) == [160 * 96 - 300, 200, 100]
    assert np.count_nonzero(project.annotations.load_mask(done.record.id)[1] == Origin.LEFT_OUT) == 100


def test_a_picture_is_placed_by_the_corner_and_scale_that_are_given(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    Image.fromarray(np.ones((10, 20), np.uint8)).save(tmp_path / "part.png")
    with pytest.raises(DataError, match="pixels"):
        looked_at(project, slide, tmp_path / "part.png")
    preview = looked_at(project, slide, tmp_path / "part.png", corner=(100, 50))
    done = imported(project, planned(preview, corner=(100, 50)))
    assert done.record.region == Region(100, 50, 20, 10)
    assert counts(project, done.record) == [0, 200, 0]
    with pytest.raises(DataError, match="reach past"):
        looked_at(project, slide, tmp_path / "part.png", corner=(150, 50))


def test_the_same_file_gives_the_same_as_the_command_line(project: Project, slide: SlideRecord, tmp_path: Path) -> None:
    file = geojson(tmp_path / "a.geojson", feature(SQUARE, "Tumor"), feature(Region(0, 0, 5, 5), "Ignore*"))
    done = imported(project, planned(looked_at(project, slide, file)))
    same = import_annotation(project, mask_file=file, slide_name="a.png", person="Bo", replace=True).record
    for ours, theirs in zip(*map(project.annotations.load_mask, (done.record.id, same.id)), strict=True):
        assert np.array_equal(ours, theirs)


# --- work that is there -----------------------------------------------------------------------------------------------


@pytest.fixture
def earlier(project: Project, slide: SlideRecord) -> AnnotationRecord:
    """A finished region that is gland all over."""
    region = Region(0, 0, 40, 40)
    planes = np.ones((40, 40), np.uint8), np.full((40, 40), Origin.HUMAN, np.uint8)
    return project.annotations.add_with_masks(slide.id, [(region, *planes)], person="Bo")[0]


def test_what_is_there_stays_within_what_comes_where_that_was_chosen(
    project: Project, slide: SlideRecord, earlier: AnnotationRecord, tmp_path: Path
) -> None:
    file = geojson(tmp_path / "a.geojson", feature(Region(30, 30, 20, 20), "tumour"))
    preview = looked_at(project, slide, file)
    assert [record.id for record in preview.earlier] == [earlier.id]
    done = imported(project, planned(preview, kept=frozenset({earlier.id})))
    mask, _origin = project.annotations.load_mask(done.record.id)
    assert (mask[:40, :40] == 1).all()
    assert np.count_nonzero(mask == 2) == 400 - 100


def test_a_file_that_lies_in_what_stays_alone_brings_nothing(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    file = geojson(tmp_path / "a.geojson", feature(SQUARE, "tumour"))
    first = imported(project, planned(looked_at(project, slide, file))).record
    preview = looked_at(project, slide, file)
    with pytest.raises(DataError, match="lies in regions that stay"):
        imported(project, planned(preview, kept=frozenset({first.id})))
    assert [record.id for record in project.annotations.finished()] == [first.id]


def test_what_is_replaced_counts_again_when_the_import_is_taken_back(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    first = imported(
        project, planned(looked_at(project, slide, geojson(tmp_path / "a.geojson", feature(SQUARE, "gland"))))
    )
    preview = looked_at(project, slide, geojson(tmp_path / "b.geojson", feature(SQUARE, "tumour")))
    second = imported(project, planned(preview))
    assert [record.id for record in project.annotations.finished()] == [second.record.id]
    assert project.history.undo("Ada") is not None
    assert [record.id for record in project.annotations.finished()] == [first.record.id]
    assert project.history.redo("Ada") is not None
    assert [record.id for record in project.annotations.finished()] == [second.record.id]


# --- what can go wrong ------------------------------------------------------------------------------------------------


def change_file(project: Project, plan: PlannedImport) -> None:
    plan.file.path.write_text(plan.file.path.read_text() + " ")


def remove_file(project: Project, plan: PlannedImport) -> None:
    plan.file.path.unlink()


def finish_a_region(project: Project, plan: PlannedImport) -> None:
    plane = np.ones((9, 9), np.uint8)
    project.annotations.add_with_masks(plan.slide_id, [(Region(0, 0, 9, 9), plane, plane * 2)], person="Bo")


def remove_slide(project: Project, plan: PlannedImport) -> None:
    project.slides.remove(plan.slide_id)


def move_slide(project: Project, plan: PlannedImport) -> None:
    project.slides.get(plan.slide_id).path.rename(project.folder / "elsewhere.png")


@pytest.mark.parametrize(
    ("meanwhile", "words"),
    [
        (move_slide, "not where it was"),
        (change_file, "has changed, or is gone"),
        (remove_file, "has changed, or is gone"),
        (finish_a_region, "finished since"),
        (remove_slide, "no longer in the project"),
    ],
)
def test_what_changed_since_it_was_looked_at_is_refused_and_nothing_is_kept(
    project: Project,
    slide: SlideRecord,
    tmp_path: Path,
    meanwhile: Callable[[Project, PlannedImport], None],
    words: str,
) -> None:
    plan = planned(looked_at(project, slide, geojson(tmp_path / "a.geojson", feature(SQUARE, "tumour"))))
    meanwhile(project, plan)
    before, files = project.annotations.all(), sorted(os.listdir(project.annotations.folder))
    with pytest.raises(HistoLoopError, match=words):
        imported(project, plan)
    assert project.annotations.all() == before
    assert sorted(os.listdir(project.annotations.folder)) == files


def test_a_class_that_is_gone_is_named(project: Project, slide: SlideRecord, tmp_path: Path) -> None:
    preview = looked_at(project, slide, geojson(tmp_path / "a.geojson", feature(SQUARE, "Stroma")))
    with pytest.raises(DataError, match="no class necrosis any more"):
        imported(project, planned(preview, {"Stroma": "necrosis"}))
    assert project.annotations.all() == []


def test_an_import_that_is_stopped_leaves_nothing(
    project: Project,
    add_slide: Callable[..., SlideRecord],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(import_regions, "ONE_REGION_PX", 64)
    monkeypatch.setattr(import_regions, "PART_PX", 32)
    slide = add_slide("b.png", width=160, height=64)
    plan = planned(looked_at(project, slide, geojson(tmp_path / "b.geojson", feature(SQUARE, "tumour"))))
    work = import_file(project, plan, person="Ada")
    done = [next(work).done for _step in range(5)]
    assert done == [0, 1, 2, 3, 4]
    assert os.listdir(project.annotations.folder)
    work.close()
    assert os.listdir(project.annotations.folder) == []
    assert project.annotations.all() == []


def test_a_project_that_can_only_be_looked_at_takes_nothing(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    plan = planned(looked_at(project, slide, geojson(tmp_path / "a.geojson", feature(SQUARE, "tumour"))))
    with Project.open(project.folder, read_only=True) as readable:
        assert len(looked_at(readable, slide, plan.file.path).classes) == 1
        with pytest.raises(ProjectError):
            imported(readable, plan)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read as outlines"),
        (b"\xff\xfe\x00", "cannot be read as outlines"),
        (b'{"type": "FeatureCollection", "features": [', "cut short"),
        (b'{"type": "FeatureCollection", "features": []}', "no outline that can be used"),
        (b"<html></html>", "neither ASAP's nor ImageScope's"),
        (b"\x1f\x8b\x08\x00", "archive is damaged"),
    ],
    ids=["empty", "no text", "cut short", "no outlines", "another XML", "a broken archive"],
)
def test_a_file_that_is_none_is_refused_in_words(
    project: Project, slide: SlideRecord, tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "a.geojson").write_bytes(content)
    with pytest.raises(DataError, match=words):
        looked_at(project, slide, tmp_path / "a.geojson")


def test_outlines_that_lie_elsewhere_are_refused_before_they_are_shown(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="lie outside"):
        looked_at(project, slide, geojson(tmp_path / "a.geojson", feature(Region(5000, 0, 30, 30), "tumour")))
