"""One window writes to a project; a second one, and one where nothing can be written, looks at it and says so."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from histoloop.gui.kit.settings import Settings
from histoloop.gui.work.window_lock import LOCK, STALE_S, WindowLock
from histoloop.store import project_database
from histoloop.store.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow

MS, JOB_MS = 10_000, 240_000
WRITING = (
    "add_slides",
    "add_folder",
    "predict",
    "next_slide_label",
    "set_mpp",
    "find_moved",
    "remove_slides",
    "add_model",
    "ask",
    "next_question",
    "annotate_visible",
    "annotate_here",
    "retrain",
    "skip",
    "cannot_tell",
)
LOOKING = ("export", "fit", "zoom_in", "show_heatmap", "next_method", "compare", "close_project", "model_card")


@pytest.fixture
def second(opened: MainWindow, delete_window, project_folder: Path, tmp_path: Path, qtbot) -> Iterator[MainWindow]:
    """A second window with the project of the first."""
    from histoloop.gui.window.main_window import MainWindow

    window = MainWindow(Settings(tmp_path / "second.ini"))
    window.session.person = "Second"
    window.show()
    qtbot.waitExposed(window)
    qtbot.waitUntil(lambda: Project.connect(project_folder).settings.get("window") is not None, timeout=MS)
    assert window.session.open_project(project_folder)
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=MS)
    yield window
    delete_window(window)


def holding_process(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock of a project's window."""
    script = "import sys, time; from pathlib import Path; from histoloop.gui.work.window_lock import WindowLock\n"
    script += "lock = WindowLock(Path(sys.argv[1])); print(lock.take(), flush=True); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def test_a_second_window_says_who_has_the_project_and_offers_nothing_that_changes_it(
    opened: MainWindow, second: MainWindow
) -> None:
    assert not opened.session.read_only
    assert not opened.read_only_bar.isVisible()
    assert second.session.read_only
    assert second.read_only_bar.isVisible()
    said = second.read_only_bar.text.text()
    assert f"{opened.session.person} has had this project open in another window since 20" in said
    assert not [name for name in WRITING if second.actions_[name].isEnabled()]
    assert [name for name in LOOKING if not second.actions_[name].isEnabled()] == []
    assert "read-only" in second.actions_["retrain"].toolTip()
    assert not second.slides_panel.add.isEnabled()
    assert not second.slides_panel.details.picker.isEnabled()
    assert not second.queue_panel.open.isEnabled()
    assert not second.queue_panel.options.ask.isEnabled()
    assert not second.training_panel.retrain.isEnabled()


def test_no_key_and_no_double_click_in_a_second_window_changes_the_project(
    opened: MainWindow, second: MainWindow, project_folder: Path, qtbot
) -> None:
    version = opened.session.project.data_version()
    second.activateWindow()
    qtbot.waitUntil(second.isActiveWindow, timeout=MS)
    for key in (Qt.Key.Key_N, Qt.Key.Key_V, Qt.Key.Key_S, Qt.Key.Key_X):
        QTest.keyClick(second, key)
    QTest.keyClick(second, Qt.Key.Key_1, Qt.KeyboardModifier.AltModifier)
    QTest.keyClick(second, Qt.Key.Key_L, Qt.KeyboardModifier.ControlModifier)
    questions = second.queue_panel.list
    place = questions.visualItemRect(questions.item(0)).center()
    QTest.mouseClick(questions.viewport(), Qt.MouseButton.LeftButton, pos=place)
    QTest.mouseDClick(questions.viewport(), Qt.MouseButton.LeftButton, pos=place)
    second.session.predict()
    assert "open for reading only" in second.banner.text.text()
    second.session.annotating.begin_query(second.session.queries()[0].id)
    second.session.set_slide_labels({1: "Normal"})
    qtbot.wait(200)
    assert second.session.active is None
    assert second.session.jobs.current is None
    assert opened.session.project.data_version() == version


