"""A project as the thread that writes has it open, and the patience of that thread when it cannot be written."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, TypeVar

from PySide6.QtCore import QObject, Signal

from histoloop.errors import ProjectError
from histoloop.gui.work.failure import failure_of
from histoloop.language import tr
from histoloop.store.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Result = TypeVar("Result")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0

_log = logging.getLogger(__name__)


class Insistence(QObject):
    """Tries on the writer's thread until something is written, with growing pauses; what comes after it waits.

    `failed` is emitted with the `Failure` of each try.
    """

    failed = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._wake = threading.Event()
        self._ending = self._losing = False

    def until_written(self, change: Callable[[], Result]) -> Result:
        """What a change gives, once the project can be written. What is refused for other reasons is raised at once."""
        pause = FIRST_PAUSE_S
        while True:
            self._wake.clear()
            if self._losing:
                raise ProjectError(tr("It was not saved."), advice="")
            try:
                return change()
            except (ProjectError, OSError) as error:
                if self._ending:
                    raise
                _log.warning("not written yet: %s", error)
                self.failed.emit(failure_of(error))
            self._wake.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def try_now(self) -> None:
        """Do not wait for the end of the pause."""
        self._wake.set()

    def end(self, *, losing: bool = False) -> None:
        """Try what is left once more and no longer insist; or, `losing` it, not even that."""
        self._ending, self._losing = True, self._losing or losing
        self._wake.set()

    def begin(self) -> None:
        """Insist again: another project."""
        self._ending = self._losing = False


class WrittenProject:
    """Opened by the first change, open until it is closed; all on one thread, which is not that of `__init__`.

    A connection to SQLite belongs to the thread that made it. One on which something failed is made anew: its disk may
    have been away.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._folder, self._read_only = folder, read_only
        self._project: Project | None = None

    def change(self, change: Callable[[Project], Result]) -> Result:
        """What a change of the project gives."""
        if self._project is None:
            self._project = Project.connect(self._folder, read_only=self._read_only)
        try:
            return change(self._project)
        except ProjectError:
            self.close()
            raise

    def close(self) -> None:
        """Close the project, if it was opened."""
        if self._project is not None:
            self._project.close()
            self._project = None
