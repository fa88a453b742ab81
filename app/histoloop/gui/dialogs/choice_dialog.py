"""A question with a few answers, each of them a button; the window goes on behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QPushButton, QVBoxLayout

from histoloop.gui.kit.widgets import button, label
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtWidgets import QWidget

WIDTH_PX = 500
ROLE = QDialogButtonBox.ButtonRole.ActionRole


class ChoiceDialog(QDialog):
    """Asks `text`, and explains with `detail`; Esc and *Cancel* choose nothing.

    `choices` are (answer, what it does); Return gives the answer `default` (its number), None *Cancel*.
    """

    def __init__(
        self,
        parent: QWidget,
        *,
        title: str,
        text: str,
        detail: str,
        choices: Sequence[tuple[str, Callable[[], object]]],
        default: int | None = None,
        cancel: str = "",
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setMinimumWidth(WIDTH_PX)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.text, self.detail = label(text, role="heading", wrap=True), label(detail, role="muted", wrap=True)
        for part in (self.text, self.detail):
            part.setTextFormat(Qt.TextFormat.PlainText)
        buttons = QDialogButtonBox()
        self.answers: list[QPushButton] = []
        for number, (answer, deed) in enumerate(choices):
            self._add(buttons, button(answer, primary=number == default), deed)
        self.cancel = button(cancel or tr("Cancel"), primary=default is None)
        buttons.addButton(self.cancel, QDialogButtonBox.ButtonRole.RejectRole)
        buttons.rejected.connect(self.reject)
        first = self.cancel if default is None else self.answers[default]
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(self.detail)
        layout.addWidget(buttons)
        first.setDefault(True)
        first.setFocus()  # once it is in the dialog: whatever has the focus is what Return presses

    def _add(self, buttons: QDialogButtonBox, answer: QPushButton, deed: Callable[[], object]) -> None:
        def choose() -> None:
            self.accept()
            deed()

        answer.clicked.connect(choose)
        buttons.addButton(answer, ROLE)
        self.answers.append(answer)
