"""The file of a project that a double click opens: it stands beside the database and stands for its folder."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from histoloop.store.files import write_beside

if TYPE_CHECKING:
    from pathlib import Path

DATABASE = "project.db"
SUFFIX = ".histoloop"

_NAME = f"project{SUFFIX}"
_TEXT = "This file stands for the HistoLoop project in the folder it is in. Open it with HistoLoop.\n"


def write_project_file(folder: Path) -> None:
    """Put the file into a project's folder, unless one is there (under any name) or the folder cannot be written."""
    if not any(folder.glob(f"*{SUFFIX}")):
        with contextlib.suppress(OSError):  # a project without it is whole: it can be opened by its folder
            write_beside(folder / _NAME, _TEXT)


def project_folder(path: Path) -> Path | None:
    """The folder of the project that a path names: itself, or the one its file or database is in; None when none.

    A project's file names its folder even where the database is gone: opening that says what is wrong.
    """
    if path.suffix.lower() == SUFFIX and path.is_file():
        return path.absolute().parent
    folder = path.absolute().parent if path.name == DATABASE else path
    return folder if (folder / DATABASE).is_file() else None
