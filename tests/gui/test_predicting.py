"""Predicting in the window: slide by slide, and in the numbers that the user chose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histoloop.gui.kit.settings import Settings
from histoloop.store.maps import open_map
from histoloop.store.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow

JOB_MS = 240_000


@pytest.fixture
def unpredicted(window: MainWindow, project_folder: Path, qtbot) -> MainWindow:
    """The window with a project of two slides that nothing was predicted on."""
    with Project.open(project_folder) as project:
        for slide in project.slides.all():
            project.maps.forget(slide.id)
            project.predictions.forget(slide.id)
    window.session.open_project(project_folder)
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=20_000)
    return window


def test_the_masks_of_a_slide_are_shown_while_the_next_one_is_still_predicted(unpredicted: MainWindow, qtbot) -> None:
    window, session = unpredicted, unpredicted.session
    shown = window.opener.current
    (other,) = (slide.id for slide in session.slides() if slide.id != shown)
    told, came = [], []
    session.slide_predicted.connect(lambda slide_id, _model_id: told.append(slide_id))
    window.opener.shown.connect(lambda _slide_id: came.append((window.viewer.scene.predicted, list(told))))
    session.predict([shown, other])
    qtbot.waitUntil(lambda: not session.jobs.unfinished and not window.opener.busy, timeout=JOB_MS)
    assert told == [shown, other]
    predicted, told_by_then = came[0]
    assert predicted is not None
    assert told_by_then == [shown]  # the other one was not there yet


def test_slides_are_predicted_exactly_where_the_menu_says_so_and_results_tell(
    unpredicted: MainWindow, tmp_path: Path, qtbot
) -> None:
    window, session = unpredicted, unpredicted.session
    assert not window.actions_["predict_exactly"].isChecked()
    window.actions_["predict_exactly"].trigger()
    window.actions_["predict"].trigger()
    qtbot.waitUntil(lambda: not session.jobs.unfinished, timeout=JOB_MS)
    assert [open_map(session.project.maps.find(slide.id)).numbers for slide in session.slides()] == ["float32"] * 2
    session.export(tmp_path / "results")
    qtbot.waitUntil(lambda: not session.jobs.unfinished, timeout=JOB_MS)
    table = (tmp_path / "results" / "summary.csv").read_text("utf-8")
    assert table.count("float32") == 2
    assert Settings(tmp_path / "settings.ini").flag("predict_exactly", default=False)  # as the next window finds it
