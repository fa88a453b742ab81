"""A project: a folder with project.db (SQLite), masks, maps and models. Each subject has a file beside this one."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any, Self

from histoloop.errors import ProjectError
from histoloop.language import tr
from histoloop.store import rows
from histoloop.store.files import file_beside
from histoloop.store.project_annotations import ProjectAnnotations
from histoloop.store.project_database import Database, timestamp
from histoloop.store.project_file import DATABASE, write_project_file
from histoloop.store.project_models import ProjectModels

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from histoloop.annotations.records import ClassScheme

__all__ = ["DATABASE", "Project"]


class Project(ProjectAnnotations, ProjectModels):
    """An open project; a context manager.

    Several processes may have one project open; within a process each thread opens its own. Whatever a method has
    written when it returns is on disk, whole, and survives the end of the process. Methods raise ProjectError when
    the database cannot be read or written, ValueError for an id that does not exist or a value out of range.
    """

    @classmethod
    def create(cls, folder: Path, *, name: str, scheme: ClassScheme) -> Self:
        """Make a new project in `folder` (made if missing) and open it; ProjectError when it holds one already."""
        path = folder / DATABASE
        if path.exists():
            advice = tr("Open it, or choose another folder for the new one.")
            raise ProjectError(tr("There is a project in {folder} already.", folder=folder), advice=advice)
        try:
            for part in (folder, folder / "masks", folder / "maps", folder / "models"):
                part.mkdir(parents=True, exist_ok=True)
            with file_beside(path) as partial:
                partial.touch()
                with closing(Database(partial)) as database:
                    database.migrate()
                    with database.transaction():
                        scheme_json = rows.scheme_to_json(scheme)
                        database.insert("project", id=1, name=name, scheme=scheme_json, created=timestamp())
        except OSError as error:
            advice = tr("Choose a folder that you may write to, on a disk with free space.")
            raise ProjectError(
                tr("No project can be made in {folder}: {reason}.", folder=folder, reason=error.strerror),
                advice=advice,
            ) from error
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the project in `folder`, its database brought to this schema (a copy of the old one is kept beside).

        Slides that were moved together with the project are found. Raises ProjectError when there is no project, when
        it is broken, or when a newer HistoLoop wrote it.
        """
        folder = folder.absolute()
        path = folder / DATABASE
        if not path.is_file():
            advice = tr("Choose the folder that holds {file}, or make a new project.", file=DATABASE)
            raise ProjectError(tr("There is no project in {folder}.", folder=folder), advice=advice)
        database = Database(path)
        try:
            database.check_is_project()
            database.migrate()
            database.use_write_ahead_log()
            project = cls(folder, database)
            project._follow_own_move()
            write_project_file(folder)
        except BaseException:
            database.close()
            raise
        return project

    def close(self) -> None:
        """Close the database; the project can be opened again."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Settings

    def get_setting(self, key: str) -> Any:
        """A setting's JSON value; None when it was never set."""
        row = self._database.first("SELECT value FROM setting WHERE key = ?", key)
        return None if row is None else json.loads(row["value"])

    def set_setting(self, key: str, value: Any) -> None:
        """Keep a JSON value (TypeError for any other) under a key."""
        text = json.dumps(value)
        with self._database.transaction():
            self._database.run("INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)", key, text)
