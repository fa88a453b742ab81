"""Real mouse events on the canvas, for the scripted tour: what a hand on the mouse would cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtWidgets import QWidget

_LEFT, _NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton


def drag(canvas: QWidget, places: Sequence[QPointF], *, at_once: bool = False) -> None:
    """Press at the first place, move over the others, release at the last (canvas pixels).

    `at_once`: as when the window was busy and finds everything in its queue.
    """
    press(canvas, places[0], at_once=at_once)
    for place in places[1:]:
        _send(canvas, QEvent.Type.MouseMove, place, button=_NONE, held=_LEFT, turn=not at_once)
    release(canvas, places[-1], at_once=at_once)


def press(canvas: QWidget, place: QPointF, *, at_once: bool = False) -> None:
    """Move to a place and press there."""
    _send(canvas, QEvent.Type.MouseMove, place, button=_NONE, held=_NONE, turn=not at_once)
    _send(canvas, QEvent.Type.MouseButtonPress, place, button=_LEFT, held=_LEFT, turn=not at_once)


def release(canvas: QWidget, place: QPointF, *, at_once: bool = False) -> None:
    """Let go at a place what was pressed."""
    _send(canvas, QEvent.Type.MouseButtonRelease, place, button=_LEFT, held=_NONE, turn=not at_once)


def click(canvas: QWidget, place: QPointF) -> None:
    """Press and release at a place."""
    drag(canvas, [place])


def _send(
    canvas: QWidget, kind: QEvent.Type, place: QPointF, *, button: Qt.MouseButton, held: Qt.MouseButton, turn: bool
) -> None:
    on_screen = QPointF(canvas.mapToGlobal(place.toPoint()))
    event = QMouseEvent(kind, place, on_screen, button, held, Qt.KeyboardModifier.NoModifier)
    QCoreApplication.sendEvent(canvas, event)
    if turn:
        QCoreApplication.processEvents()
