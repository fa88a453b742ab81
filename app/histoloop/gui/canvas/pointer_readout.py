"""Where the pointer is on the slide, and what is under it, in a line of words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QLabel

from histoloop.annotations.class_names import spoken_class
from histoloop.gui.kit.widgets import visible_name
from histoloop.language import number, tr

if TYPE_CHECKING:
    from histoloop.gui.canvas.viewer import SlideViewer


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
        viewer.pointer_moved.connect(self._show)
        viewer.pointer_left.connect(self.clear)

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
