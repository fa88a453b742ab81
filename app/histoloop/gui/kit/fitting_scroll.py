"""Parts of a panel that scroll when the window is low, so that others of it stay in sight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from histoloop.gui.kit.widgets import UpAndDown, scrolling

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

LEAST_PX = 40


class WithFoot(QWidget):
    """`body` over `foot`: the foot follows where the body ends, and where there is too little room the body scrolls."""

    def __init__(self, body: QWidget, foot: QWidget) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._body, self._foot = body, foot
        self.area = scrolling(body)
        self.area.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
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
        layout = self._body.layout()
        width = self.area.viewport().width()
        wanted = layout.totalHeightForWidth(width) if layout is not None and layout.hasHeightForWidth() else -1
        self.area.setMaximumHeight(max(wanted, self._body.sizeHint().height() if wanted < 0 else 0))


class OverFoot(QWidget):
    """`body`, which takes what room there is, over `foot` at the bottom; parts of it may scroll, not all."""

    def __init__(self, body: QWidget, foot: QWidget) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        body.setMinimumHeight(1)  # however much it would like, it makes no window higher
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(body, 1)
        column.addWidget(foot)


class GivingWay(UpAndDown):
    """As high as what is in it, where there is room for that; else it scrolls, and `LEAST_PX` of it are seen."""

    def __init__(self, inside: QWidget) -> None:
        super().__init__()
        self._inside = inside
        self.setWidgetResizable(True)
        self.setWidget(inside)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    def sizeHint(self) -> QSize:
        """Its content, at the width there is."""
        return QSize(super().sizeHint().width(), self._content_height())

    def minimumSizeHint(self) -> QSize:
        """A little of it."""
        return QSize(super().minimumSizeHint().width(), min(LEAST_PX, self._content_height()))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Texts wrap anew."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.updateGeometry()

    def _content_height(self) -> int:
        wanted = self._inside.heightForWidth(self.width())
        return wanted if wanted >= 0 else self._inside.sizeHint().height()
