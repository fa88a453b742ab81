"""The project that is open: read here, written by one thread in order, worked on by jobs of another process."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

from PySide6.QtCore import QObject, Signal

from histoloop.errors import HistoLoopError
from histoloop.gui.work.background import Worker
from histoloop.gui.work.failure import Failure, ignore
from histoloop.gui.work.jobs import Job, JobRunner, Place
from histoloop.gui.work.writing import Insistence, WrittenProject
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord

Result = TypeVar("Result")


class ProjectDesk(QObject):
    """One project at a time, or none.

    Reads are quick and happen here; whatever writes masks or takes longer goes through a worker thread, in order, and
    long work through the jobs' child process. What of it concerns a project that was closed meanwhile is dropped.
    Whatever is refused or fails is emitted by `problem` with advice.
    """

    project_changed = Signal()
    slides_changed = Signal()
    maps_changed = Signal()
    slide_predicted = Signal(int, int)
    queries_changed = Signal()
    models_changed = Signal()
    model_added = Signal(int)
    problem = Signal(str, str)
    notice = Signal(str)
    reported = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.jobs = JobRunner(self)
        self.insistence = Insistence(self)
        self._person = ""
        self._project: Project | None = None
        self._written: WrittenProject | None = None  # the same project, for the writer's thread
        self._writer = Worker(self)

    @property
    def project(self) -> Project | None:
        """The open project."""
        return self._project

    @property
    def read_only(self) -> bool:
        """Whether the open project can only be looked at and exported from."""
        return self._project is not None and self._project.read_only

    @property
    def person(self) -> str:
        """Who sits here, by name; empty while it is not known."""
        return self._person

    def slides(self) -> list[SlideRecord]:
        """The slides of the project."""
        return [] if self._project is None else self._project.slides.all()

    def submit(
        self,
        title: str,
        task: Callable[..., Any],
        arguments: Mapping[str, object],
        *,
        on_done: Callable[[Any], object],
        on_failed: Callable[[Failure], object] | None = None,
        place: Place = Place.NOWHERE,
        writes: bool = True,
    ) -> Job | None:
        """Run a task on the project as a job, which is given back; None where it cannot be."""
        job = self._job(title, task, arguments, on_done=on_done, on_failed=on_failed, place=place, writes=writes)
        if job is not None:
            self.jobs.submit(job)
        return job

    def _job(
        self,
        title: str,
        task: Callable[..., Any],
        arguments: Mapping[str, object],
        *,
        on_done: Callable[[Any], object],
        on_failed: Callable[[Failure], object] | None = None,
        place: Place = Place.NOWHERE,
        writes: bool = True,
    ) -> Job | None:
        """A job on the project, its result dropped unless the same project is open then.

        None while none is open, and while one is read-only that the job `writes`.
        """
        if self._project is None:
            self.problem.emit(tr("No project is open."), tr("Make or open a project first."))
            return None
        if writes and not self._do(lambda _project: None):
            return None
        folder = self._project.folder

        def is_open() -> bool:
            return self._project is not None and self._project.folder == folder

        def done(result: object) -> None:
            if is_open():
                on_done(result)

        def failed(failure: Failure) -> None:
            (on_failed if on_failed is not None and is_open() else self._show_failure)(failure)

        return Job(title, task, {"folder": folder, **arguments}, done, failed, place)

    def write(
        self,
        change: Callable[[Project], Result],
        *,
        on_done: Callable[[Result], object] = ignore,
        on_failed: Callable[[Failure], object] | None = None,
        insist: bool = False,
    ) -> None:
        """A change by the writer's thread, after those before; its result is dropped when the project is closed.

        With `insist` it is tried until the project can be written, and those after it wait.
        """
        written = self._written
        if written is None:
            return

        def done(result: Result) -> None:
            if self._written is written:
                on_done(result)

        work: Callable[[], Result] = functools.partial(written.change, change)
        if insist and not self.read_only:
            work = functools.partial(self.insistence.until_written, work)
        self._writer.request(work, on_done=done, on_failed=on_failed or self._show_not_written)

    def wait_until_written(self, seconds: float) -> bool:
        """Wait until nothing is left to be written, for so long at most; whether that is so."""
        return self._writer.wait(seconds)

    def _do(self, change: Callable[[Project], object]) -> bool:
        """A small change of the project, at once."""
        if self._project is None:
            return False
        try:
            self._project.check_writable()
            change(self._project)
        except HistoLoopError as error:
            self.problem.emit(error.message, error.advice)
            return False
        return True

    def _show_failure(self, failure: Failure) -> None:
        self.problem.emit(failure.message, failure.advice)

    def _show_not_written(self, failure: Failure) -> None:
        self.problem.emit(str(failure), "")
