"""What came of long work, file by file, for people to read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, and under it each file or slide with its reason or note."""

    title: str
    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A sentence that sums up, and the sections that are not empty.

    `is_problem`: something failed; `is_usual`: all went as it should, which needs no report.
    """

    summary: str
    sections: tuple[Section, ...]
    is_problem: bool = False
    is_usual: bool = False

    def __str__(self) -> str:
        lines = [self.summary]
        for section in self.sections:
            lines += ["", section.title, *(f"{name}\t{what}" if what else name for name, what in section.entries)]
        return "\n".join(lines)


def sections(*found: tuple[str, tuple[tuple[str, str], ...]]) -> tuple[Section, ...]:
    """Those of some (title, entries) that have entries."""
    return tuple(Section(title, entries) for title, entries in found if entries)
