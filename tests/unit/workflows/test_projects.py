"""Projects keep their own copy of a model; an import takes what it can and tells of the rest."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from slide_writers import write_dicom

from histoloop.errors import HistoLoopError, ModelError, ProjectError, ReplacedSlideError, SlideError
from histoloop.progress import Progress, finish
from histoloop.slides.reader import open_slide
from histoloop.slides.synthetic import SyntheticSpec, write_synthetic_slide
from histoloop.store.cards import model_hash
from histoloop.store.records import ModelStatus
from histoloop.workflows import projects
from histoloop.workflows.contents.slides import open_project_slide, thumbnail_path
from histoloop.workflows.projects import THUMBNAIL_PX, create_project, import_slides, opened_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.annotations.records import ClassScheme
    from histoloop.slides.reader import Slide
    from histoloop.store.project import Project
    from histoloop.workflows.reports import ImportReport


def imported(project: Project, *paths: Path, mpp: float | None = None) -> ImportReport:
    return finish(import_slides(project, paths, mpp=mpp))


# --- create -----------------------------------------------------------------------------------------------------------


def test_a_new_project_takes_the_classes_of_its_model(
    tmp_path: Path, make_model: Callable[..., Path], scheme: ClassScheme
) -> None:
    with create_project(tmp_path / "p", name="Colon", start=make_model(tmp_path / "tiny")) as project:
        assert project.scheme == scheme
        assert project.name == "Colon"
        assert project.slides.all() == []


def test_a_project_keeps_its_own_copy_of_the_model(tmp_path: Path, make_model: Callable[..., Path]) -> None:
    source = make_model(tmp_path / "tiny", weights=b"some weights")
    with create_project(tmp_path / "p", name="Colon", start=source) as project:
        digest = model_hash(source)
        shutil.rmtree(source)
        model = project.models.current()
        assert model.folder == project.models.folder / "tiny"
        assert model_hash(model.folder) == model.hash == digest
        assert project.models.current_card().name == "tiny"


def test_the_model_of_a_new_project_is_current_and_the_base_of_retraining(project: Project) -> None:
    (model,) = project.models.all()
    assert (model.status, model.round, model.parent) == (ModelStatus.CURRENT, 0, None)
    assert project.models.first() == model


def test_a_project_is_not_made_over_another(project: Project, make_model: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="a project in"):
        create_project(project.folder, name="Other", start=make_model(tmp_path / "other"))
    assert [model.folder.name for model in project.models.all()] == ["tiny"]
    assert [folder.name for folder in project.models.folder.iterdir()] == ["tiny"]


def test_without_a_model_no_project_is_begun(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        create_project(tmp_path / "p", name="Colon", start=tmp_path / "absent")
    assert not (tmp_path / "p").exists()


def test_a_model_without_weights_begins_no_project(tmp_path: Path, make_model: Callable[..., Path]) -> None:
    source = make_model(tmp_path / "tiny")
    (source / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match="weights"):
        create_project(tmp_path / "p", name="Colon", start=source)
    assert not (tmp_path / "p").exists()


# --- import -----------------------------------------------------------------------------------------------------------


def test_an_import_goes_on_past_a_broken_file_and_tells_why(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    folder = tmp_path / "slides"
    paint_tissue(folder / "a.png", seed=1)
    (folder / "b.svs").write_bytes(b"II*\0 this is no slide")
    (folder / "c.png").write_bytes(b"")
    paint_tissue(folder / "d.png", seed=2)
    report = imported(project, folder)
    assert [project.slides.get(slide_id).name for slide_id in report.added] == ["a.png", "d.png"]
    assert [slide.name for slide in project.slides.all()] == ["a.png", "d.png"]
    (first, why_first), (second, why_second) = report.failed
    assert (first.name, second.name) == ("b.svs", "c.png")
    assert "b.svs" in why_first
    assert "empty" in why_second


def test_a_file_that_is_missing_is_reported(tmp_path: Path, project: Project) -> None:
    report = imported(project, tmp_path / "absent.svs")
    ((file, reason),) = report.failed
    assert file.name == "absent.svs"
    assert "no such file" in reason
    assert report.added == ()


def test_slides_of_the_project_are_reported_as_known_and_not_added_twice(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    first = paint_tissue(tmp_path / "slides" / "a.png", seed=1)
    imported(project, first)
    second = paint_tissue(tmp_path / "slides" / "b.png", seed=2)
    report = imported(project, tmp_path / "slides")
    assert report.known == (first,)
    assert [project.slides.get(slide_id).path for slide_id in report.added] == [second.resolve()]
    assert len(project.slides.all()) == 2


def test_a_file_named_by_two_ways_is_added_once(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    path = paint_tissue(tmp_path / "slides" / "a.png")
    report = imported(project, path, tmp_path / "slides" / ".." / "slides" / "a.png")
    assert len(report.added) == len(report.known) == len(project.slides.all()) == 1


def test_a_slide_that_was_removed_comes_back_under_its_id(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    path = paint_tissue(tmp_path / "a.png")
    (slide_id,) = imported(project, path).added
    project.slides.remove(slide_id)
    assert project.slides.all() == []
    assert imported(project, path).added == (slide_id,)


def test_every_slide_gets_a_small_picture_in_its_colours(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    paint_tissue(tmp_path / "slides" / "a.png", width=1000, height=500, until=500)
    (slide_id,) = imported(project, tmp_path / "slides").added
    with Image.open(thumbnail_path(project, slide_id)) as picture:
        assert picture.size == (THUMBNAIL_PX, THUMBNAIL_PX // 2)
        left, right = np.hsplit(np.asarray(picture), 2)
    assert right[:, 2:].min() > 230
    assert left[:, :-2, 1].max() < 200


def test_a_slide_that_fails_leaves_no_picture(tmp_path: Path, project: Project) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    imported(project, tmp_path / "a.png")
    assert not list(project.folder.glob("thumbnails/*"))


def test_the_resolution_that_was_given_is_for_slides_that_do_not_state_theirs(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    folder = tmp_path / "slides"
    paint_tissue(folder / "field.png")
    finish(write_synthetic_slide(folder / "slide.tiff", SyntheticSpec(seed=1, width=320, height=300, mpp=0.5)))
    imported(project, folder, mpp=0.8)
    field, slide = project.slides.all()
    assert (field.name, field.mpp) == ("field.png", 0.8)
    assert slide.mpp == pytest.approx(0.5, rel=1e-3)
    assert (slide.width, slide.height, slide.vendor) == (320, 300, "generic-tiff")


def test_the_resolution_stays_unknown_where_nobody_states_it(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    imported(project, paint_tissue(tmp_path / "field.png"))
    assert project.slides.all()[0].mpp is None


def test_a_known_slide_without_a_resolution_takes_the_one_that_is_given_and_keeps_it(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    field = paint_tissue(tmp_path / "field.png")
    imported(project, field)
    report = finish(import_slides(project, [field], mpp=0.5))
    assert project.slides.all()[0].mpp == 0.5
    assert (len(report.known), len(report.notes)) == (1, 1)
    again = finish(import_slides(project, [field], mpp=0.25))
    assert project.slides.all()[0].mpp == 0.5
    assert again.notes == ()


def test_an_import_tells_of_each_file_and_ends_with_all_done(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    for name in ("a.png", "b.png"):
        paint_tissue(tmp_path / "slides" / name, seed=ord(name[0]))
    steps: list[Progress] = []
    finish(import_slides(project, [tmp_path / "slides"]), steps.append)
    assert [(step.message, step.done, step.total) for step in steps] == [("a.png", 0, 2), ("b.png", 1, 2), ("", 2, 2)]


def test_an_import_that_is_cancelled_keeps_what_it_had(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    for name in ("a.png", "b.png"):
        paint_tissue(tmp_path / "slides" / name, seed=ord(name[0]))
    work = import_slides(project, [tmp_path / "slides"])
    next(work)
    next(work)
    work.close()
    assert [slide.name for slide in project.slides.all()] == ["a.png"]


# --- what a slide is --------------------------------------------------------------------------------------------------


def test_a_copy_under_another_name_is_a_slide_of_its_own_and_told_and_a_link_is_known(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    first = paint_tissue(tmp_path / "slides" / "a.png")
    copies = [tmp_path / "slides" / "B.PNG", tmp_path / "other" / "a.png"]
    copies[1].parent.mkdir()
    for copy in copies:
        shutil.copy(first, copy)
    (tmp_path / "linked").mkdir()
    os.link(first, tmp_path / "linked" / "c.png")
    report = imported(project, first, *copies, tmp_path / "linked")
    assert [slide.name for slide in project.slides.all()] == ["slides/a.png", "B.PNG", "other/a.png"]
    names = ("a.png", "slides/a.png")  # the second by then has to be told from another of its name
    told = [(copy, f"It has the same content as {name}.") for copy, name in zip(copies, names, strict=True)]
    assert report.notes == tuple(told)
    assert report.known == (tmp_path / "linked" / "c.png",)
    what = "it is the same slide as slides/a.png, which is already in the project"
    assert report.recognised == ((tmp_path / "linked" / "c.png", what),)


def test_a_slide_that_was_moved_and_renamed_is_found_again_by_an_import_and_told(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    path = paint_tissue(tmp_path / "slides" / "a.png")
    (slide_id,) = imported(project, path).added
    (tmp_path / "elsewhere").mkdir()
    moved = path.rename(tmp_path / "elsewhere" / "b.png")
    report = imported(project, tmp_path / "elsewhere")
    assert (report.added, report.known) == ((), (moved,))
    assert report.recognised == ((moved, f"it is the slide b.png, which was at {path} before"),)
    assert [(slide.id, slide.name, slide.path) for slide in project.slides.all()] == [(slide_id, "b.png", moved)]


def test_another_slide_in_the_place_of_a_known_one_is_told_at_import(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    path = paint_tissue(tmp_path / "case.png")
    imported(project, path)
    paint_tissue(path, seed=1)
    report = imported(project, path)
    ((_file, reason),) = report.failed
    assert (report.added, report.known) == ((), ())
    assert "case.png is not the slide it should be: its content differs. Restore the file" in reason


def test_a_slide_has_the_name_of_the_link_that_the_user_gave(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    paint_tissue(tmp_path / "store" / "f3a9.png")
    links = tmp_path / "links"
    links.mkdir()
    for name in ("case 7.png", "case 8.png"):
        (links / name).symlink_to(tmp_path / "store" / "f3a9.png")
    (tmp_path / "study").symlink_to(links)
    report = imported(project, tmp_path / "study")
    assert [(slide.name, slide.path) for slide in project.slides.all()] == [
        ("case 7.png", tmp_path / "study" / "case 7.png")
    ]
    assert [path.name for path, _reason in report.passed_over] == ["case 8.png"]


def test_the_folder_of_a_dicom_series_any_file_of_it_and_a_copy_are_one_slide(tmp_path: Path, project: Project) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    tissue = np.full((128, 192, 3), (200, 120, 180), np.uint8)
    write_dicom(folder / "a.dcm", tissue, extra=[(0x40, 0x512, "LO", "B12-3")])
    write_dicom(folder / "b.dcm", tissue[::2, ::2].copy(), number=2, spacing_mm=0.001)
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "a.dcm").rename(tmp_path / "copy" / "renamed.dcm")
    report = imported(project, folder, folder / "b.dcm", tmp_path / "copy")
    assert [slide.name for slide in project.slides.all()] == ["B12-3"]
    assert report.recognised == (
        (tmp_path / "copy" / "renamed.dcm", "it is the same slide as B12-3, which is already in the project"),
    )
    shutil.copytree(folder, tmp_path / "cut")
    (tmp_path / "cut" / "b.dcm").unlink()
    (_told,) = imported(project, tmp_path / "cut").recognised
    assert len(project.slides.all()) == 1
    write_dicom(folder / "b.dcm", 255 - tissue[::2, ::2], number=2, spacing_mm=0.001)
    with pytest.raises(ReplacedSlideError):
        open_project_slide(project.slides.all()[0])


# --- open -------------------------------------------------------------------------------------------------------------


def test_a_slide_is_opened_at_the_resolution_that_the_project_knows(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    imported(project, paint_tissue(tmp_path / "field.png", width=90, height=70), mpp=0.8)
    with open_project_slide(project.slides.all()[0]) as slide:
        assert (slide.mpp, slide.width, slide.height) == (0.8, 90, 70)


def test_a_slide_that_moved_is_an_error_that_says_where_it_was(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    path = paint_tissue(tmp_path / "field.png")
    imported(project, path)
    path.unlink()
    with pytest.raises(SlideError, match=r"field\.png: the file is not where it was") as caught:
        open_project_slide(project.slides.all()[0])
    assert "Find moved slides" in caught.value.advice


def test_a_slide_in_whose_place_another_is_is_an_error_and_one_that_was_touched_is_not(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    path = paint_tissue(tmp_path / "case.png")
    imported(project, path)
    (slide,) = project.slides.all()
    os.utime(path, (1, 1))
    open_project_slide(slide).close()
    content = path.read_bytes()
    paint_tissue(path, seed=1)
    with pytest.raises(ReplacedSlideError, match=r"case\.png is not the slide it should be: its content differs\."):
        open_project_slide(slide)
    path.write_bytes(content)
    open_project_slide(slide).close()


def test_opening_a_project_finds_slides_that_were_moved_into_it(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    path = paint_tissue(tmp_path / "field.png")
    imported(project, path)
    moved = project.folder / "slides" / "renamed.png"
    moved.parent.mkdir()
    path.rename(moved)
    with opened_project(project.folder) as again:
        (slide,) = again.slides.all()
    assert slide.exists()
    assert slide.path.resolve() == moved.resolve()


def test_opening_a_project_whose_slides_are_gone_leaves_them_missing(
    tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]
) -> None:
    path = paint_tissue(tmp_path / "field.png")
    imported(project, path)
    path.unlink()
    with opened_project(project.folder) as again:
        (slide,) = again.slides.all()
    assert not slide.exists()
    assert slide.path == path.resolve()


def test_a_folder_that_holds_no_project_is_an_error_for_the_user(tmp_path: Path) -> None:
    with pytest.raises(HistoLoopError, match="no project"):
        opened_project(tmp_path)


def test_what_a_folder_holds_besides_slides_is_reported(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    Image.new("RGB", (60, 40), "white").save(folder / "a.png")
    (folder / "notes.docx").write_bytes(b"text")
    (folder / ".hidden.png").write_bytes(b"")
    report = finish(import_slides(project, [folder]))
    assert len(report.added) == 1
    assert [path.name for path, _reason in report.passed_over] == ["notes.docx"]
    assert all(reason for _path, reason in report.passed_over)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know no such names")
def test_a_name_that_is_not_utf8_is_refused_with_words_and_the_rest_is_added(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    for name in (b"a.png", b"m\xe4use.png", b"z.png"):
        Image.new("RGB", (60, 40), (200, name[0], 180)).save(folder / os.fsdecode(name), format="PNG")
    report = imported(project, folder)
    assert len(report.added) == 2
    ((path, reason),) = report.failed
    assert os.fsencode(path.name) == b"m\xe4use.png"
    assert "not valid text" in reason


def test_an_error_that_nobody_expects_fails_one_slide_and_the_rest_is_added(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        Image.new("RGB", (60, 40 + number), "white").save(tmp_path / f"{number}.png")

    def failing(path: Path) -> Slide:
        if path.name == "1.png":
            raise MemoryError("too large")
        return open_slide(path)

    monkeypatch.setattr(projects, "open_slide", failing)
    report = imported(project, *(tmp_path / f"{number}.png" for number in range(3)))
    assert len(report.added) == 2
    assert report.failed == (
        (
            tmp_path / "1.png",
            "There is not enough memory for it. Close other programs, or use a computer with more memory.",
        ),
    )


@pytest.mark.parametrize(
    ("options", "mpp", "source"),
    [
        ({}, None, ""),
        ({"mpp": 0.3}, 0.3, "given"),
        ({"mpp_from_objective": True}, 0.25, "objective"),
        ({"mpp": 0.3, "mpp_from_objective": True}, 0.25, "objective"),
    ],
)
def test_no_resolution_is_taken_from_the_objective_unless_that_is_asked_for(
    project: Project, tmp_path: Path, options: dict[str, Any], mpp: float | None, source: str
) -> None:
    pixels, description = np.full((40, 50, 3), 200, np.uint8), "Aperio Image Library |AppMag = 40|"
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", description=description, metadata=None)
    finish(import_slides(project, [tmp_path / "a.tif"], **options))
    (slide,) = project.slides.all()
    assert (slide.mpp, slide.mpp_from, slide.objective, slide.estimated_mpp) == (mpp, source, 40.0, 0.25)
