"""A strip above the slide that asks once per project who annotates here, and does not stand in the way of work."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit

from histoloop.gui.kit.widgets import button, label
from histoloop.language import tr

LONGEST = 80
NAME_PX = 180


class PersonBar(QFrame):
    """`answered` is emitted with the name or initials that were given."""

    answered = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.text = label(tr("Who annotates in this project?"))
        self.name = QLineEdit()
        self.name.setMaxLength(LONGEST)
        self.name.setFixedWidth(NAME_PX)
        self.name.setAccessibleName(tr("Name or initials"))
        self.name.setPlaceholderText(tr("Name or initials"))
        self.keep = button(tr("That is me"), tip=tr("Remembered with this project on this computer"))
        self.keep.clicked.connect(self._answer)
        self.name.returnPressed.connect(self._answer)
        self.name.textChanged.connect(lambda text: self.keep.setEnabled(bool(text.strip())))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 0)
        layout.addWidget(self.text)
        layout.addWidget(self.name)
        layout.addWidget(self.keep)
        layout.addStretch(1)
        layout.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setVisible(False)

    def ask(self, suggested: str) -> None:
        """Show the question with a name to begin with."""
        self.name.setText(suggested)
        self.setVisible(True)

    def _answer(self) -> None:
        name = self.name.text().strip()
        if name:
            self.setVisible(False)
            self.answered.emit(name)
