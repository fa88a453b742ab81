"""What is on the canvas is what the panels speak of and the keys act on, also when a slide cannot be shown."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from histoloop.annotations.records import QueryStatus
from histoloop.errors import SlideError
from histoloop.gui.canvas import scene_opener
from histoloop.slides.reader import Slide
from histoloop.store.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from PySide6.QtWidgets import QWidget

    from histoloop.gui.window.main_window import MainWindow

MS = 10_000
FIRST, SECOND = 1, 2


@pytest.fixture
def own_slides(project_folder: Path, tmp_path: Path) -> dict[int, Path]:
    """The files of the project's slides, by id, copied so that they can be taken away."""
    moved = tmp_path / "own slides"
    moved.mkdir()
    files = {}
    with Project.open(project_folder) as project:
        for slide in project.slides.all():
            files[slide.id] = moved / slide.name
            shutil.copy(slide.path, files[slide.id])
            project.slides.relocate(slide.id, files[slide.id])
    return files


@pytest.fixture
def there(window: MainWindow, project_folder: Path, own_slides: dict[int, Path], qtbot) -> MainWindow:
    """The window on the first slide of a project whose files can be taken away."""
    assert window.session.open_project(project_folder)
    qtbot.waitUntil(lambda: window.opener.current == FIRST, timeout=MS)
    assert window.viewer.wait_until_loaded()
    window.activateWindow()  # shortcuts are those of the active window
    qtbot.waitUntil(window.isActiveWindow, timeout=MS)
    return window


def click_slide(window: MainWindow, slide_id: int, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier):
    panel = window.slides_panel
    rows = panel.list.model()
    row = next(index for index in (rows.index(n, 0) for n in range(rows.rowCount())) if index.data(256) == slide_id)
    place = panel.list.visualRect(row).center()
    QTest.mouseClick(panel.list.viewport(), Qt.MouseButton.LeftButton, modifier, place)


