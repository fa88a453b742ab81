"""The wand and the smart tool with mouse and keyboard in the window, on a slide of synthetic glands."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import press
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QDialogButtonBox

from histoloop.annotations.onnx_segmenter import OnnxSegmenter
from histoloop.annotations.prompts import segment
from histoloop.annotations.records import AnnotationStatus
from histoloop.gui.dialogs.segmenter_dialog import SegmenterDialog
from histoloop.gui.mouse import click, drag

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.annotations.prompts import Prompts
    from histoloop.gui.window.main_window import MainWindow

DISC_PX = 12
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
    qtbot.waitUntil(lambda: empty.viewer._overlay.preview is not None, timeout=20_000)
    assert painted(empty) == 0
    shoot(empty, f"smart-{way}-preview")
    press(empty, Qt.Key.Key_Return)
    assert empty.viewer.annotating is not None
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


def discs(pixels: np.ndarray, prompts: Prompts) -> np.ndarray:
    """A segmenter that finds discs around the places inside, less those around the places outside."""
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    part = np.zeros(pixels.shape[:2], np.bool_)
    if prompts.box is not None:
        left, top, right, bottom = prompts.box
        part = (columns >= left) & (columns < right) & (rows >= top) & (rows < bottom)
    for places, found in ((prompts.inside, True), (prompts.outside, False)):
        for x, y in places:
            part[np.hypot(columns - x, rows - y) < DISC_PX] = found
    return part


@pytest.fixture
def objects(empty: MainWindow) -> MainWindow:
    """The tool in hand, with a segmenter whose objects are known."""
    empty.paint_control.objects.segmenter = discs
    press(empty, Qt.Key.Key_G)
    return empty


def shown(window: MainWindow, qtbot, deed: Callable[[], object]) -> None:
    """Do something, and wait for what is shown after it."""
    before = window.viewer._overlay.preview
    deed()
    qtbot.waitUntil(lambda: window.viewer._overlay.preview not in (before, None))


def test_more_clicks_add_to_an_object_and_take_away_until_enter_paints_it_as_one_step(
    objects: MainWindow, qtbot
) -> None:
    canvas = objects.viewer.canvas
    shown(objects, qtbot, lambda: click(canvas, place(objects, 150, 150)))
    shown(objects, qtbot, lambda: click(canvas, place(objects, 190, 150)))
    at = place(objects, 150, 150).toPoint()
    alt = Qt.KeyboardModifier.AltModifier
    shown(objects, qtbot, lambda: qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, alt, at))
    shoot(objects, "smart-clicks")
    assert painted(objects) == 0
    press(objects, Qt.Key.Key_Return)
    mask = objects.viewer.painted_mask
    assert mask[150, 190] == objects.viewer.painted_class
    assert mask[150, 150] == 0
    assert objects.viewer.annotating is not None
    assert objects.viewer._overlay.preview is None
    press(objects, Qt.Key.Key_Z, CONTROL)
    assert painted(objects) == 0


def test_escape_drops_an_object_and_the_region_stays_in_hand(objects: MainWindow, qtbot) -> None:
    shown(objects, qtbot, lambda: click(objects.viewer.canvas, place(objects, 150, 150)))
    press(objects, Qt.Key.Key_Escape)
    assert objects.viewer._overlay.preview is None
    assert painted(objects) == 0
    assert objects.viewer.annotating is not None


@pytest.mark.parametrize("next_deed", ["box", "tool"])
def test_another_box_or_tool_paints_the_object_that_is_shown(objects: MainWindow, qtbot, next_deed: str) -> None:
    canvas = objects.viewer.canvas
    shown(objects, qtbot, lambda: click(canvas, place(objects, 150, 150)))
    if next_deed == "box":
        shown(objects, qtbot, lambda: drag(canvas, [place(objects, 220, 220), place(objects, 280, 280)]))
    else:
        press(objects, Qt.Key.Key_B)
    mask = objects.viewer.painted_mask
    assert mask[150, 150] == objects.viewer.painted_class
    assert mask[250, 250] == 0


def test_done_paints_the_object_that_is_shown_and_undo_drops_it(objects: MainWindow, qtbot) -> None:
    shown(objects, qtbot, lambda: click(objects.viewer.canvas, place(objects, 150, 150)))
    objects.actions_["undo"].trigger()
    assert objects.viewer._overlay.preview is None
    shown(objects, qtbot, lambda: click(objects.viewer.canvas, place(objects, 150, 150)))
    draft, project = objects.session.active.record, objects.session.project
    qtbot.mouseClick(objects.annotation_panel.finish, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: project.annotations.get(draft.id).status is AnnotationStatus.DONE, timeout=20_000)
    mask, _origin = project.annotations.load_mask(draft.id)
    assert mask[150, 150] > 0


def ask_for_model(window: MainWindow, qtbot) -> SegmenterDialog:
    window.actions_["segmenter"].trigger()
    dialog = window.findChild(SegmenterDialog)
    qtbot.waitUntil(dialog.isVisible)
    return dialog


def test_a_model_for_objects_is_refused_in_words_until_both_files_are_there(
    window: MainWindow, qtbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = ask_for_model(window, qtbot)
    ok = dialog.buttons.button(QDialogButtonBox.StandardButton.Ok)
    assert ok.isEnabled()
    encoder, decoder = tmp_path / "encoder.onnx", tmp_path / "decoder.onnx"
    encoder.write_bytes(b"")
    qtbot.keyClicks(dialog.encoder, str(encoder))
    assert "Both files are needed" in dialog.note.text()
    qtbot.keyClicks(dialog.decoder, str(decoder))
    assert f"There is no file {decoder}" in dialog.note.text()
    assert not ok.isEnabled()
    decoder.write_bytes(b"")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    dialog.decoder.setText(str(decoder))
    dialog.encoder.setText(f"{encoder} ")
    assert "ONNX Runtime is not installed" in dialog.note.text()
    assert "histoloop[sam]" in dialog.note.text()
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    dialog.encoder.setText(str(encoder))
    assert dialog.note.text() == ""
    if SHOTS:
        dialog.grab().save(f"{SHOTS}/segmenter.png")
    qtbot.mouseClick(ok, Qt.MouseButton.LeftButton)
    assert window.settings.text("object_encoder") == str(encoder)
    assert isinstance(window.paint_control.objects.segmenter, OnnxSegmenter)


def test_what_is_wrong_with_the_model_is_said_when_it_is_used(empty: MainWindow, qtbot, tmp_path: Path) -> None:
    empty.preferences.set_segmenter(str(tmp_path / "gone.onnx"), str(tmp_path / "gone too.onnx"))
    press(empty, Qt.Key.Key_G)
    click(empty.viewer.canvas, place(empty, 150, 150))
    said = ("ONNX Runtime is not installed", "There is no file")
    qtbot.waitUntil(lambda: any(words in empty.statusBar().currentMessage() for words in said))
    assert painted(empty) == 0
    empty.preferences.set_segmenter("", "")
    assert empty.paint_control.objects.segmenter is segment
