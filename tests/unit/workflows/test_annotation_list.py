"""The list of annotations, in the workflow and on the command line; and imported masks of which strokes alone count."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from histoloop.annotations.records import AnnotationStatus, Counts, Origin, Patch
from histoloop.cli import main
from histoloop.errors import DataError
from histoloop.geometry import Region
from histoloop.progress import finish
from histoloop.workflows.annotate import import_annotation
from histoloop.workflows.annotations import (
    annotated_mask,
    areas_in_words,
    areas_of,
    delete_annotations,
    listed_annotations,
    thumbnail,
)
from histoloop.workflows.contents.masks import mask_of_slide, painted_regions
from histoloop.workflows.export import export_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord, SlideRecord

REGION = Region(10, 10, 40, 20)


@pytest.fixture
def done(project: Project) -> Callable[..., AnnotationRecord]:
    """Do a region with a stroke of tumour, 10 x 5 pixels, and one of background as large."""

    def do(slide: SlideRecord, region: Region = REGION, *, finish: bool = True, **options) -> AnnotationRecord:
        mask = np.ones((region.height, region.width), np.uint8)
        settings = {"origin_model": None, "person": "Ada", "counts": Counts.STROKES, **options}
        draft = project.drafts.start(slide.id, region, mask=mask, **settings)
        for y, value in ((0, 2), (10, 0)):
            plane = np.full((5, 10), value, np.uint8)
            project.drafts.append_patch(draft.id, Patch(5, y, plane, np.full_like(plane, np.uint8(Origin.HUMAN))))
        return project.drafts.finish(draft.id, AnnotationStatus.DONE) if finish else project.annotations.get(draft.id)

    return do


def test_strokes_have_the_areas_of_what_was_painted_alone(project: Project, add_slide, done) -> None:
    done(add_slide(mpp=0.5))
    (listed,) = listed_annotations(project)
    areas = areas_of(project, listed)
    assert areas == pytest.approx({"background": 50 * 0.25e-6, "tumour": 50 * 0.25e-6})
    assert areas_in_words(areas, mpp=0.5) == [("tumour", "12 µm²"), ("background", "12 µm²")]
    assert areas_in_words({"tumour": 0.5, "gland": 2.345}, mpp=0.5) == [("gland", "2.35 mm²"), ("tumour", "0.5 mm²")]


def test_areas_are_pixels_where_the_resolution_is_unknown(project: Project, add_slide, done) -> None:
    done(add_slide(mpp=None), counts=Counts.REGION)
    (listed,) = listed_annotations(project)
    areas = areas_of(project, listed)
    assert areas == {"background": 50, "gland": 700, "tumour": 50}
    assert areas_in_words(areas, mpp=None) == [("gland", "700 px"), ("tumour", "50 px"), ("background", "50 px")]


def test_a_draft_of_strokes_has_those_painted_so_far(project: Project, add_slide, done) -> None:
    record = done(add_slide(), finish=False)
    mask = annotated_mask(project, record)
    assert mask is not None
    assert dict(zip(*np.unique(mask, return_counts=True), strict=True)) == {0: 50, 2: 50, 255: 700}


def test_the_list_says_what_each_annotation_is(project: Project, add_slide, done) -> None:
    slide = add_slide()
    for number in range(3):
        done(slide, Region(10 + 45 * number, 10, 40, 20))
    done(slide, Region(10, 40, 40, 20), finish=False)
    assert [each.state for each in listed_annotations(project)] == ["draft", "held out", "done", "done"]


def test_a_thumbnail_has_the_edges_of_the_mask_in_the_colours_of_the_classes(project: Project, add_slide, done) -> None:
    slide = add_slide()
    record = done(slide)
    small = thumbnail(slide, record, annotated_mask(project, record), project.scheme, side_px=96)
    assert small.shape == (20, 40, 3)
    assert small[0, 5].tolist() == [0xD0, 0x10, 0x20]
    assert thumbnail(slide, record, None, project.scheme, side_px=20).shape == (10, 20, 3)


def test_what_nobody_painted_is_left_out_of_exports_and_shows_as_such(
    project: Project, add_slide, add_map, done
) -> None:
    slide = add_slide(mpp=1.0)
    add_map(slide, 1.0)
    done(slide)
    exported = mask_of_slide(project, slide.id)
    assert exported is not None
    inside = exported.mask[10:30, 10:50]
    assert (inside[0, 5], inside[10, 5], inside[0, 0]) == (2, 0, 255)
    ((region, shown),) = painted_regions(project, slide.id)
    assert region == REGION
    assert np.array_equal(shown, inside)


def test_the_exported_table_says_what_counts_and_strokes_have_no_size_of_their_mask(
    project: Project, add_slide, add_map, done, tmp_path: Path
) -> None:
    slide = add_slide(mpp=1.0)
    add_map(slide, 1.0)
    done(slide)
    done(slide, Region(60, 10, 40, 20), counts=Counts.REGION)
    finish(export_project(project, tmp_path / "out"))
    with (tmp_path / "out" / "annotations.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [[row[name] for name in ("counts", "size", "size_from")] for row in rows] == [
        ["strokes", "", ""],
        ["region", "0.9375", "mask"],
    ]


def test_what_is_not_in_the_list_is_not_deleted_and_named(project: Project, add_slide, done) -> None:
    record = done(add_slide())
    unknown = delete_annotations(project, [record.id, 99], person="Ada")
    assert list(unknown) == [99]
    assert listed_annotations(project) == []


# --- the command line -------------------------------------------------------------------------------------------------


def test_the_command_lists_annotations_as_json(project: Project, add_slide, done, capsys) -> None:
    done(add_slide())
    project.close()
    assert main(["annotations", str(project.folder), "--json", "-"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["done"]
    assert row["region"] == [10, 10, 40, 20]
    assert (row["slide"], row["state"], row["counts"], row["person"]) == ("a.png", "done", "strokes", "Ada")
    assert row["area_unit"] == "mm2"
    assert sorted(row["areas"]) == ["background", "tumour"]


@pytest.mark.parametrize(("ids", "code", "left"), [(["1"], 0, 1), (["1", "99"], 3, 1), (["99"], 1, 2)])
def test_the_command_deletes_what_is_there_and_its_exit_code_says_whether_all_was(
    project: Project, add_slide, done, capsys, ids: list[str], code: int, left: int
) -> None:
    slide = add_slide()
    done(slide)
    done(slide, Region(60, 10, 40, 20))
    assert main(["annotations", str(project.folder), "--delete", *ids, "--person", "Ada"]) == code
    captured = capsys.readouterr()
    assert ("annotation 99" in captured.err) is ("99" in ids)
    assert len(listed_annotations(project)) == left
    if left == 1:
        project.history.undo("Ada")
        assert len(listed_annotations(project)) == 2


# --- masks from files -------------------------------------------------------------------------------------------------


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A mask picture of the region: tumour in its left quarter, nothing elsewhere."""
    values = np.zeros((20, 40), np.uint8)
    values[:, :10] = 2
    Image.fromarray(values).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


