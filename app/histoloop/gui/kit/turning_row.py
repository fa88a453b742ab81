"""Widgets beside each other where there is room for them, else one above the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QBoxLayout, QLayout, QWidget

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

_ACROSS, _DOWN = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom


class TurningRow(QWidget):
    """A row that asks for no more width than the widest of its widgets, and is a column where it has no more."""

    def __init__(self, *widgets: QWidget) -> None:
        super().__init__()
        self._widgets = widgets
        self._box = QBoxLayout(_ACROSS, self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(6)
        self._box.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)
        for widget in widgets:
            self._box.addWidget(widget)

    def minimumSizeHint(self) -> QSize:
        """As wide as the widest of what is seen."""
        return QSize(max(self._widths(), default=0), self._box.minimumSize().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Turn where there is other room."""
        super().resizeEvent(event)
        widths = self._widths()
        across = sum(widths) + self._box.spacing() * (len(widths) - 1) <= self.width()
        direction = _ACROSS if across else _DOWN
        if direction != self._box.direction():
            self._box.setDirection(direction)
            self.updateGeometry()

    def _widths(self) -> list[int]:
        return [widget.minimumSizeHint().width() for widget in self._widgets if not widget.isHidden()]
