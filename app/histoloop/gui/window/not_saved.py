"""What is not saved yet: a red strip above the slide until it is, and the question before it would be lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from histoloop.gui.kit.strip import Strip
from histoloop.gui.kit.widgets import button, label, row
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Callable

    from histoloop.gui.work.annotating import Annotating
    from histoloop.gui.work.writing import Insistence

WIDTH_PX = 560


class NotSaved(Strip):
    """The strip: shown from the first try that failed until all is on disk; nobody can close it."""

    def __init__(self, annotating: Annotating, insistence: Insistence) -> None:
        self.text = label(role="problem", wrap=True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.try_now = button(tr("Try again now"))
        super().__init__(self.text, self.try_now)
        self._annotating, self._insistence = annotating, insistence
        self.try_now.clicked.connect(insistence.try_now)
        annotating.not_saved.connect(self._show)
        annotating.loss_feared.connect(self._ask)

    def _show(self, why: str) -> None:
        if why:
            self.text.setText(not_saved_text(self._annotating.unsaved(), why))
        self.setVisible(bool(why))
        self.fit()

    def _ask(self, then: Callable[[], object]) -> None:
        LossDialog(self.window(), self._annotating, self._insistence, then=then).open()


class LossDialog(QDialog):
    """Names what would be lost by closing now. It closes itself, and goes on, once all is saved."""

    def __init__(
        self, parent: QWidget, annotating: Annotating, insistence: Insistence, *, then: Callable[[], object]
    ) -> None:
        super().__init__(parent)
        self._annotating, self._then = annotating, then
        self.setWindowTitle(tr("Not saved yet"))
        self.setMinimumWidth(WIDTH_PX)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.text = label(role="problem", wrap=True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.stay = button(tr("Wait: keep the project open"), primary=True)
        self.try_now = button(tr("Try again now"))
        self.lose = button(tr("Close and lose the changes"))
        self.stay.clicked.connect(self.reject)
        self.try_now.clicked.connect(insistence.try_now)
        self.lose.clicked.connect(self._lose)
        self.stay.setDefault(True)
        layout = QVBoxLayout(self)
        layout.addWidget(label(tr("Some of your work is not saved yet."), role="heading", wrap=True))
        layout.addWidget(self.text)
        layout.addWidget(
            label(
                tr("Saving is retried until everything is saved; then this closes by itself."),
                role="muted",
                wrap=True,
            )
        )
        buttons = row(self.lose, self.try_now, self.stay)
        layout.addLayout(buttons)
        annotating.not_saved.connect(self._show)
        annotating.saved.connect(self._on_saved)
        self._show(annotating.why)

    def _show(self, why: str) -> None:
        self.text.setText(not_saved_text(self._annotating.unsaved(), why))

    def _on_saved(self, saved: bool) -> None:
        if saved:
            self.accept()
            self._then()

    def _lose(self) -> None:
        self._annotating.saved.disconnect(self._on_saved)
        self._annotating.lose()
        self.accept()
        self._then()


def not_saved_text(unsaved: list[str], why: str) -> str:
    """What is not saved, a line for each slide, and why."""
    listed = "\n".join(f"\N{BULLET} {line}" for line in unsaved)
    reason = tr("Not saved yet: {why} Trying again.", why=why) if why else tr("Not saved yet:")
    return f"{reason}\n{listed}"
