"""Notices what others do to the open project: to the files of its slides, and to its database."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from histoloop.gui.work.background import Worker
from histoloop.store.records import SlideFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.gui.work.session import Session
    from histoloop.store.records import SlideRecord


@dataclass(frozen=True, slots=True)
class _Looked:
    folder: Path
    files: Mapping[int, object]
    found: Mapping[int, SlideFile]


class ProjectWatch(QObject):
    """Looks when it is asked to: when the window is looked at again.

    `files_changed` is emitted with the ids of slides whose files are not what they were when looked at before, `looked`
    when `found` says something else of a slide than it did.
    """

    files_changed = Signal(object)
    looked = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._worker = Worker(self)
        self._before: _Looked | None = None
        self._found: tuple[Path | None, Mapping[int, SlideFile]] = (None, {})

    @property
    def found(self) -> Mapping[int, SlideFile]:
        """What was at the paths of the project's slides, by id, when somebody looked last."""
        project, (folder, found) = self._session.project, self._found
        return found if project is not None and project.folder == folder else {}

    def look(self) -> None:
        """Ask the database whether others changed it, at once, and the disk for the slides' files in the background."""
        project = self._session.project
        if project is None:
            self._before = None
            return
        self._session.refresh_if_changed()
        self.look_at_files()

    def look_at_files(self) -> None:
        """Look for the slides' files, in the background."""
        project = self._session.project
        if project is None:
            return
        self._worker.request(
            functools.partial(_look, project.folder, self._session.slides()), on_done=self._on_looked, topic="files"
        )

    def look_at(self, slide: SlideRecord) -> None:
        """Look for one slide's file at once."""
        project = self._session.project
        if project is not None:
            self._found = project.folder, {**self.found, slide.id: slide.file()}

    def shut_down(self) -> None:
        """End the thread."""
        self._worker.stop()

    def _on_looked(self, now: _Looked) -> None:
        project, before = self._session.project, self._before
        if project is None or project.folder != now.folder:
            return
        self._before = now
        known = self.found
        self._found = now.folder, now.found
        if any(known.get(slide, SlideFile.IN_PLACE) is not file for slide, file in now.found.items()):
            self.looked.emit()
        if before is None or before.folder != now.folder:
            return
        changed = {slide for slide, file in now.files.items() if slide in before.files and before.files[slide] != file}
        if changed:
            self.files_changed.emit(frozenset(changed))


def _look(folder: Path, slides: Sequence[SlideRecord]) -> _Looked:
    looks = {slide.id: slide.look() for slide in slides}
    return _Looked(
        folder,
        {slide_id: stamp for slide_id, (_file, stamp) in looks.items()},
        {slide_id: file for slide_id, (file, _stamp) in looks.items()},
    )
