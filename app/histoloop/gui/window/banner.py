"""Messages above the slide that wait to be read without stopping anything."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy

from histoloop.gui.kit.widgets import button, label, set_role
from histoloop.language import tr


class Banner(QFrame):
    """Shows the newest message; a problem stays until it is closed, a notice too."""

    def __init__(self) -> None:
        super().__init__()
        self.text = label(role="notice", wrap=True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self.close_button = button(tr("Close"))
        self.close_button.clicked.connect(self.dismiss)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        self.setVisible(False)

    def show_problem(self, message: str, advice: str) -> None:
        """Something did not work: what, and what to do."""
        self.text.setText(f"{message}\n{advice}" if advice else message)
        set_role(self.text, "problem")
        self.setVisible(True)

    def show_notice(self, message: str) -> None:
        """Something worth knowing."""
        self.text.setText(message)
        set_role(self.text, "notice")
        self.setVisible(True)

    def dismiss(self) -> None:
        """It was read."""
        self.setVisible(False)
