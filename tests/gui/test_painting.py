"""Painting a queried region with real mouse events in the canvas."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import press
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QPointingDevice, QTabletEvent
from PySide6.QtWidgets import QApplication

from histoloop.annotations.painting import PaintedRegion
from histoloop.annotations.records import AnnotationStatus, QueryStatus
from histoloop.gui.mouse import click, drag
from histoloop.store.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow

STROKE_PX = 40


def centre(window: MainWindow) -> tuple[float, float]:
    return window.viewer.annotating.centre


def stroke(window: MainWindow, *, length: float = 60, dy: float = 0, at_once: bool = False) -> None:
    """Drag along a line of level-0 pixels to the right of the region's middle."""
    x, y = centre(window)
    places = [window.viewer.to_canvas(x + step * length / 10, y + dy) for step in range(11)]
    drag(window.viewer.canvas, places, at_once=at_once)


def clear(window: MainWindow, qtbot) -> None:
    window.actions_["clear_region"].trigger()
    qtbot.waitUntil(lambda: not window.viewer.painted_mask.any())


def saved(window: MainWindow) -> bool:
    return window.annotation_panel.saved.text() == "Saved"


def test_a_question_opens_with_the_masks_of_the_model(painting: MainWindow) -> None:
    active = painting.session.active
    assert painting.viewer.painted_mask.shape == (active.record.region.height, active.record.region.width)
    assert np.array_equal(painting.viewer.painted_mask, active.predicted)
    assert painting.viewer.painted_mask.any()


def test_the_pixels_of_a_region_are_looked_at_on_the_writers_thread_before_it_is_shown(
    opened: MainWindow, monkeypatch: pytest.MonkeyPatch, qtbot
) -> None:
    looked_on = set()
    for name in ("_tally_of", "_plane_of", "likeliest"):
        whole = getattr(PaintedRegion, name)

        def noted(region, *arguments, whole=whole):
            looked_on.add(threading.get_ident())
            return whole(region, *arguments)

        monkeypatch.setattr(PaintedRegion, name, noted)
    press(opened, Qt.Key.Key_V)
    qtbot.waitUntil(lambda: opened.viewer.annotating is not None)
    assert looked_on
    assert threading.main_thread().ident not in looked_on


