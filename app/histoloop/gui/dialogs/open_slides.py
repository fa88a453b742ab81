"""Ask where slides go that were opened from outside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QVBoxLayout,
    QWidget,
)

from histoloop import paths
from histoloop.gui.kit.widgets import NarrowBox, button, label, row, visible_name
from histoloop.language import tr, tr_plural
from histoloop.store.project_file import project_folder

if TYPE_CHECKING:
    from collections.abc import Sequence


class OpenSlidesDialog(QDialog):
    """Where slides go that were opened from outside: a new project, one used before, or one to be searched for."""

    def __init__(self, parent: QWidget | None, *, slides: Sequence[Path], projects: Sequence[Path]) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Open slides"))
        self.setMinimumWidth(480)
        self._place = str(projects[0].parent if projects else paths.projects())
        self.places = NarrowBox()
        self.places.addItem(tr("A new project"), None)
        for folder in projects:
            self._offer(folder)
        self.browse = button(tr("Another project…"))
        self.browse.clicked.connect(self._browse)
        self.problem = label(role="bad", wrap=True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(label(_where_to(slides), role="heading", wrap=True))
        layout.addLayout(row(self.places, self.browse, stretch=0))
        layout.addWidget(label(tr("Slides are not copied: the project refers to them."), role="muted", wrap=True))
        layout.addWidget(self.problem)
        layout.addWidget(buttons)

    def project(self) -> Path | None:
        """The folder of the project chosen; None for a new one."""
        chosen: Path | None = self.places.currentData()
        return chosen

    def choose(self, path: Path) -> None:
        """Offer and choose the project that a path names."""
        folder = project_folder(path)
        self.problem.setText("" if folder else tr("There is no project in {path}.", path=path))
        if folder is not None:
            self._offer(folder)
            self.places.setCurrentIndex(self.places.count() - 1)

    def _offer(self, folder: Path) -> None:
        self.places.addItem(visible_name(f"{folder.name}  \N{EM DASH}  {folder.parent}"), folder)

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, tr("Project folder"), self._place)
        if chosen:
            self.choose(Path(chosen))


def _where_to(slides: Sequence[Path]) -> str:
    if len(slides) == 1:
        return tr("Which project should {slide} be opened in?", slide=slides[0].name)
    return tr_plural(
        "Which project should {count} slide be opened in?",
        "Which project should {count} slides be opened in?",
        len(slides),
    )