def test_of_a_picture_the_strokes_alone_count_where_that_is_said(
    project: Project, add_slide, picture: Path, capsys
) -> None:
    add_slide()
    arguments = ["--slide", "a.png", "--region", "10,10,40,20", "--mask", str(picture)]
    assert main(["annotate", str(project.folder), *arguments, "--counts", "strokes", "--json", "-"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["done"]
    assert row["counts"] == "strokes"
    origin = project.annotations.load_mask(row["id"])[1]
    assert np.count_nonzero(origin == Origin.HUMAN) == 200
    assert np.count_nonzero(origin == Origin.LEFT_OUT) == 600


def test_outlines_of_background_are_strokes_of_background(project: Project, add_slide, tmp_path: Path) -> None:
    slide = add_slide()

    def square(x: int, name: str) -> dict[str, object]:
        ring = [[x, 12], [x + 5, 12], [x + 5, 17], [x, 17], [x, 12]]
        properties = {"objectType": "annotation", "classification": {"name": name}}
        return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties}

    file = tmp_path / "strokes.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [square(12, "tumour"), square(30, "Stroma")]}))
    record = import_annotation(
        project, mask_file=file, slide_name=slide.name, region=REGION, class_map={"Stroma": "background"},
        person="Bo", counts=Counts.STROKES,
    ).record  # fmt: skip
    mask, origin = project.annotations.load_mask(record.id)
    human = origin == Origin.HUMAN
    assert (np.count_nonzero(human), np.count_nonzero(mask[human] == 2), np.count_nonzero(mask[human] == 0)) == (
        50,
        25,
        25,
    )


def test_a_picture_without_anything_painted_is_refused_where_strokes_count(
    project: Project, add_slide, tmp_path: Path
) -> None:
    slide = add_slide()
    Image.fromarray(np.zeros((20, 40), np.uint8)).save(tmp_path / "empty.png")
    with pytest.raises(DataError, match="ignores all of the region") as refused:
        import_annotation(
            project, mask_file=tmp_path / "empty.png", slide_name=slide.name, region=REGION, person="Bo",
            counts=Counts.STROKES,
        )  # fmt: skip
    assert "--counts region" in refused.value.advice
    assert project.annotations.all() == []


def test_counts_goes_with_a_mask(project: Project, add_slide) -> None:
    slide = add_slide()
    arguments = ["--slide", slide.name, "--label", "benign", "--counts", "strokes"]
    assert main(["annotate", str(project.folder), *arguments]) == 2
