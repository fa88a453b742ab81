"""Files and folders that appear whole or not at all: written beside, flushed to disk, then renamed."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import ProjectPlaceError
from histoloop.language import tr
from histoloop.store.presence import Presence, present

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARTIAL = re.compile(r"\..+\.[0-9a-f]{12}\.partial(\..*)?", re.DOTALL)
_LONGEST_STEM = 64
"""Bytes of a name that a partial file's name repeats, so that it is no longer than a file system takes."""


def beside(path: Path) -> Path:
    """A name in the same folder that nothing else uses; its suffix is that of `path`."""
    stem = path.stem.encode(errors="replace")[:_LONGEST_STEM].decode(errors="ignore")
    return path.with_name(f".{stem}.{secrets.token_hex(6)}.partial{path.suffix}")


def is_partial(path: Path) -> bool:
    """Whether a file or folder has a name that `beside` gave, or is one of SQLite's own files beside such a one."""
    return _PARTIAL.fullmatch(path.name) is not None


@contextmanager
def file_beside(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Yield an empty file beside `path` to write to; on success it is flushed to disk and renamed to `path`.

    A file that was at `path` is replaced in one step; FileExistsError without `replace`, also when another process
    puts one there meanwhile. After an exception it is as before, and nothing is left beside. Others may read it as the
    user's own settings (umask) have it, whatever wrote it.
    """
    partial = beside(path)
    with present(path.parent):
        partial.touch(exist_ok=False)
        mode = stat.S_IMODE(partial.stat().st_mode)
        try:
            yield partial
            _set_rights(partial, mode)
            _flush(partial)
            if replace:
                os.replace(partial, path)
            else:
                _rename_to_new(partial, path)
            _flush_folder(path.parent)
        finally:
            partial.unlink(missing_ok=True)


def write_beside(path: Path, content: bytes | str) -> None:
    """Write a whole file (text as UTF-8, newlines as they are) so that it appears in one step, flushed to disk."""
    with file_beside(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path` to fill; on success it is flushed to disk with all in it and renamed to `path`.

    Raises FileExistsError when `path` exists, before or after. After an exception nothing is left beside. Folders above
    are made where they are missing. Others may read the files as the user's own settings (umask) have it.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    make_folder(path.parent)
    partial = beside(path)
    with present(path.parent):
        partial.mkdir()
        try:
            yield partial
            _flush_tree(partial, mode=stat.S_IMODE(partial.stat().st_mode))
            if path.exists():
                raise FileExistsError(f"{path} exists already")
            os.rename(partial, path)
            _flush_folder(path.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing; they survive a power cut."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        _flush_folder(place.parent)


def clear_partial(folder: Path, *, of: str = "") -> int:
    """Remove what `beside` named directly in a folder and ended processes left there; how many there were.

    `of` is the beginning of the names of those that are meant; empty, all are. None while somebody writes there, and
    none where that cannot be known (Windows, some network disks). Links are neither followed nor removed, and what
    cannot be removed stays.
    """
    count = 0
    with closing(Presence(folder)) as presence, presence.alone() as alone:
        for path in sorted(folder.iterdir()) if alone else ():
            if is_partial(path) and path.name.startswith(f".{of}") and not path.is_symlink():
                with suppress(OSError):
                    if path.is_dir():
                        shutil.rmtree(path)
                    else:
                        path.unlink()
                    count += 1
    return count


@contextmanager
def written_to(path: Path) -> Iterator[None]:
    """Turn an OSError inside into a ProjectPlaceError that names the file or folder; FileExistsError stays as it is."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise ProjectPlaceError(
            tr("{path} cannot be written: {reason}.", path=path, reason=error.strerror or error),
            advice=tr("Check that the project's folder may be written to and that its disk is not full."),
        ) from error


def _rename_to_new(partial: Path, path: Path) -> None:
    """Rename, but never onto a file that is there: FileExistsError."""
    if os.name == "posix":
        try:
            os.link(partial, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links, as on memory sticks: seldom shared by two at once
            if path.exists():
                raise FileExistsError(f"{path} exists already") from None
        else:
            return
    os.rename(partial, path)  # on Windows it fails when the file is there


def _flush_tree(folder: Path, *, mode: int) -> None:
    """Flush all files, then the folders from the deepest on; the files get the rights of `mode` less execution."""
    for parent, _folders, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                _set_rights(path, mode & 0o666)
                _flush(path)
        _flush_folder(Path(parent))


def _set_rights(path: Path, mode: int) -> None:
    """Give a file the rights of `mode`, where the file system knows such."""
    if stat.S_IMODE(path.stat().st_mode) != mode:
        with suppress(PermissionError):
            path.chmod(mode)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _flush_folder(folder: Path) -> None:
    """Make a rename survive a power cut, where the system lets folders be flushed: on POSIX, but for some disks."""
    if os.name != "posix":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that takes files but shows none
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)
