"""Where one is on a slide: the map of all of it, the magnification and its keys, the place under the pointer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import press
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QImage, QPixmap
from PySide6.QtTest import QTest

from histoloop.annotations.records import rgb
from histoloop.gui.canvas.magnification import magnification, magnification_in_words, zoom_of
from histoloop.gui.canvas.pointer_readout import place_in_words
from histoloop.gui.canvas.region_marks import BEGUN
from histoloop.gui.panels.slides.slide_row import State
from histoloop.gui.panels.slides.slide_rows import SLIDE_STATE

if TYPE_CHECKING:
    from histoloop.gui.canvas.viewer import SlideViewer
    from histoloop.gui.window.main_window import MainWindow

LEFT = Qt.MouseButton.LeftButton


def test_ten_times_is_a_micrometre_a_screen_pixel() -> None:
    assert magnification(0.5, 0.5) == 10
    assert magnification(1.0, 0.25) == 40
    assert zoom_of(20, 0.25) == 0.5
    assert magnification_in_words(0.5, 0.25) == "20x"
    assert magnification_in_words(0.033, 0.25) == "1.32x"
    assert magnification_in_words(0.5, None) == "50% of full size"


def test_a_place_is_told_in_micrometres_or_in_pixels_where_they_are_not_known() -> None:
    assert place_in_words(100, 40.2, 0.5) == "x 50.0 µm, y 20.1 µm"
    assert place_in_words(100.4, 40.2, None) == "x 100 px, y 40 px (resolution unknown)"


@pytest.mark.parametrize(("key", "power"), [(Qt.Key.Key_F5, 1), (Qt.Key.Key_F7, 10), (Qt.Key.Key_F9, 40)])
def test_keys_show_the_magnification_of_an_objective(opened: MainWindow, key: Qt.Key, power: int) -> None:
    mpp = opened.viewer.scene.slide.mpp
    press(opened, key)
    assert magnification(opened.viewer.camera().zoom, mpp) == pytest.approx(power)


def test_the_map_is_there_once_one_is_near_and_a_press_and_drag_on_it_moves_the_view(opened: MainWindow, qtbot) -> None:
    viewer, overview = opened.viewer, opened.split.first.map
    viewer.fit()
    assert not overview.isVisible()
    press(opened, Qt.Key.Key_F9)
    qtbot.waitUntil(overview.isVisible, timeout=10_000)
    slide = viewer.scene.slide
    assert overview.height() / overview.width() == pytest.approx(slide.height / slide.width, abs=0.02)
    quarter = QPoint(overview.width() // 4, overview.height() // 4)
    QTest.mousePress(overview, LEFT, pos=quarter)
    camera = viewer.camera()
    assert (camera.x, camera.y) == pytest.approx((slide.width / 4, slide.height / 4), abs=slide.width / 50)
    QTest.mouseMove(overview, QPoint(overview.width() // 2, overview.height() // 2))
    QTest.mouseRelease(overview, LEFT, pos=quarter)
    frame = overview.to_map(viewer.visible_region())
    assert frame.center().x() == pytest.approx(viewer.camera().x / slide.width * overview.width(), abs=1.5)


def test_the_status_bar_says_where_the_pointer_is_and_what_is_there(painting: MainWindow, qtbot) -> None:
    viewer, region = painting.viewer, painting.viewer.annotating
    mask = viewer.painted_mask
    mask[:] = 1
    viewer.replace_mask(mask)
    place = viewer.to_canvas(*region.centre).toPoint()
    QTest.mouseMove(viewer.canvas, place)
    qtbot.waitUntil(lambda: painting.pointer.text() != "", timeout=10_000)
    told = painting.pointer.text()
    mpp = viewer.scene.slide.mpp
    assert told.startswith(f"x {region.centre[0] * mpp:.0f}"[:4])
    assert viewer.under(*region.centre) == (viewer.scene.scheme.masks[0].name, None)
    assert told.endswith(painting.session.project.scheme.masks[0].name)


def test_the_place_under_the_pointer_is_of_the_slide_on_the_screen(opened: MainWindow, qtbot) -> None:
    viewer = opened.viewer
    assert viewer.wait_until_loaded()
    middle = viewer.to_canvas(*viewer.visible_region().centre).toPoint()

    def is_shown() -> bool:
        for place in (middle, middle + QPoint(5, 5)):  # a move to where the mouse is already is none
            QTest.mouseMove(viewer.canvas, place)
        return opened.pointer.text() != ""

    qtbot.waitUntil(is_shown, timeout=10_000)
    shown = opened.opener.current
    other = next(slide.id for slide in opened.session.slides() if slide.id != shown)
    opened.slides_panel.choose(other)
    qtbot.waitUntil(lambda: opened.opener.current == other and not opened.opener.busy, timeout=20_000)
    assert opened.pointer.text() == ""


def test_the_map_covers_nothing_of_a_region_that_is_painted(painting: MainWindow, qtbot) -> None:
    assert painting.viewer.wait_until_loaded()
    shown = painting.split.first.map
    assert not shown.isVisible()
    press(painting, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: painting.viewer.annotating is None and shown.isVisible(), timeout=20_000)


def test_a_region_that_was_begun_is_marked_on_the_slide_and_in_the_list(painting: MainWindow, qtbot) -> None:
    viewer, region = painting.viewer, painting.viewer.annotating
    mask = viewer.painted_mask
    mask[:20] = 1
    viewer.replace_mask(mask)
    press(painting, Qt.Key.Key_Escape)
    qtbot.waitUntil(
        lambda: viewer.annotating is None and [place for place, _mask in viewer.scene.begun] == [region], timeout=20_000
    )
    slide_id = painting.opener.current
    rows = painting.slides_panel.list.model()
    listed = [rows.data(rows.index(place, 0), SLIDE_STATE) for place in range(rows.rowCount())]
    assert [row.state for row in listed if row.slide.id == slide_id] == [State.BEGUN]
    painting.actions_["show_questions"].setChecked(False)
    viewer.show_region(region.grown(100))
    assert viewer.wait_until_loaded()
    assert count(viewer, BEGUN.colour) > 100


def count(viewer: SlideViewer, colour: str) -> int:
    """Pixels of the canvas, with what is drawn over it, that have nearly a colour."""
    seen = QPixmap(viewer.canvas.size())
    seen.fill(QColor("#ffffff"))
    viewer.marks.render(seen)
    image = seen.toImage().convertToFormat(QImage.Format.Format_RGB888)
    pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    pixels = pixels[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).astype(int)
    return int((np.abs(pixels - rgb(colour)).max(axis=2) < 40).sum())
