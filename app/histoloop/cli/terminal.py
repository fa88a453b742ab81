r"""What the terminal shows: progress, failures, JSON; and the exit codes.

Names of slides, classes and people may hold anything: control characters and marks of writing direction are shown as
escapes (`\x1b`), so that a name never moves the cursor, recolours a line or reads backwards.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from histoloop.progress import TimeLeft, in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from histoloop.progress import Progress, Work

Result = TypeVar("Result")

OK, FAILED, WRONG, PARTLY, UNWRITABLE = 0, 1, 2, 3, 4
INTERRUPTED, TERMINATED = 130, 143

MEANINGS = {
    OK: "all done",
    FAILED: "nothing could be done",
    WRONG: "wrong usage, before any work",
    PARTLY: "some failed or were not understood",
    UNWRITABLE: "the place cannot be written",
    INTERRUPTED: "interrupted, what was done is kept",
    TERMINATED: "terminated, what was done is kept",
}

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
"""Letters of some scripts need them."""

MOST_NAMED = 20
LONGEST_MESSAGE = 4000

CLEARED = "\r\x1b[K"
"""Empties the line that a terminal's cursor is on."""


class _ProgressBar:
    """One line on a terminal, rewritten; a line per stage elsewhere; both on standard error."""

    WIDTH = 30

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._stage = ""
        self._left = TimeLeft()

    def __call__(self, step: Progress) -> None:
        seconds = self._left.after(step, time.monotonic())
        if self._terminal:
            filled = round(step.fraction * self.WIDTH)
            figures = "  ".join(f"{name} {value:.3g}" for name, value in step.figures.items())
            bar = "#" * filled + "." * (self.WIDTH - filled)
            left = "" if seconds is None else f"{in_words(seconds)} left "
            line = f"{step.stage} [{bar}] {step.fraction:4.0%} {left}{step.message} {figures}"
            print(f"{CLEARED}{shown(line)[:140]}", end="", file=sys.stderr, flush=True)
        elif step.stage != self._stage:
            print(shown(step.stage), file=sys.stderr, flush=True)
        self._stage = step.stage

    def close(self) -> None:
        if self._terminal and self._stage:
            print(file=sys.stderr)


def run(work: Work[Result]) -> Result:
    """Run long work to its end, with its progress on standard error."""
    from histoloop.progress import finish

    bar = _ProgressBar()
    try:
        return finish(work, bar if speaks() else None)
    finally:
        work.close()
        bar.close()


def speaks() -> bool:
    """Whether this process tells what is done: of those that torchrun started, the first does."""
    return os.environ.get("RANK", "0") == "0" or "WORLD_SIZE" not in os.environ


def shown(text: str) -> str:
    """The text with escapes in place of control characters, line breaks and marks of direction."""
    return "".join(
        sign.encode("unicode_escape").decode()
        if unicodedata.category(sign) in _UNSEEN and sign not in _JOINERS
        else sign
        for sign in text
    )


def as_argument(path: str | Path) -> str:
    """A path as one types it on the command line of this system, with quotes where it has spaces."""
    return subprocess.list2cmdline([str(path)]) if os.name == "nt" else shlex.quote(str(path))


def print_lines(lines: Iterable[str]) -> None:
    """Lines on standard output; columns are parted by tabs."""
    for line in lines:
        print("\t".join(map(shown, line.split("\t"))))


def print_error(message: str, *, command: str | None = None) -> None:
    """What went wrong, on standard error, under the name of the program; a very long message without its middle."""
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[: LONGEST_MESSAGE // 2]} … {message[-LONGEST_MESSAGE // 2 :]}"
    print(f"histoloop{f' {command}' if command else ''}: {shown(message)}", file=sys.stderr, flush=True)


def print_warning(warning: str) -> None:
    """A sentence for the user on standard error; a progress bar that stands on the line makes room for it."""
    print(f"{CLEARED if sys.stderr.isatty() else ''}Mind: {shown(warning)}", file=sys.stderr, flush=True)


def report_failures(failed: Sequence[tuple[str, str]], *, done: int = 1) -> int:
    """Name what failed on standard error; the exit code to end with when `done` others went well."""
    for name, reason in failed:
        print_error(f"{name}: {reason}")
    if not failed:
        return OK
    return PARTLY if done else FAILED


def report_passed_over(passed_over: Sequence[tuple[str, str]]) -> None:
    """Name on standard error what was found in folders and is no slide; the first `MOST_NAMED`, and how many more."""
    for name, reason in passed_over[:MOST_NAMED]:
        print(f"passed over: {shown(name)}: {shown(reason)}", file=sys.stderr)
    if len(passed_over) > MOST_NAMED:
        print(f"passed over: {len(passed_over) - MOST_NAMED} more", file=sys.stderr)


def write_json(path: Path, content: object) -> None:
    """To a file, or to standard output where `path` is '-'; ExportError where it cannot be written."""
    text = json.dumps(content, indent=2) + "\n"
    if path == Path("-"):
        print(text, end="")
        return
    from histoloop.exchange.writing import export_to
    from histoloop.store.files import write_beside

    with export_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_beside(path, text)
