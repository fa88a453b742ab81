"""What is done to all of a class, inside a lasso and with a lock, with mouse and keyboard in the window."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import press
from PySide6.QtCore import QPointF, Qt

from histoloop.annotations.records import Counts
from histoloop.gui.mouse import drag

if TYPE_CHECKING:
    from histoloop.gui.window.main_window import MainWindow

SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")
SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier


def shoot(window: MainWindow, name: str) -> None:
    if SHOTS:
        window.grab().save(f"{SHOTS}/{name}.png")


@pytest.fixture
def ring(painting: MainWindow, qtbot) -> MainWindow:
    """A region with a ring of the first class and some of the second beside it, nothing else."""
    region = painting.viewer.annotating
    mask = np.zeros((region.height, region.width), np.uint8)
    y, x = np.ogrid[: region.height, : region.width]
    distance = np.hypot(y - region.height / 2, x - region.width / 2)
    mask[(distance < 60) & (distance > 30)] = 1
    mask[distance < 10] = 2
    mask[:20, :40] = 2
    painting.viewer.replace_mask(mask)
    painting.annotation_panel.choose_class(1)
    qtbot.waitUntil(lambda: painting.annotation_panel.saved.text() == "Saved")
    return painting


def area(window: MainWindow, value: int) -> int:
    return int(np.count_nonzero(window.viewer.painted_mask == value))


def to_canvas(window: MainWindow, x: float, y: float) -> QPointF:
    """A place of the region, in its pixels."""
    region = window.viewer.annotating
    return window.viewer.to_canvas(region.x + x, region.y + y)


def test_holes_are_filled_by_a_key_as_one_step_that_undo_takes_back(ring: MainWindow, qtbot) -> None:
    before, others = ring.viewer.painted_mask, area(ring, 2)
    press(ring, Qt.Key.Key_F, SHIFT)
    qtbot.waitUntil(lambda: area(ring, 1) > np.count_nonzero(before == 1))
    middle = ring.viewer.painted_mask[ring.viewer.annotating.height // 2 - 20, ring.viewer.annotating.width // 2]
    assert middle == 1
    assert area(ring, 2) == others
    shoot(ring, "fill-holes")
    press(ring, Qt.Key.Key_Z, CONTROL)
    assert np.array_equal(ring.viewer.painted_mask, before)
    qtbot.waitUntil(lambda: ring.annotation_panel.saved.text() == "Saved")


def test_a_class_grows_shrinks_and_is_smoothed_by_its_buttons(ring: MainWindow, qtbot) -> None:
    deeds, first = ring.annotation_panel.deeds, area(ring, 1)
    qtbot.mouseClick(deeds["grow_class"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: area(ring, 1) > first)
    grown = area(ring, 1)
    assert grown - first == pytest.approx(2 * np.pi * (60 + 30) * 2, rel=0.2)  # 1 micrometre is 2 pixels
    qtbot.mouseClick(deeds["shrink_class"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: area(ring, 1) < grown)
    assert area(ring, 1) == pytest.approx(first, rel=0.05)
    x, y = ring.viewer.annotating.width / 2, ring.viewer.annotating.height / 2
    ring.annotation_panel.brush.setValue(2)
    drag(ring.viewer.canvas, [to_canvas(ring, x + 62 + step, y) for step in range(0, 60, 5)])
    qtbot.waitUntil(lambda: ring.viewer.painted_mask[int(y), int(x) + 100] == 1)
    qtbot.mouseClick(deeds["smooth_class"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: ring.viewer.painted_mask[int(y), int(x) + 100] == 0)


def test_what_is_painted_while_a_class_changes_stays(ring: MainWindow, qtbot) -> None:
    go_on, rows, columns = threading.Event(), *ring.viewer.painted_mask.shape
    ring.paint_control.deeds._worker.request(go_on.wait)
    press(ring, Qt.Key.Key_F, SHIFT)
    press(ring, Qt.Key.Key_2)
    drag(ring.viewer.canvas, [to_canvas(ring, columns / 2 + step, rows / 2 - 20) for step in range(-8, 9, 4)])
    qtbot.waitUntil(lambda: ring.viewer.painted_mask[rows // 2 - 20, columns // 2] == 2)
    go_on.set()
    qtbot.waitUntil(lambda: ring.viewer.painted_mask[rows // 2 + 20, columns // 2] == 1)
    assert ring.viewer.painted_mask[rows // 2 - 20, columns // 2] == 2


def test_where_nothing_is_to_be_filled_the_window_says_so(ring: MainWindow, qtbot) -> None:
    ring.annotation_panel.choose_class(2)
    before = ring.viewer.painted_mask
    press(ring, Qt.Key.Key_F, SHIFT)
    qtbot.waitUntil(lambda: "encloses nothing" in ring.statusBar().currentMessage())
    assert np.array_equal(ring.viewer.painted_mask, before)


def test_a_locked_class_is_not_overpainted_until_it_is_unlocked(ring: MainWindow, qtbot) -> None:
    x, y = ring.viewer.annotating.width / 2, ring.viewer.annotating.height / 2
    path = [to_canvas(ring, x + step, y) for step in range(-90, 91, 10)]
    press(ring, Qt.Key.Key_K)
    assert ring.annotation_panel.deeds["lock_class"].isChecked()
    assert ring.annotation_panel.classes.button(1).accessibleName().endswith(", locked")
    press(ring, Qt.Key.Key_2)
    assert not ring.annotation_panel.deeds["lock_class"].isChecked()
    locked = ring.viewer.painted_mask == 1
    ring.annotation_panel.brush.setValue(40)
    drag(ring.viewer.canvas, path)
    qtbot.waitUntil(lambda: ring.viewer.painted_mask[int(y), int(x) + 80] == 2)
    assert (ring.viewer.painted_mask[locked] == 1).all()
    shoot(ring, "locked")
    press(ring, Qt.Key.Key_Backspace, CONTROL)
    qtbot.waitUntil(lambda: area(ring, 2) == 0)
    assert np.array_equal(ring.viewer.painted_mask == 1, locked)
    press(ring, Qt.Key.Key_1)
    press(ring, Qt.Key.Key_K)
    press(ring, Qt.Key.Key_2)
    drag(ring.viewer.canvas, path)
    qtbot.waitUntil(lambda: not np.array_equal(ring.viewer.painted_mask == 1, locked))


@pytest.mark.parametrize("counts", Counts)
def test_inside_a_lasso_the_mask_is_the_prediction_again(painting: MainWindow, qtbot, counts: Counts) -> None:
    painting.paint_control.count_strokes(counts is Counts.STROKES)
    press(painting, Qt.Key.Key_Backspace, CONTROL)
    qtbot.waitUntil(lambda: not painting.viewer.painted_mask.any())
    predicted = painting.session.active.predicted
    height, width = predicted.shape
    press(painting, Qt.Key.Key_J)
    assert painting.viewer.tool == "copy"
    corners = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]
    camera = painting.viewer.camera()
    drag(painting.viewer.canvas, [to_canvas(painting, width * x, height * y) for x, y in corners])
    qtbot.waitUntil(lambda: painting.viewer.painted_mask.any())
    assert painting.viewer.camera() == camera
    rows, columns = (slice(side // 4 + 3, 3 * side // 4 - 3) for side in predicted.shape)
    mask = painting.paint_control._painted.mask
    assert predicted[rows, columns].any()
    assert np.array_equal(mask[rows, columns], predicted[rows, columns])
    if counts is Counts.REGION:
        assert not mask[: height // 4 - 3].any()
        assert not mask[:, : width // 4 - 3].any()
    else:
        assert not painting.viewer.painted_mask[: height // 4 - 3].any()


def test_escape_drops_a_lasso_and_the_region_stays_in_hand(painting: MainWindow, qtbot) -> None:
    press(painting, Qt.Key.Key_Backspace, CONTROL)
    qtbot.waitUntil(lambda: not painting.viewer.painted_mask.any())
    press(painting, Qt.Key.Key_J)
    canvas = painting.viewer.canvas
    places = [to_canvas(painting, *place).toPoint() for place in ((50, 50), (200, 50), (200, 200))]
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=places[0])
    qtbot.mouseMove(canvas, places[1])
    qtbot.mouseMove(canvas, places[2])
    press(painting, Qt.Key.Key_Escape)
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=places[2])
    assert painting.viewer.annotating is not None
    assert not painting.viewer.painted_mask.any()


def test_the_brush_keeps_its_width_on_the_screen_and_says_it_in_micrometres(painting: MainWindow) -> None:
    size, viewer = painting.annotation_panel.brush_size, painting.viewer
    viewer.full_resolution()
    size.slider.setValue(40)
    assert (viewer.brush_size, size.text.text()) == (40, "20 µm")
    press(painting, Qt.Key.Key_Plus)
    press(painting, Qt.Key.Key_Plus)
    assert viewer.camera().zoom == pytest.approx(2.25)
    assert (viewer.brush_size, size.text.text()) == (18, "9 µm")
    press(painting, Qt.Key.Key_BracketRight)
    assert size.slider.value() == 50
    assert (viewer.brush_size, size.text.text()) == (22, "11 µm")
