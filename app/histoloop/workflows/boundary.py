"""Where the failure of one slide ends: why it failed, in words; a place that cannot be written stops all of them.

A loop over slides catches any exception of one, keeps `why_it_failed(error, writing_to=(out,))` as its reason, and goes
on. A command that writes results does so within `results_folder(out)`.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import reprlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import ExportError, HistoLoopError, PlaceError
from histoloop.language import tr
from histoloop.store.files import clear_partial
from histoloop.store.presence import claimed
from histoloop.store.temporary import place_for_temporary_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_log = logging.getLogger(__name__)

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_TRIAL_BYTES = 4096


def prepare_folder(folder: Path) -> None:
    """Make a folder for results with those above it, and try to write there; PlaceError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _try_to_write(folder)
    except OSError as error:
        raise _cannot_be_written(folder, error) from error


@contextlib.contextmanager
def results_folder(folder: Path) -> Iterator[None]:
    """A folder for results, made if it is not there, in which this command alone writes while the block runs.

    What an ended command left unfinished there is removed. PlaceError where it cannot be written, ExportError where
    another command writes there.
    """
    prepare_folder(folder)
    clear_partial(folder)
    with claimed(folder) as granted:
        if not granted:
            raise ExportError(
                tr("Another command is writing to {folder}.", folder=folder),
                advice=tr("Wait until it is done, or give another folder."),
            )
        yield


def why_it_failed(error: Exception, *, writing_to: Iterable[Path]) -> str:
    """The reason in words for the user; the log keeps where an unexpected error came from.

    Raises PlaceError where the reason is that one of the folders `writing_to` cannot be written: then what comes next
    would fail as well.
    """
    if (unwritable := _place_of(error, list(writing_to))) is not None:
        raise unwritable from error
    if isinstance(error, HistoLoopError):
        _log.info("failed: %s", error)
        return str(error)
    _log.info("failed", exc_info=error)
    if isinstance(error, MemoryError):
        return tr("There is not enough memory for it. Close other programs, or use a computer with more memory.")
    if isinstance(error, UnicodeError):
        return tr("Its name, or that of a folder above it, is not valid text (UTF-8). Rename it.")
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return tr("The name {name} is too long for a file. Give it a shorter one.", name=reprlib.repr(error.filename))
    if isinstance(error, OSError) and error.strerror:
        where = f" ({os.fsdecode(error.filename)})" if isinstance(error.filename, str | bytes) else ""
        return f"{error.strerror}{where}."
    lines = str(error).strip().splitlines()
    detail = f": {lines[0]}" if lines else ""
    return tr("It cannot be processed ({reason}).", reason=f"{type(error).__name__}{detail}")


def _place_of(error: Exception, folders: list[Path]) -> PlaceError | None:
    """The error of the place that cannot be written, where that is why something failed; else None."""
    for cause in _causes(error):
        if not isinstance(cause, OSError):
            continue
        if cause.errno in _FULL:
            named = Path(cause.filename).parent if isinstance(cause.filename, str) else place_for_temporary_files()
            return _cannot_be_written(_holding(cause, folders) or _fullest(folders or [named]), cause)
        for folder in folders:
            try:
                _try_to_write(folder)
            except OSError as refused:
                return _cannot_be_written(folder, refused)
    return error if isinstance(error, PlaceError) and not isinstance(error, ExportError) else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those it was raised from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _holding(error: OSError, folders: list[Path]) -> Path | None:
    """The folder that the file an error names lies in."""
    if not isinstance(error.filename, str | os.PathLike):
        return None
    file = Path(error.filename).absolute()
    return next((folder for folder in folders if file.is_relative_to(folder.absolute())), None)


def _fullest(folders: list[Path]) -> Path:
    def free(folder: Path) -> int:
        try:
            return shutil.disk_usage(folder).free
        except OSError:
            return 0

    return min(folders, key=free)


def _try_to_write(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as trial:
        trial.write(b"\0" * _TRIAL_BYTES)
        trial.flush()


def _cannot_be_written(folder: Path, error: OSError) -> PlaceError:
    return PlaceError(
        tr("Nothing can be written to {folder}: {reason}.", folder=folder, reason=error.strerror or error),
        advice=tr("Free some space there, or choose a folder that you may write to. What was done is kept."),
    )
