"""Files that come from outside: named at the start, or double-clicked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QFileOpenEvent
from PySide6.QtWidgets import QApplication, QDialog

from histoloop.gui.dialogs.new_project import NewProjectDialog
from histoloop.gui.dialogs.open_slides import OpenSlidesDialog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow

JOB_MS = 240_000


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[OpenSlidesDialog], object] | None], None]:
    """Answers the question where slides go; None cancels."""

    def install(choose: Callable[[OpenSlidesDialog], object] | None) -> None:
        def executed(dialog: OpenSlidesDialog) -> int:
            if choose is None:
                return int(QDialog.DialogCode.Rejected)
            choose(dialog)
            return int(QDialog.DialogCode.Accepted)

        monkeypatch.setattr(OpenSlidesDialog, "exec", executed)

    return install


def test_a_double_click_on_a_projects_file_opens_the_project(window: MainWindow, project_folder: Path, qtbot) -> None:
    application = QApplication.instance()
    application.file_requested.connect(lambda path: window.opening.named([path]))
    QApplication.sendEvent(application, QFileOpenEvent(QUrl.fromLocalFile(str(project_folder / "project.histoloop"))))
    qtbot.waitUntil(lambda: window.session.project is not None)
    assert window.session.project.folder == project_folder


def test_a_file_that_stands_alone_is_explained(window: MainWindow, tmp_path: Path) -> None:
    stray = tmp_path / "project.histoloop"
    stray.write_text("")
    window.opening.named([stray])
    assert str(tmp_path) in window.banner.text.text()
    assert window.session.project is None


def test_slides_that_come_while_there_is_no_project_are_asked_about_and_one_enter_brings_them_in(
    window: MainWindow, slides: dict[str, Path], entered: list[str], qtbot
) -> None:
    window.session.predict_added = False
    window.opening.dropped([slides["benign"]])
    assert window.session.project is None  # nothing is made unasked
    qtbot.waitUntil(lambda: [slide.name for slide in window.session.slides()] == ["benign.tiff"], timeout=JOB_MS)
    assert entered == ["A new project for benign.tiff"]
    assert window.session.project.name == "benign"
    qtbot.waitUntil(lambda: window.session.jobs.current is None, timeout=JOB_MS)
    window.session.close_project()
    window.opening.dropped([slides["benign"]])
    qtbot.waitUntil(lambda: len(window.session.slides()) == 1, timeout=JOB_MS)
    assert window.session.project.name == "benign 2"  # the other one is not touched
    qtbot.waitUntil(lambda: window.session.jobs.current is None, timeout=JOB_MS)


def test_a_slide_opened_from_outside_goes_at_once_into_what_is_asked_for_it(
    window: MainWindow, slides: dict[str, Path], entered: list[str], qtbot
) -> None:
    window.session.predict_added = False
    window.opening.named([slides["benign"]])
    assert [slide.name for slide in window.session.slides()] == []
    assert entered == ["A new project for benign.tiff"]
    qtbot.waitUntil(lambda: [slide.name for slide in window.session.slides()] == ["benign.tiff"], timeout=JOB_MS)
    qtbot.waitUntil(lambda: window.session.jobs.current is None, timeout=JOB_MS)


def test_a_slide_goes_into_a_new_project_beside_those_used_before_when_the_user_says_so(
    window: MainWindow, slides: dict[str, Path], project_folder: Path, entered: list[str], answer, qtbot
) -> None:
    window.session.predict_added = False
    window.settings.add_recent_project(project_folder)
    answer(lambda dialog: dialog.places.setCurrentIndex(0))
    window.opening.named([slides["benign"]])
    assert entered == ["A new project for benign.tiff"]
    qtbot.waitUntil(lambda: [slide.name for slide in window.session.slides()] == ["benign.tiff"], timeout=JOB_MS)
    qtbot.waitUntil(lambda: window.session.jobs.current is None, timeout=JOB_MS)
    assert window.session.project.name == "benign"


def test_a_slide_that_its_project_has_already_is_shown(
    window: MainWindow, slides: dict[str, Path], project_folder: Path, answer, qtbot
) -> None:
    window.session.predict_added = False
    window.settings.add_recent_project(project_folder)
    answer(lambda dialog: dialog.choose(project_folder))
    window.opening.named([slides["malignant"]])
    qtbot.waitUntil(lambda: window.session.jobs.current is None, timeout=JOB_MS)
    shown = window.session.project.slides.get(window.slides_panel.current_id())
    assert (window.session.project.folder, shown.name) == (project_folder, "malignant.tiff")
    assert len(window.session.slides()) == 2


def test_nothing_happens_when_the_user_cancels(
    window: MainWindow, slides: dict[str, Path], project_folder: Path, answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NewProjectDialog, "exec", lambda _dialog: int(QDialog.DialogCode.Rejected))
    window.opening.named([slides["benign"]])
    assert window.session.project is None
    window.settings.add_recent_project(project_folder)
    answer(None)
    window.opening.named([slides["benign"]])
    assert window.session.project is None


def test_a_folder_without_a_project_is_refused_in_the_question(window: MainWindow, tmp_path: Path) -> None:
    dialog = OpenSlidesDialog(window, slides=[tmp_path / "a.svs"], projects=[])
    dialog.choose(tmp_path)
    assert dialog.project() is None
    assert "no project" in dialog.problem.text()
