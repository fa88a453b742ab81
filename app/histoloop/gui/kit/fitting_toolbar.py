"""A toolbar whose buttons all stay in sight: where there is no room, the last ones show their icons alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QToolBar, QToolButton

if TYPE_CHECKING:
    from PySide6.QtGui import QAction, QResizeEvent, QShowEvent
    from PySide6.QtWidgets import QLayout

_WORDS, _ICON = Qt.ToolButtonStyle.ToolButtonTextBesideIcon, Qt.ToolButtonStyle.ToolButtonIconOnly


class FittingToolBar(QToolBar):
    """Buttons with words beside their icons; what an icon alone stands for is in its tip."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.setMovable(False)
        self.setToolButtonStyle(_ICON)
        self._worded: list[QToolButton] = []

    def add(self, action: QAction, *, words: bool) -> None:
        """A button of an action, the next to the right; its words are shown where there is room."""
        self.addAction(action)
        button = self.widgetForAction(action)
        if words and isinstance(button, QToolButton):
            button.setToolButtonStyle(_WORDS)
            self._worded.append(button)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More or fewer words."""
        super().resizeEvent(event)
        self._fit()

    def showEvent(self, event: QShowEvent) -> None:
        """Sizes are those of the style sheet from now on."""
        super().showEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        """Another font or theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange) and self.isVisible():
            self._fit()

    def _fit(self) -> None:
        before = [button.toolButtonStyle() for button in self._worded]
        for button in self._worded:
            button.setToolButtonStyle(_WORDS)
        for button in reversed(self._worded):
            if self._needed() <= self.width():
                break
            button.setToolButtonStyle(_ICON)
        if [button.toolButtonStyle() for button in self._worded] != before:
            self._laid_out().invalidate()  # Qt has laid out the buttons as they were
            self._laid_out().setGeometry(self.rect())

    def _laid_out(self) -> QLayout:
        layout = self.layout()
        assert layout is not None  # every toolbar has one
        return layout

    def _needed(self) -> int:
        """Pixels that all buttons take, with what is between and around them."""
        margins, layout = self.contentsMargins(), self._laid_out()
        inside = layout.contentsMargins()
        parts = [self.widgetForAction(action).sizeHint().width() for action in self.actions()]
        around = margins.left() + margins.right() + inside.left() + inside.right()
        return sum(parts) + layout.spacing() * max(0, len(parts) - 1) + around
