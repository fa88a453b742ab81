"""A plate on a canvas while its slide is turned: how far, with a way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QWidget

from histoloop.gui.canvas.camera import FULL_TURN
from histoloop.gui.canvas.canvas_overlay import SCALE_BAR_ROOM_PX
from histoloop.gui.kit.widgets import button, label
from histoloop.language import tr

if TYPE_CHECKING:
    from histoloop.gui.canvas.viewer import SlideViewer

MARGIN_PX = 16


def turn_in_words(degrees: int) -> str:
    """How far a slide is turned clockwise (0 to 359), by the shorter way; empty: not at all."""
    if not degrees:
        return ""
    if degrees <= FULL_TURN // 2:
        return tr("{degrees}° right", degrees=degrees)
    return tr("{degrees}° left", degrees=FULL_TURN - degrees)


class TurnedBadge(QWidget):
    """Above the scale bar; hidden while the slide is upright."""

    def __init__(self, viewer: SlideViewer) -> None:
        super().__init__(viewer)
        self.setObjectName("plate")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._viewer = viewer
        self.text = label()
        self.text.setToolTip(tr("How far the slide is turned on the screen"))
        self.upright = button(tr("Upright"), tip=tr("Show the slide as it was scanned"))
        self.upright.setObjectName("small")
        self.upright.clicked.connect(lambda: viewer.turn_to(0))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 5, 6, 5)
        layout.addWidget(self.text)
        layout.addWidget(self.upright)
        viewer.camera_changed.connect(self._follow)
        viewer.resized.connect(self._place)
        viewer.overview_came.connect(lambda _view: self._follow())
        self.setVisible(False)

    def _follow(self) -> None:
        words = "" if self._viewer.scene is None else turn_in_words(self._viewer.camera().degrees)
        if words != self.text.text():
            self.text.setText(words)
            self.setVisible(bool(words))
            self._place()

    def _place(self) -> None:
        canvas = self._viewer.canvas_rect
        self.adjustSize()
        self.move(canvas.left() + MARGIN_PX, canvas.bottom() + 1 - SCALE_BAR_ROOM_PX - self.height())
        self.raise_()
