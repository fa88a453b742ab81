"""What work in the background gives instead of a result when it fails."""

from __future__ import annotations

from dataclasses import dataclass

from histoloop.errors import HistoLoopError


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, in words for the user, and what to do about it (empty: nothing is known)."""

    message: str
    advice: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.message, self.advice)))


def failure_of(error: Exception) -> Failure:
    """What an exception says to the user."""
    if isinstance(error, HistoLoopError):
        return Failure(error.message, error.advice)
    return Failure(f"{type(error).__name__}: {error}")


def ignore(_content: object) -> None:
    """For work whose result, or whose failure, nobody waits for."""
