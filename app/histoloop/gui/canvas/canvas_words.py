"""What a canvas says in words: why it is empty and what can be done, and what of its slide cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from histoloop.gui.kit.widgets import button, label, row
from histoloop.language import tr

if TYPE_CHECKING:
    from histoloop.gui.work.failure import Failure

PATIENCE_MS = 300
"""A slide that is there sooner is not announced."""
WIDTH_PX = 520
_MARGIN_PX = 12


class EmptyCanvas(QWidget):
    """Covers a canvas that shows no slide: the name of the slide that was chosen, what is wrong, what to do."""

    retry_requested = Signal()
    find_requested = Signal()
    remove_requested = Signal()

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.name = label(role="heading", wrap=True)
        self.reason = label(wrap=True)
        self.reason.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.advice = label(role="muted", wrap=True)
        self.retry = button(tr("Try again"))
        self.find_moved = button(tr("Find moved slides…"))
        self.remove = button(tr("Remove from the project"))
        self.retry.clicked.connect(self.retry_requested)
        self.find_moved.clicked.connect(self.find_requested)
        self.remove.clicked.connect(self.remove_requested)
        self._buttons = QWidget()
        buttons = row(self.retry, self.find_moved, self.remove)
        buttons.setContentsMargins(0, 6, 0, 0)
        buttons.addStretch(1)
        self._buttons.setLayout(buttons)
        middle = QWidget()
        middle.setMaximumWidth(WIDTH_PX)
        column = QVBoxLayout(middle)
        for part in (self.name, self.reason, self.advice, self._buttons):
            column.addWidget(part)
        layout = QHBoxLayout(self)
        layout.addStretch(1)
        layout.addWidget(middle, 8, Qt.AlignmentFlag.AlignVCenter)
        layout.addStretch(1)
        self._patience = QTimer(self, singleShot=True, interval=PATIENCE_MS)
        self._patience.timeout.connect(self._show_opening)
        self._follow = _Follower(canvas, self)
        self.setVisible(False)

    def show_opening(self, name: str) -> None:
        """A slide is on its way."""
        self.name.setText(name)
        self._patience.start()

    def show_trouble(self, name: str, failure: Failure, *, may_change: bool) -> None:
        """A slide cannot be shown; `may_change`: whether the project can be changed."""
        self._patience.stop()
        self.name.setText(name)
        self.reason.setText(failure.message)
        self.advice.setText(failure.advice)
        self.advice.setVisible(bool(failure.advice))
        self._buttons.setVisible(True)
        for each in (self.find_moved, self.remove):
            each.setEnabled(may_change)
        self.setVisible(True)
        self.raise_()

    def dismiss(self) -> None:
        """The slide is there, or none is wanted."""
        self._patience.stop()
        self.setVisible(False)

    def _show_opening(self) -> None:
        self.reason.setText(tr("Opening the slide…"))
        self.advice.setVisible(False)
        self._buttons.setVisible(False)
        self.setVisible(True)
        self.raise_()


class ReadTrouble(QWidget):
    """A strip over the top of a canvas: part of the slide, or its masks, cannot be read. It goes when it can be."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.text = label(role="problem", wrap=True)
        self.text.setAutoFillBackground(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(_MARGIN_PX, _MARGIN_PX, _MARGIN_PX, 0)
        column.addWidget(self.text)
        column.addStretch(1)
        self._pixels = self._masks = ""
        self._follow = _Follower(canvas, self)
        self._show()

    def show_pixels(self, message: str) -> None:
        """What became of the last attempt to read pixels; empty: they were read."""
        self._pixels = message and tr("Part of this slide cannot be read. {reason}", reason=message)
        self._show()

    def show_masks(self, message: str) -> None:
        """Why there are no masks on the slide; empty: nothing is wrong with them."""
        self._masks = message and tr("The masks of this slide cannot be read. {reason}", reason=message)
        self._show()

    def _show(self) -> None:
        self.text.setText("\n".join(filter(None, (self._pixels, self._masks))))
        self.setVisible(bool(self._pixels or self._masks))


class CanvasHint(QWidget):
    """A line at the top of a canvas: what can be done with it now."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.text = label(role="notice", wrap=True)
        self.text.setMaximumWidth(WIDTH_PX)
        middle = QHBoxLayout()
        middle.addStretch(1)
        middle.addWidget(self.text, 8)
        middle.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(_MARGIN_PX, _MARGIN_PX, _MARGIN_PX, _MARGIN_PX)
        column.addLayout(middle)
        column.addStretch(1)
        self._follow = _Follower(canvas, self)
        self.setVisible(False)

    def show_hint(self, text: str) -> None:
        """Show a sentence; empty: none."""
        self.text.setText(text)
        self.setVisible(bool(text))


class _Follower(QObject):
    """Keeps a widget as large as the one it lies on."""

    def __init__(self, canvas: QWidget, widget: QWidget) -> None:
        super().__init__(widget)
        self._canvas, self._widget = canvas, widget
        canvas.installEventFilter(self)
        widget.resize(canvas.size())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._canvas and event.type() == QEvent.Type.Resize:
            self._widget.resize(self._canvas.size())
        return False
