"""The slide turned on the screen: what is seen, clicked, painted and written on the map is where it belongs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import press
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest

from histoloop.geometry import Region
from histoloop.gui.canvas.camera import CameraState
from histoloop.gui.canvas.plates.turned_badge import turn_in_words
from histoloop.gui.canvas.tools.measuring import Shape
from histoloop.gui.mouse import drag

if TYPE_CHECKING:
    from histoloop.gui.canvas.viewer import SlideViewer
    from histoloop.gui.window.main_window import MainWindow

LEFT = Qt.MouseButton.LeftButton
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
CANVAS = QSize(600, 400)


@pytest.mark.parametrize("degrees", [0, 10, 90, 137, 180, 270])
def test_a_place_on_the_canvas_is_the_place_of_the_slide_that_is_drawn_there(degrees: int) -> None:
    camera = CameraState(300.0, 500.0, 0.5, degrees)
    for place in (QPointF(0, 0), QPointF(600, 0), QPointF(17, 388)):
        there = camera.to_canvas(*camera.to_slide(place, CANVAS), CANVAS)
        assert (there.x(), there.y()) == pytest.approx((place.x(), place.y()))


def test_a_quarter_turn_to_the_right_brings_the_left_of_the_slide_up() -> None:
    camera = CameraState(300.0, 500.0, 0.5, 90)
    left = camera.to_canvas(200.0, 500.0, CANVAS)
    assert (left.x(), left.y()) == (300.0, 150.0)
    assert camera.visible(CANVAS) == Region(300 - 400, 500 - 600, 800, 1200)
    assert camera.fitting(Region(0, 0, 800, 1200), CANVAS) == 0.5


def test_what_is_seen_askew_lies_in_the_rectangle_that_is_read() -> None:
    camera = CameraState(300.0, 500.0, 0.5, 30)
    seen = camera.visible(CANVAS)
    corners = camera.frame(CANVAS)
    assert all(seen.x <= x <= seen.right and seen.y <= y <= seen.bottom for x, y in corners)
    assert seen.width == pytest.approx(1200 * math.cos(math.pi / 6) + 800 / 2, abs=2)
    assert camera.sees(Region(250, 450, 100, 100), CANVAS)
    assert not camera.sees(seen, CANVAS)
    assert CameraState(300.0, 500.0, 0.5).outline(QRectF(300, 500, 20, 10), CANVAS).boundingRect() == QRectF(
        300, 200, 10, 5
    )


def test_a_canvas_without_room_sees_a_pixel() -> None:
    assert CameraState(300.0, 500.0, 0.5).visible(QSize(490, 0)) == Region(-190, 500, 980, 1)


def test_the_turn_is_told_by_the_shorter_way() -> None:
    assert [turn_in_words(degrees) for degrees in (0, 10, 180, 270)] == [
        "",
        "10° right",
        "180° right",
        "90° left",
    ]


def test_keys_turn_the_slide_and_bring_it_back_exactly(opened: MainWindow, qtbot) -> None:
    viewer, badge = opened.viewer, opened.split.first.turned
    viewer.look_at(900.0, 500.0, zoom=1.0)
    upright = seen(viewer, qtbot)
    press(opened, Qt.Key.Key_Right, CONTROL)
    assert viewer.camera() == CameraState(900.0, 500.0, 1.0, 90)
    assert badge.isVisible()
    assert badge.text.text() == "90° right"
    press(opened, Qt.Key.Key_Right, CONTROL)
    assert np.abs(np.rot90(upright, 2) - seen(viewer, qtbot)).mean() < 0.5
    press(opened, Qt.Key.Key_Left, CONTROL)
    press(opened, Qt.Key.Key_Left, CONTROL | SHIFT)
    press(opened, Qt.Key.Key_Right, CONTROL | SHIFT)
    press(opened, Qt.Key.Key_Left, CONTROL)
    press(opened, Qt.Key.Key_Left, CONTROL | SHIFT)
    assert viewer.camera().degrees == 350
    press(opened, Qt.Key.Key_U, CONTROL)
    assert viewer.camera().degrees == 0
    assert (viewer.camera().x, viewer.camera().y) == pytest.approx((900.0, 500.0), abs=1e-6)
    assert not badge.isVisible()
    assert np.array_equal(seen(viewer, qtbot), upright)


@pytest.mark.parametrize("degrees", [90, 40])
def test_a_stroke_lands_on_the_pixels_under_the_pointer(painting: MainWindow, degrees: int) -> None:
    viewer, region = painting.viewer, painting.viewer.annotating
    turn(painting, degrees)
    viewer.show_region(region)
    viewer.replace_mask(np.zeros_like(viewer.painted_mask))
    painting.annotation_panel.choose_class(2)
    viewer.set_brush_size(9)
    x, y = region.centre
    ends = (x - region.width / 4, y), (x + region.width / 4, y - region.height / 8)
    drag(viewer.canvas, [QPointF(viewer.to_canvas(*place).toPoint()) for place in (ends[0], (x, y), ends[1])])
    rows, columns = np.nonzero(viewer.painted_mask == 2)
    slack = 5 + 1 / viewer.camera().zoom
    assert columns.min() + region.x == pytest.approx(ends[0][0], abs=slack)
    assert columns.max() + region.x == pytest.approx(ends[1][0], abs=slack)
    assert rows[columns == columns.min()].mean() + region.y == pytest.approx(ends[0][1], abs=slack)
    assert rows[columns == columns.max()].mean() + region.y == pytest.approx(ends[1][1], abs=slack)


def test_polygon_and_fill_land_under_the_pointer(painting: MainWindow, qtbot) -> None:
    viewer, region = painting.viewer, painting.viewer.annotating
    turn(painting, 130)
    viewer.show_region(region)
    viewer.replace_mask(np.zeros_like(viewer.painted_mask))
    painting.annotation_panel.choose_class(1)
    press(painting, Qt.Key.Key_P)
    (x, y), side = region.centre, region.width // 5
    corners = [(x - side, y - side), (x + side, y - side), (x + side, y + side), (x - side, y + side)]
    for corner in corners:
        QTest.mouseClick(viewer.canvas, LEFT, pos=viewer.to_canvas(*corner).toPoint(), delay=20)
    viewer.close_polygon()
    painted = viewer.painted_mask == 1
    rows, columns = np.nonzero(painted)
    slack = 2 + 1 / viewer.camera().zoom
    assert np.count_nonzero(painted) == pytest.approx(4 * side * side, rel=0.1)
    assert columns.min() + region.x == pytest.approx(x - side, abs=slack)
    assert rows.max() + region.y == pytest.approx(y + side, abs=slack)
    painting.annotation_panel.choose_class(2)
    press(painting, Qt.Key.Key_I)
    QTest.mouseClick(viewer.canvas, LEFT, pos=viewer.to_canvas(x, y).toPoint())
    qtbot.waitUntil(lambda: not (viewer.painted_mask == 1).any())
    assert np.array_equal(viewer.painted_mask == 2, painted)


def test_a_dragged_rectangle_is_the_one_of_the_slide_between_the_places(opened: MainWindow, qtbot) -> None:
    viewer = opened.viewer
    turn(opened, 20)
    viewer.look_at(900.0, 500.0, zoom=1.0)
    press(opened, Qt.Key.Key_R)
    ends = [viewer.to_canvas(850.0, 450.0).toPoint(), viewer.to_canvas(950.0, 540.0).toPoint()]
    QTest.mousePress(viewer.canvas, LEFT, pos=ends[0])
    QTest.mouseMove(viewer.canvas, ends[1])
    band = viewer.marks.rubber_band
    tops = band[1] - band[0]
    assert math.degrees(math.atan2(tops.y(), tops.x())) == pytest.approx(20, abs=0.1)
    QTest.mouseRelease(viewer.canvas, LEFT, pos=ends[1])
    qtbot.waitUntil(lambda: viewer.annotating is not None, timeout=30_000)
    region = viewer.annotating
    assert (region.x, region.y, region.right, region.bottom) == pytest.approx((850, 450, 950, 540), abs=2)
    assert viewer.camera().degrees == 20


def test_a_click_into_a_question_opens_it_while_the_slide_is_turned(opened: MainWindow, qtbot) -> None:
    viewer = opened.viewer
    turn(opened, 90)
    box = viewer.marks.boxes[0]
    viewer.look_at(*box.region.centre, zoom=0.5)
    assert viewer.wait_until_loaded()
    QTest.mouseClick(viewer.canvas, LEFT, pos=viewer.to_canvas(*box.region.centre).toPoint())
    qtbot.waitUntil(lambda: opened.queue_panel.current_id() == box.query_id, timeout=10_000)


def test_the_frame_on_the_map_is_turned_and_a_press_on_the_map_goes_there(opened: MainWindow, qtbot) -> None:
    viewer, overview = opened.viewer, opened.split.first.map
    turn(opened, 30)
    press(opened, Qt.Key.Key_F9)
    qtbot.waitUntil(overview.isVisible, timeout=10_000)
    quarter = overview.rect().center() / 2
    QTest.mouseClick(overview, LEFT, pos=quarter)
    slide = viewer.scene.slide
    assert (viewer.camera().x, viewer.camera().y) == pytest.approx(
        (slide.width / 4, slide.height / 4), abs=slide.width / 40
    )
    frame = overview.frame()
    upper = frame[1] - frame[0]
    assert math.degrees(math.atan2(upper.y(), upper.x())) == pytest.approx(-30, abs=0.1)
    middle_of = frame.boundingRect().center()
    assert middle_of.x() == pytest.approx(viewer.camera().x / slide.width * overview.width(), abs=1)
    opened.viewer.fit()
    assert viewer.sees_whole_slide
    assert not overview.isVisible()


def test_arrows_move_what_is_seen_as_on_the_screen(opened: MainWindow) -> None:
    viewer = opened.viewer
    turn(opened, 90)
    viewer.look_at(900.0, 500.0, zoom=1.0)
    press(opened, Qt.Key.Key_Right)
    assert viewer.camera().x == pytest.approx(900)
    assert viewer.camera().y == pytest.approx(500 - viewer.canvas_rect.width() / 10)


def test_a_distance_is_the_same_however_the_slide_is_turned(opened: MainWindow) -> None:
    viewer, ruler = opened.viewer, opened.split.first.ruler
    turn(opened, 70)
    viewer.look_at(900.0, 500.0, zoom=1.0)
    ruler.begin(Shape.LINE)
    middle_of = viewer.canvas.rect().center()
    for deed, across in ((QTest.mousePress, 0), (QTest.mouseMove, 60), (QTest.mouseRelease, 60)):
        place = middle_of + type(middle_of)(across, 0)
        if deed is QTest.mouseMove:
            deed(viewer.canvas, place)
        else:
            deed(viewer.canvas, LEFT, pos=place)
    assert ruler.measure.length_px == pytest.approx(60)


def test_the_compared_canvas_turns_along_and_its_way_back_is_for_both(opened: MainWindow, qtbot) -> None:
    opened.actions_["compare"].trigger()
    second = opened.split.second
    qtbot.waitUntil(lambda: second.opener.current is not None, timeout=30_000)
    turn(opened, 90)
    assert second.viewer.camera().degrees == 90
    assert second.viewer.camera().x == pytest.approx(opened.viewer.camera().x)
    second.turned.upright.click()
    assert opened.viewer.camera().degrees == second.viewer.camera().degrees == 0


def test_each_slide_is_turned_as_it_was_when_it_is_shown_again(opened: MainWindow, qtbot) -> None:
    first, viewer = opened.opener.current, opened.viewer
    turn(opened, 90)
    press(opened, Qt.Key.Key_PageDown, CONTROL)
    qtbot.waitUntil(lambda: opened.opener.current not in (None, first), timeout=30_000)
    assert viewer.camera().degrees == 0
    assert not opened.split.first.turned.isVisible()
    press(opened, Qt.Key.Key_PageUp, CONTROL)
    qtbot.waitUntil(lambda: opened.opener.current == first, timeout=30_000)
    assert viewer.camera().degrees == 90
    assert opened.split.first.turned.isVisible()


def turn(window: MainWindow, degrees: int) -> None:
    """Turn the slide by keys."""
    for _ in range(degrees // 90):
        press(window, Qt.Key.Key_Right, CONTROL)
    for _ in range(degrees % 90 // 10):
        press(window, Qt.Key.Key_Right, CONTROL | SHIFT)
    assert window.viewer.camera().degrees == degrees


def seen(viewer: SlideViewer, qtbot) -> np.ndarray:
    """What the canvas shows, without what is drawn over it, once it is sharp (H, W, 3)."""
    qtbot.waitUntil(lambda: viewer.is_sharp, timeout=20_000)
    assert viewer.wait_until_loaded()
    image = viewer.canvas.grabFramebuffer().convertToFormat(QImage.Format.Format_RGB888)
    pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return pixels[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).astype(int)
