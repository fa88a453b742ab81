"""Processes that end in the middle, and two at once: afterwards there is a whole thing or none."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from histoloop.errors import ProjectError
from histoloop.progress import finish
from histoloop.slides.tiling import Window
from histoloop.store.cards import WEIGHTS
from histoloop.store.files import beside
from histoloop.store.maps import MapWriter
from histoloop.store.project import DATABASE, Project
from histoloop.store.records import ModelStatus
from histoloop.workflows.contents.rounds import open_candidate
from histoloop.workflows.contents.slides import thumbnail_path
from histoloop.workflows.projects import create_or_open_project, create_project, import_slides, opened_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from histoloop.store.records import SlideRecord

Killed = "Callable[[Callable[[], object], int], bool]"


@pytest.fixture
def model(tmp_path: Path, make_model: Callable[..., Path]) -> Path:
    return make_model(tmp_path / "given" / "tiny")


def numbers(
    killed: Killed, work: Callable[[], object], before: Callable[[], object], *, every: int = 1
) -> Iterator[int]:
    """Each change of the disk before which the work is ended, with everything as `before` makes it; then its end."""
    at = 0
    while True:
        before()
        was_killed = killed(work, at)
        yield at
        if not was_killed:
            return
        at += every


def test_a_project_whose_making_was_broken_off_is_not_there_or_whole(
    tmp_path: Path, model: Path, killed: Killed
) -> None:
    folder = tmp_path / "project"

    def create() -> None:
        create_project(folder, name="Colon", start=model).close()

    moments, there = 0, []
    for _at in numbers(killed, create, lambda: shutil.rmtree(folder, ignore_errors=True), every=3):
        moments += 1
        there.append((folder / DATABASE).exists())
        with create_or_open_project(folder, name="Colon", start=model) as project:
            assert project.models.current().folder == folder / "models" / "tiny"
            assert (project.models.current().folder / WEIGHTS).read_bytes() == b"weights"
            assert [record.status for record in project.models.all()] == [ModelStatus.CURRENT]
            assert [path.name for path in project.models.folder.iterdir()] == ["tiny"]
            assert not list(folder.glob(".*"))
    assert moments > 8
    assert there == sorted(there)  # the database appears once, at the end
    assert set(there) == {False, True}


def test_two_that_make_a_project_at_once_make_one_with_one_model(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    link, others = os.link, []

    def other_is_faster(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        others.append(create_project(folder, name="Colon", start=model))
        link(source, target)

    monkeypatch.setattr(os, "link", other_is_faster)
    with create_or_open_project(folder, name="Colon", start=model) as project, others[0]:
        assert len(project.models.all()) == 1
        assert [path.name for path in project.models.folder.iterdir()] == ["tiny"]
        project.settings.set("brush", 3)
        assert others[0].settings.get("brush") == 3


def test_a_project_that_an_older_version_left_without_its_model_is_completed(tmp_path: Path, project: Project) -> None:
    scheme = project.scheme
    project.close()
    half = tmp_path / "half"
    shutil.copytree(project.folder / "models", half / "models")
    Project.create(half, name="Colon", scheme=scheme).close()
    with opened_project(half) as completed:
        assert completed.models.current().folder == half / "models" / "tiny"
        assert completed.models.current().parent is None


def test_a_project_that_an_older_version_left_with_a_model_that_is_not_current_is_completed(
    tmp_path: Path, project: Project
) -> None:
    scheme = project.scheme
    project.close()
    half = tmp_path / "half"
    shutil.copytree(project.folder / "models", half / "models")
    with Project.create(half, name="Colon", scheme=scheme) as made:
        made.models.add("tiny", hash="h", parent=None, round=0)
    with opened_project(half) as completed:
        assert [record.status for record in completed.models.all()] == [ModelStatus.CURRENT]


def test_a_project_without_any_model_is_refused_with_the_way_on(tmp_path: Path, project: Project) -> None:
    Project.create(tmp_path / "half", name="Colon", scheme=project.scheme).close()
    with pytest.raises(ProjectError, match="was never completed: it has no model") as caught:
        opened_project(tmp_path / "half")
    assert "Create the project again" in caught.value.advice


def test_a_slide_is_never_without_its_thumbnail(
    project: Project, tmp_path: Path, paint_tissue: Callable[..., Path], killed: Killed
) -> None:
    picture = paint_tissue(tmp_path / "slides" / "a.png")
    project.close()
    whole = tmp_path / "whole"
    shutil.copytree(project.folder, whole)

    def add() -> None:
        with opened_project(project.folder) as opened:
            finish(import_slides(opened, [picture]))

    def begin() -> None:
        shutil.rmtree(project.folder)
        shutil.copytree(whole, project.folder)

    seen = set()
    for _at in numbers(killed, add, begin):
        with opened_project(project.folder) as opened:
            slides = opened.slides.all()
            assert all(thumbnail_path(opened, slide.id).exists() for slide in slides)
            seen.add(len(slides))
    assert seen == {0, 1}


def test_a_thumbnail_that_is_gone_is_made_again_by_the_next_import(
    project: Project, add_slide: Callable[..., SlideRecord]
) -> None:
    slide = add_slide()
    assert not thumbnail_path(project, slide.id).exists()
    report = finish(import_slides(project, [slide.path]))
    assert report.added == ()
    assert thumbnail_path(project, slide.id).exists()


def write_map(project: Project, slide: SlideRecord) -> Path:
    folder = project.maps.new_folder(slide.id, project.models.current().id)
    with MapWriter(
        folder,
        slide_width=slide.width,
        slide_height=slide.height,
        downsample=1.0,
        labels=project.scheme.label_names,
        stride_px=32,
        model_hash="h",
    ) as writer:
        writer.write(Window(0, 0, 32, 32), np.ones((32, 32), np.float32), np.ones((2, 1, 1), np.float32))
    return folder


def test_what_an_ended_process_left_is_cleared_away_when_the_project_is_opened(
    project: Project, add_slide: Callable[..., SlideRecord]
) -> None:
    slide = add_slide()
    kept, lost = write_map(project, slide), write_map(project, slide)
    project.maps.add(slide.id, project.models.current().id, kept.name)
    own = project.maps.folder / "my notes"
    own.mkdir()
    half = [
        beside(folder / "half") for folder in (project.maps.folder, project.models.folder, project.annotations.folder)
    ]
    for path in half:
        path.mkdir()
    project.close()
    opened_project(project.folder).close()
    assert sorted(project.maps.folder.iterdir()) == sorted([own, kept])
    assert not any(path.exists() for path in (*half, lost))


def test_what_another_process_writes_just_now_is_left_alone(
    project: Project, add_slide: Callable[..., SlideRecord]
) -> None:
    lost, half = write_map(project, add_slide()), beside(project.maps.folder / "half")
    half.mkdir()
    opened_project(project.folder).close()
    assert lost.exists()
    assert half.exists()
    project.close()
    opened_project(project.folder, read_only=True).close()
    assert half.exists()
    opened_project(project.folder).close()
    assert not half.exists()


def test_a_model_whose_training_ended_just_before_its_process_did_is_offered(
    project: Project, make_model: Callable[..., Path]
) -> None:
    first = project.models.current()
    folder = project.models.new_folder(1)
    make_model(folder, weights=b"trained", parent=first.hash, figures={"dice": 0.5}, training={"regions": 3.0})
    broken = project.models.new_folder(1)
    make_model(broken, parent="of another project")
    project.close()
    with opened_project(project.folder) as again:
        candidate = open_candidate(again)
        assert candidate is not None
        assert (candidate.round, candidate.new_dice, candidate.annotations) == (1, 0.5, 3)
        assert again.models.get(candidate.model_id).folder == folder
        assert again.models.get(candidate.model_id).parent == first.id
        assert len(again.rounds.all()) == 1
    with opened_project(project.folder) as again:
        assert len(again.rounds.all()) == 1
