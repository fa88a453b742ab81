"""A strip above the slide: the project can only be looked at, why, and how to change that."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy

from histoloop.gui.kit.widgets import button, label
from histoloop.language import tr


class ReadOnlyBar(QFrame):
    """Stays as long as the project is read-only; `writing_requested` asks to open it for writing."""

    writing_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.text = label(role="notice", wrap=True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self.write = button(tr("Open for writing"))
        self.write.clicked.connect(self.writing_requested)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 0)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.write, 0, Qt.AlignmentFlag.AlignTop)
        self.setVisible(False)

    def show_reason(self, reason: str) -> None:
        """Why the project is read-only; empty: it is not."""
        self.text.setText(reason)
        self.setVisible(bool(reason))
