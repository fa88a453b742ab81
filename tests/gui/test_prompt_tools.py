"""The wand and the smart tool with mouse and keyboard in the window, on a slide of synthetic glands."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import press
from PySide6.QtCore import QPointF, Qt

from histoloop.gui.mouse import click, drag

if TYPE_CHECKING:
    from histoloop.gui.window.main_window import MainWindow

SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")
CONTROL = Qt.KeyboardModifier.ControlModifier


def shoot(window: MainWindow, name: str) -> None:
    if SHOTS:
        window.grab().save(f"{SHOTS}/{name}.png")


@pytest.fixture
def empty(painting: MainWindow, qtbot) -> MainWindow:
    press(painting, Qt.Key.Key_Backspace, CONTROL)
    qtbot.waitUntil(lambda: not painting.viewer.painted_mask.any())
    qtbot.waitUntil(lambda: painting.annotation_panel.saved.text() == "Saved")
    return painting


def lumen(window: MainWindow) -> tuple[int, int]:
    """A place of the region (x, y) far inside of what the model calls gland, and not near the region's edge."""
    from scipy import ndimage

    gland = window.session.active.predicted > 0
    gland[:60] = gland[-60:] = False
    gland[:, :60] = gland[:, -60:] = False
    depth = ndimage.distance_transform_edt(gland)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(x), int(y)


def place(window: MainWindow, x: float, y: float) -> QPointF:
    region = window.viewer.annotating
    return window.viewer.to_canvas(region.x + x, region.y + y)


def painted(window: MainWindow) -> int:
    return int(np.count_nonzero(window.viewer.painted_mask))


def test_the_wand_paints_what_looks_alike_and_more_the_further_it_is_dragged(empty: MainWindow, qtbot) -> None:
    x, y = lumen(empty)
    press(empty, Qt.Key.Key_W)
    assert empty.viewer.tool == "wand"
    camera = empty.viewer.camera()
    click(empty.viewer.canvas, place(empty, x, y))
    qtbot.waitUntil(lambda: painted(empty) > 0)
    assert empty.viewer.painted_mask[y, x] == empty.viewer.painted_class
    few = empty.viewer.painted_mask > 0
    shoot(empty, "wand-click")
    press(empty, Qt.Key.Key_Z, CONTROL)
    assert painted(empty) == 0
    start = place(empty, x, y)
    drag(empty.viewer.canvas, [start + QPointF(step, 0) for step in range(0, 100, 10)])
    qtbot.waitUntil(lambda: painted(empty) > 0)
    assert painted(empty) > np.count_nonzero(few)
    assert (empty.viewer.painted_mask[few] > 0).all()
    assert empty.viewer.camera() == camera
    shoot(empty, "wand-drag")


def test_the_wand_shows_what_it_would_paint_and_escape_drops_it(empty: MainWindow, qtbot) -> None:
    x, y = lumen(empty)
    press(empty, Qt.Key.Key_W)
    start = place(empty, x, y).toPoint()
    qtbot.mousePress(empty.viewer.canvas, Qt.MouseButton.LeftButton, pos=start)
    qtbot.waitUntil(lambda: empty.viewer._overlay.preview is not None)
    shoot(empty, "wand-preview")
    press(empty, Qt.Key.Key_Escape)
    assert empty.viewer._overlay.preview is None
    qtbot.mouseRelease(empty.viewer.canvas, Qt.MouseButton.LeftButton, pos=start)
    assert painted(empty) == 0
    assert empty.viewer.annotating is not None


@pytest.mark.parametrize("way", ["click", "box"])
def test_the_smart_tool_finds_a_gland_by_a_click_or_a_box(empty: MainWindow, qtbot, way: str) -> None:
    x, y = lumen(empty)
    press(empty, Qt.Key.Key_G)
    if way == "click":
        click(empty.viewer.canvas, place(empty, x, y))
    else:
        corners = [place(empty, x - 70, y - 70), place(empty, x, y), place(empty, x + 70, y + 70)]
        drag(empty.viewer.canvas, corners)
    qtbot.waitUntil(lambda: painted(empty) > 0, timeout=20_000)
    mask = empty.viewer.painted_mask
    assert mask[y, x] == empty.viewer.painted_class
    rows, columns = np.nonzero(mask)
    if way == "box":
        assert rows.min() >= y - 75
        assert rows.max() <= y + 75
        assert columns.min() >= x - 75
        assert columns.max() <= x + 75
    shoot(empty, f"smart-{way}")
    press(empty, Qt.Key.Key_Z, CONTROL)
    assert painted(empty) == 0


def test_the_cursor_is_a_cross_for_the_wand_and_the_brush_has_its_own_again(empty: MainWindow) -> None:
    canvas = empty.viewer.canvas
    of_brush = canvas.cursor().shape()
    for tool in (Qt.Key.Key_W, Qt.Key.Key_G, Qt.Key.Key_J):
        press(empty, tool)
        assert canvas.cursor().shape() is Qt.CursorShape.CrossCursor
    press(empty, Qt.Key.Key_B)
    assert canvas.cursor().shape() is of_brush
    press(empty, Qt.Key.Key_W)
    press(empty, Qt.Key.Key_M)
    assert canvas.cursor().shape() not in (of_brush, Qt.CursorShape.CrossCursor)


def test_the_wand_leaves_what_is_locked(empty: MainWindow, qtbot) -> None:
    x, y = lumen(empty)
    mask = empty.viewer.painted_mask
    mask[:, :x] = 2
    empty.viewer.replace_mask(mask)
    press(empty, Qt.Key.Key_2)
    press(empty, Qt.Key.Key_K)
    press(empty, Qt.Key.Key_1)
    press(empty, Qt.Key.Key_W)
    click(empty.viewer.canvas, place(empty, x + 4, y))
    qtbot.waitUntil(lambda: (empty.viewer.painted_mask == 1).any())
    assert (empty.viewer.painted_mask[:, :x] == 2).all()
