"""Errors of writing, in words for the user."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING

from histoloop.errors import ExportError
from histoloop.language import tr
from histoloop.store.files import file_beside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def export_to(path: Path) -> Iterator[None]:
    """Turn an OSError inside into an ExportError that names the file; its cause is the OSError."""
    try:
        yield
    except OSError as error:
        advice = tr("Choose a folder that you may write to, on a disk with free space; close the file if it is open.")
        raise ExportError(
            tr("{path} cannot be written: {reason}.", path=path, reason=error.strerror or error), advice=advice
        ) from error


@contextmanager
def exported_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which is at `path` when the block ends well (see `file_beside`); else nothing is.

    ExportError where it cannot be made or finished; what is raised inside the block stays as it is.
    """
    with ExitStack() as stack:
        with export_to(path):
            file = stack.enter_context(stack.enter_context(file_beside(path)).open("wb"))
        yield file
        with export_to(path):
            stack.close()
