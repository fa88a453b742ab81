"""Who works in a folder: a lock on it, which ends with the process that holds it, however that ends."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform != "win32":
    import fcntl


CLAIM = ".histoloop.lock"


class Presence:
    """A place among those who work in a folder, such as the maps of a project that is open to be changed.

    Where a folder cannot be locked (Windows, some network disks) nobody knows of anybody, and nobody is ever alone.
    """

    def __init__(self, folder: Path) -> None:
        self._handle: int | None = None
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                self._handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def enter(self) -> None:
        """Be there from now on; waits for one who is alone, which is for moments."""
        self._lock(shared=True, wait=True)

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether nobody else is there; if so, others who come wait until the block ends. Be there afterwards."""
        try:
            yield self._lock(shared=False, wait=False)
        finally:
            self.enter()

    def close(self) -> None:
        """Leave."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _lock(self, *, shared: bool, wait: bool) -> bool:
        if sys.platform == "win32" or self._handle is None:
            return False
        how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.flock(self._handle, how)
        except OSError:
            return False
        return True


@contextlib.contextmanager
def present(folder: Path) -> Iterator[None]:
    """Be in a folder while the block runs."""
    with contextlib.closing(Presence(folder)) as presence:
        presence.enter()
        yield


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Whether this is the only command that writes its results into a folder while the block runs.

    A hidden file there is locked, and removed at the end; one that an ended process left is taken over. Granted where
    files cannot be locked, or made: what is written next says so.
    """
    path, handle = folder / CLAIM, None
    granted = True
    if sys.platform != "win32":
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            granted = path.exists() and os.path.samestat(os.fstat(handle), path.stat())
        except BlockingIOError:
            granted = False
        except OSError:
            granted = True
    try:
        yield granted
    finally:
        if handle is not None:
            if granted:
                path.unlink(missing_ok=True)
            os.close(handle)
