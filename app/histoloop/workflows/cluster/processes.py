"""Parts of work in processes of this machine; one that ends takes no other with it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from histoloop.errors import ClusterError
from histoloop.language import tr
from histoloop.log import logging_to_file
from histoloop.threads import wait_without_spinning

Answers = Generator[tuple[int, Any] | None, None, None]
"""The number of a part and what it came to, a result or an exception; None when nothing was heard for a while."""

_log = logging.getLogger(__name__)

PATIENCE_S = 1.0
"""So long nothing is heard before that is told."""

ENDING_S = 20.0
"""So long a process that was asked to end may clear up."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a process among those beside it: its number from 0, and the threads it may compute with."""

    number: int
    threads: int


_HERE: list[Place] = []


def own_place() -> Place | None:
    """Which of several processes this is; None where it was not started by `in_processes`."""
    return _HERE[0] if _HERE else None


@dataclass(slots=True)
class _Worker:
    """A process and the part that it works on."""

    process: multiprocessing.process.BaseProcess
    connection: Connection
    place: Place
    part: int | None = None


@dataclass(slots=True)
class _Pool:
    function: Callable[[Any], Any]
    parts: Sequence[Any]
    retries: int
    waiting: deque[int]
    workers: list[_Worker] = field(default_factory=list)
    tries: dict[int, int] = field(default_factory=dict)

    def start(self, place: Place) -> None:
        """A process more, at work."""
        context = multiprocessing.get_context("spawn")
        own, other = context.Pipe()
        process = context.Process(target=_work, args=(other, self.function, place), name=f"worker {place.number}")
        worker = _Worker(process, own, place)
        with _interrupts_held_back():
            process.start()
            self.workers.append(worker)  # before an interrupt comes through, which ends those that are known
        other.close()
        self.hand_out(worker)

    def hand_out(self, worker: _Worker) -> None:
        """The next part, if there is one; a process that gets none ends."""
        worker.part = self.waiting.popleft() if self.waiting else None
        if worker.part is None:
            self.workers.remove(worker)
            worker.connection.close()
            worker.process.join()
            return
        try:
            worker.connection.send(self.parts[worker.part])
        except OSError:  # it has ended: heard of next
            _log.info("a process ended before it was given a part")

    def hear(self, worker: _Worker) -> tuple[int, Any] | None:
        """What a process came to; None where it ended without a word and the part is tried again."""
        assert worker.part is not None  # it is at work, else it is no longer among the workers
        part = worker.part
        try:
            answer = worker.connection.recv()
        except (EOFError, OSError):
            return self._bury(worker, part)
        self.hand_out(worker)
        return part, answer

    def _bury(self, worker: _Worker, part: int) -> tuple[int, Any] | None:
        worker.process.join()
        worker.connection.close()
        self.workers.remove(worker)
        code = worker.process.exitcode
        _log.warning("a process ended with %s", code)
        self.tries[part] = self.tries.get(part, 0) + 1
        lost = self.tries[part] > self.retries
        if not lost:
            self.waiting.append(part)  # last: it may take others with it
        if self.waiting:
            self.start(worker.place)
        return (part, _ended(code)) if lost else None

    def end(self) -> None:
        """Have all processes clear up and end."""
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            worker.process.join(ENDING_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()


def in_processes(function: Callable[[Any], Any], parts: Sequence[Any], *, jobs: int, retries: int) -> Answers:
    """Which part came to its end, with its result or its exception, as they come; None when nothing is heard.

    The `function` and the parts are sent to `jobs` new processes, which share the cores. A part whose process ends
    without a word (a decoder that crashes, memory that runs out) is tried again, after the others.
    """
    jobs = max(1, min(jobs, len(parts)))
    threads = max(1, (os.cpu_count() or 1) // jobs)
    pool = _Pool(function, parts, retries, deque(range(len(parts))))
    try:
        for number in range(jobs if parts else 0):
            pool.start(Place(number, threads))
        while pool.workers:
            heard = wait([worker.connection for worker in pool.workers], timeout=PATIENCE_S)
            if not heard:
                yield None
            for worker in [each for each in pool.workers if each.connection in heard]:
                if (answer := pool.hear(worker)) is not None:
                    yield answer
    finally:
        pool.end()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Start a process that no Ctrl+C reaches, not even while it still imports; here it comes through afterwards.

    A process takes over which signals are blocked. Windows knows no such thing: there Ctrl+C ends a process that still
    imports with its own words.
    """
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # else it is started first of all, and lets the signals through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ended(code: int | None) -> ClusterError:
    return ClusterError(
        tr("The process that worked on it ended unexpectedly, each time it was tried (exit code {code}).", code=code),
        advice=tr("Memory may have run out: use fewer processes side by side. Or the file makes its reader crash."),
    )


def _work(connection: Connection, function: Callable[[Any], Any], place: Place) -> None:
    """Answer one part after the other, until there is none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this process ends it
    if sys.platform != "win32":
        signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    wait_without_spinning()
    _HERE[:] = [place]
    with logging_to_file(f"worker {place.number}"):
        while True:
            try:
                part = connection.recv()
            except (EOFError, OSError):
                return
            try:
                answer = function(part)
            except Exception as error:
                _log.info("a part failed", exc_info=error)
                answer = _sendable(error)
            connection.send(answer)


def _sendable(error: Exception) -> Exception:
    """The error, or its words where it cannot be sent to another process whole."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
