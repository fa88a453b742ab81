"""What work in the background gives instead of a result when it fails."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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


def ignore(_content: object) -> None:
    """For work whose result, or whose failure, nobody waits for."""
