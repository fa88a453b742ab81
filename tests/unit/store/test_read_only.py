from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from histoloop.annotations.records import AnnotationStatus
from histoloop.errors import ProjectError
from histoloop.geometry import Region
from histoloop.store import project_database as module
from histoloop.store.project import DATABASE, Project
from histoloop.store.records import ModelStatus


@pytest.fixture
def fixed(monkeypatch):
    """The place of every project cannot be written from here on, as on a disk that is mounted for reading."""

    def fix():
        connect = sqlite3.connect

        def connecting(database, **options):
            if "mode=ro" in str(database) and "immutable" not in str(database):
                raise sqlite3.OperationalError("unable to open database file")
            return connect(database, **options)

        monkeypatch.setattr(module, "can_be_written", lambda path: False)
        monkeypatch.setattr(module.sqlite3, "connect", connecting)

    return fix


def content_of(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


CHANGES = {
    "settings": lambda project, slide: project.settings.set("brush", 3),
    "slides": lambda project, slide: project.slides.set_mpp(slide.id, 0.25),
    "labels": lambda project, slide: project.slides.set_label(slide.id, "benign", person="Ada"),
    "models": lambda project, slide: project.models.add("m", hash="h", parent=None, round=0),
    "a model's folder": lambda project, slide: project.models.new_folder(1),
    "a map's folder": lambda project, slide: project.maps.new_folder(slide.id, 1),
    "drafts": lambda project, slide: project.drafts.start(
        slide.id, Region(0, 0, 4, 4), mask=np.zeros((4, 4), np.uint8), origin_model=None, person="Ada"
    ),
    "annotations": lambda project, slide: project.annotations.add(
        slide.id, Region(0, 0, 4, 4), label="benign", size=None, person="Ada"
    ),
    "masks": lambda project, slide: project.annotations.add_with_masks(
        slide.id, [(Region(0, 0, 4, 4), np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8))], person="Ada"
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_project_that_is_read_only_takes_no_change_and_writes_no_file(project, slide, change):
    before = content_of(project.annotations.folder)
    with Project.open(project.folder, read_only=True) as read:
        assert read.read_only
        with pytest.raises(ProjectError, match="open for reading only") as caught:
            CHANGES[change](read, slide)
    assert "Close it in the other window" in caught.value.advice
    assert content_of(project.annotations.folder) == before


def test_a_draft_is_not_finished_in_a_project_that_is_read_only(project, slide, start):
    draft = start()
    before = content_of(project.annotations.folder)
    with Project.open(project.folder, read_only=True) as read, pytest.raises(ProjectError, match="reading only"):
        read.drafts.finish(draft.id, AnnotationStatus.DONE)
    assert content_of(project.annotations.folder) == before


def test_a_project_that_is_read_only_shows_what_another_writes(project, slide):
    with Project.open(project.folder, read_only=True) as read:
        project.settings.set("brush", 12)
        project.models.add("m", hash="h", parent=None, round=0, status=ModelStatus.CURRENT)
        assert read.settings.get("brush") == 12
        assert read.models.current().hash == "h"


def test_a_project_is_not_read_only_unless_asked_for(project):
    assert not project.read_only
    with Project.connect(project.folder) as other:
        assert not other.read_only
    with Project.connect(project.folder, read_only=True) as other:
        assert other.read_only


def test_a_project_that_is_read_only_gets_no_file_of_its_own(project):
    project.close()
    shown = project.folder / "project.histoloop"
    shown.unlink()
    Project.open(project.folder, read_only=True).close()
    assert not shown.exists()


def test_a_project_in_a_place_that_cannot_be_written_is_read_and_left_as_it_is(project, slide, fixed):
    project.settings.set("brush", 12)
    project.close()
    before = content_of(project.folder)
    fixed()
    with Project.open(project.folder) as read, Project.connect(project.folder) as other:
        assert read.read_only
        assert other.read_only
        assert read.slides.all() == other.slides.all() == [slide]
        assert read.settings.get("brush") == 12
        with pytest.raises(ProjectError, match="cannot be changed: its folder cannot be written to") as caught:
            read.settings.set("brush", 13)
    assert "Copy the project's folder" in caught.value.advice
    assert content_of(project.folder) == before


def test_what_was_written_last_is_read_from_the_log_that_was_copied_along(project, slide, fixed, tmp_path):
    project.settings.set("brush", 12)
    copy = tmp_path / "copy"
    shutil.copytree(project.folder, copy, ignore=lambda folder, names: [name for name in names if "-shm" in name])
    assert (copy / f"{DATABASE}-wal").stat().st_size > 0
    before = content_of(copy)
    fixed()
    with Project.open(copy) as read:
        assert read.settings.get("brush") == 12
        with pytest.raises(ProjectError):
            read.settings.set("brush", 13)
    assert content_of(copy) == before


def test_slides_that_moved_with_a_project_which_cannot_be_written_are_found(tmp_path, scheme, add_slide, fixed):
    with Project.create(tmp_path / "one" / "project", name="Colon", scheme=scheme) as project:
        add_slide(project, folder=tmp_path / "one")
    (tmp_path / "one").rename(tmp_path / "two")
    before = content_of(tmp_path / "two")
    fixed()
    with Project.open(tmp_path / "two" / "project") as read, Project.connect(tmp_path / "two" / "project") as other:
        for each in (read, other):
            assert [slide.path for slide in each.slides.all()] == [tmp_path / "two" / "a.svs"]
        with pytest.raises(ProjectError):
            read.slides.set_mpp(1, 1.0)
    assert content_of(tmp_path / "two") == before


def test_an_older_schema_is_not_read_where_it_cannot_be_brought_up_to_date(project, fixed, monkeypatch):
    project.close()
    newer = (*module.MIGRATIONS, "CREATE TABLE extra (id INTEGER PRIMARY KEY)")
    monkeypatch.setattr(module, "MIGRATIONS", newer)
    fixed()
    with pytest.raises(ProjectError, match="older HistoLoop") as caught:
        Project.open(project.folder)
    assert "Copy the project's folder" in caught.value.advice


def test_a_place_can_be_written_when_both_database_and_folder_can(tmp_path, monkeypatch):
    path = tmp_path / DATABASE
    path.touch()
    assert module.can_be_written(path)
    for refused in (path, tmp_path):
        monkeypatch.setattr(module.os, "access", lambda asked, mode, refused=refused: asked != refused)
        assert not module.can_be_written(path)


def test_a_database_that_is_closed_leaves_no_copy_behind(project, fixed, tmp_path, monkeypatch):
    project.settings.set("brush", 12)
    copy = tmp_path / "copy"
    shutil.copytree(project.folder, copy, ignore=lambda folder, names: [name for name in names if "-shm" in name])
    room = tmp_path / "temporary"
    room.mkdir()
    monkeypatch.setattr(module.tempfile, "tempdir", str(room))
    fixed()
    with closing(module.Database(copy / DATABASE)):
        assert len(list(room.iterdir())) == 1
    assert list(room.iterdir()) == []
