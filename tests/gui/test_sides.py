"""The panels beside the slide in a low window and in a high one: nothing scrolls inside what scrolls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractScrollArea, QLabel, QPushButton, QTabBar

from histoloop.gui.kit.fitting_scroll import LEAST_PX, GivingWay
from histoloop.gui.kit.settings import Settings
from histoloop.gui.kit.strip import Strip
from histoloop.gui.kit.widgets import button, label
from histoloop.gui.kit.wrapping_check import WrappingCheck

if TYPE_CHECKING:
    from pathlib import Path

    from PySide6.QtWidgets import QWidget

    from histoloop.gui.window.main_window import MainWindow

MS = 20_000
SENTENCE = "Go on training the model that is in use now"


def in_sight(widget: QWidget) -> bool:
    return widget.isVisible() and widget.visibleRegion().boundingRect() == widget.rect()


def are_tabs(window: MainWindow) -> bool:
    return window.docks.masks in window.tabifiedDockWidgets(window.docks.slides)


def scrolling_twice(window: MainWindow) -> list[str]:
    """Visible areas that scroll inside another one that scrolls."""
    areas = [area for area in window.findChildren(QAbstractScrollArea) if area.isVisible()]
    moving = [area for area in areas if area.verticalScrollBar().maximum() or area.horizontalScrollBar().maximum()]
    return [
        f"{inner} in {outer}"
        for outer in moving
        for inner in moving
        if outer is not inner and outer.isAncestorOf(inner)
    ]


@pytest.fixture
def low(opened: MainWindow, qtbot) -> MainWindow:
    opened.resize(800, 500)
    qtbot.waitUntil(lambda: opened.height() == 500 and are_tabs(opened), timeout=MS)
    return opened


def test_in_a_low_window_slides_and_masks_are_tabs_and_in_a_high_one_below_each_other(low: MainWindow, qtbot) -> None:
    docks = low.docks
    assert not docks.slides.visibleRegion().isEmpty()
    assert docks.masks.visibleRegion().isEmpty()
    (tabs,) = (bar for bar in low.findChildren(QTabBar) if bar.parent() is low and bar.isVisible())
    place = next(tabs.tabRect(number) for number in range(tabs.count()) if tabs.tabText(number) == "Masks")
    QTest.mouseClick(tabs, Qt.MouseButton.LeftButton, pos=place.center())
    qtbot.waitUntil(lambda: not docks.masks.visibleRegion().isEmpty(), timeout=MS)
    low.resize(1280, 800)
    qtbot.waitUntil(lambda: not are_tabs(low) and in_sight(low.slides_panel.list), timeout=MS)
    assert docks.slides.geometry().bottom() < docks.masks.geometry().top()
    assert docks.masks.isVisible()
    qtbot.waitUntil(lambda: docks.masks.height() > 250, timeout=MS)


def test_docks_that_the_user_made_tabs_of_stay_so(opened: MainWindow, qtbot) -> None:
    opened.tabifyDockWidget(opened.docks.masks, opened.docks.slides)
    for height in (500, 900):
        opened.resize(1280, height)
        qtbot.waitUntil(lambda height=height: opened.height() == height, timeout=MS)  # type: ignore[misc]
        assert are_tabs(opened)


def test_what_is_remembered_of_a_low_window_is_how_the_docks_stand_in_a_high_one(
    low: MainWindow, delete_window, project_folder: Path, tmp_path: Path, qtbot
) -> None:
    from histoloop.gui.window.main_window import MainWindow

    low.close()
    again = MainWindow(Settings(tmp_path / "settings.ini"))
    again.resize(1280, 800)
    again.show()
    qtbot.waitExposed(again)
    assert again.session.open_project(project_folder)
    qtbot.waitUntil(lambda: in_sight(again.slides_panel.list), timeout=MS)
    assert not are_tabs(again)
    assert again.docks.slides.geometry().bottom() < again.docks.masks.geometry().top()
    delete_window(again)


@pytest.mark.parametrize("size", [(800, 500), (1280, 800)])
def test_nothing_scrolls_inside_what_scrolls_and_nothing_sideways(
    opened: MainWindow, size: tuple[int, int], qtbot
) -> None:
    opened.resize(*size)
    qtbot.waitUntil(lambda: (opened.width(), opened.height()) == size, timeout=MS)
    for tab in range(opened.work.count()):
        opened.work.setCurrentIndex(tab)
        qtbot.wait(20)
        areas = [area for area in opened.findChildren(QAbstractScrollArea) if area.isVisible()]
        assert scrolling_twice(opened) == []
        assert [area for area in areas if area.horizontalScrollBar().isVisible()] == []


def test_the_slide_in_hand_and_its_label_are_in_sight_in_a_low_window(low: MainWindow, qtbot) -> None:
    panel = low.slides_panel
    panel.choose(low.session.slides()[-1].id)

    def seen() -> bool:
        return panel.list.viewport().rect().contains(panel.list.visualRect(panel.list.currentIndex()))

    qtbot.waitUntil(seen, timeout=MS)
    qtbot.waitUntil(lambda: in_sight(panel.details.picker), timeout=MS)


def test_what_gives_way_is_as_high_as_its_content_and_no_lower_than_a_little_of_it(qtbot) -> None:
    text = label("word " * 60, wrap=True)
    area = GivingWay(text)
    qtbot.addWidget(area)
    area.resize(200, 400)
    area.show()
    qtbot.waitUntil(lambda: area.sizeHint().height() == text.heightForWidth(200) > LEAST_PX, timeout=MS)
    assert area.minimumSizeHint().height() == LEAST_PX
    text.setText("word")
    qtbot.waitUntil(lambda: area.sizeHint().height() == text.heightForWidth(200) < LEAST_PX, timeout=MS)
    assert area.minimumSizeHint().height() == area.sizeHint().height()


def test_a_box_whose_text_does_not_fit_on_one_line_shows_it_on_two(qtbot) -> None:
    box = WrappingCheck(f"{SENTENCE} & here")
    qtbot.addWidget(box)
    assert box.text() == box.accessibleName() == f"{SENTENCE} & here"
    box.resize(box.sizeHint())
    box.show()
    assert "\n" not in super(WrappingCheck, box).text()
    wide = box.width() * 2 // 3
    box.resize(wide, box.heightForWidth(wide))
    qtbot.waitUntil(lambda: super(WrappingCheck, box).text().count("\n") == 1, timeout=MS)
    shown = super(WrappingCheck, box).text()
    assert shown.replace("\n", " ").replace("&&", "&") == box.text()
    assert box.heightForWidth(wide) == box.sizeHint().height() + box.fontMetrics().lineSpacing()
    QTest.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    assert box.isChecked()


def test_the_buttons_of_a_strip_stand_below_its_text_where_that_would_be_narrow(qtbot) -> None:
    text, one, other = label(f"{SENTENCE}. {SENTENCE}.", wrap=True), button("Show the list"), button("Close")
    strip = Strip(text, one, other)
    qtbot.addWidget(strip)
    strip.show()

    def place(part: QLabel | QPushButton) -> QRect:
        return QRect(part.mapTo(strip, QPoint(0, 0)), part.size())

    strip.resize(600, 100)
    qtbot.waitUntil(lambda: place(one).left() > place(text).right() and place(other).left() > place(one).right())
    strip.resize(240, 160)
    qtbot.waitUntil(lambda: place(one).top() > place(text).bottom(), timeout=MS)
    assert in_sight(one)
    assert in_sight(other)
    assert place(text).width() > 200
    other.setVisible(False)
    text.setText("Short")
    strip.fit()
    qtbot.waitUntil(lambda: place(one).left() > place(text).left() and place(one).top() < 20, timeout=MS)
