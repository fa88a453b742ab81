"""Folders for temporary files, which do not outlast the processes that made them by long."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import PlaceError
from histoloop.language import tr
from histoloop.store.presence import Presence, present

if TYPE_CHECKING:
    from collections.abc import Iterator

ENTERED_S = 5.0
"""So many seconds after it made a temporary folder a process has entered it."""


@contextlib.contextmanager
def temporary_folder(name: str) -> Iterator[Path]:
    """Yield a new folder for temporary files, removed afterwards; PlaceError when there is no place for one.

    Those of this name that processes of the same user left there when they were ended are removed too.
    """
    place = place_for_temporary_files()
    _remove_left(place, name)
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=place))
    except OSError as error:
        raise _no_place(error) from error
    with present(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def place_for_temporary_files() -> Path:
    """Where this process keeps temporary files; PlaceError where TMPDIR names none that is there, or there is none."""
    named = os.environ.get("TMPDIR")
    if named and not os.path.isdir(named):  # another one would be taken without a word
        raise PlaceError(
            tr("There is no folder {folder} for temporary files.", folder=named),
            advice=tr("Set TMPDIR to a folder that you may write to, on a disk with free space."),
        )
    try:
        return Path(tempfile.gettempdir())
    except OSError as error:
        raise _no_place(error) from error


def _remove_left(place: Path, name: str) -> None:
    """Remove folders of a name that nobody is in and that are older than a process needs to enter its own."""
    if sys.platform == "win32":
        return
    for folder in place.glob(f"{name}-*"):
        with contextlib.suppress(OSError):
            about = folder.lstat()
            if (
                not stat.S_ISDIR(about.st_mode)
                or about.st_uid != os.getuid()
                or time.time() - about.st_mtime < ENTERED_S
            ):
                continue
            presence = Presence(folder)
            with contextlib.closing(presence), presence.alone() as alone:
                if alone:
                    shutil.rmtree(folder, ignore_errors=True)


def _no_place(error: OSError) -> PlaceError:
    return PlaceError(
        tr("There is nowhere to put temporary files: {reason}.", reason=error.strerror or error),
        advice=tr("Set the environment variable TMPDIR to a folder that you may write to, on a disk with free space."),
    )
