"""A strip above the slide that asks once per project who annotates here, and does not stand in the way of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QBoxLayout, QFrame, QLineEdit

from histoloop.gui.kit.widgets import button, label, row
from histoloop.language import tr

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

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
        self.name.setMinimumWidth(NAME_PX // 3)
        self.name.setMaximumWidth(NAME_PX)
        self.name.setAccessibleName(tr("Name or initials"))
        self.name.setPlaceholderText(tr("Name or initials"))
        self.keep = button(tr("That is me"), tip=tr("Remembered with this project on this computer"))
        self.keep.clicked.connect(self._answer)
        self.name.returnPressed.connect(self._answer)
        self.name.textChanged.connect(lambda text: self.keep.setEnabled(bool(text.strip())))
        self._lines = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._lines.setContentsMargins(8, 8, 8, 0)
        self._lines.addWidget(self.text)
        self._lines.addLayout(row(self.name, self.keep))
        self._lines.addStretch(1)
        self._lines.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setVisible(False)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The question stands above the answer where both do not go on one line."""
        super().resizeEvent(event)
        words = self.text.fontMetrics().horizontalAdvance(self.text.text())
        fits = words + NAME_PX + self.keep.sizeHint().width() + 4 * self._lines.spacing() <= self.width()
        way = QBoxLayout.Direction.LeftToRight if fits else QBoxLayout.Direction.TopToBottom
        if way != self._lines.direction():
            self.text.setWordWrap(not fits)
            self._lines.setDirection(way)

    def ask(self, suggested: str) -> None:
        """Show the question with a name to begin with."""
        self.name.setText(suggested)
        self.setVisible(True)

    def _answer(self) -> None:
        name = self.name.text().strip()
        if name:
            self.setVisible(False)
            self.answered.emit(name)