def press(window: MainWindow, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    QTest.keyClick(window, key, modifier)


def click(widget: QWidget) -> None:
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


def label_of(window: MainWindow, slide_id: int) -> str | None:
    return window.session.project.slides.get(slide_id).label


def words(window: MainWindow) -> str:
    """What the canvas says instead of a slide."""
    empty = window.split.first.empty
    assert empty.isVisible()
    assert window.viewer.scene is None
    return "\n".join(part.text() for part in (empty.name, empty.reason, empty.advice))


def choose_missing(window: MainWindow, qtbot) -> None:
    """Click on the second slide, which cannot be opened."""
    click_slide(window, SECOND)
    qtbot.waitUntil(lambda: window.opener.trouble is not None, timeout=MS)


def test_a_slide_whose_file_is_gone_leaves_an_empty_canvas_that_says_so(
    there: MainWindow, own_slides: dict[int, Path], qtbot
) -> None:
    own_slides[SECOND].unlink()
    choose_missing(there, qtbot)
    assert there.slides_panel.current_id() == SECOND
    assert there.opener.current is None
    said = words(there)
    assert "malignant.tiff" in said
    assert "the file is not where it was" in said
    assert "Find moved slides" in said
    assert there.slides_panel.list.texts()[1] == "malignant.tiff\nFile not found"
    assert not there.banner.isVisible()


def test_without_a_slide_on_the_canvas_nothing_can_be_annotated_and_the_keys_act_on_the_slide_that_is_named(
    there: MainWindow, own_slides: dict[int, Path], qtbot
) -> None:
    own_slides[SECOND].unlink()
    choose_missing(there, qtbot)
    disabled = (
        "annotate_visible",
        "annotate_here",
        "fit",
        "zoom_in",
        "full_resolution",
        "next_method",
        "compare",
        "skip",
        "cannot_tell",
    )
    assert not [name for name in disabled if there.actions_[name].isEnabled()]
    press(there, Qt.Key.Key_V)
    qtbot.wait(50)
    assert there.session.active is None
    press(there, Qt.Key.Key_1, Qt.KeyboardModifier.AltModifier)
    assert (label_of(there, FIRST), label_of(there, SECOND)) == (None, "Normal")
    assert there.slides_panel.details.picker.currentData() == "Normal"
    press(there, Qt.Key.Key_L, Qt.KeyboardModifier.ControlModifier)
    assert (label_of(there, FIRST), label_of(there, SECOND)) == (None, "Polyp")
    assert "malignant.tiff" in words(there)


def test_the_empty_canvas_takes_the_slide_that_it_names_out_of_the_project(
    there: MainWindow, own_slides: dict[int, Path], qtbot
) -> None:
    own_slides[SECOND].unlink()
    choose_missing(there, qtbot)
    click(there.split.first.empty.remove)
    assert [slide.id for slide in there.session.slides()] == [FIRST]
    qtbot.waitUntil(lambda: there.opener.current == FIRST, timeout=MS)
    assert there.slides_panel.current_id() == FIRST
    assert not there.split.first.empty.isVisible()


def test_a_slide_that_was_found_again_comes_onto_the_canvas(
    there: MainWindow, own_slides: dict[int, Path], tmp_path: Path, qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(own_slides[SECOND], elsewhere)
    choose_missing(there, qtbot)
    monkeypatch.setattr("PySide6.QtWidgets.QFileDialog.getExistingDirectory", lambda *_about: str(elsewhere))
    click(there.split.first.empty.find_moved)
    qtbot.waitUntil(lambda: there.opener.current == SECOND, timeout=MS)
    assert not there.split.first.empty.isVisible()
    assert there.viewer.scene.slide.path == elsewhere / "malignant.tiff"


def test_try_again_shows_a_slide_whose_disk_is_back(there: MainWindow, own_slides: dict[int, Path], qtbot) -> None:
    away = own_slides[SECOND].rename(own_slides[SECOND].with_suffix(".away"))
    choose_missing(there, qtbot)
    click(there.split.first.empty.retry)
    qtbot.waitUntil(lambda: there.opener._worker.idle, timeout=MS)
    assert "not where it was" in words(there)
    away.rename(own_slides[SECOND])
    click(there.split.first.empty.retry)
    qtbot.waitUntil(lambda: there.opener.current == SECOND, timeout=MS)


def test_a_project_whose_slide_is_gone_at_the_start_says_so_on_the_canvas(
    window: MainWindow, project_folder: Path, own_slides: dict[int, Path], qtbot
) -> None:
    for file in own_slides.values():
        file.unlink()
    assert window.session.open_project(project_folder)
    qtbot.waitUntil(lambda: window.opener.trouble is not None, timeout=MS)
    assert "benign.tiff" in words(window)
    assert window.slides_panel.current_id() == FIRST
    assert "File not found" in window.slides_panel.list.texts()[0]


def test_a_file_that_is_deleted_while_it_is_shown_is_missed_when_the_window_is_looked_at_again(
    there: MainWindow, own_slides: dict[int, Path], qtbot
) -> None:
    own_slides[FIRST].unlink()
    there.project_watch.look()
    qtbot.waitUntil(lambda: there.opener.trouble is not None, timeout=MS)
    assert "benign.tiff" in words(there)
    assert "File not found" in there.slides_panel.list.texts()[0]


def test_a_file_that_is_replaced_while_it_is_shown_is_not_shown_as_the_slide(
    there: MainWindow, own_slides: dict[int, Path], qtbot
) -> None:
    other = own_slides[SECOND].read_bytes()
    own_slides[FIRST].unlink()
    own_slides[FIRST].write_bytes(other)
    there.project_watch.look()
    qtbot.waitUntil(lambda: there.opener.trouble is not None, timeout=MS)
    assert "its content differs" in words(there)


def test_a_slide_that_was_replaced_is_never_opened(
    there: MainWindow, own_slides: dict[int, Path], qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_slides[SECOND].write_bytes(b"II*\0 a file that no one has opened")
    opened: list[Path] = []
    monkeypatch.setattr("histoloop.workflows.contents.slides.open_slide", lambda path, **_how: opened.append(path))
    choose_missing(there, qtbot)
    assert "its content differs" in words(there)
    assert not opened


def test_a_slide_that_another_process_removed_is_gone_here_too(there: MainWindow, project_folder: Path, qtbot) -> None:
    with Project.open(project_folder) as project:
        project.slides.remove(FIRST)
    click_slide(there, SECOND)
    click_slide(there, FIRST)
    qtbot.waitUntil(lambda: there.slides_panel.list.count() == 1, timeout=MS)
    qtbot.waitUntil(lambda: there.opener.current == SECOND, timeout=MS)
    assert [slide.id for slide in there.session.slides()] == [SECOND]
    assert there.slides_panel.list.count() == 1
    assert label_of(there, SECOND) is None
    assert "1 slide is no longer in the project" in there.banner.text.text()


def test_while_a_slide_is_loading_the_one_before_is_gone_and_keys_annotate_nothing(
    there: MainWindow, qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = []
    open_scene = scene_opener.open_scene

    def slow(*what: object) -> object:
        while not go:
            QTest.qSleep(5)
        return open_scene(*what)

    monkeypatch.setattr(scene_opener, "open_scene", slow)
    click_slide(there, SECOND)
    assert there.viewer.scene is None
    press(there, Qt.Key.Key_V)
    press(there, Qt.Key.Key_S)
    press(there, Qt.Key.Key_X)
    press(there, Qt.Key.Key_1, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(there.split.first.empty.isVisible, timeout=MS)
    assert "malignant.tiff" in words(there)
    assert "Opening the slide" in words(there)
    go.append(True)
    qtbot.waitUntil(lambda: there.opener.current == SECOND, timeout=MS)
    assert there.session.active is None
    assert len(there.session.queries()) == 3
    assert (label_of(there, FIRST), label_of(there, SECOND)) == (None, "Normal")


def test_a_question_on_a_slide_that_is_gone_is_not_begun_and_the_next_one_is_not_blocked(
    there: MainWindow, own_slides: dict[int, Path], qtbot
) -> None:
    queries = there.session.queries()
    gone = queries[0].slide_id
    others = [query for query in queries if query.slide_id != gone]
    if not others:
        pytest.fail("the questions of the fixture are about one slide only")
    own_slides[gone].unlink()
    click_slide(there, others[0].slide_id)
    qtbot.waitUntil(lambda: there.opener.current == others[0].slide_id, timeout=MS)
    there.queue_panel.select(queries[0].id)
    qtbot.waitUntil(lambda: there.opener.trouble is not None, timeout=MS)
    press(there, Qt.Key.Key_N)
    qtbot.wait(300)
    tried = 0
    while there.viewer.annotating is None and tried < len(queries):
        tried += 1
        press(there, Qt.Key.Key_N)
        qtbot.wait(500)
    qtbot.waitUntil(lambda: there.viewer.annotating is not None, timeout=MS)
    active = there.session.active.record
    assert active.slide_id == there.opener.current != gone
    assert there.work.tabText(0) == "Annotate"
    with Project.connect(there.session.project.folder) as project:
        assert project.queries.get(queries[0].id).status is QueryStatus.OPEN


def test_the_second_canvas_speaks_of_the_same_slide(there: MainWindow, own_slides: dict[int, Path], qtbot) -> None:
    there.actions_["compare"].trigger()
    second = there.split.second
    qtbot.waitUntil(lambda: second.opener.current == FIRST, timeout=MS)
    own_slides[SECOND].unlink()
    choose_missing(there, qtbot)
    qtbot.waitUntil(lambda: second.opener.trouble is not None, timeout=MS)
    assert second.viewer.scene is None
    assert second.empty.isVisible()
    assert second.empty.name.text() == there.split.first.empty.name.text() == "malignant.tiff"
    assert there.actions_["compare"].isEnabled()
    there.actions_["compare"].trigger()
    assert there.split.second is None
    click_slide(there, FIRST)
    qtbot.waitUntil(lambda: there.opener.current == FIRST, timeout=MS)


def test_pixels_that_cannot_be_read_are_told_on_the_canvas_once_and_no_longer_when_they_can(
    there: MainWindow, qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(slide: Slide, *_what: object, **_how: object) -> None:
        raise SlideError(slide.path, "the disk is gone", advice="Connect it.")

    trouble = there.split.first.trouble
    with monkeypatch.context() as broken:
        broken.setattr(Slide, "_read_padded", fail)
        for _move in range(3):
            there.viewer.zoom_by(3)
            there.viewer.look_at(100, 100)
            qtbot.wait(120)
        qtbot.waitUntil(trouble.isVisible, timeout=MS)
        assert trouble.text.text().count("the disk is gone") == 1
        assert not there.banner.isVisible()
    there.viewer.look_at(1500, 800)
    qtbot.waitUntil(lambda: not trouble.isVisible(), timeout=MS)


def test_a_map_that_cannot_be_read_takes_no_slide_off_the_screen(
    there: MainWindow, project_folder: Path, qtbot
) -> None:
    project = there.session.project
    folder = project.maps.find(SECOND, project.models.current().id)
    for file in folder.rglob("zarr.json"):
        file.write_bytes(b"broken")
    click_slide(there, SECOND)
    qtbot.waitUntil(lambda: there.opener.current == SECOND, timeout=MS)
    trouble = there.split.first.trouble
    qtbot.waitUntil(trouble.isVisible, timeout=MS)
    assert "The masks of this slide cannot be read." in trouble.text.text()


def test_what_is_selected_and_what_is_shown_do_not_part(there: MainWindow, qtbot) -> None:
    control = Qt.KeyboardModifier.ControlModifier
    panel = there.slides_panel
    click_slide(there, SECOND, control)
    assert (panel.selected_ids(), panel.current_id()) == ([FIRST, SECOND], SECOND)
    click_slide(there, SECOND, control)
    assert (panel.selected_ids(), panel.current_id()) == ([FIRST], FIRST)
    qtbot.waitUntil(lambda: there.opener.current == FIRST, timeout=MS)
    click_slide(there, FIRST, control)
    assert (panel.selected_ids(), panel.current_id()) == ([FIRST], FIRST)
    blank = QPoint(panel.list.viewport().width() // 2, panel.list.viewport().height() - 3)
    QTest.mouseClick(panel.list.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, blank)
    assert (panel.selected_ids(), panel.current_id()) == ([FIRST], FIRST)
    QTest.keyClick(panel.list, Qt.Key.Key_Down, control)
    assert (panel.selected_ids(), panel.current_id()) == ([FIRST], FIRST)
    assert there.opener.wanted == FIRST


def test_skip_and_cannot_tell_are_about_a_question_in_sight(there: MainWindow, qtbot) -> None:
    query = there.session.queries()[0]
    other = SECOND if query.slide_id == FIRST else FIRST
    there.queue_panel.select(query.id)
    qtbot.waitUntil(lambda: there.opener.current == query.slide_id, timeout=MS)
    assert there.actions_["cannot_tell"].isEnabled()
    click_slide(there, other)
    qtbot.waitUntil(lambda: there.opener.current == other, timeout=MS)
    assert not there.actions_["cannot_tell"].isEnabled()
    press(there, Qt.Key.Key_X)
    press(there, Qt.Key.Key_S)
    qtbot.wait(50)
    assert len(there.session.queries()) == 3


def test_what_the_command_line_added_is_listed_when_the_window_is_looked_at_again(
    there: MainWindow, project_folder: Path, own_slides: dict[int, Path], qtbot
) -> None:
    third = own_slides[FIRST].with_name("third.tiff")
    third.write_bytes(own_slides[SECOND].read_bytes()[:-1] + b"\0")
    command = [sys.executable, "-m", "histoloop", "import", str(project_folder), str(third)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert there.slides_panel.list.count() == 2
    there.project_watch.look()
    qtbot.waitUntil(lambda: there.slides_panel.list.count() == 3, timeout=MS)
    assert there.opener.current == FIRST
