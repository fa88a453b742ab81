"""What work in the background gives instead of a result when it fails."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from histoloop.errors import HistoLoopError


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, in words for the user, and what to do about it (empty: nothing is known).

    `file` is the slide that was being read when its reader took the background process down.
    """

    message: str
    advice: str = ""
    file: Path | None = None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.message, self.advice)))


def failure_of(error: Exception) -> Failure:
    """The message of an exception for the user."""
    if isinstance(error, HistoLoopError):
        return Failure(error.message, error.advice)
    return Failure(f"{type(error).__name__}: {error}")


def ignore(_content: object) -> None:
    """For work whose result, or whose failure, nobody waits for."""
