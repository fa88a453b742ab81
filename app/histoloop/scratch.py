"""Folders for what is needed only as long as some work runs."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import PlaceError
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Iterator


def temporary_folder() -> Path:
    """Where this process keeps temporary files; PlaceError where there is no such folder."""
    try:
        return Path(tempfile.gettempdir())
    except OSError as error:
        raise _no_folder(error) from error


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """A new empty folder, taken away again with what is in it; PlaceError where it cannot be made."""
    try:
        room = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    except OSError as error:
        raise _no_folder(error) from error
    with room as folder:
        yield Path(folder)


def _no_folder(error: OSError) -> PlaceError:
    return PlaceError(
        tr("There is no folder for temporary files: {reason}.", reason=error.strerror or error),
        advice=tr("Set the environment variable TMPDIR to a folder that you may write to, on a disk with free space."),
    )
