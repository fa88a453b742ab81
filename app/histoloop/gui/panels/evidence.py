"""The picture of why a region is asked about, with what one sees on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from histoloop.acquisition.strategies import STRATEGIES
from histoloop.gui.kit.widgets import label, picture_of
from histoloop.language import tr

if TYPE_CHECKING:
    from pathlib import Path

MOST_PX, LEAST_PX = 220, 110
"""Height of the picture, by what room there is."""

LOWEST_PX = 72
"""Its height in a low window."""


class EvidenceView(QWidget):
    """The evidence of one question; hidden where there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.picture = _Picture()
        self.caption = label(role="muted", wrap=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.picture)
        column.addWidget(self.caption)
        self.setVisible(False)

    def show_evidence(self, picture: Path | None, strategy: str) -> None:
        """Show the picture of a question that a strategy asks; None, and files that are not there, are no evidence."""
        pixmap = QPixmap() if picture is None else picture_of(picture)
        caption = STRATEGIES[strategy].caption if strategy in STRATEGIES else ""
        there = not pixmap.isNull() and bool(caption)
        self.setVisible(there)
        if there:
            self.picture.take(pixmap)
            self.caption.setText(tr(caption))


class _Picture(QWidget):
    """A picture as large as there is room, in its proportions, at the left."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(LOWEST_PX)
        self.setMaximumHeight(MOST_PX)
        self._pixmap = QPixmap()

    def take(self, pixmap: QPixmap) -> None:
        """Show another picture."""
        self._pixmap = pixmap
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(240, LEAST_PX)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the picture."""
        if self._pixmap.isNull():
            return
        size = self._pixmap.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawPixmap(
            QRect(QPoint((self.width() - size.width()) // 2, (self.height() - size.height()) // 2), size), self._pixmap
        )
        painter.end()
