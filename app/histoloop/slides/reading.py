"""Which files are being read: a decoder that takes its process down says nothing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


class Watch(Protocol):
    """Hears of a file before anything of it is decoded, and once it is closed."""

    def __call__(self, path: Path, *, begins: bool) -> object:
        """Reading `path` begins, or has ended."""
        ...


_watches: list[Watch] = []


def watch_reading(watch: Watch) -> None:
    """Have a function of this process called with every slide that is opened and closed from now on."""
    _watches.append(watch)


def note_reading(path: Path, *, begins: bool) -> None:
    """Tell those who watch."""
    for watch in _watches:
        watch(path, begins=begins)
