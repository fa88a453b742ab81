"""What workers are given to do in tests; other processes import it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from histoloop.errors import DataError


def square(number: int) -> int:
    return number * number


def fail_at_three(number: int) -> int:
    if number == 3:
        raise DataError("Three is no number.", advice="Take another.")
    return number


def end_the_process_once(mark: str) -> str:
    """The first process that comes here ends without a word."""
    path = Path(mark)
    if path.exists():
        return "done"
    path.touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return "not reached"


def end_the_process(_part: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def stay(folder: str) -> None:
    """Be at work until this process is ended; a file of its own says that it was there, and goes as it clears up."""
    path = Path(folder) / str(os.getpid())
    path.touch()
    try:
        time.sleep(600)
    finally:
        path.unlink()


def fail_once(mark: str) -> str:
    """As a disk does that hangs for a moment."""
    path = Path(mark)
    if path.exists():
        return "done"
    path.touch()
    raise OSError("the disk hangs")
