"""Slides that are brought into the project: past files that take the background process down, with a full report."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.gui.work import tasks
from histoloop.gui.work.report import Report, sections
from histoloop.language import tr, tr_plural
from histoloop.workflows.reports import ImportReport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histoloop.gui.work.failure import Failure
    from histoloop.gui.work.project_desk import ProjectDesk


@dataclass(frozen=True, slots=True)
class _Import:
    """Paths that are imported into a project that had the slides `before`, and files that crashed their reader."""

    paths: tuple[Path, ...]
    before: frozenset[int]
    crashed: tuple[tuple[Path, str], ...] = ()


class Importing:
    """Adds slides as jobs; `then` is called with the ids of those that were added."""

    def __init__(self, session: ProjectDesk, *, then: Callable[[Sequence[int]], object]) -> None:
        self._session, self._then = session, then

    def add(self, paths: Sequence[Path]) -> None:
        """Bring slides and folders into the project."""
        self._run(_Import(tuple(paths), frozenset(slide.id for slide in self._session.slides())))

    def _run(self, wanted: _Import) -> None:
        self._session.submit(
            tr("Adding slides"),
            tasks.add_slides,
            {"paths": list(wanted.paths), "without": [path for path, _why in wanted.crashed]},
            on_done=functools.partial(self._on_added, wanted),
            on_failed=functools.partial(self._on_failed, wanted),
        )

    def _on_failed(self, wanted: _Import, failure: Failure) -> None:
        """Go on without the file that crashed its reader; each such file is left out once, so this ends."""
        if failure.file is None or failure.file in [path for path, _why in wanted.crashed]:
            self._session.problem.emit(failure.message, failure.advice)
            self._session.slides_changed.emit()
            return
        crashed = (*wanted.crashed, (failure.file, str(failure)))
        self._run(_Import(wanted.paths, wanted.before, crashed))

    def _on_added(self, wanted: _Import, report: ImportReport) -> None:
        session = self._session
        session.slides_changed.emit()
        if wanted.crashed:  # what was added before a crash is known to the last run
            added = tuple(slide.id for slide in session.slides() if slide.id not in wanted.before)
            paths = {slide.path for slide in session.slides() if slide.id in added}
            report = ImportReport(
                added,
                tuple(path for path in report.known if path.absolute() not in paths),
                (*wanted.crashed, *report.failed),
                report.passed_over,
                report.recognised,
                report.notes,
            )
        session.reported.emit(import_report(report))
        if report.added:
            self._then(report.added)


def import_report(report: ImportReport) -> Report:
    """What came of an import, in words."""
    found = sections(
        (tr("Not added"), _named(report.failed)),
        (tr("Passed over"), _named(report.passed_over)),
        (tr("Recognised"), _named(report.recognised)),
        (tr("Unusual slides"), _named(report.notes)),
    )
    return Report(_summary(report), found, is_problem=bool(report.failed), is_usual=bool(report.added) and not found)


def _summary(report: ImportReport) -> str:
    added, failed, others = len(report.added), len(report.failed), len(report.passed_over)
    parts = [tr_plural("{count} slide was added.", "{count} slides were added.", added)] if added else []
    if failed:
        parts.append(tr_plural("{count} slide was not added.", "{count} slides were not added.", failed))
    elif not added:
        parts.append(
            tr("These slides are in the project already.") if report.known else tr("No slides were found there.")
        )
    if others:
        parts.append(tr_plural("{count} file was passed over.", "{count} files were passed over.", others))
    return " ".join(parts)


def _named(entries: Sequence[tuple[Path, str]]) -> tuple[tuple[str, str], ...]:
    """Paths with their notes, without repeating the path."""
    return tuple((str(path), what.removeprefix(f"{path}: ")) for path, what in entries)
