"""What a double click on a project's file leads to."""

from __future__ import annotations

import pytest

from histoloop.errors import ProjectError
from histoloop.store.project import Project
from histoloop.store.project_file import SUFFIX, project_folder


def test_a_new_project_has_a_file_to_double_click(project):
    (file,) = project.folder.glob(f"*{SUFFIX}")
    assert project_folder(file) == project.folder


def test_a_project_of_an_earlier_version_gets_its_file_when_it_is_opened(project):
    (file,) = project.folder.glob(f"*{SUFFIX}")
    file.unlink()
    Project.open(project.folder).close()
    assert file.is_file()


def test_a_file_that_the_user_renamed_is_left_as_it_is(project):
    (file,) = project.folder.glob(f"*{SUFFIX}")
    renamed = file.rename(file.with_name(f"My colon{SUFFIX}"))
    Project.open(project.folder).close()
    assert list(project.folder.glob(f"*{SUFFIX}")) == [renamed]
    assert project_folder(renamed) == project.folder


def test_a_project_is_named_by_its_folder_or_its_database_too(project):
    assert project_folder(project.folder) == project.folder
    assert project_folder(project.folder / "project.db") == project.folder


def test_a_project_is_named_by_its_file_from_within_the_folder(project, monkeypatch):
    (file,) = project.folder.glob(f"*{SUFFIX}")
    monkeypatch.chdir(project.folder)
    assert project_folder(file.relative_to(project.folder)) == project.folder


def test_a_file_copied_out_of_its_project_leads_to_an_explanation(tmp_path):
    stray = tmp_path / f"copied elsewhere{SUFFIX}"
    stray.write_text("")
    with pytest.raises(ProjectError, match="There is no project"):
        Project.open(project_folder(stray))


def test_other_paths_name_no_project(project, tmp_path):
    assert project_folder(tmp_path) is None
    assert project_folder(tmp_path / f"absent{SUFFIX}") is None
    assert project_folder(project.folder / "slide.svs") is None
