"""What happens with projects and slides that somebody drops, names at the start or double-clicks."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer

from histoloop.gui.dialogs.open_slides import OpenSlidesDialog
from histoloop.gui.window.new_project import ask_for_project
from histoloop.language import tr
from histoloop.store.project_file import project_folder

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
        """Open the demo project, made on first use; nothing while it is being made."""
        if self._session.is_making_demo:
            return
        if project_folder(folder):
            self._session.open_project(folder)
        else:
            self._session.make_demo(folder)

    def dropped(self, chosen: list[Path], then: Callable[[], object] = lambda: None) -> None:
        """A project is opened; slides go into the open one, or a new one that is asked about when none is open.

        `then` is called once they are on their way into a project.
        """
        if self._settle(chosen):
            then()
        elif self._session.project is None:  # asked when the program that they were dragged from is let go
            QTimer.singleShot(0, functools.partial(self._make_project_for, chosen, then))
        else:
            self._add(chosen)
            then()

    def named(self, chosen: list[Path]) -> None:
        """What was named at the start or double-clicked: a project at once, slides after asking where they go."""
        if self._settle(chosen):
            return
        project = self._session.project
        open_first = [] if project is None else [project.folder]
        others = [folder for folder in self._settings.recent_projects() if folder not in open_first]
        if not open_first and not others:
            self._make_project_for(chosen)
            return
        dialog = OpenSlidesDialog(self._parent, slides=chosen, projects=[*open_first, *others])
        if not dialog.exec():
            return
        folder = dialog.project()
        if folder is None:
            self._make_project_for(chosen)
        elif folder in open_first or self._session.open_project(folder):
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

    def _make_project_for(self, chosen: list[Path], then: Callable[[], object] = lambda: None) -> None:
        """Ask what is to be found in some slides, make and open a project for them, and bring them in."""

        def go_on() -> None:
            self._add(chosen)
            then()

        ask_for_project(self._parent, self._session, self._settings, slides=chosen, then=go_on)
