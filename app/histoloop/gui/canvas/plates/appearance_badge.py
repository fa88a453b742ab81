"""A plate on a canvas while its picture is not shown as it is, with a way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from histoloop.gui.canvas.appearance import NEUTRAL, Appearance, Stain
from histoloop.gui.kit.one_line import OneLine
from histoloop.gui.kit.widgets import button
from histoloop.language import mark, tr

if TYPE_CHECKING:
    from histoloop.gui.canvas.viewer import SlideViewer

STAINS = {
    Stain.ALL: mark("All stains"),
    Stain.HAEMATOXYLIN: mark("Haematoxylin"),
    Stain.EOSIN: mark("Eosin"),
    Stain.DAB: mark("DAB"),
}
MARGIN_PX = 14


def in_words(appearance: Appearance) -> str:
    """What is changed; empty: nothing."""
    parts = [] if appearance.stain is Stain.ALL else [tr(STAINS[appearance.stain])]
    if appearance.brightness:
        parts.append(tr("brightness {percent:+.0f}%", percent=100 * appearance.brightness))
    if appearance.contrast:
        parts.append(tr("contrast {percent:+.0f}%", percent=100 * appearance.contrast))
    if appearance.gamma != 1:
        parts.append(tr("gamma {gamma:.2f}", gamma=appearance.gamma))
    return ", ".join(parts)


class AppearanceBadge(QWidget):
    """Hidden while the picture is as the slide is; `reset_requested` asks for that."""

    reset_requested = Signal()

    def __init__(self, viewer: SlideViewer) -> None:
        super().__init__(viewer)
        self.setObjectName("plate")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._viewer, self._appearance = viewer, NEUTRAL
        self.text = OneLine(keeps_end=True)
        self.reset = button(tr("Reset"), tip=tr("Show the picture as the slide is"))
        self.reset.setObjectName("small")
        self.reset.clicked.connect(self.reset_requested)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 5, 6, 5)
        layout.addWidget(self.text)
        layout.addWidget(self.reset)
        viewer.resized.connect(self._place)
        self.setVisible(False)

    def show_appearance(self, appearance: Appearance) -> None:
        """State how the picture differs from the slide."""
        if appearance != self._appearance:
            self._appearance = appearance
            self.text.setText(tr("Picture changed: {how}", how=in_words(appearance)))
            self.setVisible(not appearance.is_neutral)
            self._place()

    def _place(self) -> None:
        canvas = self._viewer.canvas_rect
        self.adjustSize()
        self.resize(min(self.width(), canvas.width() - 2 * MARGIN_PX), self.height())
        self.move(canvas.left() + MARGIN_PX, canvas.top() + MARGIN_PX)
        self.raise_()
