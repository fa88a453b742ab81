"""Where the pointer is on the slide, and what is under it, in a line of words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QLabel

from histoloop.annotations.class_names import spoken_class
from histoloop.gui.kit.widgets import visible_name
from histoloop.language import number, tr

if TYPE_CHECKING:
    from histoloop.gui.canvas.viewer import SlideViewer


EVERY_MS = 60
"""A pointer that moves is followed so often: a line that changes has the status bar laid out anew."""


def place_in_words(x: float, y: float, mpp: float | None) -> str:
    """A place (level-0 pixels), in um from the slide's upper left corner; in pixels where `mpp` is not known."""
    if mpp is None:
        return tr("x {x:.0f} px, y {y:.0f} px (resolution unknown)", x=x, y=y)
    return tr("x {x:.1f} µm, y {y:.1f} µm", x=x * mpp, y=y * mpp)


class PointerReadout(QLabel):
    """A line for the status bar; empty while the pointer is not on the slide."""

    def __init__(self, viewer: SlideViewer) -> None:
        super().__init__()
        self.setObjectName("muted")
        self._viewer = viewer
        self._newest: tuple[float, float] | None = None
        self._rest = QTimer(self, singleShot=True, interval=EVERY_MS)
        self._rest.timeout.connect(self._show_newest)
        viewer.pointer_moved.connect(self._on_moved)
        viewer.pointer_left.connect(self._on_left)

    def _on_moved(self, x: float, y: float) -> None:
        self._newest = (x, y)
        if not self._rest.isActive():
            self._show_newest()

    def _on_left(self) -> None:
        self._newest = None
        self.clear()

    def _show_newest(self) -> None:
        if self._newest is not None:
            self._show(*self._newest)
            self._newest = None
            self._rest.start()

    def _show(self, x: float, y: float) -> None:
        scene = self._viewer.scene
        if scene is None or not (0 <= x < scene.slide.width and 0 <= y < scene.slide.height):
            self.clear()
            return
        parts = [place_in_words(x, y, scene.slide.mpp)]
        name, probability = self._viewer.under(x, y)
        if name is not None:
            parts.append(visible_name(spoken_class(name)))
        if probability is not None:
            parts.append(number(probability, ".2f"))
        self.setText("  ·  ".join(parts))
