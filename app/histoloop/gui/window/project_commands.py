"""What the menus do with projects and files, after asking where: make, open, add, export, find again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog

from histoloop.exchange.tables import TABLE_STYLES
from histoloop.gui.dialogs.add_model import AddModelDialog
from histoloop.gui.dialogs.export_dialog import ExportDialog, usual_table
from histoloop.gui.dialogs.pages_dialog import PagesDialog
from histoloop.gui.window.new_project import ask_for_project
from histoloop.gui.work.page_writing import write_pages
from histoloop.language import tr
from histoloop.slides.find import SLIDE_SUFFIXES
from histoloop.workflows.contents.export_choices import ExportChoices

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtWidgets import QWidget

    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.window.opening import Opening
    from histoloop.gui.work.session import Session

LAST_FOLDER = "last_folder"
DEMO_FOLDER = "Demo"


class ProjectCommands:
    """Asks in dialogs over `parent`, and lets the session do it."""

    def __init__(
        self,
        *,
        parent: QWidget,
        session: Session,
        settings: Settings,
        opening: Opening,
        selected_slides: Callable[[], list[int]],
    ) -> None:
        self._parent, self._session, self._settings, self._opening = parent, session, settings, opening
        self._selected_slides = selected_slides

    def new(self) -> None:
        """Ask what is to be found, how to begin, for name and place, and make the project."""
        ask_for_project(self._parent, self._session, self._settings)

    def open(self) -> None:
        """Ask for the folder of a project and open it."""
        place = str(self._settings.projects)
        chosen = QFileDialog.getExistingDirectory(self._parent, tr("Open a project folder"), place)
        if chosen:
            self._session.open_project(Path(chosen))

    def open_demo(self) -> None:
        """Open the demo project of this user."""
        self._opening.demo(self._settings.projects / DEMO_FOLDER)

    def add_slides(self) -> None:
        """Ask for slide files and add them."""
        kinds = f"{tr('Slides and images')} ({_patterns()});;{tr('All files')} (*)"
        chosen, _filter = QFileDialog.getOpenFileNames(self._parent, tr("Add slides"), self._last_folder(), kinds)
        if chosen:
            self._settings.set(LAST_FOLDER, str(Path(chosen[0]).parent))
            self._session.add_slides([Path(path) for path in chosen])

    def add_folder(self) -> None:
        """Ask for a folder and add the slides in it."""
        if chosen := self._ask_for_folder(tr("Add a folder of slides")):
            self._session.add_slides([chosen])

    def export(self) -> None:
        """Ask for a folder and export into it; tables are those that Excel opens in the window's language."""
        if chosen := self._ask_for_folder(tr("Export to a folder")):
            self._session.export(chosen, ExportChoices(table=TABLE_STYLES[usual_table()]))

    def export_choices(self) -> None:
        """Ask what is to be exported, then where to; of several slides selected in the list those are offered."""
        project = self._session.project
        if project is None:
            return
        dialog = ExportDialog(
            self._parent,
            slides=project.slides.all(),
            chosen=self._selected_slides(),
            classes=project.scheme.mask_names,
        )
        if dialog.exec() and (chosen := self._ask_for_folder(tr("Export to a folder"))):
            self._session.export(chosen, dialog.choices())

    def write_pages(self) -> None:
        """Ask of which slides reports are to be written, and where to."""
        dialog = PagesDialog(self._parent, selected=self._selected_slides())
        if dialog.exec() and (chosen := self._ask_for_folder(tr("Write reports to a folder"))):
            write_pages(self._session, chosen, slide_ids=dialog.slide_ids(), formats=dialog.chosen_formats())

    def find_moved(self) -> None:
        """Ask for a folder and look for missing slides there."""
        if chosen := self._ask_for_folder(tr("The folder the slides are in now")):
            self._session.find_moved(chosen)

    def add_model(self) -> None:
        """Ask for a model and bring it into the project."""
        if self._session.project is not None:
            dialog = AddModelDialog(self._parent, project=self._session.project, place=self._last_folder())
            if dialog.exec():
                self._session.add_model(dialog.source())

    def _ask_for_folder(self, title: str) -> Path | None:
        chosen = QFileDialog.getExistingDirectory(self._parent, title, self._last_folder())
        if not chosen:
            return None
        self._settings.set(LAST_FOLDER, chosen)
        return Path(chosen)

    def _last_folder(self) -> str:
        return self._settings.text(LAST_FOLDER, str(Path.home()))


def _patterns() -> str:
    return " ".join(f"*{suffix}" for suffix in sorted(SLIDE_SUFFIXES))
