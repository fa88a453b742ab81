"""A strip above the slide: a text, and buttons beside it or, where little room is left for the text, below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QBoxLayout, QFrame, QLabel, QSizePolicy, QVBoxLayout

from histoloop.gui.kit.flow import Flow

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent
    from PySide6.QtWidgets import QPushButton

LEAST_TEXT_PX = 240
"""A text of several lines beside buttons is at least so wide."""


class Strip(QFrame):
    """`text` wraps, and can be selected; the strip is as high as both need."""

    def __init__(self, text: QLabel, *buttons: QPushButton) -> None:
        super().__init__()
        self._text, self._buttons = text, buttons
        text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self._box = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._box.setContentsMargins(8, 8, 8, 8)
        self._box.setSpacing(6)
        self._box.addWidget(text, 1)
        beside = QVBoxLayout()
        beside.addLayout(Flow(*buttons))
        beside.addStretch(1)
        self._box.addLayout(beside)
        self.setVisible(False)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Beside it, or below it."""
        super().resizeEvent(event)
        self.fit()

    def fit(self) -> None:
        """After another text, or other buttons."""
        shown = [button.sizeHint().width() + self._box.spacing() for button in self._buttons if not button.isHidden()]
        room = self.width() - 16 - sum(shown)
        beside = room >= min(LEAST_TEXT_PX, self._text.fontMetrics().horizontalAdvance(self._text.text()))
        way = QBoxLayout.Direction.LeftToRight if beside else QBoxLayout.Direction.TopToBottom
        if way != self._box.direction():
            self._box.setDirection(way)
