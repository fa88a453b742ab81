"""A region that was begun shows its strokes and a mark after Esc and after a restart, to the person who began it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from keyboard import press
from PySide6.QtCore import Qt

from histoloop.gui.mouse import drag

if TYPE_CHECKING:
    import numpy as np

    from histoloop.gui.window.main_window import MainWindow

SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")


def shoot(window: MainWindow, name: str) -> None:
    if SHOTS:
        window.grab().save(f"{SHOTS}/{name}.png")


@pytest.fixture
def begun(painting: MainWindow, qtbot) -> MainWindow:
    """The window after a stroke across an empty region, left by Esc."""
    press(painting, Qt.Key.Key_Backspace, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: not painting.viewer.painted_mask.any())
    painting.annotation_panel.brush.setValue(60)
    x, y = painting.viewer.annotating.centre
    drag(painting.viewer.canvas, [painting.viewer.to_canvas(x + step, y) for step in range(-150, 151, 30)])
    qtbot.waitUntil(lambda: painting.viewer.painted_mask.any())
    qtbot.waitUntil(lambda: painting.annotation_panel.saved.text() == "Saved")
    press(painting, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: painting.viewer.annotating is None)
    qtbot.waitUntil(lambda: not painting.opener.busy)
    return painting


def shown_masks(window: MainWindow) -> np.ndarray:
    """What the mask of the draft is where it lies over the slide."""
    (found,) = window.viewer.scene.begun
    return found[1]


def test_after_escape_the_strokes_lie_on_the_slide_with_a_mark(begun: MainWindow, qtbot) -> None:
    qtbot.waitUntil(lambda: len(begun.viewer.scene.begun) == 1)
    mask = shown_masks(begun)
    assert mask[mask.shape[0] // 2, mask.shape[1] // 2]
    assert len(begun.viewer._overlay.begun) == 1
    assert begun.viewer.wait_until_loaded()
    begun.viewer.show_region(begun.viewer._overlay.begun[0])
    assert begun.viewer.wait_until_loaded()
    with_masks = begun.viewer._made.detail.data.copy()
    shoot(begun, "begun")
    press(begun, Qt.Key.Key_D)
    assert begun.viewer.wait_until_loaded()
    assert begun.viewer._made.detail.data.shape == with_masks.shape
    view, (x, y) = begun.viewer._shown.view, begun.viewer._overlay.begun[0].centre
    row, column = int((y - view.y) / view.downsample), int((x - view.x) / view.downsample)
    changed = (begun.viewer._made.detail.data != with_masks).any(axis=-1)
    assert changed[row - 3 : row + 4, column - 3 : column + 4].all()


def test_after_a_restart_they_are_there_again(begun: MainWindow, qtbot) -> None:
    folder = begun.session.project.folder
    begun.session.close_project()
    qtbot.waitUntil(lambda: begun.session.project is None)
    assert begun.session.open_project(folder)
    qtbot.waitUntil(lambda: begun.opener.current is not None, timeout=30_000)
    assert shown_masks(begun).any()


def test_another_person_does_not_see_them(begun: MainWindow, qtbot) -> None:
    begun.session.person = "Somebody else"
    begun.slide_control.refresh()
    qtbot.waitUntil(lambda: begun.viewer.scene.begun == [])
    assert not begun.viewer._overlay.begun


def test_once_it_is_done_the_mark_is_gone(begun: MainWindow, qtbot) -> None:
    begun.actions_["next_question"].trigger()
    qtbot.waitUntil(lambda: begun.viewer.annotating is not None, timeout=30_000)
    begun.session.annotating.skip()
    qtbot.waitUntil(lambda: begun.viewer.scene is not None and begun.viewer.scene.begun == [], timeout=30_000)
