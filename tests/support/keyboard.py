"""Keys as a person presses them in the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from histoloop.gui.window.main_window import MainWindow


def bring_up(window: QWidget) -> None:
    """Make a window or dialog the active one: without a window manager it is not that of its own accord."""
    for _turn in range(100):
        if QApplication.activeWindow() is window:
            break
        window.raise_()
        window.activateWindow()
        QTest.qWait(20)


def press(window: MainWindow, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    """Press a key on the slide, as the window takes it: a shortcut of a menu."""
    bring_up(window)
    window.viewer.canvas.setFocus()
    QTest.keyClick(window.viewer.canvas, key, modifier)


def press_for(window: MainWindow, name: str) -> None:
    """Press the keys of an action, whatever they are, on the slide."""
    bring_up(window)
    window.viewer.canvas.setFocus()
    assert not window.actions_[name].shortcut().isEmpty(), name
    QTest.keySequence(window.viewer.canvas, window.actions_[name].shortcut())
