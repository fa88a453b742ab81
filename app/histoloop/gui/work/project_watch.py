"""Notices what others do to the open project: to the files of its slides, and to its database."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from histoloop.gui.work.background import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.gui.work.session import Session
    from histoloop.store.records import SlideRecord


@dataclass(frozen=True, slots=True)
class _Looked:
    folder: Path
    files: Mapping[int, object]


class ProjectWatch(QObject):
    """Looks when it is asked to: when the window is looked at again.

    `files_changed` is emitted with the ids of slides whose files are not what they were when looked at before.
    """

    files_changed = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._worker = Worker(self)
        self._before: _Looked | None = None

    def look(self) -> None:
        """Ask the database whether others changed it, at once, and the disk for the slides' files in the background."""
        project = self._session.project
        if project is None:
            self._before = None
            return
        self._session.refresh_if_changed()
        self._worker.request(
            functools.partial(_look, project.folder, self._session.slides()), on_done=self._on_looked, topic="files"
        )

    def shut_down(self) -> None:
        """End the thread."""
        self._worker.stop()

    def _on_looked(self, now: _Looked) -> None:
        project, before = self._session.project, self._before
        if project is None or project.folder != now.folder:
            return
        self._before = now
        if before is None or before.folder != now.folder:
            return
        changed = {slide for slide, file in now.files.items() if slide in before.files and before.files[slide] != file}
        if changed:
            self.files_changed.emit(frozenset(changed))


def _look(folder: Path, slides: Sequence[SlideRecord]) -> _Looked:
    return _Looked(folder, {slide.id: _file(slide.path) for slide in slides})


def _file(path: Path) -> object:
    """What changes when a file goes, comes or is written anew."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
