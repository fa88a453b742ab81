"""A strip above the slide: the project can only be looked at, why, and how to change that."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal

from histoloop.gui.kit.strip import Strip
from histoloop.gui.kit.widgets import button, label
from histoloop.language import tr


class ReadOnlyBar(Strip):
    """Stays as long as the project is read-only; `writing_requested` asks to open it for writing."""

    writing_requested = Signal()

    def __init__(self) -> None:
        self.text = label(role="notice", wrap=True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.write = button(tr("Open for writing"))
        super().__init__(self.text, self.write)
        self.write.clicked.connect(self.writing_requested)

    def show_reason(self, reason: str) -> None:
        """Why the project is read-only; empty: it is not."""
        self.text.setText(reason)
        self.setVisible(bool(reason))
        self.fit()
