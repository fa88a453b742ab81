"""Long work in a child process of low priority, one job after the other; see docs/decisions/0003-jobs.md."""

from __future__ import annotations

import functools
import logging
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from PySide6.QtCore import QObject, Signal

from histoloop.allocator import give_back_memory
from histoloop.errors import HistoLoopError
from histoloop.gui.work.failure import Failure, ignore
from histoloop.language import mark, speak, spoken, tr
from histoloop.log import loggable, logging_to_file, operation
from histoloop.progress import Progress, Work
from histoloop.slides.reading import watch_reading
from histoloop.threads import wait_without_spinning

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


_log = logging.getLogger(__name__)

NICENESS = 10
STEPS_PER_SECOND = 20
CANCEL_SECONDS = 10.0
_CANCEL = "cancel"
LOG_ADVICE = mark("The log has the details (Help > Open log folder). Nothing that was saved is lost.")


class Place(Enum):
    """Where in the window a job is seen at work, besides the bar at the bottom.

    While a job of a place is not finished, the window offers no other one there.
    """

    NOWHERE = auto()
    QUESTIONS = auto()
    TRAINING = auto()


class Outcome(Enum):
    """How a job ended."""

    DONE = auto()
    FAILED = auto()
    CANCELLED = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A task (a top-level generator function) with its arguments, and what becomes of its result.

    `title` is for the user. Of `on_done` and `on_failed` one is called unless the job is cancelled. Work of an
    `expendable` job may be dropped without asking when the window closes.
    """

    title: str
    task: Callable[..., Work[Any]]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    on_done: Callable[[Any], object] = ignore
    on_failed: Callable[[Failure], object] = ignore
    place: Place = Place.NOWHERE
    expendable: bool = False


@dataclass(frozen=True, slots=True)
class _Order:
    """What the child process needs of a job."""

    task: Callable[..., Work[Any]]
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Step:
    progress: Progress


@dataclass(frozen=True, slots=True)
class _Reading:
    """A slide is about to be opened, or was closed."""

    path: Path
    begins: bool


@dataclass(frozen=True, slots=True)
class _Finished:
    result: Any


@dataclass(frozen=True, slots=True)
class _Failed:
    failure: Failure
    details: str = ""


@dataclass(frozen=True, slots=True)
class _Cancelled:
    pass


@dataclass(frozen=True, slots=True)
class _Died:
    process: int


class JobRunner(QObject):
    """Runs jobs one after the other. All signals arrive on the thread that this object lives in.

    They are about jobs as a whole: `started(job)`, `progressed(job, step)`, and `ended(job, outcome)`, which follows
    `on_done` or `on_failed` of the job itself.
    """

    started = Signal(object)
    progressed = Signal(object, object)
    ended = Signal(object, object)
    busy_changed = Signal(bool)
    _arrived = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: deque[Job] = deque()
        self._current: Job | None = None
        self._worker: _Worker | None = None
        self._reading: list[Path] = []  # what the job that runs has open, the newest last
        self._arrived.connect(self._on_message)

    @property
    def current(self) -> Job | None:
        """The job that runs now."""
        return self._current

    @property
    def waiting(self) -> tuple[Job, ...]:
        """The jobs that come after it."""
        return tuple(self._waiting)

    @property
    def unfinished(self) -> tuple[Job, ...]:
        """The job that runs now and those that come after it."""
        return self.waiting if self._current is None else (self._current, *self._waiting)

    @property
    def process_id(self) -> int | None:
        """Of the child process, while there is one."""
        return None if self._worker is None else self._worker.process_id

    def submit(self, job: Job) -> None:
        """Run a job after those before it."""
        self._waiting.append(job)
        if self._current is None:
            self._next()

    def cancel(self) -> None:
        """Stop the job that runs now at its next step, and forget those that wait."""
        self._waiting.clear()
        if self._current is not None and self._worker is not None:
            self._worker.ask_to_cancel()

    def drop(self, job: Job) -> None:
        """Stop a job at its next step, or forget it where it waits; nothing where it is done."""
        if job is self._current:
            if self._worker is not None:
                self._worker.ask_to_cancel()
        elif job in self._waiting:
            self._waiting.remove(job)
            self.ended.emit(job, Outcome.CANCELLED)

    def shut_down(self) -> None:
        """End the child process; no signal comes any more."""
        self._waiting.clear()
        self._current = None
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _next(self) -> None:
        before, self._current = self._current, self._waiting.popleft() if self._waiting else None
        self._reading = []
        if self._current is not None:
            if self._worker is None:
                self._worker = _Worker(self._arrived.emit)
            if self._worker.send(self._current):
                self.started.emit(self._current)
        if (before is None) != (self._current is None):
            self.busy_changed.emit(self._current is not None)

    def _on_message(self, message: object) -> None:
        job = self._current
        if isinstance(message, _Died):
            self._on_death(message, job)
        elif job is None:
            return
        elif isinstance(message, _Step):
            self.progressed.emit(job, message.progress)
        elif isinstance(message, _Reading):
            self._note_reading(message)
        elif isinstance(message, _Finished):
            self._end(job, Outcome.DONE, functools.partial(job.on_done, message.result))
        elif isinstance(message, _Failed):
            if message.details:
                _log.error("%s failed:\n%s", job.title, message.details)
            self._end(job, Outcome.FAILED, functools.partial(job.on_failed, message.failure))
        elif isinstance(message, _Cancelled):
            self._end(job, Outcome.CANCELLED)

    def _end(self, job: Job, outcome: Outcome, completion: Callable[[], object] = lambda: None) -> None:
        try:
            completion()
        finally:
            self.ended.emit(job, outcome)
            self._next()

    def _on_death(self, death: _Died, job: Job | None) -> None:
        if self._worker is None or self._worker.process_id != death.process:
            return  # an earlier process
        worker, self._worker = self._worker, None
        worker.stop()
        if job is None:
            return
        if worker.cancelling:
            self._end(job, Outcome.CANCELLED)
            return
        _log.error("%s: the child process ended with exit code %s", job.title, worker.exit_code)
        failure = _why_it_died(worker.exit_code, self._reading[-1] if self._reading else None)
        self._end(job, Outcome.FAILED, functools.partial(job.on_failed, failure))

    def _note_reading(self, message: _Reading) -> None:
        if message.begins:
            self._reading.append(message.path)
        elif message.path in self._reading:
            self._reading.remove(message.path)


CRASHES = frozenset(
    -number
    for name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE")
    if (number := getattr(signal, name, None)) is not None
)
"""Exit codes of a process whose native code went wrong; on Windows those from 0xC0000000 on."""
_WINDOWS_CRASHES = 0xC0000000


def _why_it_died(exit_code: int | None, file: Path | None) -> Failure:
    memory = tr("The memory may have run out: close other programs and try again.")
    if file is None:
        reason = tr("The background process ended unexpectedly (exit code {exit_code}).", exit_code=exit_code)
        return Failure(reason, memory)
    if exit_code in CRASHES or (exit_code or 0) >= _WINDOWS_CRASHES:
        reason = tr("The file {file} made the reader crash (exit code {exit_code}).", file=file, exit_code=exit_code)
        advice = tr("It is damaged, or of a kind that its reader cannot handle: copy it again, or convert it to TIFF.")
        return Failure(reason, advice, file)
    reason = tr(
        "The background process ended while it read {file} (exit code {exit_code}).", file=file, exit_code=exit_code
    )
    return Failure(reason, memory, file)


class _Worker:
    """The child process and the thread that listens to it."""

    def __init__(self, report: Callable[[object], None]) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=work_on_jobs, args=(theirs, spoken().code), name="histoloop-jobs", daemon=True
        )
        self._process.start()
        theirs.close()
        self._report = report
        self._stopping = False
        self.cancelling = False
        self._patience: threading.Timer | None = None
        self._thread = threading.Thread(target=self._listen, name="histoloop-jobs", daemon=True)
        self._thread.start()

    @property
    def process_id(self) -> int:
        return self._process.pid or 0

    @property
    def exit_code(self) -> int | None:
        return self._process.exitcode

    def send(self, job: Job) -> bool:
        """Whether it could be handed over; the listener reports when not."""
        self.cancelling = False
        try:
            self._connection.send(_Order(job.task, job.arguments))
        except OSError:
            return False
        return True

    def ask_to_cancel(self) -> None:
        """Ask, and end the process when it does not listen."""
        if self.cancelling:
            return
        self.cancelling = True
        try:
            self._connection.send(_CANCEL)
        except OSError:
            return
        self._patience = threading.Timer(CANCEL_SECONDS, self._end_if_deaf)
        self._patience.daemon = True
        self._patience.start()

    def stop(self) -> None:
        self._stopping = True
        self._process.terminate()
        self._process.join(CANCEL_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._thread.join()
        self._connection.close()

    def _end_if_deaf(self) -> None:
        if self.cancelling:
            self._process.terminate()

    def _listen(self) -> None:
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                break
            if not isinstance(message, (_Step, _Reading)):
                self.cancelling = False
                if self._patience is not None:  # it heard: a later wish to stop has a patience of its own
                    self._patience.cancel()
            self._report(message)
        if not self._stopping:
            self._process.join(CANCEL_SECONDS)
            self._report(_Died(self.process_id))


# --- in the child process -------------------------------------------------------------------------------------------


class _StopWork(BaseException):
    """The window asked for the end of the work; no error."""


def work_on_jobs(connection: Connection, language: str) -> None:
    """Take jobs until the other side is gone, and report on them in a language."""
    speak(language)
    _lower_priority()
    wait_without_spinning()
    watch_reading(lambda path, *, begins: connection.send(_Reading(path, begins)))
    with logging_to_file("jobs"):
        while True:
            try:
                message = connection.recv()
            except (EOFError, OSError):
                return
            if isinstance(message, _Order):
                _do(connection, message)
                give_back_memory()


def _lower_priority() -> None:
    """Let whatever draws the window go first."""
    process = psutil.Process()
    process.nice(min(19, process.nice() + NICENESS) if os.name == "posix" else psutil.BELOW_NORMAL_PRIORITY_CLASS)


def _do(connection: Connection, order: _Order) -> None:
    try:
        with operation(_log, order.task.__name__, **loggable(order.arguments)):
            connection.send(_run(connection, order.task(**order.arguments)))
    except _StopWork:
        connection.send(_Cancelled())
    except HistoLoopError as error:
        connection.send(_Failed(Failure(error.message, error.advice)))
    except Exception as error:  # the boundary of a job: the user sees it, and the window goes on
        failure = Failure(f"{type(error).__name__}: {error}.", tr(LOG_ADVICE))
        connection.send(_Failed(failure, traceback.format_exc()))


def _run(connection: Connection, work: Work[Any]) -> _Finished:
    reported = 0.0
    try:
        while True:
            try:
                step = next(work)
            except StopIteration as stop:
                return _Finished(stop.value)
            if connection.poll() and connection.recv() == _CANCEL:
                raise _StopWork
            now = time.monotonic()
            if step.must_arrive or now - reported >= 1 / STEPS_PER_SECOND:
                connection.send(_Step(step))
                reported = now
    finally:
        work.close()
