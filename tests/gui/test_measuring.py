"""Distances and areas are measured on the slide with the mouse, in micrometres where the resolution is known."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import pytest
from keyboard import press, press_for
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from histoloop.gui.canvas.tools.measuring import Measure, Shape, value_in_words
from histoloop.gui.mouse import click, drag
from histoloop.language import number, speak

if TYPE_CHECKING:
    from histoloop.gui.canvas.tools.measure_tool import MeasureTool
    from histoloop.gui.window.main_window import MainWindow

MS = 10_000
SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")
"""A folder for pictures of the window, for whoever wants to look at them."""


def shoot(window: MainWindow, name: str) -> None:
    if SHOTS:
        window.grab().save(f"{SHOTS}/{name}.png")


@pytest.mark.parametrize(
    ("measure", "mpp", "words"),
    [
        (Measure(Shape.LINE, ((0, 0), (300, 400))), 0.5, "250.0 µm"),
        (Measure(Shape.LINE, ((0, 0), (3000, 4000))), 0.25, "1.250 mm"),
        (Measure(Shape.LINE, ((0, 0), (300, 400))), None, "500 px"),
        (Measure(Shape.POLYGON, ((0, 0), (100, 0), (100, 50), (0, 50))), 0.5, "1,250 µm²"),
        (Measure(Shape.POLYGON, ((0, 0), (0, 2000), (2000, 2000), (2000, 0))), 0.5, "1.0000 mm²"),
        (Measure(Shape.ELLIPSE, ((10, 10), (110, 60))), 1.0, "3,927 µm²"),
        (Measure(Shape.ELLIPSE, ((110, 60), (10, 10))), None, "3,927 px²"),
    ],
)
def test_values_are_in_micrometres_or_millimetres_and_in_pixels_where_the_resolution_is_unknown(
    measure: Measure, mpp: float | None, words: str
) -> None:
    assert value_in_words(measure, mpp) == words


def test_an_ellipse_touches_the_box_it_is_dragged_in() -> None:
    outline = Measure(Shape.ELLIPSE, ((10, 20), (110, 60))).outline
    assert (min(x for x, _y in outline), max(x for x, _y in outline)) == pytest.approx((10, 110))
    assert (min(y for _x, y in outline), max(y for _x, y in outline)) == pytest.approx((20, 60))


# --- in the window ----------------------------------------------------------------------------------------------------


def places(window: MainWindow, *level0: tuple[float, float]) -> list[QPointF]:
    return [window.viewer.to_canvas(*place) for place in level0]


def ruler(window: MainWindow) -> MeasureTool:
    return window.split.first.ruler


def test_a_distance_is_dragged_shown_copied_and_removed_by_escape(opened: MainWindow, qtbot) -> None:
    camera = opened.viewer.camera()
    press_for(opened, "measure_line")
    assert ruler(opened).bar.isVisible()
    assert ruler(opened).bar.text.text() == "Drag from one end to the other"
    drag(opened.viewer.canvas, places(opened, (400, 300), (700, 500), (1000, 700)))
    micrometres = float(ruler(opened).words.removesuffix(" µm"))
    assert micrometres == pytest.approx(math.hypot(600, 400) * 0.5, abs=2 / camera.zoom)
    assert opened.viewer.camera() == camera
    assert ruler(opened).bar.text.text() == ruler(opened).words
    shoot(opened, "measure-distance")
    press(opened, Qt.Key.Key_C, CONTROL)
    assert QGuiApplication.clipboard().text() == ruler(opened).words
    press(opened, Qt.Key.Key_Escape)
    assert not ruler(opened).bar.isVisible()
    assert ruler(opened).words == ""
    drag(opened.viewer.canvas, places(opened, (400, 300), (700, 500), (800, 500)))
    assert opened.viewer.camera() != camera  # the mouse moves the slide again


def test_an_area_is_clicked_corner_by_corner_and_closed_by_a_double_click(opened: MainWindow, qtbot) -> None:
    press_for(opened, "measure_polygon")
    corners = places(opened, (400, 300), (800, 300), (800, 700), (400, 700))
    for corner in corners:
        click(opened.viewer.canvas, corner)
    QTest.mouseDClick(opened.viewer.canvas, Qt.MouseButton.LeftButton, pos=corners[-1].toPoint())
    area = float(ruler(opened).words.removesuffix(" µm²").replace(",", ""))
    assert area == pytest.approx(400 * 400 * 0.25, rel=0.02)
    shoot(opened, "measure-area")
    QTest.mouseClick(ruler(opened).bar.copy, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == ruler(opened).words
    QTest.mouseClick(ruler(opened).bar.remove, Qt.MouseButton.LeftButton)
    assert not ruler(opened).bar.isVisible()


def test_return_closes_an_area_and_escape_drops_one_that_is_begun(opened: MainWindow) -> None:
    press_for(opened, "measure_polygon")
    for corner in places(opened, (400, 300), (800, 300), (800, 700)):
        click(opened.viewer.canvas, corner)
    press(opened, Qt.Key.Key_Escape)
    assert ruler(opened).drawn is None
    assert ruler(opened).is_on
    for corner in places(opened, (400, 300), (800, 300), (800, 700)):
        click(opened.viewer.canvas, corner)
    press(opened, Qt.Key.Key_Return)
    assert float(ruler(opened).words.removesuffix(" µm²").replace(",", "")) == pytest.approx(
        400 * 400 * 0.25 / 2, rel=0.02
    )


def test_undo_takes_back_the_last_corner_of_an_area_and_nothing_that_was_painted(painting: MainWindow, qtbot) -> None:
    press_for(painting, "clear_region")
    qtbot.waitUntil(lambda: not painting.viewer.painted_mask.any(), timeout=MS)
    x, y = painting.viewer.annotating.centre
    press_for(painting, "measure_polygon")
    for corner in places(painting, (x - 60, y - 60), (x + 60, y - 60), (x + 60, y + 60), (x - 60, y + 60)):
        click(painting.viewer.canvas, corner)
    for left in (3, 2, 1):
        press(painting, Qt.Key.Key_Z, CONTROL)
        assert len(ruler(painting).drawn.outline) == left + 1, "with the pointer"
    press(painting, Qt.Key.Key_Z, CONTROL)
    assert ruler(painting).drawn is None
    assert ruler(painting).is_on
    assert not painting.viewer.painted_mask.any()


def test_an_ellipse_is_dragged_and_another_shape_takes_its_place(opened: MainWindow) -> None:
    press_for(opened, "measure_ellipse")
    drag(opened.viewer.canvas, places(opened, (400, 300), (600, 400), (1000, 700)))
    area = float(ruler(opened).words.removesuffix(" µm²").replace(",", ""))
    assert area == pytest.approx(math.pi / 4 * 600 * 400 * 0.25, rel=0.02)
    shoot(opened, "measure-ellipse")
    press_for(opened, "measure_line")
    assert ruler(opened).words == ""


def test_where_the_resolution_is_unknown_it_is_said(opened: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened.viewer.scene.slide, "mpp", None)
    press_for(opened, "measure_line")
    drag(opened.viewer.canvas, places(opened, (400, 300), (700, 300), (1000, 300)))
    assert ruler(opened).bar.text.text() == "600 px: the resolution of this slide is unknown"


def test_measuring_paints_nothing_and_a_tool_taken_in_hand_paints_again(painting: MainWindow, qtbot) -> None:
    before = painting.viewer.painted_mask
    x, y = painting.viewer.annotating.centre
    line = places(painting, *((x - 60 + 20 * step, y) for step in range(7)))
    press_for(painting, "measure_line")
    drag(painting.viewer.canvas, line)
    assert ruler(painting).words == "60.0 µm"
    assert (painting.viewer.painted_mask == before).all()
    press_for(painting, "tool_brush")
    assert not ruler(painting).is_on
    assert ruler(painting).words == "60.0 µm"
    drag(painting.viewer.canvas, line)
    qtbot.waitUntil(lambda: (painting.viewer.painted_mask != before).any(), timeout=MS)
    press(painting, Qt.Key.Key_Escape)
    assert ruler(painting).words == ""
    assert painting.viewer.annotating is not None
    press(painting, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: painting.viewer.annotating is None, timeout=MS)


def test_beside_each_other_either_canvas_measures_and_one_measure_is_seen(opened: MainWindow, qtbot) -> None:
    press_for(opened, "compare")
    qtbot.waitUntil(lambda: opened.split.second is not None and opened.split.second.opener.current is not None)
    assert opened.split.wait_until_loaded()
    press_for(opened, "measure_line")
    drag(opened.viewer.canvas, places(opened, (400, 300), (600, 300), (1000, 300)))
    assert ruler(opened).words
    second = opened.split.second
    drag(second.viewer.canvas, [second.viewer.to_canvas(x, 300) for x in (400, 500, 800)])
    assert float(second.ruler.words.removesuffix(" µm")) == pytest.approx(200, abs=6)
    assert ruler(opened).words == ""


@pytest.mark.parametrize(
    ("code", "area", "far"),
    [
        ("en", "12,500 µm²", "1.250 mm"),
        ("de", "12.500 µm²", "1,250 mm"),
        ("fr", "12\N{NARROW NO-BREAK SPACE}500 µm²", "1,250 mm"),
    ],
)
def test_what_is_measured_is_written_as_in_the_language(code: str, area: str, far: str) -> None:
    field = Measure(Shape.POLYGON, ((0, 0), (500, 0), (500, 100), (0, 100)))
    try:
        speak(code)
        assert value_in_words(field, 0.5) == area
        assert value_in_words(Measure(Shape.LINE, ((0, 0), (3000, 4000))), 0.25) == far
        assert number(2.5, ".2f") == ("2.50" if code == "en" else "2,50")
    finally:
        speak("en")
