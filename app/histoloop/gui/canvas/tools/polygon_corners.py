"""A polygon that was begun and is not painted yet: its last corner is taken back before anything else is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QKeyEvent

if TYPE_CHECKING:
    from histoloop.gui.canvas.viewer import SlideViewer


def take_back_corner(viewer: SlideViewer) -> bool:
    """Take back the last corner of the polygon in hand, as the keys of undo do on the canvas; whether there was one."""
    if viewer.tool != "polygon":
        return False
    asked = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    asked.ignore()
    QCoreApplication.sendEvent(viewer.canvas, asked)
    return asked.isAccepted()
