"""What a command did, as people read it, as scripts read it (`--json`), and as an exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histoloop.cli.terminal import (
    FAILED,
    MEANINGS,
    OK,
    PARTLY,
    print_lines,
    print_warning,
    report_failures,
    report_passed_over,
    write_json,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done (an object each), (name, reason) of what failed or was not understood and of what was passed over.

    `text` are the lines for standard output, `notes` sentences about what was assumed.
    """

    text: Sequence[str]
    done: Sequence[Mapping[str, Any]] = ()
    failed: Sequence[tuple[str, str]] = ()
    passed_over: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()

    @property
    def code(self) -> int:
        """0 without failures; with some 3, or 1 where nothing else was done."""
        if not self.failed:
            return OK
        return PARTLY if self.done else FAILED


def report(outcome: Outcome, *, command: str, json_file: Path | None) -> int:
    """Print an outcome, write it as JSON where that was asked for; the exit code."""
    if json_file != Path("-"):
        print_lines(outcome.text)
    for note in outcome.notes:
        print_warning(note)
    report_passed_over(outcome.passed_over)
    report_failures(outcome.failed)
    if json_file is not None:
        write_json(json_file, _as_json(outcome, command, outcome.code))
    return outcome.code


def report_error(error: str, code: int, *, command: str, json_file: Path) -> None:
    """Write what kept a command from its end as JSON, in the shape of an outcome; the message stands in `error`."""
    write_json(json_file, {**_as_json(Outcome(()), command, code), "error": error})


def _as_json(outcome: Outcome, command: str, code: int) -> dict[str, Any]:
    return {
        "command": command,
        "exit_code": code,
        "meaning": MEANINGS[code],
        "done": list(outcome.done),
        "failed": [{"slide": name, "reason": reason} for name, reason in outcome.failed],
        "passed_over": [{"slide": name, "reason": reason} for name, reason in outcome.passed_over],
        "notes": list(outcome.notes),
    }
