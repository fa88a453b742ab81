"""A region that is drawn freely: only what lies inside the line is annotated, whatever is painted over it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt

from histoloop.annotations.records import LEFT_OUT_VALUE, AnnotationStatus, Counts, Origin
from histoloop.gui.mouse import drag
from histoloop.store.project import Project
from histoloop.workflows.contents.places import LARGEST_PX

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow

SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")
CENTRE, RADII = (800.0, 500.0), (420.0, 300.0)


def shoot(window: MainWindow, name: str) -> None:
    if SHOTS:
        window.grab().save(f"{SHOTS}/{name}.png")


def press(window: MainWindow, qtbot, key: Qt.Key) -> None:
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    window.viewer.canvas.setFocus()
    qtbot.keyClick(window.viewer.canvas, key)


def ellipse(window: MainWindow, share: float = 1.0) -> list[QPointF]:
    """Places on the canvas along an ellipse of the slide, a share of the whole turn."""
    angles = np.linspace(0, 2 * np.pi * share, 60)
    x, y = CENTRE[0] + RADII[0] * np.cos(angles), CENTRE[1] + RADII[1] * np.sin(angles)
    return [window.viewer.to_canvas(*place) for place in zip(x, y, strict=True)]


def inside_of(region) -> np.ndarray:
    """(H, W) the share of the region inside the ellipse, as its line was drawn."""
    rows, columns = np.mgrid[: region.height, : region.width] + 0.5
    x, y = columns + region.x - CENTRE[0], rows + region.y - CENTRE[1]
    return (x / RADII[0]) ** 2 + (y / RADII[1]) ** 2


@pytest.fixture
def drawn(opened: MainWindow, qtbot) -> MainWindow:
    """A region that was drawn with the mouse, after the tool was taken by its key."""
    press(opened, qtbot, Qt.Key.Key_U)
    assert opened.actions_["annotate_line"].isChecked()
    drag(opened.viewer.canvas, ellipse(opened))
    qtbot.waitUntil(lambda: opened.viewer.annotating is not None, timeout=20_000)
    assert not opened.actions_["annotate_line"].isChecked()
    opened.viewer.wait_until_loaded()
    shoot(opened, "freehand")
    return opened


def paint_across(window: MainWindow, qtbot) -> None:
    """A broad stroke from side to side of the region, past the line."""
    region = window.viewer.annotating
    window.annotation_panel.choose_class(2)
    window.annotation_panel.brush.setValue(round(80 * window.viewer.camera().zoom))
    y = region.centre[1]
    places = [window.viewer.to_canvas(x, y - 200) for x in np.linspace(region.x + 5, region.right - 5, 30)]
    drag(window.viewer.canvas, places)
    qtbot.waitUntil(lambda: (window.viewer.painted_mask == 2).any())


def test_the_region_is_the_rectangle_around_the_line_and_left_out_outside_of_it(drawn: MainWindow) -> None:
    region, plane = drawn.viewer.annotating, drawn.viewer.painted_mask
    pixel = 2 / drawn.viewer.camera().zoom
    assert abs(region.width - 2 * RADII[0]) < 2 * pixel
    assert abs(region.height - 2 * RADII[1]) < 2 * pixel
    far = inside_of(region)
    assert (plane[far > 1.05] == LEFT_OUT_VALUE).all()
    assert not (plane[far < 0.95] == LEFT_OUT_VALUE).any()
    assert drawn.session.active.predicted[far < 0.95].any()


def test_nothing_is_painted_outside_the_line_and_done_it_is_left_out(drawn: MainWindow, qtbot) -> None:
    paint_across(drawn, qtbot)
    press(drawn, qtbot, Qt.Key.Key_Return)
    annotation_id, project = 1, drawn.session.project
    qtbot.waitUntil(lambda: project.annotations.get(annotation_id).status is AnnotationStatus.DONE)
    mask, origin = project.annotations.load_mask(annotation_id)
    far = inside_of(project.annotations.get(annotation_id).region)
    assert (origin[far > 1.05] == Origin.LEFT_OUT).all()
    assert not mask[far > 1.05].any()
    assert not (origin[far < 0.95] == Origin.LEFT_OUT).any()
    assert (mask[far < 0.95] == 2).any()


def test_the_line_holds_for_strokes_alone_and_when_the_region_is_resumed(drawn: MainWindow, qtbot) -> None:
    region, plane = drawn.viewer.annotating, drawn.viewer.painted_mask
    qtbot.mouseClick(drawn.annotation_panel.counting.buttons[Counts.STROKES], Qt.MouseButton.LeftButton)
    paint_across(drawn, qtbot)
    assert not drawn.viewer.painted_mask[plane == LEFT_OUT_VALUE].any()
    qtbot.waitUntil(lambda: drawn.annotation_panel.saved.text() == "Saved")
    press(drawn, qtbot, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: drawn.session.active is None)
    drawn.session.annotating.go_on(1)
    qtbot.waitUntil(lambda: drawn.viewer.annotating == region)
    paint_across(drawn, qtbot)
    assert not drawn.viewer.painted_mask[plane == LEFT_OUT_VALUE].any()


def test_accepting_takes_the_models_mask_inside_the_line_alone(drawn: MainWindow, qtbot, project_folder: Path) -> None:
    plane = drawn.viewer.painted_mask
    paint_across(drawn, qtbot)
    press(drawn, qtbot, Qt.Key.Key_A)
    with Project.connect(project_folder) as project:
        qtbot.waitUntil(lambda: project.annotations.get(1).status is AnnotationStatus.DONE)
        mask, origin = project.annotations.load_mask(1)
    saved = np.where(origin == Origin.LEFT_OUT, LEFT_OUT_VALUE, mask)
    assert np.array_equal(saved, plane)


def test_undo_and_clear_leave_what_is_outside_as_it_is(drawn: MainWindow, qtbot) -> None:
    before = drawn.viewer.painted_mask
    paint_across(drawn, qtbot)
    drawn.actions_["clear_region"].trigger()
    cleared = drawn.viewer.painted_mask
    assert set(np.unique(cleared)) == {0, LEFT_OUT_VALUE}
    drawn.actions_["undo"].trigger()
    drawn.actions_["undo"].trigger()
    assert np.array_equal(drawn.viewer.painted_mask, before)


def test_a_line_that_encloses_nothing_is_refused_in_words_and_escape_drops_one(opened: MainWindow, qtbot) -> None:
    press(opened, qtbot, Qt.Key.Key_U)
    drag(opened.viewer.canvas, [opened.viewer.to_canvas(300 + step, 300 + step) for step in range(0, 200, 10)])
    qtbot.waitUntil(lambda: "encloses too little" in opened.banner.text.text())
    press(opened, qtbot, Qt.Key.Key_U)
    press(opened, qtbot, Qt.Key.Key_Escape)
    assert not opened.actions_["annotate_line"].isChecked()
    assert opened.session.active is None


def test_a_tool_that_shows_a_place_puts_the_other_away(opened: MainWindow, qtbot) -> None:
    press(opened, qtbot, Qt.Key.Key_U)
    opened.actions_["annotate_here"].trigger()
    assert not opened.actions_["annotate_line"].isChecked()
    assert opened.actions_["annotate_here"].isChecked()


def test_all_of_a_region_on_the_screen_is_annotated_up_to_4096_pixels() -> None:
    assert LARGEST_PX == 4096
