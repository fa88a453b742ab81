"""What a clinician says instead of painting: labels of slides, labels and sizes of regions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QWidget

from histoloop.annotations.records import AnnotationStatus, QueryStatus
from histoloop.gui.panels.size_picker import SizePicker
from histoloop.gui.window.history import History
from histoloop.store.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow


def click_at(qtbot, slider: QWidget, share: float) -> None:
    handle = 16
    place = QPoint(round(handle / 2 + share * (slider.width() - handle)), slider.height() // 2)
    qtbot.mouseClick(slider, Qt.MouseButton.LeftButton, pos=place)


def turn_wheel(widget: QWidget) -> None:
    middle = QPointF(widget.rect().center())
    event = QWheelEvent(
        middle,
        QPointF(widget.mapToGlobal(widget.rect().center())),
        QPoint(0, 0),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)


@pytest.fixture
def picker(qtbot) -> tuple[SizePicker, list[float | None]]:
    """A size picker by itself, and what it has told."""
    made = SizePicker()
    qtbot.addWidget(made)
    made.resize(300, 70)
    made.show()
    told: list[float | None] = []
    made.size_chosen.connect(told.append)
    return made, told


# --- the size control -------------------------------------------------------------------------------------------------


def test_a_size_is_not_said_until_the_user_says_it(picker) -> None:
    made, told = picker
    assert made.value is None
    assert made.box.text() == "Not set"
    assert made.slider.property("unset") is True
    assert not made.take_back.isEnabled()
    assert not made.use_mask.isVisible()
    assert told == []


@pytest.mark.parametrize(("share", "size"), [(0.0, 0.0), (0.41, 0.4), (0.5, 0.5), (1.0, 1.0)])
def test_a_click_on_the_slider_says_the_size_there_in_steps_of_5_percent(picker, qtbot, share, size) -> None:
    made, told = picker
    click_at(qtbot, made.slider, share)
    assert made.value == pytest.approx(size)
    assert told == [pytest.approx(size)]
    assert made.box.value() == round(100 * size)
    assert made.slider.property("unset") is False


def test_a_typed_number_is_kept_to_the_percent_and_return_is_no_shortcut_there(picker, qtbot) -> None:
    made, told = picker
    made.box.setFocus()
    made.box.selectAll()
    qtbot.keyClicks(made.box, "37")
    assert told == []
    qtbot.keyClick(made.box, Qt.Key.Key_Return)
    assert told == [0.37]
    assert made.slider.value() == 7


def test_steps_go_to_multiples_of_5_percent_and_stay_within_the_region(picker) -> None:
    made, told = picker
    made.step(more=False)
    made.step(more=True)
    made.set_value(0.37)
    made.step(more=True)
    made.step(more=False)
    made.set_value(0.98)
    made.step(more=True)
    made.step(more=True)
    assert told == [0.0, 0.05, 0.4, 0.35, 1.0]


def test_a_size_can_be_taken_back(picker) -> None:
    made, told = picker
    made.step(more=True)
    made.take_back.click()
    assert told == [0.05, None]
    assert made.box.text() == "Not set"


def test_the_share_of_the_mask_is_offered_once_one_is_painted(picker) -> None:
    made, told = picker
    made.set_painted(0.374)
    assert made.use_mask.isVisible()
    assert "37%" in made.state.text()
    assert made.value is None
    made.use_mask.click()
    assert told == [0.37]
    assert not made.use_mask.isVisible()


def test_the_wheel_scrolls_the_panel_and_changes_nothing(picker) -> None:
    made, told = picker
    for widget in (made.slider, made.box):
        turn_wheel(widget)
    assert made.value is None
    assert told == []


def test_what_is_undone_is_done_again_in_order_until_something_new_is_done() -> None:
    history, log = History(), []
    for name in "ab":
        history.add(
            undo=lambda name=name: log.append(f"undo {name}"),  # type: ignore[misc]
            redo=lambda name=name: log.append(f"redo {name}"),  # type: ignore[misc]
        )
    history.undo()
    history.undo()
    history.undo()
    history.redo()
    assert log == ["undo b", "undo a", "redo a"]
    assert history.can_redo
    history.add(undo=lambda: None, redo=lambda: None)
    assert not history.can_redo


# --- a region ---------------------------------------------------------------------------------------------------------


def saved(window: MainWindow) -> bool:
    return window.annotation_panel.saved.text() == "Saved"


def test_label_and_size_are_kept_without_a_mask_and_the_next_question_opens(
    painting: MainWindow, project_folder: Path, qtbot
) -> None:
    panel, first = painting.annotation_panel, painting.session.active.record
    assert panel.assessment() == (None, None)
    assert not panel.save_without_mask.isEnabled()
    painting.actions_["clear_region"].trigger()
    click_at(qtbot, panel.size_picker.slider, 0.4)
    panel.diagnosis.setCurrentText("Polyp")
    assert panel.save_without_mask.isEnabled()
    panel.save_without_mask.click()
    qtbot.waitUntil(lambda: painting.session.active is not None and painting.session.active.record.id != first.id)
    qtbot.waitUntil(lambda: painting.viewer.annotating == painting.session.active.record.region, timeout=20_000)
    assert panel.assessment() == (None, None)
    with Project.open(project_folder) as project:
        done = project.annotations.get(first.id)
        assert (done.status, done.label, done.has_mask) == (AnnotationStatus.DONE, "Polyp", False)
        assert done.size == pytest.approx(0.4)
        assert project.queries.get(first.query_id).status is QueryStatus.ANNOTATED
        assert project.annotations.with_mask() == []
    assert "1 region with only a size" in painting.training_panel.state.text()
    assert not painting.actions_["retrain"].isEnabled()


def test_done_saves_mask_label_and_a_size_that_is_still_being_typed(
    painting: MainWindow, project_folder: Path, qtbot
) -> None:
    record, box = painting.session.active.record, painting.annotation_panel.size_picker.box
    box.setFocus()
    box.selectAll()
    qtbot.keyClicks(box, "62")
    painting.annotation_panel.finish.click()
    qtbot.waitUntil(lambda: painting.session.active is None or painting.session.active.record.id != record.id)
    with Project.open(project_folder) as project:
        done = project.annotations.get(record.id)
        assert (done.label, done.size, done.has_mask) == (None, 0.62, True)


def test_strokes_labels_and_sizes_are_undone_in_the_order_they_were_made(painting: MainWindow, qtbot) -> None:
    panel, actions = painting.annotation_panel, painting.actions_
    before = painting.viewer.painted_mask
    assert not actions["undo"].isEnabled()
    actions["size_more"].trigger()
    painting.viewer.replace_mask(np.ones_like(before))
    actions["next_label"].trigger()
    label = panel.assessment()[0]
    assert label == painting.session.project.scheme.label_names[0]
    actions["undo"].trigger()
    assert panel.assessment() == (None, 0.05)
    actions["undo"].trigger()
    assert np.array_equal(painting.viewer.painted_mask, before)
    assert panel.assessment() == (None, 0.05)
    actions["undo"].trigger()
    assert panel.assessment() == (None, None)
    assert not actions["undo"].isEnabled()
    for _step in range(3):
        actions["redo"].trigger()
    assert panel.assessment() == (label, 0.05)
    assert painting.viewer.painted_mask.all()
    qtbot.waitUntil(lambda: saved(painting))
    record = painting.session.project.annotations.get(painting.session.active.record.id)
    assert (record.label, record.size) == (label, 0.05)


def test_the_mask_is_offered_as_the_size_only_once_it_is_not_the_models_own(painting: MainWindow, qtbot) -> None:
    picker = painting.annotation_panel.size_picker
    assert painting.viewer.painted_mask.any()
    assert not picker.use_mask.isVisible()
    mask = np.zeros_like(painting.viewer.painted_mask)
    mask[: mask.shape[0] // 4] = 1
    painting.viewer.replace_mask(mask)
    assert picker.use_mask.isVisible()
    painting.actions_["size_from_mask"].trigger()
    assert picker.value == pytest.approx(np.mean(mask > 0), abs=0.006)
    painting.actions_["undo"].trigger()
    painting.actions_["undo"].trigger()
    assert picker.value is None
    assert not picker.use_mask.isVisible()


def test_a_region_left_for_later_is_resumed_with_what_was_said(painting: MainWindow, qtbot) -> None:
    query_id = painting.session.active.record.query_id
    painting.actions_["size_more"].trigger()
    painting.actions_["next_label"].trigger()
    given = painting.annotation_panel.assessment()
    painting.actions_["leave"].trigger()
    painting.session.annotating.begin_query(query_id)
    qtbot.waitUntil(lambda: painting.viewer.annotating is not None)
    assert painting.annotation_panel.assessment() == given
    painting.actions_["undo"].trigger()
    painting.actions_["undo"].trigger()
    assert painting.annotation_panel.assessment() == (None, None)
    assert not painting.actions_["undo"].isEnabled()


SAY_AND_DIE = """
import os, signal, sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from histoloop.gui.application import make_application
from histoloop.gui.window.main_window import MainWindow
from histoloop.gui.kit.settings import Settings

