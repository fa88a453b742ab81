"""Tools whose left button draws a shape on the slide rather than paints: a lasso, a box, a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent

if TYPE_CHECKING:
    from histoloop.gui.canvas.viewer import SlideViewer

LASSO, BOX, PLACE = "lasso", "box", "place"


class Gesture(QObject):
    """Takes the left button of a canvas while one of `tools` is in hand and the slide is not being moved.

    `tools` gives each the shape it draws: a lasso, a box, or nothing but the way the mouse went. `began` comes with the
    tool and the first place, `moved` with the places so far, `ended` with all of them (canvas pixels), `dropped` when
    Esc ended it. The wheel still zooms, and the middle and right button do what they did.
    """

    began = Signal(str, QPointF)
    moved = Signal(str, object)
    ended = Signal(str, object)
    dropped = Signal()

    def __init__(self, viewer: SlideViewer, tools: dict[str, str]) -> None:
        super().__init__(viewer)
        self._viewer, self._tools = viewer, tools
        self._places: list[QPointF] = []
        self._tool = ""
        self.modifiers = Qt.KeyboardModifier.NoModifier
        """Keys that were held when the button was pressed."""
        viewer.tool_changed.connect(self._on_tool)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Take the left button, and Esc while it is held."""
        if isinstance(event, QMouseEvent):
            return self._on_mouse(event)
        if isinstance(event, QKeyEvent) and self._places and event.key() == Qt.Key.Key_Escape:
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()
                self.drop()
            return True
        return False

    def drop(self) -> None:
        """Forget the shape that is being drawn."""
        if self._places:
            self._places = []
            self._show()
            self.dropped.emit()

    def _on_tool(self, tool: str) -> None:
        self.drop()
        if tool in self._tools:  # the canvas is there now, where it was not when this was made
            self._viewer.canvas.installEventFilter(self)
        self._tool = tool if tool in self._tools else ""

    def _on_mouse(self, event: QMouseEvent) -> bool:
        left = Qt.MouseButton.LeftButton
        if event.type() == QEvent.Type.MouseButtonPress and event.button() == left:
            if not self._tool or self._viewer.is_moving:
                return False
            self._places, self.modifiers = [event.position()], event.modifiers()
            self.began.emit(self._tool, event.position())
            return True
        if not self._places:
            return False
        if event.type() == QEvent.Type.MouseMove:
            self._places.append(event.position())
            self._show()
            self.moved.emit(self._tool, list(self._places))
        elif event.type() == QEvent.Type.MouseButtonRelease and event.button() == left:
            places, self._places = [*self._places, event.position()], []
            self._show()
            self.ended.emit(self._tool, places)
        return True

    def _show(self) -> None:
        shape = self._tools.get(self._tool, "")
        if shape == LASSO:
            self._viewer.show_lasso(self._places)
        elif shape == BOX:
            self._viewer.show_rubber_band(self._places)
