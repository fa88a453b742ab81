"""Slides named by people: by name, by path, and with choices that work where a name is of several."""

from __future__ import annotations

import dataclasses
import shlex
from typing import TYPE_CHECKING

import numpy as np
import pytest
from slide_writers import write_dicom

from histoloop.errors import ProjectError
from histoloop.progress import finish
from histoloop.store.project_file import DATABASE
from histoloop.workflows.contents.slides import shares_of_work, slide_called
from histoloop.workflows.projects import import_slides

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord


@pytest.fixture
def slides(add_slide: Callable[..., SlideRecord], project: Project) -> list[SlideRecord]:
    names = ["p 1/slide.png", "p2/slide.png", "p2/deep/slide.png", "other.png"]
    added = [add_slide(name) for name in names]
    return [project.slides.get(slide.id) for slide in added]


@pytest.mark.parametrize(
    ("typed", "index"),
    [
        ("p2/slide.png", 1),
        ("p 1/slide.png", 0),
        ("slides/p2/slide.png", 1),
        ("other.png", 3),
        ("other", 3),
        ("slides/../slides/other.png", 3),
    ],
)
def test_a_slide_is_named_by_its_name_or_a_path_from_the_current_folder(
    project: Project,
    slides: list[SlideRecord],
    typed: str,
    index: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert slide_called(project, typed) == slides[index]


def test_a_path_from_the_current_folder_goes_before_a_file_name(
    project: Project, slides: list[SlideRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(slides[2].path.parent)
    assert slide_called(project, "slide.png") == slides[2]
    assert slide_called(project, "../slide.png") == slides[1]
    assert slide_called(project, str(slides[0].path)) == slides[0]


@pytest.mark.parametrize("typed", ["slide.png", "slide"])
def test_an_ambiguous_name_is_refused_with_choices_that_work_when_typed(
    project: Project, slides: list[SlideRecord], typed: str
) -> None:
    with pytest.raises(ProjectError, match=f"3 slides are called '{typed}'") as caught:
        slide_called(project, typed)
    choices = caught.value.advice.removeprefix("Name one by its name or path: ").removesuffix(".").split(", ")
    assert choices[0] == "'p 1/slide.png'"
    assert [slide_called(project, shlex.split(choice)[0]) for choice in choices] == slides[:3]


@pytest.mark.usefixtures("slides")
def test_an_unknown_name_is_refused_with_names_that_there_are(project: Project) -> None:
    for typed in ("", "nothing.png", "/", "."):
        with pytest.raises(ProjectError, match="No slides are called") as caught:
            slide_called(project, typed)
        assert "other.png" in caught.value.advice


def test_a_dicom_slide_is_named_by_what_is_written_on_it_its_folder_and_any_of_its_files(
    project: Project, tmp_path: Path
) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    tissue = np.full((128, 192, 3), (200, 120, 180), np.uint8)
    write_dicom(folder / "0.dcm", tissue, extra=[(0x40, 0x512, "LO", "B12-3.4")])
    write_dicom(folder / "1.dcm", tissue[:64, :64].copy(), number=2, kind="LABEL")
    (slide_id,) = finish(import_slides(project, [folder])).added
    for typed in ("B12-3.4", str(folder), str(folder / "0.dcm"), str(folder / "1.dcm"), "0.dcm"):
        assert slide_called(project, typed).id == slide_id


PATIENT, BORN, REMOVED = (0x10, 0x20, "LO"), (0x10, 0x30, "DA"), (0x12, 0x62, "CS")


@pytest.mark.parametrize(("removed", "case"), [("YES", "GTEX-1117F"), ("NO", ""), (None, "")])
def test_a_dicom_slide_is_of_the_patient_that_its_file_states_only_where_the_identity_was_removed(
    removed: str | None, case: str, project: Project, tmp_path: Path
) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    tissue = np.full((128, 192, 3), (200, 120, 180), np.uint8)
    stated: list[tuple[int, int, str, object]] = [(*BORN, "19500101"), (*PATIENT, "GTEX-1117F")]
    stated += [] if removed is None else [(*REMOVED, removed)]
    write_dicom(folder / "0.dcm", tissue, extra=stated)
    (slide_id,) = finish(import_slides(project, [folder])).added
    assert project.slides.get(slide_id).stated_case == case
    assert [slide.stated_case for slide in project.slides.all()] == [case]
    database = b"".join(file.read_bytes() for file in project.folder.glob(f"{DATABASE}*"))
    assert b"19500101" not in database
    assert (b"GTEX-1117F" in database) is bool(case)


def test_a_slide_is_as_much_work_as_it_is_large_or_has_tissue_where_that_is_known_of_all(
    slides: list[SlideRecord],
) -> None:
    one, two, three, four = (
        dataclasses.replace(slide, width=width, height=1000, mpp=mpp, tissue_px=tissue)
        for slide, width, mpp, tissue in zip(
            slides, (1000, 4000, 1000, 2000), (0.5, 0.5, 1.0, None), (None, 1e6, 1e6, 0.0), strict=True
        )
    )
    assert shares_of_work([one, two, three, four]) == pytest.approx([0.5, 1.25, 1.25, 0.75])
    assert shares_of_work([two, three, four]) == pytest.approx([0.5, 1.25, 0.25])
    assert shares_of_work([two, three], skipped={three.id}) == pytest.approx([0.5, 1.25e-3])
    assert shares_of_work([]) == []
