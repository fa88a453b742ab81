"""A panel with a foot that stays in sight: what lies above it scrolls when the window is low."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from histoloop.gui.kit.widgets import scrolling

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent


class WithFoot(QWidget):
    """`body` over `foot`: the foot follows where the body ends, and where there is too little room the body scrolls.

    A body that `grows` takes what room there is, and the foot stands at the bottom.
    """

    def __init__(self, body: QWidget, foot: QWidget, *, grows: bool = False) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._body, self._foot = body, foot
        self.area = scrolling(body)
        if not grows:
            self.area.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self._grows = grows
        body.installEventFilter(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.area, 1)
        column.addWidget(foot)
        column.addStretch(0)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """The body wants another height."""
        if event.type() == QEvent.Type.LayoutRequest:
            self._fit()
        return False

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Texts wrap anew."""
        super().resizeEvent(event)
        self._fit()

    def minimumSizeHint(self) -> QSize:
        """The foot, and a little of the body."""
        foot, area = self._foot.minimumSizeHint(), self.area.minimumSizeHint()
        return QSize(max(foot.width(), area.width()), foot.height() + area.height())

    def _fit(self) -> None:
        """Let the body be as high as it wants, and no higher."""
        if self._grows:
            return
        layout = self._body.layout()
        width = self.area.viewport().width()
        wanted = layout.totalHeightForWidth(width) if layout is not None and layout.hasHeightForWidth() else -1
        self.area.setMaximumHeight(max(wanted, self._body.sizeHint().height() if wanted < 0 else 0))
