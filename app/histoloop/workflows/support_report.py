"""Put into one file what somebody needs who helps with a problem: versions, the machine, the log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from histoloop.errors import ExportError
from histoloop.language import tr
from histoloop.log import EARLIER_FILES, FILE, log_folder, shortened, versions
from histoloop.progress import Progress, Work
from histoloop.store.files import write_beside
from histoloop.workflows.doctor import examine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from histoloop.workflows.doctor import Finding

LAST_LINES = 4000
"""So much of the log goes into a report."""


def save_support_report(path: Path) -> Work[Path]:
    """Write the report, a text file in English; ExportError where it cannot be written.

    It holds no pixels and no names of patients: the log names slides by their ids, and every path is cut down to its
    ending once more.
    """
    yield Progress(tr("Checking this computer"), 0, 2)
    findings = examine()
    yield Progress(tr("Writing the report"), 1, 2)
    try:
        write_beside(path, report_text(findings, log_lines()))
    except OSError as error:
        raise ExportError(
            tr("The report cannot be written to {path}: {reason}.", path=path, reason=error.strerror),
            advice=tr("Choose a folder that you may write to, on a disk with free space."),
        ) from error
    return path


def report_text(findings: Sequence[Finding], lines: Sequence[str]) -> str:
    """The text of a report about these findings and lines of the log."""
    machine = [
        f"{finding.state:8} {finding.name}: {finding.value}" + (f"\n{'':8} {finding.advice}" if finding.advice else "")
        for finding in findings
    ]
    parts = (
        f"HistoLoop support report, {datetime.now(UTC).isoformat(timespec='seconds')}",
        versions(),
        "\n".join(("Machine", *machine)),
        "\n".join((f"Log, the last {len(lines)} lines", *lines)),
    )
    return shortened("\n\n".join(parts)) + "\n"


def log_lines() -> list[str]:
    """The last lines of the log, those of earlier files first."""
    found: list[str] = []
    for name in (*(f"{FILE}.{number}" for number in range(EARLIER_FILES, 0, -1)), FILE):
        try:
            found += (log_folder() / name).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
    return found[-LAST_LINES:]
