"""Only what I painted counts: chosen, painted, taken back, done and reopened, with mouse and keyboard in the window."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtCore import Qt

from histoloop.annotations.painting import PAINTED_BACKGROUND
from histoloop.annotations.records import AnnotationStatus, Counts, Origin
from histoloop.gui.dialogs.choice_dialog import ChoiceDialog
from histoloop.gui.mouse import drag
from histoloop.store.project import Project

if TYPE_CHECKING:
    from histoloop.gui.window.main_window import MainWindow

BRUSH_PX = 40
SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")
"""Folder that pictures of the window are kept in, for people; none are without it."""


def shoot(window: MainWindow, name: str) -> None:
    if SHOTS:
        window.grab().save(f"{SHOTS}/{name}.png")


def key(window: MainWindow, qtbot, which: Qt.Key) -> None:
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    window.viewer.canvas.setFocus()
    qtbot.keyClick(window.viewer.canvas, which)


def stroke(window: MainWindow, qtbot, *, dy: float = 0) -> None:
    """Paint 60 level-0 pixels to the right of the region's middle, `dy` below it."""
    x, y = window.viewer.annotating.centre
    before = window.viewer.painted_mask
    drag(window.viewer.canvas, [window.viewer.to_canvas(x + step * 6, y + dy) for step in range(11)])
    qtbot.waitUntil(lambda: not np.array_equal(window.viewer.painted_mask, before))


@pytest.fixture
def strokes(painting: MainWindow, qtbot) -> MainWindow:
    """A region of which the strokes alone count, said with the mouse."""
    painting.annotation_panel.brush.setValue(round(BRUSH_PX * painting.viewer.camera().zoom))
    qtbot.mouseClick(painting.annotation_panel.counting.buttons[Counts.STROKES], Qt.MouseButton.LeftButton)
    assert painting.paint_control.counts is Counts.STROKES
    return painting


def saved(window: MainWindow, qtbot) -> None:
    qtbot.waitUntil(lambda: window.annotation_panel.saved.text() == "Saved")


def done(window: MainWindow, qtbot):
    """The annotation that is done, read by another program."""
    draft = window.session.active.record
    key(window, qtbot, Qt.Key.Key_Return)
    project = window.session.project
    qtbot.waitUntil(lambda: project.annotations.get(draft.id).status is AnnotationStatus.DONE)
    return project.annotations.get(draft.id)


def test_nothing_is_painted_at_first_whatever_the_model_predicts(strokes: MainWindow) -> None:
    assert strokes.session.active.predicted.any()
    assert not strokes.viewer.painted_mask.any()
    assert strokes.annotation_panel.counting.background.isVisible()


def test_a_stroke_and_a_stroke_of_background_count_and_nothing_else(strokes: MainWindow, qtbot) -> None:
    strokes.annotation_panel.choose_class(2)
    stroke(strokes, qtbot)
    key(strokes, qtbot, Qt.Key.Key_0)
    stroke(strokes, qtbot, dy=60)
    assert set(np.unique(strokes.viewer.painted_mask)) == {0, 2, PAINTED_BACKGROUND}
    strokes.viewer.wait_until_loaded()
    shoot(strokes, "strokes")
    record = done(strokes, qtbot)
    mask, origin = strokes.session.project.annotations.load_mask(record.id)
    assert record.counts is Counts.STROKES
    assert set(np.unique(mask[origin == Origin.HUMAN]).tolist()) == {0, 2}
    assert set(np.unique(origin).tolist()) == {Origin.HUMAN, Origin.LEFT_OUT}
    area = np.count_nonzero(origin == Origin.HUMAN)
    assert area == pytest.approx(2 * (60 * BRUSH_PX + np.pi * BRUSH_PX**2 / 4), rel=0.1)


def test_strokes_without_any_are_not_done_and_the_window_says_why(strokes: MainWindow, qtbot) -> None:
    key(strokes, qtbot, Qt.Key.Key_Return)
    assert "Nothing is painted in this region" in strokes.banner.text.text()
    assert strokes.viewer.annotating is not None
    assert strokes.session.active.record.status is AnnotationStatus.DRAFT


