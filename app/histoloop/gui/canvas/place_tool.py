"""A place on the slide, shown with the mouse: a rectangle that is dragged, or a point that is clicked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent

from histoloop.geometry import Region

if TYPE_CHECKING:
    from histoloop.gui.canvas.viewer import SlideViewer

CLICK_PX = 4
"""A drag of less, in screen pixels, is a click."""


class PlaceTool(QObject):
    """Takes the left mouse button of a canvas from when it begins until a place was shown, or it is ended.

    `dragged` emits a rectangle (a `Region` in level-0 pixels, which may reach past the slide), `clicked` a point
    (x, y); `ended` comes before either, and when it was ended without. The wheel still zooms.
    """

    dragged = Signal(object)
    clicked = Signal(float, float)
    ended = Signal()

    def __init__(self, viewer: SlideViewer) -> None:
        super().__init__(viewer)
        self._viewer = viewer
        self._start: QPointF | None = None
        self.is_on = False

    def begin(self) -> None:
        """Wait for a place to be shown."""
        if not self.is_on:
            self.is_on = True
            canvas = self._viewer.canvas
            canvas.installEventFilter(self)
            canvas.setCursor(Qt.CursorShape.CrossCursor)
            canvas.setFocus()

    def end(self) -> None:
        """No place is shown any more."""
        if self.is_on:
            self.is_on, self._start = False, None
            self._viewer.canvas.removeEventFilter(self)
            self._viewer.canvas.unsetCursor()
            self._viewer.show_rubber_band(None)
            self.ended.emit()

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Take the left button and Esc."""
        if isinstance(event, QMouseEvent):
            return self._on_mouse(event)
        if isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()
                return True
            if event.type() == QEvent.Type.KeyPress:
                self.end()
                return True
        return False

    def _on_mouse(self, event: QMouseEvent) -> bool:
        left = Qt.MouseButton.LeftButton
        if event.type() == QEvent.Type.MouseButtonPress and event.button() == left:
            self._start = event.position()
            return True
        if self._start is None:
            return event.button() == left
        if event.type() == QEvent.Type.MouseMove:
            self._viewer.show_rubber_band(QRectF(self._start, event.position()).normalized())
            return True
        if event.type() == QEvent.Type.MouseButtonRelease and event.button() == left:
            self._show(self._start, event.position())
        return True

    def _show(self, start: QPointF, stop: QPointF) -> None:
        box = QRectF(start, stop).normalized()
        self.end()
        left, top = self._viewer.to_slide(box.topLeft())
        right, bottom = self._viewer.to_slide(box.bottomRight())
        if max(box.width(), box.height()) < CLICK_PX:
            self.clicked.emit(left, top)
            return
        x, y = math.floor(left), math.floor(top)
        self.dragged.emit(Region(x, y, max(1, math.ceil(right) - x), max(1, math.ceil(bottom) - y)))
