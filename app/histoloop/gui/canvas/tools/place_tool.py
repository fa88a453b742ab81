"""A place on the slide, shown with the mouse: a rectangle that is dragged, a point, a line that is drawn around it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPolygonF

from histoloop.geometry import Region

if TYPE_CHECKING:
    from histoloop.gui.canvas.viewer import SlideViewer

CLICK_PX = 4
"""A drag of less, in screen pixels, is a click."""


class PlaceTool(QObject):
    """Takes the left mouse button of a canvas from when it begins until a place was shown, or it is ended.

    `dragged` emits a rectangle (a `Region` in level-0 pixels, which may reach past the slide), `clicked` a point
    (x, y), `outlined` the corners (N, 2) of a line that was drawn freely, in level-0 pixels whose edges are whole
    numbers; `ended` comes before any, and when it was ended without. The wheel still zooms.
    """

    dragged = Signal(object)
    outlined = Signal(object)
    clicked = Signal(float, float)
    ended = Signal()

    def __init__(self, viewer: SlideViewer) -> None:
        super().__init__(viewer)
        self._viewer = viewer
        self._places: list[QPointF] = []
        self._is_free = False
        self.is_on = False

    def begin(self, *, freely: bool = False) -> None:
        """Wait for a place to be shown; `freely`: by a line around it."""
        self._is_free = freely
        if not self.is_on:
            self.is_on = True
            canvas = self._viewer.canvas
            canvas.installEventFilter(self)
            canvas.setCursor(Qt.CursorShape.CrossCursor)
            canvas.setFocus()

    def end(self) -> None:
        """No place is shown any more."""
        if self.is_on:
            self.is_on, self._places = False, []
            self._viewer.canvas.removeEventFilter(self)
            self._viewer.canvas.unsetCursor()
            self._viewer.show_rubber_band([])
            self._viewer.show_lasso([])
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
            self._places = [event.position()]
            return True
        if not self._places:
            return event.button() == left
        if event.type() == QEvent.Type.MouseMove:
            self._places.append(event.position())
            if self._is_free:
                self._viewer.show_lasso(self._places)
            else:
                self._viewer.show_rubber_band(self._places)
            return True
        if event.type() == QEvent.Type.MouseButtonRelease and event.button() == left:
            self._show([*self._places, event.position()])
        return True

    def _show(self, places: list[QPointF]) -> None:
        found = np.array([self._viewer.to_slide(place) for place in places])
        box, is_free = QPolygonF(places).boundingRect(), self._is_free
        self.end()
        if max(box.width(), box.height()) < CLICK_PX:
            if not is_free:
                self.clicked.emit(*found[0])
        elif is_free:
            self.outlined.emit(found + 0.5)
        else:
            (x, y), (right, bottom) = (found[[0, -1]].min(axis=0), found[[0, -1]].max(axis=0))
            x, y = math.floor(x), math.floor(y)
            self.dragged.emit(Region(x, y, max(1, math.ceil(right) - x), max(1, math.ceil(bottom) - y)))
