"""Ask for a model to bring into a project."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QVBoxLayout,
    QWidget,
)

from histoloop.annotations.class_names import spoken_class
from histoloop.errors import HistoLoopError
from histoloop.gui.kit.widgets import button, label, row, set_role
from histoloop.language import tr
from histoloop.store.shipped import trained_models
from histoloop.workflows.add_model import check_new_model

if TYPE_CHECKING:
    from histoloop.store.project import Project

NOTE_LINES = 4


class AddModelDialog(QDialog):
    """A model that comes with the program, or one in a folder; refused at once when it does not fit the project."""

    def __init__(self, parent: QWidget | None, *, project: Project, place: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Add a model"))
        self.setMinimumWidth(480)
        self._project = project
        self._place = place
        self.model = QComboBox()
        for folder, card in trained_models():
            self.model.addItem(card.title, str(folder))
        browse = button(tr("From a folder…"))
        browse.clicked.connect(self._browse)
        self.note = label(role="muted", wrap=True)
        self.note.setMinimumHeight(NOTE_LINES * self.note.fontMetrics().lineSpacing())
        self.note.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setText(tr("Add model"))
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(label(tr("Which model should predict masks in this project?"), role="heading", wrap=True))
        layout.addLayout(row(self.model, browse, stretch=0))
        layout.addWidget(self.note)
        layout.addWidget(
            label(tr("It is copied into the project. The current model stays in use."), role="muted", wrap=True)
        )
        layout.addWidget(self.buttons)
        self.model.currentIndexChanged.connect(lambda _index: self._check())
        self._check()

    def source(self) -> Path:
        """The folder of the model."""
        return Path(self.model.currentData())

    def choose(self, folder: Path) -> None:
        """Offer the model of a folder."""
        if self.model.findData(str(folder)) < 0:
            self.model.addItem(str(folder), str(folder))
        self.model.setCurrentIndex(self.model.findData(str(folder)))

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, tr("The folder of a model (with card.md)"), self._place)
        if chosen:
            self.choose(Path(chosen))

    def _check(self) -> None:
        fits, note = False, tr("No model is available: choose one from a folder.")
        if self.model.count():
            try:
                card = check_new_model(self._project, self.source())
                classes = functools.reduce(_both, map(spoken_class, card.scheme.mask_names))
                made_for = tr("Predicts {classes} at {mpp:g} \N{MICRO SIGN}m per pixel.", classes=classes, mpp=card.mpp)
                fits, note = True, made_for
            except HistoLoopError as error:
                note = f"{error.message} {error.advice}"
        self.note.setText(note)
        set_role(self.note, "muted" if fits else "bad")
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(fits)


def _both(first: str, second: str) -> str:
    return tr("{first} and {second}", first=first, second=second)
