"""Ask for the name, the place and the starting model of a new project."""

from __future__ import annotations

import re
from pathlib import Path

from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from histoloop import paths
from histoloop.gui.kit.widgets import button, label, row
from histoloop.language import tr
from histoloop.store.cards import list_models, load_card


class NewProjectDialog(QDialog):
    """Name, place and starting model of a new project."""

    def __init__(self, parent: QWidget | None, *, place: Path) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("New project"))
        self.setMinimumWidth(480)
        self.name = QLineEdit(tr("Project"))
        self.place = QLineEdit(str(place))
        browse = button(tr("Browse…"))
        browse.clicked.connect(self._browse)
        self.model = QComboBox()
        for folder in list_models(paths.shipped_models()):
            self.model.addItem(load_card(folder).title, folder.name)
        self.problem = label(role="bad", wrap=True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setText(tr("Make project"))
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        form = QFormLayout()
        form.addRow(tr("Name"), self.name)
        form.addRow(tr("In the folder"), row(self.place, browse, stretch=0))
        form.addRow(tr("Starts from the model"), self.model)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(label(tr("Slides are not copied: the project refers to them."), role="muted", wrap=True))
        layout.addWidget(self.problem)
        layout.addWidget(self.buttons)
        self.name.textChanged.connect(self._check)
        self.place.textChanged.connect(self._check)
        self._check()

    def folder(self) -> Path:
        """The folder that becomes the project."""
        return Path(self.place.text()).expanduser() / folder_name(self.name.text())

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, tr("Where to put the project"), self.place.text())
        if chosen:
            self.place.setText(chosen)

    def _check(self) -> None:
        problem = ""
        if not self.name.text().strip() or not self.place.text().strip():
            problem = tr("Give the project a name and a place.")
        elif (self.folder() / "project.db").exists():
            problem = tr("There is a project in {folder} already.", folder=self.folder())
        self.problem.setText(problem)
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(not problem)


def folder_name(name: str) -> str:
    """A folder's name for a project's name: without what file systems refuse."""
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]+', "-", name).strip(" .") or tr("Project")
