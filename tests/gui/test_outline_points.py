"""An area that was painted before is changed by the points of its outline, with mouse and keyboard in the window."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import press
from PySide6.QtCore import Qt

from histoloop.gui.mouse import click, drag

if TYPE_CHECKING:
    from PySide6.QtCore import QPointF

    from histoloop.gui.window.main_window import MainWindow

SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")
CONTROL, ALT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier
LEFT, TOP, RIGHT, BOTTOM = 100, 100, 220, 200


def place(window: MainWindow, x: float, y: float) -> QPointF:
    """The edge between two pixels of the mask on the canvas."""
    region = window.viewer.annotating
    return window.viewer.to_canvas(region.x + x - 0.5, region.y + y - 0.5)


def tool(window: MainWindow):
    return window.paint_control.outlines


@pytest.fixture
def square(painting: MainWindow, qtbot) -> MainWindow:
    """A square of the first class, whose outline is shown after its middle was clicked."""
    mask = np.zeros_like(painting.viewer.painted_mask)
    mask[TOP:BOTTOM, LEFT:RIGHT] = 1
    painting.viewer.replace_mask(mask)
    press(painting, Qt.Key.Key_Y)
    assert painting.viewer.tool == "outline"
    click(painting.viewer.canvas, place(painting, 150, 150))
    qtbot.waitUntil(lambda: tool(painting).outline is not None)
    return painting


def test_the_corners_of_an_area_are_its_points(square: MainWindow) -> None:
    (ring,) = tool(square).outline.rings
    corners = {(LEFT, TOP), (RIGHT, TOP), (RIGHT, BOTTOM), (LEFT, BOTTOM)}
    assert {tuple(point) for point in ring.tolist()} == corners


def test_a_point_is_dragged_and_the_area_filled_again_as_one_step(square: MainWindow, qtbot) -> None:
    before = square.viewer.painted_mask
    drag(square.viewer.canvas, [place(square, RIGHT, BOTTOM), place(square, 240, 220), place(square, 260, 240)])
    if SHOTS:
        square.grab().save(f"{SHOTS}/outline-points.png")
    mask = square.viewer.painted_mask
    assert mask[225, 245] == 1
    assert mask[150, 150] == 1
    qtbot.waitUntil(lambda: square.annotation_panel.saved.text() == "Saved")
    press(square, Qt.Key.Key_Z, CONTROL)
    assert np.array_equal(square.viewer.painted_mask, before)
    assert tool(square).outline is None


def test_a_line_is_dragged_to_add_a_point_and_alt_or_delete_takes_one_away(square: MainWindow, qtbot) -> None:
    canvas = square.viewer.canvas
    drag(canvas, [place(square, 160, TOP), place(square, 160, 80), place(square, 160, 60)])
    assert len(tool(square).outline.rings[0]) == 5
    assert square.viewer.painted_mask[75, 160] == 1
    press(square, Qt.Key.Key_Delete)
    assert len(tool(square).outline.rings[0]) == 4
    assert square.viewer.painted_mask[75, 160] == 0
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, ALT, place(square, LEFT, TOP).toPoint())
    assert len(tool(square).outline.rings[0]) == 3
    assert square.viewer.painted_mask[TOP + 2, LEFT + 2] == 0
    assert square.viewer.painted_mask[BOTTOM - 4, RIGHT - 4] == 1


def test_escape_puts_the_outline_away_and_the_region_stays_in_hand(square: MainWindow) -> None:
    press(square, Qt.Key.Key_Escape)
    assert tool(square).outline is None
    assert square.viewer.annotating is not None
    press(square, Qt.Key.Key_B)
    assert square.viewer.tool == "brush"


def test_other_classes_stay_and_where_nothing_is_painted_the_window_says_so(square: MainWindow, qtbot) -> None:
    press(square, Qt.Key.Key_Escape)
    mask = square.viewer.painted_mask
    mask[TOP:BOTTOM, RIGHT : RIGHT + 40] = 2
    square.viewer.replace_mask(mask)
    click(square.viewer.canvas, place(square, RIGHT + 20, 150))
    qtbot.waitUntil(lambda: tool(square).outline is not None)
    assert tool(square).outline.value == 2
    drag(square.viewer.canvas, [place(square, RIGHT + 40, BOTTOM), place(square, RIGHT + 60, BOTTOM + 30)])
    changed = square.viewer.painted_mask
    assert np.array_equal(changed == 1, mask == 1)
    assert np.count_nonzero(changed == 2) > np.count_nonzero(mask == 2)
    click(square.viewer.canvas, place(square, 40, 40))
    qtbot.waitUntil(lambda: "no painted area" in square.statusBar().currentMessage())
