"""The pressure of a pen changes how broad the brush is, where that is wished."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QTabletEvent

if TYPE_CHECKING:
    from histoloop.gui.canvas.viewer import SlideViewer

LEAST = 0.15
"""Share of its width that the brush has at the lightest touch; at full pressure it has all of it."""

_TOUCHES = (QEvent.Type.TabletPress, QEvent.Type.TabletMove)


class PenPressure(QObject):
    """Watches the pen on a canvas while `is_on`.

    What the pen does reaches the canvas as the mouse does afterwards: Qt makes mouse events of what nobody takes.
    """

    def __init__(self, viewer: SlideViewer) -> None:
        super().__init__(viewer)
        self._viewer = viewer
        self._is_on = False
        self._listens = False
        viewer.tool_changed.connect(self._on_tool)

    def switch(self, on: bool) -> None:
        """Let pressure change the brush, or not."""
        self._is_on = on
        self._viewer.press_brush(1.0)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Make the brush as broad as the pen is pressed, and as it was when the pen is lifted."""
        if self._is_on and isinstance(event, QTabletEvent):
            is_down = event.type() in _TOUCHES and event.pressure() > 0
            self._viewer.press_brush(LEAST + (1 - LEAST) * event.pressure() if is_down else 1.0)
        return False

    def _on_tool(self, _tool: str) -> None:
        if not self._listens and self._viewer.has_canvas:
            self._listens = True
            self._viewer.canvas.installEventFilter(self)
