"""A project: a folder with project.db (SQLite), masks, maps and models. Each subject has a file in `parts`."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Self

from histoloop.errors import ProjectError, ProjectPlaceError
from histoloop.language import tr
from histoloop.store.files import file_beside, make_folder
from histoloop.store.parts.annotations import Annotations
from histoloop.store.parts.classes import Classes
from histoloop.store.parts.deletions import Deletions
from histoloop.store.parts.drafts import Drafts
from histoloop.store.parts.finish_order import FinishOrder
from histoloop.store.parts.history import History
from histoloop.store.parts.journal import Journal
from histoloop.store.parts.maps import Maps
from histoloop.store.parts.models import Models
from histoloop.store.parts.predictions import Predictions
from histoloop.store.parts.queries import Queries
from histoloop.store.parts.readings import Readings
from histoloop.store.parts.rounds import Rounds
from histoloop.store.parts.settings import Settings
from histoloop.store.parts.slides import Slides
from histoloop.store.parts.steps import Steps
from histoloop.store.presence import Presence
from histoloop.store.project_database import Database, timestamp
from histoloop.store.project_file import DATABASE, write_project_file
from histoloop.store.recovery import clear_leftovers, clear_lost_maps, recover_models

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from histoloop.annotations.records import ClassScheme
    from histoloop.store.rows import Row

__all__ = ["DATABASE", "Project"]

MASKS, MAPS, MODELS = "masks", "maps", "models"
"""Folders in a project."""


class Project:
    """An open project and its parts; a context manager.

    Several processes may have one project open; within a process each thread opens its own. Whatever a method of a
    part has written when it returns is on disk, whole, and survives the end of the process. Methods raise ProjectError
    when the database cannot be read or written, ValueError for an id that does not exist or a value out of range.
    A project that is `read_only` can be looked at and exported from; whatever would change it raises ProjectError.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        row = _project_row(database)
        self.folder = folder
        self.name = str(row["name"])
        self._database = database
        self._presence = Presence(folder / MAPS)
        journal, order, steps = Journal(database), FinishOrder(database), Steps(database)
        self.settings = Settings(database)
        self.models = Models(folder / MODELS, database)
        self.classes = classes = Classes(database, models=self.models)
        classes.check()
        self.maps = Maps(folder / MAPS, database)
        self.predictions = Predictions(database, classes=classes, models=self.models)
        self.slides = Slides(folder, database, classes=classes, maps=self.maps, predictions=self.predictions)
        self.queries = Queries(database, steps=steps)
        self.annotations = Annotations(
            folder / MASKS,
            database,
            classes=classes,
            slides=self.slides,
            queries=self.queries,
            journal=journal,
            order=order,
            steps=steps,
        )
        self.drafts = Drafts(
            database,
            classes=classes,
            slides=self.slides,
            queries=self.queries,
            annotations=self.annotations,
            journal=journal,
            order=order,
            steps=steps,
        )
        self.deletions = Deletions(database, annotations=self.annotations, queries=self.queries, steps=steps)
        self.history = History(
            database,
            queries=self.queries,
            drafts=self.drafts,
            deletions=self.deletions,
            journal=journal,
            steps=steps,
        )
        self.readings = Readings(database, order=order)
        self.rounds = Rounds(database)

    @classmethod
    def create(
        cls, folder: Path, *, name: str, scheme: ClassScheme, start_model: tuple[str, str] | None = None
    ) -> Self:
        """Make a new project in `folder` (made if missing) and open it; ProjectError when it holds one already.

        `start_model` is the name of a folder among the project's models, and that model's hash: the project begins with
        it as its current model. The database appears last, with all of that in it.
        """
        path = folder / DATABASE
        try:
            if path.exists():
                raise FileExistsError(path)
            for part in (folder, folder / MASKS, folder / MAPS, folder / MODELS):
                make_folder(part)
            with file_beside(path, replace=False) as partial, closing(Database(partial)) as database:
                database.migrate()
                with database.transaction():
                    models = Models(folder / MODELS, database)
                    database.insert("project", id=1, name=name, created=timestamp())
                    Classes(database, models=models).begin_with(scheme)
                    if start_model is not None:
                        models.add_first(*start_model)
        except FileExistsError as error:
            if not path.exists():  # a file where a folder should be
                raise _cannot_be_made(folder, error) from error
            advice = tr("Open it, or choose another folder for the new one.")
            raise ProjectError(tr("There is already a project in {folder}.", folder=folder), advice=advice) from error
        except OSError as error:
            raise _cannot_be_made(folder, error) from error
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False) -> Self:
        """Open the project in `folder`, its database brought to this schema (a copy of the old one is kept beside).

        Slides that were moved together with the project are found. With `read_only`, and where folder or database
        cannot be written, nothing there is changed: `read_only` is True, and every method that would change something
        raises ProjectError. Raises ProjectError when there is no project, when it is broken, when a newer HistoLoop
        wrote it, or when it is of an older one and cannot be written.
        """
        folder = folder.absolute()
        path = folder / DATABASE
        if not path.is_file():
            advice = tr("Choose the folder that holds {file}, or make a new project.", file=DATABASE)
            raise ProjectError(tr("There is no project in {folder}.", folder=folder), advice=advice)
        database = Database(path, read_only=read_only)
        try:
            database.check_is_project()
            database.migrate()
            database.use_write_ahead_log()
            project = cls(folder, database)
            project._find_slides_of_moved_folder()
            if not database.read_only:
                write_project_file(folder)
                project._recover()
        except BaseException:
            database.close()
            raise
        return project

    @classmethod
    def connect(cls, folder: Path, *, read_only: bool = False) -> Self:
        """Open a project that is open already once more, for another thread: no slide or file of it is looked for."""
        folder = folder.absolute()
        database = Database(folder / DATABASE, read_only=read_only)
        try:
            project = cls(folder, database)
            if not database.read_only:
                project._presence.enter()
            if database.is_fixed:  # what was found when it was opened is known to that connection alone
                project._find_slides_of_moved_folder()
        except BaseException:
            database.close()
            raise
        return project

    @property
    def scheme(self) -> ClassScheme:
        """The classes as they are now."""
        return self.classes.scheme

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What the parts change inside is kept all together, durably, or not at all."""
        with self._database.transaction():
            yield

    @property
    def read_only(self) -> bool:
        """Whether the project can only be looked at and exported from."""
        return self._database.read_only

    @property
    def is_fixed(self) -> bool:
        """Whether the project is read-only because its place cannot be written."""
        return self._database.is_fixed

    def check_writable(self) -> None:
        """Raise ProjectError, with the way on, for a project that is open for reading only: before long work begins."""
        self._database.check_writable()

    def _recover(self) -> None:
        """Clear up what processes that were ended left, unless somebody else may be writing it just now."""
        clear_leftovers(self.folder)
        with self._presence.alone() as alone:
            if alone:
                clear_lost_maps(self.maps)
                recover_models(self.models, self.rounds)

    def _find_slides_of_moved_folder(self) -> None:
        """Slides that were moved together with the project; where that cannot be kept it holds while this is open."""
        if self._database.is_fixed:
            with self._database.changed_in_memory("slide"):
                self.slides.follow_project()
        elif not self.read_only:
            self.slides.follow_project()

    def data_version(self) -> int:
        """A number that is another one once anybody else, in whatever process, has changed the database."""
        return self._database.data_version()

    def close(self) -> None:
        """Close the database; the project can be opened again."""
        self._database.close()
        self._presence.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _cannot_be_made(folder: Path, error: OSError) -> ProjectPlaceError:
    return ProjectPlaceError(
        tr("No project can be made in {folder}: {reason}.", folder=folder, reason=error.strerror or error),
        advice=tr("Choose a folder that you may write to, on a disk with free space."),
    )


def _project_row(database: Database) -> Row:
    row = database.first("SELECT * FROM project")
    if row is None:
        raise ProjectError(
            tr("The database {path} holds no project.", path=database.path),
            advice=tr("Restore the project's folder from a backup."),
        )
    return row
