"""Files and folders that appear whole or not at all: written beside, then renamed."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def beside(path: Path) -> Path:
    """A name in the same folder that nothing else uses; its suffix is that of `path`."""
    return path.with_name(f".{path.stem}.{secrets.token_hex(6)}.partial{path.suffix}")


@contextmanager
def file_beside(path: Path) -> Iterator[Path]:
    """Yield a free name beside `path` to write to; on success it is flushed to disk and renamed to `path`.

    A file that was at `path` is replaced in one step. After an exception it is as before, and nothing is left beside.
    """
    partial = beside(path)
    try:
        yield partial
        _flush(partial)
        os.replace(partial, path)
        _flush_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_beside(path: Path, content: bytes | str) -> None:
    """Write a whole file (text as UTF-8, newlines as they are) so that it appears in one step, flushed to disk."""
    with file_beside(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path` to fill; on success it is renamed to `path`, which must not exist.

    Raises FileExistsError when `path` exists, before or after. After an exception nothing is left beside.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    partial = beside(path)
    partial.mkdir(parents=True)
    try:
        yield partial
        if path.exists():
            raise FileExistsError(f"{path} exists already")
        os.rename(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make a rename survive a power cut; only POSIX systems let a folder be flushed."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
