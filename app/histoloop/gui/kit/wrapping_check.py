"""A check box whose text goes on in further lines where there is too little room for it on one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QCheckBox, QSizePolicy, QStyle

from histoloop.gui.kit.long_words import NARROWEST_PX
from histoloop.gui.kit.widgets import menu_text

if TYPE_CHECKING:
    from PySide6.QtGui import QFontMetrics, QResizeEvent

_PADDING_PX = 4


class WrappingCheck(QCheckBox):
    """`text()` is the whole text on one line, whatever lines it is seen on."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._whole = text
        self.setAccessibleName(text)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        super().setText(menu_text(text))

    def text(self) -> str:
        """All of it."""
        return self._whole

    def heightForWidth(self, width: int) -> int:
        """Room for all lines, in pixels."""
        lines = len(_lines(self._whole, self.fontMetrics(), width - self._beside_text()))
        return self._lowest() + (lines - 1) * self.fontMetrics().lineSpacing()

    def hasHeightForWidth(self) -> bool:
        """The narrower, the higher."""
        return True

    def sizeHint(self) -> QSize:
        """All on one line."""
        return QSize(self.fontMetrics().horizontalAdvance(self._whole) + self._beside_text(), self._lowest())

    def minimumSizeHint(self) -> QSize:
        """Room for the box and a word."""
        return QSize(min(self.sizeHint().width(), NARROWEST_PX + self._beside_text()), self._lowest())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Break the text anew."""
        super().resizeEvent(event)
        lines = _lines(self._whole, self.fontMetrics(), self.width() - self._beside_text())
        shown = "\n".join(menu_text(line) for line in lines)
        if shown != super().text():
            super().setText(shown)
            self.updateGeometry()

    def _beside_text(self) -> int:
        """Width of the box with the gap behind it."""
        style = self.style()
        box = style.pixelMetric(QStyle.PixelMetric.PM_IndicatorWidth, None, self)
        return box + style.pixelMetric(QStyle.PixelMetric.PM_CheckBoxLabelSpacing, None, self) + _PADDING_PX

    def _lowest(self) -> int:
        box = self.style().pixelMetric(QStyle.PixelMetric.PM_IndicatorHeight, None, self)
        return max(box, self.fontMetrics().height()) + _PADDING_PX


def _lines(text: str, metrics: QFontMetrics, width: int) -> list[str]:
    """The text in lines of at most this width, in pixels; a word that is wider has a line of its own."""
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and metrics.horizontalAdvance(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
