"""A folder of arrays that can be made again: size-bounded, safe to delete at any time."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from histoloop.store.files import beside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

CACHE = "cache"
"""Folder in a project's folder for what can be made again."""

GIB = 1024**3
_KEY = re.compile(r"[0-9a-f]{32}")


class ArrayCache:
    """Arrays by name, one file a key; beyond `limit_bytes` those that were not asked for longest are deleted.

    Nothing here is truth: a file that is missing, broken or cannot be written is as if it had never been kept. Only the
    cache's own files are read and deleted; a folder that is a link to another place is not used at all.
    """

    def __init__(self, folder: Path, *, limit_bytes: int = 4 * GIB) -> None:
        if limit_bytes < 0:
            raise ValueError(f"limit_bytes must be at least 0, not {limit_bytes}")
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._size: int | None = None

    def get(self, key: str) -> dict[str, NDArray[np.generic]] | None:
        """The arrays of a key, or None."""
        path = self._path(key)
        if not self._is_own(path):
            return None
        try:
            arrays: dict[str, NDArray[np.generic]] = load_file(path)
        except (OSError, SafetensorError):
            return None
        with suppress(OSError):
            os.utime(path)
        return arrays

    def has(self, key: str) -> bool:
        """Whether arrays are kept under a key, which may be broken all the same."""
        path = self._path(key)
        return self._is_own(path) and path.exists()

    def put(self, key: str, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Keep arrays under a key, whole or not at all; older ones make room."""
        path = self._path(key)
        if leads_elsewhere(self.folder):
            return
        partial = beside(path)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, partial)
            os.replace(partial, path)
            self._size = (self._size or 0) + path.stat().st_size if self._size is not None else self._measure()
        except (OSError, SafetensorError):  # a full disk must not stop the work
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            return
        if self._size > self.limit_bytes:
            self._make_room(keep=path)

    def _path(self, key: str) -> Path:
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"

    def _own_files(self) -> Iterator[Path]:
        return (path for path in self.folder.glob("*.safetensors") if self._is_own(path))

    def _is_own(self, path: Path) -> bool:
        """Whether a file is one that this cache wrote, or may have: no link, and no name of somebody's choosing."""
        is_named = _KEY.fullmatch(path.stem) is not None
        return is_named and not path.is_symlink() and not leads_elsewhere(self.folder)

    def _measure(self) -> int:
        return sum(path.stat().st_size for path in self._own_files())

    def _make_room(self, *, keep: Path) -> None:
        """Delete the oldest files until a tenth of the limit is free, but not the newest."""
        files = sorted((path.stat().st_mtime_ns, path) for path in self._own_files() if path != keep)
        size = self._measure()
        for _time, path in files:
            if size <= self.limit_bytes * 0.9:
                break
            with suppress(OSError):
                size -= path.stat().st_size
                path.unlink()
        self._size = size


def leads_elsewhere(folder: Path) -> bool:
    """Whether a folder is a link (or, on Windows, a junction) to another place; what is there is not the cache's."""
    return folder.resolve() != folder.parent.resolve() / folder.name