def test_when_the_first_window_is_closed_the_second_one_can_write(
    opened: MainWindow, second: MainWindow, project_folder: Path, qtbot
) -> None:
    QTest.mouseClick(second.read_only_bar.write, Qt.MouseButton.LeftButton)
    assert second.session.read_only
    assert "cannot be opened for writing yet" in second.banner.text.text()
    opened.session.close_project()
    QTest.mouseClick(second.read_only_bar.write, Qt.MouseButton.LeftButton)
    assert not second.session.read_only
    assert not second.read_only_bar.isVisible()
    second.session.set_slide_labels({1: "Normal"})
    with Project.connect(project_folder) as project:
        assert project.slides.get(1).label == "Normal"
    assert opened.session.open_project(project_folder)
    assert opened.session.read_only
    assert "Second has had this project open" in opened.read_only_bar.text.text()


def test_the_same_project_opened_again_in_its_window_stays_writable(opened: MainWindow, project_folder: Path) -> None:
    assert opened.session.open_project(project_folder)
    assert not opened.session.read_only
    assert (project_folder / LOCK).exists()
    opened.session.close_project()
    assert not (project_folder / LOCK).exists()


def test_a_lock_outlives_no_crash(window: MainWindow, project_folder: Path) -> None:
    process = holding_process(project_folder)
    assert window.session.open_project(project_folder)
    assert window.session.read_only
    process.kill()
    process.communicate()
    assert (project_folder / LOCK).exists()
    window.session.open_for_writing()
    assert not window.session.read_only


def test_a_lock_of_another_machine_holds_while_it_is_renewed(tmp_path: Path) -> None:
    elsewhere = tmp_path / LOCK
    elsewhere.write_text("1\nhistoloop\nanother-machine\n\n\n")
    lock = WindowLock(tmp_path)
    assert not lock.take()
    assert lock.host() == "another-machine"
    long_ago = time.time() - 2 * STALE_S
    os.utime(elsewhere, (long_ago, long_ago))
    assert lock.take()
    lock.release()


def test_a_window_whose_lock_was_taken_while_its_machine_slept_writes_no_longer(
    opened: MainWindow, project_folder: Path
) -> None:
    (project_folder / LOCK).write_text("1\nhistoloop\nanother-machine\n\n\n")
    opened.session._renew_lock()
    assert opened.session.read_only
    assert "Somebody (at another-machine) has this project open" in opened.read_only_bar.text.text()
    assert "another-machine" in (project_folder / LOCK).read_text()


def test_the_command_line_writes_beside_an_open_window(opened: MainWindow, project_folder: Path) -> None:
    command = [sys.executable, "-m", "histoloop", "query", str(project_folder), "--count", "1", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    opened.project_watch.look()
    (question,) = opened.session.queries()
    assert opened.queue_panel.shown_ids() == [question.id]


@pytest.fixture
def fixed(window: MainWindow, project_folder: Path, monkeypatch: pytest.MonkeyPatch, qtbot) -> MainWindow:
    """The window with a project whose place cannot be written."""
    monkeypatch.setattr(project_database, "can_be_written", lambda _path: False)
    assert window.session.open_project(project_folder)
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=MS)
    return window


def test_a_project_whose_place_cannot_be_written_is_shown_with_its_masks_and_can_be_exported(
    fixed: MainWindow, project_folder: Path, tmp_path: Path, qtbot
) -> None:
    assert fixed.session.read_only
    assert "its folder cannot be written to" in fixed.read_only_bar.text.text()
    assert "Copy the project's folder" in fixed.read_only_bar.text.text()
    assert fixed.viewer.wait_until_loaded()
    assert fixed.viewer.scene.predicted is not None
    assert not fixed.split.first.trouble.isVisible()
    assert not [name for name in WRITING if fixed.actions_[name].isEnabled()]
    out = tmp_path / "out"
    fixed.session.export(out)
    qtbot.waitUntil(lambda: fixed.session.jobs.current is None, timeout=JOB_MS)
    assert "written to" in fixed.banner.text.text()
    assert list(out.rglob("*.geojson"))


@pytest.mark.parametrize("work", ["predict", "retrain", "add_slides"])
def test_long_work_on_a_project_that_cannot_be_written_is_refused_before_it_begins(
    fixed: MainWindow, work: str, slides: dict[str, Path]
) -> None:
    arguments = [[slides["benign"]]] if work == "add_slides" else []
    getattr(fixed.session, work)(*arguments)
    assert fixed.session.jobs.current is None
    assert "its folder cannot be written to" in fixed.banner.text.text()
