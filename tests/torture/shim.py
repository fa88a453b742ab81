"""The library that counts changes of files and breaks in at the n-th: built from faults.c, loaded by LD_PRELOAD."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
from enum import IntEnum, IntFlag
from pathlib import Path

SOURCE = Path(__file__).with_name("faults.c")


class Calls(IntFlag):
    """Groups of calls of the C library, as in faults.c."""

    WRITE = 1
    SYNC = 2
    RENAME = 4
    UNLINK = 8
    MKDIR = 16
    TRUNCATE = 32
    CREATE = 64
    LINK = 128

    ALL = WRITE | SYNC | RENAME | UNLINK | MKDIR | TRUNCATE | CREATE | LINK
    TAKING_ROOM = WRITE | SYNC | RENAME | MKDIR | TRUNCATE | CREATE | LINK


class Mode(IntEnum):
    """What happens at the n-th call.

    TEAR writes half of it first; FAIL once, FAIL_ON from then on; SIGNAL sends one.
    """

    ASLEEP = 0
    COUNT = 1
    KILL = 2
    TEAR = 3
    STOP = 4
    FAIL = 5
    FAIL_ON = 6
    SIGNAL = 7


def compiler() -> str | None:
    """The C compiler of this machine."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def build(folder: Path) -> Path:
    """The library in `folder`, made anew when its source is newer."""
    library = folder / "faults.so"
    if not library.exists() or library.stat().st_mtime < SOURCE.stat().st_mtime:
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"faults-{os.getpid()}.so"
        command = [compiler() or "cc", "-O2", "-Wall", "-shared", "-fPIC", "-o", str(partial), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True)
        partial.replace(library)
    return library


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None)
    library.torture_counted.argtypes, library.torture_counted.restype = [ctypes.c_int], ctypes.c_long
    library.torture_arm.argtypes = [ctypes.c_int, ctypes.c_long, ctypes.c_int, ctypes.c_int]
    return library


def watch(folder: Path) -> None:
    """Count changes below `folder` from the next arm() on."""
    _library().torture_watch(os.fsencode(folder.resolve()))


def arm(mode: Mode, number: int = 0, *, error: int = 0, calls: Calls = Calls.ALL) -> None:
    """Begin to count; at call `number` of these `calls` do what the mode says, `error` an errno or a signal."""
    _library().torture_arm(mode, number, error, calls)


def counted(calls: Calls = Calls.ALL) -> int:
    """How many of these calls there were since arm()."""
    return int(_library().torture_counted(calls))


def fired() -> int:
    """How many calls were made to fail."""
    return int(_library().torture_fired())


def log_others(file: int, allowed: list[Path]) -> None:
    """Write a line to the file descriptor for each change outside `allowed`, and for each program that is started."""
    for folder in allowed:
        _library().torture_allow(os.fsencode(folder))
    _library().torture_log_others(file)
