"""What the terminal shows: progress, failures, JSON; and the exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.progress import Progress, Work

Result = TypeVar("Result")

OK, FAILED, WRONG, PARTLY = 0, 1, 2, 3
INTERRUPTED, TERMINATED = 130, 143

MOST_NAMED = 20

CLEARED = "\r\x1b[K"
"""Empties the line that a terminal's cursor is on."""


class _ProgressBar:
    """One line on a terminal, rewritten; a line per stage elsewhere; both on standard error."""

    WIDTH = 30

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._stage = ""

    def __call__(self, step: Progress) -> None:
        if self._terminal:
            filled = round(step.fraction * self.WIDTH)
            figures = "  ".join(f"{name} {value:.3g}" for name, value in step.figures.items())
            bar = "#" * filled + "." * (self.WIDTH - filled)
            line = f"{step.stage} [{bar}] {step.fraction:4.0%} {step.message} {figures}"
            print(f"{CLEARED}{line[:140]}", end="", file=sys.stderr, flush=True)
        elif step.stage != self._stage:
            print(step.stage, file=sys.stderr, flush=True)
        self._stage = step.stage

    def close(self) -> None:
        if self._terminal and self._stage:
            print(file=sys.stderr)


def run(work: Work[Result]) -> Result:
    """Run long work to its end, with its progress on standard error."""
    from histoloop.progress import finish

    bar = _ProgressBar()
    try:
        return finish(work, bar)
    finally:
        work.close()
        bar.close()


def print_warning(warning: str) -> None:
    """A sentence for the user on standard error; a progress bar that stands on the line makes room for it."""
    print(f"{CLEARED if sys.stderr.isatty() else ''}Mind: {warning}", file=sys.stderr, flush=True)


def report_failures(failed: Sequence[tuple[str, str]], *, done: int = 1) -> int:
    """Name what failed on standard error; the exit code to end with when `done` others went well."""
    for name, reason in failed:
        print(f"histoloop: {name}: {reason}", file=sys.stderr)
    if not failed:
        return OK
    return PARTLY if done else FAILED


def report_passed_over(passed_over: Sequence[tuple[str, str]]) -> None:
    """Name on standard error what was found in folders and is no slide; the first `MOST_NAMED`, and how many more."""
    for name, reason in passed_over[:MOST_NAMED]:
        print(f"passed over: {name}: {reason}", file=sys.stderr)
    if len(passed_over) > MOST_NAMED:
        print(f"passed over: {len(passed_over) - MOST_NAMED} more", file=sys.stderr)


def write_json(path: Path, content: object) -> None:
    """To a file, or to standard output where `path` is '-'."""
    text = json.dumps(content, indent=2) + "\n"
    if path == Path("-"):
        print(text, end="")
        return
    from histoloop.store.files import write_beside

    path.parent.mkdir(parents=True, exist_ok=True)
    write_beside(path, text)
