"""What happens with projects and slides that somebody drops, names at the start or double-clicks."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from histoloop.gui.window import dialogs
from histoloop.language import tr
from histoloop.store.project_file import project_folder
from histoloop.store.shipped import DEFAULT_MODEL

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow


class Opening:
    """Opens projects, and finds slides a project."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    def demo(self, folder: Path) -> None:
        """Open the demo project, made on first use."""
        if project_folder(folder):
            self._window.session.open_project(folder)
        else:
            self._window.session.make_demo(folder)

    def dropped(self, chosen: list[Path]) -> None:
        """A project is opened; slides go into the open one, and get a project of their own when none is open."""
        if not self._settle(chosen) and (self._window.session.project or self._make_project_for(chosen)):
            self._add(chosen)

    def named(self, chosen: list[Path]) -> None:
        """What was named at the start or double-clicked: a project at once, slides after asking where they go."""
        if self._settle(chosen):
            return
        session = self._window.session
        open_first = [] if session.project is None else [session.project.folder]
        others = [folder for folder in self._window.settings.recent_projects() if folder not in open_first]
        dialog = dialogs.OpenSlidesDialog(self._window, slides=chosen, projects=[*open_first, *others])
        if not dialog.exec():
            return
        folder = dialog.project()
        if folder is None:
            ready = self._make_project_for(chosen)
        else:
            ready = folder in open_first or session.open_project(folder)
        if ready:
            self._add(chosen)

    def _settle(self, chosen: list[Path]) -> bool:
        """Open the project among them, or say that there is nothing by these names; whether that was all to do."""
        if not any(path.exists() for path in chosen):
            self._window.banner.show_problem(
                tr("There is no {path}.", path=chosen[0]), tr("Check the path, or connect the disk it is on.")
            )
            return True
        projects = [folder for path in chosen if (folder := project_folder(path))]
        if projects:
            self._window.session.open_project(projects[0])
        return bool(projects)

    def _add(self, chosen: list[Path]) -> None:
        """Bring slides into the open project; one that it has already is shown."""
        session = self._window.session
        known = {slide.path: slide.id for slide in session.slides()}
        if there := [known[path.resolve()] for path in chosen if path.resolve() in known]:
            self._window.slides_panel.choose(there[0])
        session.add_slides(chosen)

    def _make_project_for(self, chosen: list[Path]) -> bool:
        """Make and open a project named after the first of some slides; whether that was possible."""
        place, name = self._window.settings.projects, dialogs.folder_name(chosen[0].stem)
        names = itertools.chain([name], (f"{name} {number}" for number in itertools.count(2)))
        folder = next(place / free for free in names if not (place / free).exists())
        return self._window.session.create_project(folder, name=folder.name, model=DEFAULT_MODEL)
