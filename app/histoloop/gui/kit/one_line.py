"""A text on one line that gives way: where there is no room for all of it, it ends with dots and a tip has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QLabel, QSizePolicy

from histoloop.gui.kit.widgets import plain_tip, visible_text

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

_LEAST_PX = 48


class OneLine(QLabel):
    """`text()` is the whole text, whatever is seen of it; of `least` all stays in sight.

    Where it `keeps_end`, the dots are at its beginning. `apart_px` is left free at its right.
    """

    def __init__(
        self, text: str = "", *, role: str = "", least: str = "", keeps_end: bool = False, apart_px: int = 0
    ) -> None:
        super().__init__()
        self.setObjectName(role)
        self.setContentsMargins(0, 0, apart_px, 0)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self._whole, self._least = "", least
        self._elided = Qt.TextElideMode.ElideLeft if keeps_end else Qt.TextElideMode.ElideRight
        self.setText(text)

    def setText(self, text: str) -> None:
        """Another text."""
        self._whole = visible_text(text)
        self._shorten()
        self.updateGeometry()

    def text(self) -> str:
        """All of it."""
        return self._whole

    def clear(self) -> None:
        """No text."""
        self.setText("")

    def sizeHint(self) -> QSize:
        """Room for all of it."""
        return QSize(self._wide(self._whole), super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """Room for `least`, or for a few letters."""
        least = self._wide(self._least) if self._least else _LEAST_PX
        return QSize(min(self.sizeHint().width(), least), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More or less of it is seen."""
        super().resizeEvent(event)
        self._shorten()

    def _wide(self, text: str) -> int:
        margins = self.contentsMargins()
        inside = self.fontMetrics().horizontalAdvance(text) + 2 if text else 0
        return inside + margins.left() + margins.right()

    def _shorten(self) -> None:
        shown = self.fontMetrics().elidedText(self._whole, self._elided, self.contentsRect().width())
        super().setText(shown)
        self.setToolTip(plain_tip(self._whole) if shown != self._whole else "")
