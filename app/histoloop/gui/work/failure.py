"""What work in the background gives instead of a result when it fails."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, in words for the user, and what to do about it (empty: nothing is known)."""

    message: str
    advice: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.message, self.advice)))


def ignore(_content: object) -> None:
    """For work whose result, or whose failure, nobody waits for."""
