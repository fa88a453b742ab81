"""The first start, the loop in five steps, and the page about the program."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QPushButton

from histoloop.gui.dialogs.about import NO_TEXT, WAITING, AboutDialog
from histoloop.gui.kit.settings import Settings
from histoloop.gui.window.newcomers.first_steps import LOOKING, FirstSteps
from histoloop.gui.window.newcomers.five_steps import STEPS, FiveSteps
from histoloop.workflows import about

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow

JOB_MS = 240_000


def buttons_of_step(strip: FiveSteps) -> list[QPushButton]:
    """The buttons that can be seen, besides those that go from step to step."""
    going = (strip.back, strip.next, strip.close_button)
    return [button for button in strip.findChildren(QPushButton) if button.isVisible() and button not in going]


@pytest.fixture
def first(window: MainWindow, qtbot) -> Iterator[FirstSteps]:
    """The dialog with its folder looked at."""
    window.help_commands.first_steps()
    (dialog,) = window.findChildren(FirstSteps)
    qtbot.waitUntil(lambda: bool(dialog.folder_state.text()))
    yield dialog
    window.session.jobs.shut_down()


def test_it_comes_once_and_however_it_is_left(window: MainWindow, first: FirstSteps) -> None:
    assert window.settings.first_time
    first.reject()
    assert not window.settings.first_time
    assert not window.five_steps.isVisible()


def test_return_shows_the_loop_and_no_choice_looks_taken(first: FirstSteps) -> None:
    assert first.focusWidget() is first.guided
    assert first.guided.isDefault()


def test_it_does_not_come_where_nothing_can_be_remembered(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    settings = Settings(tmp_path / "file" / "settings.ini")
    assert not settings.can_be_kept
    assert not settings.first_time


def test_a_theme_is_seen_at_once_and_kept(window: MainWindow, first: FirstSteps) -> None:
    light = window.palette().window().color()
    first.theme.buttons[2].click()
    assert window.settings.text("theme") == "dark"
    assert window.palette().window().color().lightness() < light.lightness()
    window.preferences.set_theme("light")


def test_new_projects_go_where_it_was_said(window: MainWindow, first: FirstSteps, tmp_path: Path, qtbot) -> None:
    first.folder.setText(str(tmp_path / "elsewhere"))
    qtbot.waitUntil(lambda: "free there" in first.folder_state.text())
    first.reject()
    assert window.settings.projects == tmp_path / "elsewhere"
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_was_said_at_the_last_moment_counts(
    window: MainWindow, first: FirstSteps, tmp_path: Path
) -> None:
    first.folder.setText(str(tmp_path / "late"))
    first.reject()
    assert window.settings.projects == tmp_path / "late"


def test_a_folder_that_cannot_be_used_is_told_and_not_taken_over(
    window: MainWindow, first: FirstSteps, tmp_path: Path, qtbot
) -> None:
    before = window.settings.projects
    (tmp_path / "file").write_text("", encoding="utf-8")
    first.folder.setText(str(tmp_path / "file"))
    qtbot.waitUntil(lambda: "is a file" in first.folder_state.text())
    assert first.folder_state.objectName() == "bad"
    first.reject()
    assert window.settings.projects == before


def test_what_the_machine_can_do_is_told_in_words(first: FirstSteps, qtbot) -> None:
    qtbot.waitUntil(lambda: first.machine.text() != LOOKING, timeout=JOB_MS)
    assert "GPU" in first.machine.text()
    assert "Slides are rendered by" in first.machine.text()


def test_the_five_steps_begin_on_the_demo(window: MainWindow, first: FirstSteps, monkeypatch) -> None:
    opened = []
    monkeypatch.setattr(window.opening, "demo", opened.append)
    first.accept()
    assert first.result() == QDialog.DialogCode.Accepted
    assert opened == [window.settings.projects / "Demo"]
    assert not window.five_steps.isVisible()  # of what is not there yet
    window.session.project_changed.emit()
    assert window.five_steps.isVisible()


def test_the_demo_asked_for_twice_is_made_once(window: MainWindow, qtbot) -> None:
    for _click in range(2):
        qtbot.mouseClick(window.welcome.demo, Qt.MouseButton.LeftButton)
    assert len(window.session.jobs.unfinished) == 1
    qtbot.waitUntil(lambda: window.session.project is not None, timeout=JOB_MS)
    assert not window.banner.isVisible()
    window.session.jobs.shut_down()


def test_the_steps_stay_on_the_project_that_is_open_and_do_what_they_say(opened: MainWindow) -> None:
    folder = opened.session.project.folder
    opened.actions_["five_steps"].trigger()
    strip = opened.five_steps
    assert opened.session.project.folder == folder
    for number, step in enumerate(STEPS):
        assert strip.title.text() == f"{number + 1} of 5   {step.title}"
        shown = buttons_of_step(strip)
        assert [made.isEnabled() for made in shown] == [opened.actions_[name].isEnabled() for name in step.actions]
        strip.next.click()
    assert not strip.isVisible()
    opened.actions_["five_steps"].trigger()
    strip.next.click()
    strip.back.click()
    masks = buttons_of_step(strip)[0]
    before = opened.overlay_panel.masks.isChecked()
    masks.click()
    assert opened.overlay_panel.masks.isChecked() is not before
    strip.close_button.click()
    assert not strip.isVisible()


def test_the_page_about_the_program_lists_packages_with_licences(window: MainWindow, qtbot) -> None:
    window.actions_["about"].trigger()
    (dialog,) = window.findChildren(AboutDialog)
    assert dialog.text.toPlainText() == WAITING
    qtbot.waitUntil(lambda: dialog.list.rowCount() > 0, timeout=60_000)
    rows = {
        dialog.list.item(row, 0).text(): (dialog.list.item(row, 1).text(), dialog.list.item(row, 2).text())
        for row in range(dialog.list.rowCount())
    }
    assert {"torch", "napari", "pyside6", "openslide-bin", "numpy"} <= rows.keys()
    assert "BSD" in rows["napari"][1]
    assert all(version and licence for version, licence in rows.values())
    names = list(rows)
    dialog.list.selectRow(names.index("napari"))
    qtbot.waitUntil(lambda: "napari" in dialog.text.toPlainText().lower(), timeout=20_000)
    dialog.list.selectRow(names.index("pyside6"))
    qtbot.waitUntil(lambda: dialog.text.toPlainText() == NO_TEXT, timeout=20_000)
    dialog.reject()


def test_new_versions_are_offered_only_where_a_publisher_has_set_the_page(
    window: MainWindow, delete_window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from histoloop.gui.window import help_commands, main_window
    from histoloop.gui.window.main_window import MainWindow

    assert window.actions_["new_version"].isVisible() is (about.releases_page() is not None)
    page = "https://publisher.example/releases"
    for module in (main_window, help_commands):
        monkeypatch.setattr(module, "releases_page", lambda: page)
    other = MainWindow(Settings(tmp_path / "other.ini"))
    visited = []
    monkeypatch.setattr(help_commands.QDesktopServices, "openUrl", lambda url: visited.append(url.toString()))
    assert other.actions_["new_version"].isVisible()
    assert visited == []
    other.actions_["new_version"].trigger()
    assert visited == [page]
    delete_window(other)


def test_a_home_that_cannot_be_written_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from histoloop.gui import application
    from histoloop.log import logging_to_file

    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("HISTOLOOP_HOME", str(tmp_path / "file"))
    handlers = list(logging.getLogger().handlers)
    with logging_to_file("window") as trouble:
        assert trouble is not None
        message = application._unwritable(trouble)
    assert "not saved" in message
    assert str(tmp_path / "file") in message
    assert logging.getLogger().handlers == handlers


def test_that_nothing_is_kept_is_said_over_the_first_project_too(window: MainWindow, project_folder: Path) -> None:
    from histoloop.gui import application

    application._say_unwritable(window, PermissionError(13, "Permission denied"))
    assert window.banner.isVisible()
    assert window.session.open_project(project_folder)
    assert window.banner.isVisible()
    assert "Permission denied" in window.banner.text.text()
    window.banner.dismiss()
    window.session.close_project()
    assert not window.banner.isVisible()