def test_the_brush_paints_the_chosen_class_under_the_mouse(painting: MainWindow, qtbot) -> None:
    clear(painting, qtbot)
    painting.annotation_panel.brush.setValue(round(STROKE_PX * painting.viewer.camera().zoom))
    painting.annotation_panel.choose_class(2)
    stroke(painting)
    qtbot.waitUntil(lambda: painting.viewer.painted_mask.any())
    mask = painting.viewer.painted_mask
    rows, columns = np.nonzero(mask)
    middle = mask.shape[0] // 2, mask.shape[1] // 2
    assert set(np.unique(mask)) == {0, 2}
    assert abs((rows.max() - rows.min() + 1) - STROKE_PX) <= 3
    assert abs(columns.min() - (middle[1] - STROKE_PX / 2)) <= 3
    assert abs(columns.max() - (middle[1] + 60 + STROKE_PX / 2)) <= 3


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_a_stroke_ends_where_the_button_is_let_go_however_quick_the_hand(
    painting: MainWindow, qtbot, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    clock = itertools.count(100.0, seconds)
    monkeypatch.setattr("vispy.app.base.default_timer", lambda: next(clock))
    clear(painting, qtbot)
    painting.annotation_panel.brush.setValue(round(STROKE_PX * painting.viewer.camera().zoom))
    stroke(painting, at_once=True)
    qtbot.waitUntil(lambda: painting.viewer.painted_mask.any())
    columns = np.nonzero(painting.viewer.painted_mask)[1]
    assert abs(columns.max() - (painting.viewer.painted_mask.shape[1] // 2 + 60 + STROKE_PX / 2)) <= 3


def test_the_eraser_takes_away_what_is_under_it(painting: MainWindow, qtbot) -> None:
    painting.viewer.replace_mask(np.ones_like(painting.viewer.painted_mask))
    painting.actions_["tool_eraser"].trigger()
    painting.annotation_panel.brush.setValue(round(STROKE_PX * painting.viewer.camera().zoom))
    stroke(painting)
    qtbot.waitUntil(lambda: (painting.viewer.painted_mask == 0).any())
    mask = painting.viewer.painted_mask
    assert mask[mask.shape[0] // 2, mask.shape[1] // 2 + 30] == 0
    assert (mask == 0).sum() < mask.size / 10


def test_a_polygon_is_filled_with_the_chosen_class(painting: MainWindow, qtbot) -> None:
    clear(painting, qtbot)
    painting.actions_["tool_polygon"].trigger()
    painting.annotation_panel.choose_class(1)
    x, y = centre(painting)
    corners = [(x - 80, y - 80), (x + 80, y - 80), (x + 80, y + 80), (x - 80, y + 80)]
    for corner in corners:
        click(painting.viewer.canvas, painting.viewer.to_canvas(*corner))
    qtbot.mouseDClick(
        painting.viewer.canvas, Qt.MouseButton.LeftButton, pos=painting.viewer.to_canvas(*corners[-1]).toPoint()
    )
    qtbot.waitUntil(lambda: painting.viewer.painted_mask.any())
    area = int((painting.viewer.painted_mask == 1).sum())
    assert area == pytest.approx(160 * 160, rel=0.06)


def test_undo_takes_back_the_last_corner_of_a_polygon_before_anything_that_was_painted(
    painting: MainWindow, qtbot
) -> None:
    clear(painting, qtbot)
    qtbot.waitUntil(lambda: saved(painting))
    region, polygon = painting.viewer.annotating, painting.viewer._made.labels._overlays["polygon"]
    press(painting, Qt.Key.Key_P)
    x, y = centre(painting)
    for corner in ((x - 80, y - 80), (x + 80, y - 80), (x + 80, y + 80), (x - 80, y + 80)):
        click(painting.viewer.canvas, painting.viewer.to_canvas(*corner))
    press(painting, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert len(polygon.points) == 3 + 1, "with the pointer"
    qtbot.mouseClick(painting.annotation_panel.undo, Qt.MouseButton.LeftButton)
    assert len(polygon.points) == 2 + 1
    for _corner in range(2):
        press(painting, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (polygon.points, painting.viewer.painted_mask.any()) == ([], False)
    press(painting, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: painting.viewer.painted_mask.any())
    assert painting.viewer.annotating == region


def test_escape_drops_a_polygon_that_was_begun_and_only_then_leaves_the_region(painting: MainWindow, qtbot) -> None:
    painting.activateWindow()
    painting.viewer.canvas.setFocus()
    before = painting.viewer.painted_mask
    painting.actions_["tool_polygon"].trigger()
    x, y = centre(painting)
    for corner in ((x - 80, y - 80), (x + 80, y - 80), (x + 80, y + 80)):
        click(painting.viewer.canvas, painting.viewer.to_canvas(*corner))
    qtbot.keyClick(painting.viewer.canvas, Qt.Key.Key_Escape)
    assert painting.viewer.annotating is not None
    assert np.array_equal(painting.viewer.painted_mask, before)
    qtbot.keyClick(painting.viewer.canvas, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: painting.viewer.annotating is None)


def test_holding_space_moves_the_slide_instead_of_painting(painting: MainWindow, qtbot) -> None:
    before, camera = painting.viewer.painted_mask, painting.viewer.camera()
    qtbot.keyPress(painting.viewer.canvas, Qt.Key.Key_Space)
    stroke(painting, length=100)
    qtbot.keyRelease(painting.viewer.canvas, Qt.Key.Key_Space)
    assert np.array_equal(painting.viewer.painted_mask, before)
    assert painting.viewer.camera().x < camera.x - 50
    stroke(painting)
    qtbot.waitUntil(lambda: not np.array_equal(painting.viewer.painted_mask, before))


def test_fill_recolours_a_connected_area_only(painting: MainWindow, qtbot) -> None:
    shape = painting.viewer.painted_mask.shape
    mask = np.zeros(shape, np.uint8)
    mask[shape[0] // 2 - 40 : shape[0] // 2 + 40, shape[1] // 2 - 40 : shape[1] // 2 + 40] = 1
    mask[:20, :20] = 1
    painting.viewer.replace_mask(mask)
    painting.actions_["tool_fill"].trigger()
    painting.annotation_panel.choose_class(2)
    click(painting.viewer.canvas, painting.viewer.to_canvas(*centre(painting)))
    qtbot.waitUntil(lambda: (painting.viewer.painted_mask == 2).any())
    assert (painting.viewer.painted_mask == 2).sum() == 80 * 80
    assert (painting.viewer.painted_mask == 1).sum() == 20 * 20


def test_undo_and_redo_go_back_and_forth_stroke_by_stroke(painting: MainWindow, qtbot) -> None:
    clear(painting, qtbot)
    painting.annotation_panel.brush.setValue(round(STROKE_PX * painting.viewer.camera().zoom))
    stroke(painting)
    qtbot.waitUntil(lambda: painting.viewer.painted_mask.any())
    first = painting.viewer.painted_mask
    stroke(painting, dy=100)
    qtbot.waitUntil(lambda: (painting.viewer.painted_mask != first).any())
    second = painting.viewer.painted_mask
    painting.actions_["undo"].trigger()
    assert np.array_equal(painting.viewer.painted_mask, first)
    painting.actions_["redo"].trigger()
    assert np.array_equal(painting.viewer.painted_mask, second)
    painting.actions_["undo"].trigger()
    painting.actions_["undo"].trigger()
    assert not painting.viewer.painted_mask.any()
    assert painting.actions_["redo"].isEnabled()


def test_what_is_shown_as_saved_is_in_the_project(painting: MainWindow, project_folder: Path, qtbot) -> None:
    stroke(painting)
    qtbot.waitUntil(lambda: saved(painting))
    with Project.open(project_folder) as project:
        mask, _origin = project.annotations.load_mask(painting.session.active.record.id)
    assert np.array_equal(mask, painting.viewer.painted_mask)


def test_done_takes_the_question_off_the_queue_and_opens_the_next(
    painting: MainWindow, project_folder: Path, qtbot
) -> None:
    first = painting.session.active.record
    painting.annotation_panel.diagnosis.setCurrentText("Polyp")
    painting.actions_["finish"].trigger()
    qtbot.waitUntil(lambda: painting.session.active is not None and painting.session.active.record.id != first.id)
    qtbot.waitUntil(lambda: painting.viewer.annotating == painting.session.active.record.region, timeout=20_000)
    with Project.open(project_folder) as project:
        done = project.annotations.get(first.id)
        assert (done.status, done.label) == (AnnotationStatus.DONE, "Polyp")
        assert project.queries.get(first.query_id).status is QueryStatus.ANNOTATED
    assert first.query_id not in painting.queue_panel.shown_ids()


def test_accept_as_it_is_saves_the_models_mask_whatever_was_painted(
    painting: MainWindow, project_folder: Path, qtbot
) -> None:
    active = painting.session.active
    clear(painting, qtbot)
    painting.actions_["accept"].trigger()
    qtbot.waitUntil(lambda: painting.session.active is None or painting.session.active is not active)
    with Project.open(project_folder) as project:
        assert project.annotations.get(active.record.id).status is AnnotationStatus.DONE
        assert np.array_equal(project.annotations.load_mask(active.record.id)[0], active.predicted)


@pytest.mark.parametrize(
    ("action", "status"), [("skip", QueryStatus.SKIPPED), ("cannot_tell", QueryStatus.CANNOT_TELL)]
)
def test_a_region_left_out_leaves_the_queue(
    painting: MainWindow, project_folder: Path, qtbot, action: str, status: QueryStatus
) -> None:
    query_id = painting.session.active.record.query_id
    painting.actions_[action].trigger()
    qtbot.waitUntil(lambda: query_id not in painting.queue_panel.shown_ids())
    with Project.open(project_folder) as project:
        assert project.queries.get(query_id).status is status


def test_a_region_left_for_later_is_resumed_with_its_strokes(painting: MainWindow, qtbot) -> None:
    query_id = painting.session.active.record.query_id
    clear(painting, qtbot)
    stroke(painting)
    qtbot.waitUntil(lambda: painting.viewer.painted_mask.any() and saved(painting))
    mask = painting.viewer.painted_mask
    painting.actions_["leave"].trigger()
    assert painting.viewer.annotating is None
    painting.session.annotating.begin_query(query_id)
    qtbot.waitUntil(lambda: painting.viewer.annotating is not None)
    assert np.array_equal(painting.viewer.painted_mask, mask)


def test_the_visible_region_can_be_painted_without_being_asked(opened: MainWindow, qtbot) -> None:
    opened.viewer.look_at(900, 500, zoom=2.0)
    assert opened.viewer.wait_until_loaded()
    opened.actions_["annotate_visible"].trigger()
    qtbot.waitUntil(lambda: opened.viewer.annotating is not None)
    region = opened.viewer.annotating
    assert region.centre == pytest.approx((900, 500), abs=2)
    assert region.width == pytest.approx(opened.viewer.canvas.width() / 2, abs=2)


PAINT_AND_DIE = """
import os, signal, sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from histoloop.gui.application import make_application
from histoloop.gui.window.main_window import MainWindow
from histoloop.gui.mouse import drag
from histoloop.gui.kit.settings import Settings

def until(condition):
    while not condition():
        QCoreApplication.processEvents()

if __name__ == "__main__":
    folder, settings = Path(sys.argv[1]), Path(sys.argv[2])
    make_application()
    window = MainWindow(Settings(settings))
    window.show()
    window.session.open_project(folder)
    until(lambda: window.opener.current is not None)
    window.actions_["next_question"].trigger()
    until(lambda: window.viewer.annotating is not None)
    window.viewer.wait_until_loaded()
    window.actions_["clear_region"].trigger()
    window.annotation_panel.brush.setValue(round(40 * window.viewer.camera().zoom))
    x, y = window.viewer.annotating.centre
    drag(window.viewer.canvas, [window.viewer.to_canvas(x + 6 * step, y) for step in range(11)])
    until(lambda: window.viewer.painted_mask.any())
    until(lambda: window.annotation_panel.saved.text() == "Saved")
    print(window.session.active.record.id, int((window.viewer.painted_mask > 0).sum()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
def test_a_stroke_shown_as_saved_survives_kill_9(
    project_folder: Path, tmp_path: Path, window: MainWindow, qtbot
) -> None:
    script = tmp_path / "paint_and_die.py"
    script.write_text(PAINT_AND_DIE, encoding="utf-8")
    command = [sys.executable, str(script), str(project_folder), str(tmp_path / "other.ini")]
    environment = os.environ | {"HISTOLOOP_HOME": str(tmp_path / "other")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    annotation_id, painted = map(int, done.stdout.split())
    assert painted > 1000
    assert window.session.open_project(project_folder)
    window.actions_["next_question"].trigger()
    qtbot.waitUntil(lambda: window.viewer.annotating is not None, timeout=30_000)
    assert window.session.active.record.id == annotation_id
    assert int((window.viewer.painted_mask > 0).sum()) == painted


def test_the_mouse_over_the_canvas_is_where_the_slide_says(painting: MainWindow) -> None:
    x, y = centre(painting)
    middle = painting.viewer.to_canvas(x, y)
    size = painting.viewer.canvas.size()
    assert (middle - QPointF(size.width() / 2, size.height() / 2)).manhattanLength() <= 2


def pen(window: MainWindow, kind: QEvent.Type, place: QPointF, pressure: float) -> None:
    """What Qt sends when a pen does something: that, and what a mouse would do, since nobody takes it."""
    none, left = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton
    held = none if kind == QEvent.Type.TabletRelease else left
    canvas = window.viewer.canvas
    on_screen = QPointF(canvas.mapToGlobal(place.toPoint()))
    event = QTabletEvent(
        kind,
        QPointingDevice.primaryPointingDevice(),
        place,
        on_screen,
        pressure,
        0,
        0,
        0,
        0,
        0,
        Qt.KeyboardModifier.NoModifier,
        left,
        held,
    )
    event.ignore()
    QApplication.sendEvent(canvas, event)
    assert not event.isAccepted()
    as_mouse = {
        QEvent.Type.TabletPress: QEvent.Type.MouseButtonPress,
        QEvent.Type.TabletMove: QEvent.Type.MouseMove,
        QEvent.Type.TabletRelease: QEvent.Type.MouseButtonRelease,
    }[kind]
    button = none if as_mouse == QEvent.Type.MouseMove else left
    QApplication.sendEvent(
        canvas, QMouseEvent(as_mouse, place, on_screen, button, held, Qt.KeyboardModifier.NoModifier)
    )
    QApplication.processEvents()


def pen_stroke(window: MainWindow, qtbot, pressure: float) -> int:
    """How many pixels a stroke of a pen paints; it is taken back."""
    x, y = window.viewer.annotating.centre
    places = [window.viewer.to_canvas(x + step * 10, y) for step in range(10)]
    pen(window, QEvent.Type.TabletPress, places[0], pressure)
    for place in places[1:]:
        pen(window, QEvent.Type.TabletMove, place, pressure)
        qtbot.wait(12)  # the canvas takes a move every 10 ms
    pen(window, QEvent.Type.TabletRelease, places[-1], 0)
    qtbot.waitUntil(lambda: window.paint_control.can_undo)
    count = int(np.count_nonzero(window.viewer.painted_mask == 2))
    window.actions_["undo"].trigger()
    return count


def test_a_pen_paints_as_broad_as_it_is_pressed_on_wish(painting: MainWindow, qtbot) -> None:
    painting.actions_["clear_region"].trigger()
    painting.annotation_panel.choose_class(2)
    painting.annotation_panel.brush.setValue(round(40 * painting.viewer.camera().zoom))
    width = painting.viewer.brush_size
    same = pen_stroke(painting, qtbot, 0.2)
    assert same == pytest.approx(pen_stroke(painting, qtbot, 1.0), rel=0.05)
    painting.actions_["pen_pressure"].trigger()
    assert painting.settings.flag("pen_pressure", default=False)
    full, light = pen_stroke(painting, qtbot, 1.0), pen_stroke(painting, qtbot, 0.2)
    assert full == pytest.approx(same, rel=0.05)
    assert light < 0.5 * full
    assert painting.viewer.brush_size == width
    assert painting.viewer._made.labels.brush_size == width