def test_the_choice_is_undone_and_done_again_in_order_with_the_strokes(strokes: MainWindow, qtbot) -> None:
    stroke(strokes, qtbot)
    painted = strokes.viewer.painted_mask
    strokes.actions_["undo"].trigger()
    assert not strokes.viewer.painted_mask.any()
    strokes.actions_["undo"].trigger()
    assert strokes.paint_control.counts is Counts.REGION
    assert np.array_equal(strokes.viewer.painted_mask, strokes.session.active.predicted)
    assert strokes.annotation_panel.counting.buttons[Counts.REGION].isChecked()
    strokes.actions_["redo"].trigger()
    strokes.actions_["redo"].trigger()
    assert strokes.paint_control.counts is Counts.STROKES
    assert np.array_equal(strokes.viewer.painted_mask, painted)
    saved(strokes, qtbot)
    with Project.connect(strokes.session.project.folder) as project:
        assert project.annotations.get(strokes.session.active.record.id).counts is Counts.STROKES


def test_a_stroke_stays_when_the_whole_region_counts_and_what_was_erased_is_as_the_model_predicts(
    strokes: MainWindow, qtbot
) -> None:
    active = strokes.session.active
    strokes.annotation_panel.choose_class(2)
    stroke(strokes, qtbot)
    key(strokes, qtbot, Qt.Key.Key_T)
    assert strokes.paint_control.counts is Counts.REGION
    mask = strokes.viewer.painted_mask
    assert np.count_nonzero(mask != active.predicted) > 0
    key(strokes, qtbot, Qt.Key.Key_T)
    strokes.actions_["tool_eraser"].trigger()
    strokes.annotation_panel.brush.setValue(round(3 * BRUSH_PX * strokes.viewer.camera().zoom))
    stroke(strokes, qtbot)
    assert not strokes.viewer.painted_mask.any()
    key(strokes, qtbot, Qt.Key.Key_T)
    assert np.array_equal(strokes.viewer.painted_mask, active.predicted)


def test_what_was_begun_goes_on_as_strokes(strokes: MainWindow, qtbot) -> None:
    stroke(strokes, qtbot)
    painted, record = strokes.viewer.painted_mask, strokes.session.active.record
    saved(strokes, qtbot)
    key(strokes, qtbot, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: strokes.viewer.annotating is None)
    strokes.session.annotating.go_on(record.id)
    qtbot.waitUntil(lambda: strokes.viewer.annotating is not None)
    assert strokes.paint_control.counts is Counts.STROKES
    assert np.array_equal(strokes.viewer.painted_mask, painted)
    strokes.actions_["undo"].trigger()
    assert not strokes.viewer.painted_mask.any()


def test_done_strokes_are_reopened_and_the_newest_count(strokes: MainWindow, qtbot) -> None:
    strokes.annotation_panel.choose_class(2)
    stroke(strokes, qtbot)
    first = done(strokes, qtbot)
    qtbot.waitUntil(lambda: strokes.session.active is not None and strokes.session.active.record.id != first.id)
    qtbot.waitUntil(lambda: strokes.viewer.annotating is not None)  # the next question
    strokes.session.annotating.leave()
    strokes.session.annotating.go_on(first.id)
    qtbot.waitUntil(lambda: strokes.session.active is not None and strokes.viewer.annotating == first.region)
    assert strokes.paint_control.counts is Counts.STROKES
    strokes.annotation_panel.choose_class(1)
    stroke(strokes, qtbot, dy=60)
    second = strokes.session.active.record
    key(strokes, qtbot, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: strokes.findChild(ChoiceDialog) is not None)
    qtbot.mouseClick(strokes.findChild(ChoiceDialog).answers[0], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: strokes.session.project.annotations.get(second.id).status is AnnotationStatus.DONE)
    project = strokes.session.project
    assert [each.id for each in project.annotations.finished() if each.region == first.region] == [second.id]
    mask, origin = project.annotations.load_mask(second.id)
    assert set(np.unique(mask[origin == Origin.HUMAN]).tolist()) == {1, 2}


def test_accepting_lets_the_whole_region_count(strokes: MainWindow, qtbot) -> None:
    stroke(strokes, qtbot)
    draft, predicted = strokes.session.active.record, strokes.session.active.predicted
    strokes.actions_["accept"].trigger()
    project = strokes.session.project
    qtbot.waitUntil(lambda: project.annotations.get(draft.id).status is AnnotationStatus.DONE)
    assert project.annotations.get(draft.id).counts is Counts.REGION
    assert np.array_equal(project.annotations.load_mask(draft.id)[0], predicted)
