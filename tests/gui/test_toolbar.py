"""The toolbar: every button is in sight, with its words where there is room for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import Qt

from histoloop.gui.window.main_window import TOOLBAR, TOOLBAR_VIEW

if TYPE_CHECKING:
    from PySide6.QtWidgets import QToolButton

    from histoloop.gui.window.main_window import MainWindow

ICON, WORDS = Qt.ToolButtonStyle.ToolButtonIconOnly, Qt.ToolButtonStyle.ToolButtonTextBesideIcon


def buttons(window: MainWindow) -> dict[str, QToolButton]:
    return {name: window.toolbar.widgetForAction(window.actions_[name]) for name in (*TOOLBAR, *TOOLBAR_VIEW)}


@pytest.mark.parametrize("width", [800, 1280, 1600])
def test_every_button_is_in_sight_however_narrow_the_window_is(opened: MainWindow, qtbot, width: int) -> None:
    opened.resize(width, 500)
    qtbot.waitUntil(lambda: opened.toolbar.width() == width, timeout=5_000)
    hidden = [
        name
        for name, button in buttons(opened).items()
        if not button.isVisible() or not opened.toolbar.rect().contains(button.geometry())
    ]
    assert hidden == []


def test_the_last_words_go_first_and_come_back_with_the_room(opened: MainWindow, qtbot) -> None:
    opened.resize(1500, 600)
    qtbot.waitUntil(lambda: buttons(opened)["compare"].toolButtonStyle() == WORDS, timeout=5_000)
    opened.resize(1000, 600)
    qtbot.waitUntil(lambda: buttons(opened)["compare"].toolButtonStyle() == ICON, timeout=5_000)
    assert buttons(opened)["add_slides"].toolButtonStyle() == WORDS
    assert buttons(opened)["fit"].toolButtonStyle() == ICON
    assert opened.actions_["compare"].toolTip() != ""
    opened.resize(1500, 600)
    qtbot.waitUntil(lambda: buttons(opened)["compare"].toolButtonStyle() == WORDS, timeout=5_000)
