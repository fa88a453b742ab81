"""The database of a project: a connection that brings older schemas up to date. The one place that knows SQLite."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from histoloop.errors import ProjectError, ProjectPlaceError
from histoloop.language import tr
from histoloop.store.files import file_beside, written_to
from histoloop.store.schema import APPLICATION_ID, MIGRATIONS
from histoloop.store.temporary import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_TIMEOUT_S = 10.0


class Database:
    """A connection to project.db, and the errors of SQLite in words for the user.

    With `read_only`, or where the place cannot be written, `read_only` is True and every transaction raises
    ProjectError; `is_fixed` says that the place itself cannot be written.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.is_fixed = not can_be_written(path)
        self.read_only = read_only or self.is_fixed
        self._in_memory = False
        self._room = ExitStack()
        with self._explained():
            self._connection = self._connect_fixed() if self.is_fixed else _connect(path, "mode=rw")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(f"PRAGMA query_only = {int(self.read_only)}")

    def _connect_fixed(self) -> sqlite3.Connection:
        """A connection where nothing can be written.

        Beside a database with a write-ahead log SQLite needs a file of shared memory, which cannot be made here. While
        somebody else who may write has the project open, it is there. Otherwise nobody writes, and SQLite is told so
        (`immutable`); a log that was left there by a program that was ended, or copied with the database, holds
        what was written last: both are read from a copy, until the database is closed.
        """
        with suppress(sqlite3.OperationalError), ExitStack() as stack:
            connection = _connect(self.path, "mode=ro")
            stack.callback(connection.close)
            connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            stack.pop_all()
            return connection
        log = self.path.with_name(f"{self.path.name}-wal")
        if not (log.is_file() and log.stat().st_size):
            return _connect(self.path, "mode=ro&immutable=1")
        try:
            copies = self._room.enter_context(temporary_folder("histoloop-database"))
            for path in (self.path, log):
                shutil.copyfile(path, copies / path.name)
        except OSError as error:
            self._room.close()
            reason = error.strerror or str(error)
            raise ProjectError(
                tr("{path} cannot be copied for reading: {reason}.", path=self.path, reason=reason),
                advice=tr(
                    "Free some space for temporary files, or copy the project's folder to a place that you may "
                    "write to."
                ),
            ) from error
        return _connect(copies / self.path.name, "mode=rw")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
        self._room.close()

    def check_writable(self) -> None:
        """Raise ProjectError (ProjectPlaceError where the place is to blame) for a database that is only read."""
        if self.is_fixed:
            raise ProjectPlaceError(
                tr(
                    "The project in {folder} cannot be changed: its folder cannot be written to.",
                    folder=self.path.parent,
                ),
                advice=tr("Copy the project's folder to a place you may write to, and open the copy."),
            )
        if self.read_only:
            raise ProjectError(
                tr("The project in {folder} is open for reading only.", folder=self.path.parent),
                advice=tr("Close it in the other window, then open it again here."),
            )

    @contextmanager
    def changed_in_memory(self, *tables: str) -> Iterator[None]:
        """Let changes of some tables of a database that is only read be made, and seen, by this connection alone."""
        self.run("PRAGMA query_only = OFF")
        self._in_memory = True
        try:
            for table in tables:
                self.run(f"CREATE TEMP TABLE IF NOT EXISTS {table} AS SELECT * FROM main.{table}")
            yield
        finally:
            self._in_memory = False
            self.run("PRAGMA query_only = ON")

    def data_version(self) -> int:
        """Changes with every commit by another connection than this one (SQLite's PRAGMA data_version)."""
        with self._explained():
            version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
            return version

    def version(self) -> tuple[int, int] | None:
        """Changes with every commit by anybody, this connection included; None within a transaction."""
        if self._connection.in_transaction:
            return None
        return self.data_version(), self._connection.total_changes

    def check_is_project(self) -> None:
        """Raise ProjectError for a database of something else."""
        if self._pragma("application_id") != APPLICATION_ID or self._pragma("user_version") < 1:
            advice = tr("Choose a folder whose {file} was made by HistoLoop.", file=self.path.name)
            raise ProjectError(tr("{path} is not the database of a project.", path=self.path), advice=advice)

    def use_write_ahead_log(self) -> None:
        """Let others read while one writes."""
        if self.read_only:
            return
        with self._explained():
            self._connection.execute("PRAGMA journal_mode = WAL")

    def migrate(self) -> None:
        """Bring the tables to the newest schema in one step, after a copy of an older database was put beside it."""
        version = self._pragma("user_version")
        if version > len(MIGRATIONS):
            advice = tr("Update the program, or open one of the copies beside the database.")
            raise ProjectError(tr("{path} was written by a newer HistoLoop.", path=self.path), advice=advice)
        if version == len(MIGRATIONS):
            return
        if self.read_only:
            raise ProjectError(
                tr("{path} was written by an older HistoLoop, and cannot be brought up to date here.", path=self.path),
                advice=tr("Copy the project's folder to a place you may write to, and open the copy."),
            )
        if version > 0:
            self._copy_beside(version)
        # A table that others refer to can only be made anew while foreign keys are off, and they can only be switched
        # outside of a transaction (sqlite.org/lang_altertable.html, "Making Other Kinds Of Table Schema Changes").
        self.run("PRAGMA foreign_keys = OFF")
        try:
            with self.transaction():
                self._run_migrations()
        finally:
            self.run("PRAGMA foreign_keys = ON")

    def _run_migrations(self) -> None:
        # The version is read again, now that nobody else can write: another process may have migrated meanwhile.
        for script in MIGRATIONS[self._pragma("user_version") :]:
            for statement in script.split(";"):
                self.run(statement)
        self.run(f"PRAGMA application_id = {APPLICATION_ID}")
        self.run(f"PRAGMA user_version = {len(MIGRATIONS)}")
        if broken := self.all("PRAGMA foreign_key_check"):
            table = broken[0]["table"]
            advice = tr("Restore the project's folder from a backup, or open it with the HistoLoop it was made with.")
            raise ProjectError(
                tr("{path} refers to rows of its table {table} that are gone.", path=self.path, table=table),
                advice=advice,
            )

    def all(self, sql: str, *values: object, **named: object) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self._explained():
            found: list[sqlite3.Row] = self._connection.execute(sql, named or values).fetchall()
            return found

    def first(self, sql: str, *values: object, **named: object) -> sqlite3.Row | None:
        """The first row of a query; None when it has none."""
        found = self.all(sql, *values, **named)
        return found[0] if found else None

    def one(self, sql: str, *values: object) -> sqlite3.Row:
        """The one row of a query by id; ValueError when there is none."""
        row = self.first(sql, *values)
        if row is None:
            raise ValueError(f"nothing in the project has the id {', '.join(map(str, values))}")
        return row

    def run(self, sql: str, *values: object) -> int:
        """Execute a statement of a transaction; how many rows it changed."""
        with self._explained():
            return self._connection.execute(sql, values).rowcount

    def insert(self, table: str, **values: object) -> int:
        """Add a row within a transaction; its id."""
        marks = ", ".join("?" * len(values))
        with self._explained():
            sql = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})"
            row_id = self._connection.execute(sql, tuple(values.values())).lastrowid
        assert row_id is not None
        return row_id

    def update(self, table: str, row_id: int, **values: object) -> None:
        """Change a row within a transaction."""
        columns = ", ".join(f"{column} = ?" for column in values)
        self.run(f"UPDATE {table} SET {columns} WHERE id = ?", *values.values(), row_id)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens, durably, or nothing does; one within another is part of it."""
        is_part = self._connection.in_transaction
        if is_part:
            yield
            return
        if not self._in_memory:
            self.check_writable()
        self.run("BEGIN" if self._in_memory else "BEGIN IMMEDIATE")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _pragma(self, name: str) -> int:
        row = self.first(f"PRAGMA {name}")
        return 0 if row is None else int(row[0])

    def _copy_beside(self, version: int) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        path = self.path.with_name(f"{self.path.stem}-version-{version}-{stamp}.db")
        with (
            written_to(path),
            file_beside(path) as partial,
            self._explained(),
            closing(sqlite3.connect(partial)) as copy,
        ):
            self._connection.backup(copy)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.IntegrityError as error:
            raise ValueError(f"the project cannot hold this: {error}") from error
        except sqlite3.DatabaseError as error:
            kind = ProjectPlaceError if _is_of_place(error) else ProjectError
            raise kind(f"{self.path}: {error}.", advice=_advice(error)) from error


def can_be_written(path: Path) -> bool:
    """Whether the database at a path may be changed here: itself, and its folder, which takes SQLite's log."""
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return False
    if os.name == "posix":
        return True
    try:  # on Windows the question above is answered from attributes, not from rights
        with tempfile.TemporaryFile(dir=path.parent):
            return True
    except OSError:
        return False


def _connect(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
    )
    connection.row_factory = sqlite3.Row
    return connection


def _is_of_place(error: sqlite3.DatabaseError) -> bool:
    """Whether the disk or its rights are to blame, not the database."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)


def _advice(error: sqlite3.DatabaseError) -> str:
    if "locked" in str(error):
        return tr("Another program is writing to this project: wait for it or close it, then try again.")
    if isinstance(error, sqlite3.OperationalError) and "decode" not in str(error):
        return tr("Check that the project's folder may be written to and that its disk is not full.")
    return tr("The file is damaged: restore the project's folder from a backup.")


def timestamp() -> str:
    """The time as it is kept: UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
