"""For tests: tasks of the jobs' process whose reader of slides takes the process down, as a broken decoder does."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from histoloop.gui.work import tasks
from histoloop.slides import reader

if TYPE_CHECKING:
    from pathlib import Path

_open = reader.open_source


def _open_or_crash(file: Path) -> Any:
    if file.name.startswith("crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if file.name.startswith("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    return _open(file)


def add_slides(folder: Path, **arguments: Any) -> Any:
    """`tasks.add_slides`, with a reader that crashes on files called crash…"""
    reader.open_source = _open_or_crash
    return (yield from tasks.add_slides(folder, **arguments))


def predict(folder: Path, **arguments: Any) -> Any:
    """`tasks.predict` with that reader."""
    reader.open_source = _open_or_crash
    return (yield from tasks.predict(folder, **arguments))
