"""Annotations of other programs: their files looked at in a process of their own, and imported as jobs."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from histoloop.gui.work import tasks
from histoloop.gui.work.jobs import Job, JobRunner, Outcome
from histoloop.gui.work.report import Report, sections
from histoloop.language import tr, tr_plural
from histoloop.workflows.classes import add_class
from histoloop.workflows.import_annotations import PlannedImport
from histoloop.workflows.reports import ImportedAnnotation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from histoloop.gui.work.failure import Failure
    from histoloop.gui.work.session import Session
    from histoloop.progress import Progress
    from histoloop.store.project import Project
    from histoloop.workflows.contents.import_preview import FilePreview
    from histoloop.workflows.contents.mask_files import MaskFile


class AnnotationReader(QObject):
    """Looks at one file after the other, beside the jobs of the session, which may take hours.

    `read` is emitted with the number that was given for a file and its `FilePreview`, `failed` with a `Failure`,
    `progressed` with a `Progress`. Of one number only the newest wish counts.
    """

    read = Signal(int, object)
    failed = Signal(int, object)
    progressed = Signal(int, object)

    def __init__(self, folder: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder = folder
        self._runner = self._new_runner()
        self._jobs: dict[int, Job] = {}

    def look(self, number: int, file: MaskFile, slide_id: int) -> None:
        """Look at a file on a slide, after those before it."""
        self._jobs[number] = job = Job(
            tr("Reading {name}", name=file.path.name),
            tasks.look_at_annotations,
            {"folder": self._folder, "file": file, "slide_id": slide_id},
            on_done=lambda preview: self._on_done(number, job, preview),
            on_failed=lambda failure: self._on_failed(number, job, failure),
            expendable=True,
        )
        self._runner.submit(job)

    def forget(self, number: int) -> None:
        """Look at a file no longer; one that is being read is given up at once."""
        job = self._jobs.pop(number, None)
        if job is not None and job is self._runner.current:
            self.stop()

    def stop(self) -> None:
        """Give up what is being read, and go on with the others."""
        waiting = [job for job in self._runner.waiting if job in self._jobs.values()]
        before, self._runner = self._runner, self._new_runner()
        before.shut_down()
        before.deleteLater()
        for job in waiting:
            self._runner.submit(job)

    def shut_down(self) -> None:
        """End the process; nothing is emitted any more."""
        self._jobs.clear()
        self._runner.shut_down()

    def _new_runner(self) -> JobRunner:
        runner = JobRunner(self)
        runner.progressed.connect(self._on_progress)
        return runner

    def _on_done(self, number: int, job: Job, preview: FilePreview) -> None:
        if self._jobs.get(number) is job:
            del self._jobs[number]
            self.read.emit(number, preview)

    def _on_failed(self, number: int, job: Job, failure: Failure) -> None:
        if self._jobs.get(number) is job:
            del self._jobs[number]
            self.failed.emit(number, failure)

    def _on_progress(self, job: Job, step: Progress) -> None:
        for number, wanted in self._jobs.items():
            if wanted is job:
                self.progressed.emit(number, step)


@dataclass(slots=True)
class _Run:
    """Files that are imported together, and what has come of them."""

    waiting: list[PlannedImport]
    jobs: list[Job] = field(default_factory=list)
    done: list[tuple[PlannedImport, ImportedAnnotation]] = field(default_factory=list)
    failed: list[tuple[PlannedImport, str]] = field(default_factory=list)


class AnnotationImports(QObject):
    """Imports files, each as a job of its own, all of it or nothing; then reports on all of them together."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._runs: list[_Run] = []
        session.jobs.ended.connect(self._on_ended)

    def start(self, planned: Sequence[PlannedImport], *, new: Sequence[tuple[str, str]] = ()) -> None:
        """Import files after the jobs before them; classes that are `new` (name, colour) are made before."""
        if new:
            done = functools.partial(self._on_classes_made, planned)
            self._session.write(functools.partial(_add_classes, tuple(new)), on_done=done)
            return
        run = _Run(list(planned))
        self._runs.append(run)
        for each in planned:
            job = self._session.submit(
                tr("Importing {name}", name=each.file.path.name),
                tasks.import_annotations,
                {"planned": each, "person": self._session.person},
                on_done=functools.partial(self._on_done, run, each),
                on_failed=functools.partial(self._on_failed, run, each),
            )
            if job is None:
                self._runs.remove(run)
                return
            run.jobs.append(job)

    def _on_classes_made(self, planned: Sequence[PlannedImport], _made: None) -> None:
        self._session.classes.changed.emit()
        self.start(planned)

    def _on_done(self, run: _Run, planned: PlannedImport, imported: ImportedAnnotation) -> None:
        run.done.append((planned, imported))

    def _on_failed(self, run: _Run, planned: PlannedImport, failure: Failure) -> None:
        run.failed.append((planned, str(failure)))

    def _on_ended(self, job: Job, outcome: Outcome) -> None:
        run = next((run for run in self._runs if job in run.jobs), None)
        if run is None:
            return
        run.jobs.remove(job)
        if outcome is Outcome.CANCELLED:
            run.jobs.clear()  # those that waited are forgotten with it
        if run.jobs:
            return
        self._runs.remove(run)
        session = self._session
        session.slides_changed.emit()
        session.queries_changed.emit()
        session.maps_changed.emit()
        session.annotating.refresh()
        session.reported.emit(report_of(run.waiting, run.done, run.failed))


def _add_classes(new: Sequence[tuple[str, str]], project: Project) -> None:
    for name, colour in new:
        add_class(project, name, colour=colour or None)


def report_of(
    planned: Sequence[PlannedImport],
    done: Sequence[tuple[PlannedImport, ImportedAnnotation]],
    failed: Sequence[tuple[PlannedImport, str]],
) -> Report:
    """What came of files, in words; those neither done nor failed were stopped."""
    settled = [each for each, _what in (*done, *failed)]
    stopped = [each for each in planned if each not in settled]
    regions = sum(len(imported.records) for _each, imported in done)
    parts = [
        tr_plural("{count} file was imported", "{count} files were imported", len(done)),
        tr_plural("{count} region.", "{count} regions.", regions),
    ]
    summary = [": ".join(parts)] if done else []
    if failed:
        summary.append(tr_plural("{count} file was not imported.", "{count} files were not imported.", len(failed)))
    if stopped:
        summary.append(
            tr_plural("{count} file was stopped part-way.", "{count} files were stopped part-way.", len(stopped))
        )
    if done:
        summary.append(tr("Undo removes them again."))
    found = sections(
        (tr("Not imported"), tuple((str(each.file.path), what) for each, what in failed)),
        (tr("Stopped, nothing of it was imported"), tuple((str(each.file.path), "") for each in stopped)),
        (tr("Imported"), tuple((str(each.file.path), _came(imported)) for each, imported in done)),
    )
    return Report(" ".join(summary), found, is_problem=bool(failed))


def _came(imported: ImportedAnnotation) -> str:
    """How many regions, how many of them are held out, and what is to be known of them."""
    held_out = sum(record.held_out for record in imported.records)
    sentences = [tr_plural("{count} region.", "{count} regions.", len(imported.records))]
    if held_out:
        sentences.append(
            tr_plural(
                "{count} of them is held out to measure the model.",
                "{count} of them are held out to measure the model.",
                held_out,
            )
        )
    return " ".join((*sentences, *imported.notes, *imported.left_out))
