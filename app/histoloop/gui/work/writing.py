"""A project as the thread that writes has it open: a connection to SQLite belongs to the thread that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from histoloop.store.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Result = TypeVar("Result")


class WrittenProject:
    """Opened by the first change, open until it is closed; all on one thread, which is not that of `__init__`."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._folder, self._read_only = folder, read_only
        self._project: Project | None = None

    def change(self, change: Callable[[Project], Result]) -> Result:
        """What a change of the project gives."""
        if self._project is None:
            self._project = Project.connect(self._folder, read_only=self._read_only)
        return change(self._project)

    def close(self) -> None:
        """Close the project, if it was opened."""
        if self._project is not None:
            self._project.close()
            self._project = None
