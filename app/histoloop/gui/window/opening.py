"""What happens with projects and slides that somebody drops, names at the start or double-clicks."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from histoloop.gui.dialogs.new_project import folder_name
from histoloop.gui.dialogs.open_slides import OpenSlidesDialog
from histoloop.language import tr
from histoloop.store.project_file import project_folder
from histoloop.store.shipped import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PySide6.QtWidgets import QWidget

    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.work.session import Session


class Opening:
    """Opens projects, and finds slides a project.

    `choose_slide` shows a slide of the open project (by id); `show_problem` shows a message with advice.
    """

    def __init__(
        self,
        *,
        parent: QWidget,
        session: Session,
        settings: Settings,
        choose_slide: Callable[[int], object],
        show_problem: Callable[[str, str], object],
    ) -> None:
        self._parent, self._session, self._settings = parent, session, settings
        self._choose_slide, self._show_problem = choose_slide, show_problem

    def demo(self, folder: Path) -> None:
        """Open the demo project, made on first use."""
        if project_folder(folder):
            self._session.open_project(folder)
        else:
            self._session.make_demo(folder)

    def dropped(self, chosen: list[Path]) -> None:
        """A project is opened; slides go into the open one, and get a project of their own when none is open."""
        if not self._settle(chosen) and (self._session.project or self._make_project_for(chosen)):
            self._add(chosen)

    def named(self, chosen: list[Path]) -> None:
        """What was named at the start or double-clicked: a project at once, slides after asking where they go."""
        if self._settle(chosen):
            return
        project = self._session.project
        open_first = [] if project is None else [project.folder]
        others = [folder for folder in self._settings.recent_projects() if folder not in open_first]
        dialog = OpenSlidesDialog(self._parent, slides=chosen, projects=[*open_first, *others])
        if not dialog.exec():
            return
        folder = dialog.project()
        if folder is None:
            ready = self._make_project_for(chosen)
        else:
            ready = folder in open_first or self._session.open_project(folder)
        if ready:
            self._add(chosen)

    def _settle(self, chosen: list[Path]) -> bool:
        """Open the project among them, or explain that there is nothing by these names; whether that was all to do."""
        if not any(path.exists() for path in chosen):
            self._show_problem(
                tr("There is no {path}.", path=chosen[0]), tr("Check the path, or connect the disk it is on.")
            )
            return True
        projects = [folder for path in chosen if (folder := project_folder(path))]
        if projects:
            self._session.open_project(projects[0])
        return bool(projects)

    def _add(self, chosen: list[Path]) -> None:
        """Bring slides into the open project; one that it has already is shown."""
        known = {slide.path: slide.id for slide in self._session.slides()}
        if there := [known[path.resolve()] for path in chosen if path.resolve() in known]:
            self._choose_slide(there[0])
        self._session.add_slides(chosen)

    def _make_project_for(self, chosen: list[Path]) -> bool:
        """Make and open a project named after the first of some slides; whether that was possible."""
        place, name = self._settings.projects, folder_name(chosen[0].stem)
        names = itertools.chain([name], (f"{name} {number}" for number in itertools.count(2)))
        folder = next(place / free for free in names if not (place / free).exists())
        return self._session.create_project(folder, name=folder.name, start=DEFAULT_MODEL)
