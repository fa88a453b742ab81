"""Which window has a project open for writing: one at a time, also on a share, also after a crash."""

from __future__ import annotations

import ctypes
import logging
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QLockFile

from histoloop.language import tr

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)

LOCK = "window.lock"
BEAT_S = 60
STALE_S = 15 * 60
"""A lock that was not renewed for so long was left by a machine that is gone. On this machine the process is asked."""

WINDOW = "window"
"""Setting of a project: who has it open for writing, as `signature` gives it."""


class WindowLock:
    """A lock file in a project's folder, held while a window may write. A process that crashed holds none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / LOCK
        self._file = QLockFile(str(self._path))
        self._file.setStaleLockTime(STALE_S * 1000)

    @property
    def is_held(self) -> bool:
        """Whether it is held here."""
        return self._file.isLocked()

    def take(self) -> bool:
        """Hold it; False when another window does. Where no lock can be made, nobody is kept out."""
        if self.is_held or self._file.tryLock(0):
            return True
        if self._file.error() is QLockFile.LockError.LockFailedError:
            return False
        _log.warning("no lock can be made in %s: %s", self.folder, self._file.error())
        return True

    def release(self) -> None:
        """Let others write."""
        self._file.unlock()

    def abandon(self) -> None:
        """Leave it to the window that has taken it meanwhile: to release it would take away the other one's."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._file))  # QLockFile removes the file when it is deleted

    def renew(self) -> bool:
        """Say that this window is still there; False when another one has taken the lock meanwhile."""
        if not self.is_held:
            return True
        process, host = self._lock_info()
        if process and (process, host) != (os.getpid(), socket.gethostname()):
            return False
        with suppress(OSError):
            os.utime(self._path)
        return True

    def is_free(self) -> bool:
        """Whether no window holds it, as far as can be seen without taking it."""
        return not self._path.exists()

    def host(self) -> str:
        """The machine of the window that holds it; empty where that is not known."""
        return self._lock_info()[1]

    def _lock_info(self) -> tuple[int, str]:
        """Process and machine in the lock file; 0 and nothing where there is none."""
        process, host, _program = self._file.getLockInfo()
        return process, host


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a project open for writing; what is not known is empty."""

    person: str = ""
    host: str = ""
    since: str = ""

    @classmethod
    def of(cls, setting: Any) -> Holder:
        """From the setting of a project."""
        known = setting if isinstance(setting, dict) else {}
        return cls(*(str(known.get(key, "")) for key in ("person", "host", "since")))

    def __str__(self) -> str:
        who = self.person or tr("Somebody")
        if self.host and self.host != socket.gethostname():
            who = tr("{person} (at {machine})", person=who, machine=self.host)
        if self.since:
            return tr("{person} has had this project open in another window since {time}.", person=who, time=self.since)
        return tr("{person} has this project open in another window.", person=who)


def signature(person: str) -> dict[str, str]:
    """The setting that says who has a project open from now on."""
    now = datetime.now(UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    return {"person": person, "host": socket.gethostname(), "since": now}