def until(condition):
    while not condition():
        QCoreApplication.processEvents()

if __name__ == "__main__":
    folder, settings = Path(sys.argv[1]), Path(sys.argv[2])
    make_application()
    window = MainWindow(Settings(settings))
    window.show()
    window.session.open_project(folder)
    until(lambda: window.opener.current is not None)
    window.slide_control.label([window.session.slides()[0].id], "Polyp")
    window.actions_["next_question"].trigger()
    until(lambda: window.viewer.annotating is not None)
    for step in range(6):
        window.actions_["size_more"].trigger()
    window.annotation_panel.diagnosis.setCurrentText("Normal")
    until(lambda: window.annotation_panel.saved.text() == "Saved")
    print(window.session.active.record.id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
def test_what_was_said_and_shown_as_saved_survives_kill_9(project_folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "say_and_die.py"
    script.write_text(SAY_AND_DIE, encoding="utf-8")
    command = [sys.executable, str(script), str(project_folder), str(tmp_path / "other.ini")]
    environment = os.environ | {"HISTOLOOP_HOME": str(tmp_path / "other")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Project.open(project_folder) as project:
        draft = project.annotations.get(int(done.stdout))
        assert (draft.status, draft.label, draft.size) == (AnnotationStatus.DRAFT, "Normal", 0.3)
        assert project.slides.all()[0].label == "Polyp"


# --- a slide ----------------------------------------------------------------------------------------------------------


def pick(window: MainWindow, qtbot, name: str) -> None:
    """Choose a label as a user does with the keys in the opened list."""
    picker = window.slides_panel.details.picker
    picker.showPopup()
    index = picker.findText(name)
    view = picker.view()
    view.setCurrentIndex(picker.model().index(index, 0))
    qtbot.keyClick(view, Qt.Key.Key_Return)


def test_what_is_predicted_and_what_was_said_are_shown_apart(opened: MainWindow, project_folder: Path, qtbot) -> None:
    slide, details = opened.session.slides()[0], opened.slides_panel.details
    assert slide.is_unlike  # synthetic tissue is no EBHI-Seg
    predicted = "Unlike the training data: no label is given"
    opened.session.person = "Ada"
    assert (details.predicted.text(), details.who.text()) == (predicted, "Your label:")
    assert details.picker.currentText() == "Unlabelled"
    pick(opened, qtbot, "Polyp")
    assert (details.predicted.text(), details.who.text()) == (predicted, "Your label:")
    assert details.picker.currentText() == "Polyp"
    assert opened.slides_panel.list.texts()[0].endswith("\nLabelled: Polyp")
    with Project.open(project_folder) as project:
        said = project.slides.get(slide.id).given_label
        assert (said.label, said.person) == ("Polyp", "Ada")
        project.slides.set_label(slide.id, "Normal", person="Bo")
    opened.session.slides_changed.emit()
    assert details.who.text() == "Label by Bo:"
    assert "Labelled by Bo" in details.picker.toolTip()


def test_several_slides_are_labelled_at_once_and_stay_selected(opened: MainWindow, qtbot) -> None:
    panel = opened.slides_panel
    pick(opened, qtbot, "Polyp")
    panel.list.selectAll()
    assert panel.details.picker.currentIndex() == -1
    pick(opened, qtbot, "Normal")
    assert [slide.label for slide in opened.session.slides()] == ["Normal", "Normal"]
    assert len(panel.selected_ids()) == 2
    assert panel.details.picker.currentText() == "Normal"
    opened.actions_["undo"].trigger()
    assert [slide.label for slide in opened.session.slides()] == ["Polyp", None]
    opened.actions_["undo"].trigger()
    assert [slide.label for slide in opened.session.slides()] == [None, None]
    assert not opened.actions_["undo"].isEnabled()
    opened.actions_["redo"].trigger()
    assert [slide.label for slide in opened.session.slides()] == ["Polyp", None]


def test_the_menu_labels_the_slide_ticks_what_was_said_and_shows_its_shortcuts(opened: MainWindow, qtbot) -> None:
    menu = opened.actions_.submenus["label"]
    names = opened.session.project.scheme.label_names
    assert [action.text() for action in menu.actions()] == ["Unlabelled", *names]
    assert [action.shortcut().toString() for action in menu.actions()][:3] == ["Alt+0", "Alt+1", "Alt+2"]
    menu.actions()[2].trigger()
    assert opened.session.slides()[0].label == names[1]
    menu.aboutToShow.emit()
    assert [action.text() for action in menu.actions() if action.isChecked()] == [names[1]]
    menu.actions()[0].trigger()
    assert opened.session.slides()[0].label is None
    opened.actions_["next_slide_label"].trigger()
    assert opened.session.slides()[0].label == names[0]


def test_undo_while_painting_leaves_the_labels_of_slides_alone(painting: MainWindow, qtbot) -> None:
    slide_id = painting.opener.current
    painting.slide_control.label([slide_id], "Polyp")
    assert not painting.actions_["undo"].isEnabled()
    painting.actions_["size_more"].trigger()
    painting.actions_["undo"].trigger()
    assert painting.session.project.slides.get(slide_id).label == "Polyp"
    painting.actions_["leave"].trigger()
    painting.actions_["undo"].trigger()
    assert painting.session.project.slides.get(slide_id).label is None


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everything_to_answer_a_question_fits_into_a_window_of_1280_by_800(
    painting: MainWindow, qtbot, theme: str
) -> None:
    painting.preferences.set_theme(theme)
    painting.actions_["leave"].trigger()
    painting.resize(1280, 800)
    painting.actions_["next_question"].trigger()
    qtbot.waitUntil(lambda: painting.viewer.annotating is not None, timeout=20_000)
    panel = painting.annotation_panel
    qtbot.waitUntil(lambda: panel.visibleRegion().contains(panel.cannot_tell.geometry().center()))
    for widget in (panel.size_picker, panel.finish, panel.save_without_mask, panel.skip, panel.leave):
        assert not widget.visibleRegion().isEmpty()
        assert widget.visibleRegion().boundingRect() == widget.rect()
