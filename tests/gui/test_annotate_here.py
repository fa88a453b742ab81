"""Any place is annotated without being asked: dragged, clicked, from the menu of the canvas; refused in words."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtWidgets import QApplication, QMenu

from histoloop.geometry import Region
from histoloop.gui.dialogs.choice_dialog import ChoiceDialog
from histoloop.gui.mouse import click, drag
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.workflows.projects import create_project

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow

SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")


def shoot(window: MainWindow, name: str) -> None:
    if SHOTS:
        window.grab().save(f"{SHOTS}/{name}.png")


def begin(window: MainWindow, qtbot) -> None:
    """Take the tool by its key."""
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    window.viewer.canvas.setFocus()
    qtbot.keyClick(window.viewer.canvas, Qt.Key.Key_R)
    assert window.actions_["annotate_here"].isChecked()


def drag_region(window: MainWindow, region: Region) -> None:
    start, stop = window.viewer.to_canvas(region.x, region.y), window.viewer.to_canvas(region.right, region.bottom)
    drag(window.viewer.canvas, [start, (start + stop) / 2, stop])


def near(found: Region, wanted: Region, pixels: float) -> bool:
    edges = zip(
        (found.x, found.y, found.right, found.bottom), (wanted.x, wanted.y, wanted.right, wanted.bottom), strict=True
    )
    return all(abs(one - other) <= pixels for one, other in edges)


def painted_region(window: MainWindow, qtbot) -> Region:
    qtbot.waitUntil(lambda: window.viewer.annotating is not None, timeout=20_000)
    assert not window.actions_["annotate_here"].isChecked()
    return window.viewer.annotating


def test_a_rectangle_that_is_dragged_is_painted_with_the_masks_of_the_model(opened: MainWindow, qtbot) -> None:
    begin(opened, qtbot)
    camera, wanted = opened.viewer.camera(), Region(200, 150, 700, 500)
    pixel = 1 / camera.zoom
    start, stop = opened.viewer.to_canvas(200, 150), opened.viewer.to_canvas(900, 650)
    drag(opened.viewer.canvas, [start, stop - QPointF(40, 40), stop], at_once=False)
    region = painted_region(opened, qtbot)
    assert near(region, wanted, 2 * pixel)
    assert opened.session.active.record.query_id is None
    assert opened.session.active.predicted.any()
    shoot(opened, "annotate-here")


def test_a_click_paints_a_square_of_the_usual_size_around_it(opened: MainWindow, qtbot) -> None:
    begin(opened, qtbot)
    click(opened.viewer.canvas, opened.viewer.to_canvas(900, 500))
    region = painted_region(opened, qtbot)
    usual = round(384 * opened.session.project.models.current_card().mpp / 0.5)
    assert region.width == region.height == usual
    assert max(abs(region.centre[0] - 900), abs(region.centre[1] - 500)) <= 2 / opened.viewer.camera().zoom + 1


def test_a_rectangle_that_reaches_past_the_slide_is_clipped(opened: MainWindow, qtbot) -> None:
    opened.viewer.zoom_by(0.5)
    begin(opened, qtbot)
    pixel = 1 / opened.viewer.camera().zoom
    drag_region(opened, Region(-300, -200, 900, 700))
    assert near(painted_region(opened, qtbot), Region(0, 0, 600, 500), 2 * pixel)


@pytest.mark.parametrize(
    ("region", "words"), [(Region(-400, 100, 200, 200), "lies outside"), (Region(300, 300, 900, 12), "are too few")]
)
def test_what_cannot_be_one_region_is_refused_in_words(opened: MainWindow, qtbot, region: Region, words: str) -> None:
    opened.viewer.zoom_by(0.5)
    begin(opened, qtbot)
    drag_region(opened, region)
    qtbot.waitUntil(lambda: words in opened.banner.text.text())
    assert opened.session.active is None
    assert not opened.actions_["annotate_here"].isChecked()


def test_escape_ends_it_and_the_next_drag_moves_the_slide(opened: MainWindow, qtbot) -> None:
    begin(opened, qtbot)
    qtbot.keyClick(opened.viewer.canvas, Qt.Key.Key_Escape)
    assert not opened.actions_["annotate_here"].isChecked()
    before = opened.viewer.camera()
    drag_region(opened, Region(200, 150, 700, 500))
    assert opened.viewer.camera() != before
    assert opened.session.active is None


def test_the_menu_of_the_canvas_annotates_where_it_was_opened(opened: MainWindow, qtbot) -> None:
    place = opened.viewer.to_canvas(900, 500).toPoint()
    QApplication.sendEvent(
        opened.viewer.canvas,
        QContextMenuEvent(QContextMenuEvent.Reason.Mouse, place, opened.viewer.canvas.mapToGlobal(place)),
    )
    menu = opened.findChild(QMenu, "place")
    qtbot.waitUntil(menu.isVisible)
    qtbot.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(menu.actions()[0]).center())
    region = painted_region(opened, qtbot)
    assert max(abs(region.centre[0] - 900), abs(region.centre[1] - 500)) <= 2 / opened.viewer.camera().zoom + 1


def test_where_there_is_work_the_window_asks_as_ever(opened: MainWindow, qtbot) -> None:
    begin(opened, qtbot)
    drag_region(opened, Region(200, 150, 700, 500))
    painted_region(opened, qtbot)
    opened.annotation_panel.choose_class(2)
    x, y = opened.viewer.annotating.centre
    drag(opened.viewer.canvas, [opened.viewer.to_canvas(x + step * 5, y) for step in range(9)])
    qtbot.waitUntil(lambda: (opened.viewer.painted_mask == 2).any())
    qtbot.waitUntil(lambda: opened.annotation_panel.saved.text() == "Saved")
    opened.session.annotating.leave()
    opened.viewer.fit()
    begin(opened, qtbot)
    drag_region(opened, Region(300, 250, 700, 500))
    qtbot.waitUntil(lambda: opened.findChild(ChoiceDialog) is not None)
    assert opened.findChild(ChoiceDialog).windowTitle() == "There is work here already"


def test_before_any_prediction_the_region_is_empty(
    window: MainWindow, slides: dict[str, Path], tmp_path, qtbot
) -> None:
    with create_project(tmp_path / "new", name="new", start=DEFAULT_MODEL) as project:
        project.slides.add(slides["benign"], width=1800, height=1000, mpp=0.5, vendor="generic-tiff")
    window.session.predict_added = False
    assert window.session.open_project(tmp_path / "new")
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=30_000)
    assert window.viewer.wait_until_loaded()
    begin(window, qtbot)
    drag_region(window, Region(200, 150, 700, 500))
    painted_region(window, qtbot)
    assert not window.viewer.painted_mask.any()
