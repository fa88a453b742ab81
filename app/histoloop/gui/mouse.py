"""Real mouse events on the canvas, for the scripted tour: what a hand on the mouse would cause."""

from __future__ import annotations

import functools
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
    send = functools.partial(_send, canvas, turn=not at_once)
    send(QEvent.Type.MouseMove, places[0], button=_NONE, held=_NONE)
    send(QEvent.Type.MouseButtonPress, places[0], button=_LEFT, held=_LEFT)
    for place in places[1:]:
        send(QEvent.Type.MouseMove, place, button=_NONE, held=_LEFT)
    send(QEvent.Type.MouseButtonRelease, places[-1], button=_LEFT, held=_NONE)


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
