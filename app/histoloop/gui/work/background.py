"""One thing at a time on a worker thread: what the viewer's pixels and the session's writes go through."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Signal

from histoloop.errors import HistoLoopError
from histoloop.gui.work.failure import Failure, failure_of, ignore

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    work: Callable[[], Any]
    on_done: Callable[[Any], object]
    on_failed: Callable[[Failure], object]


class Worker(QObject):
    """Runs what is requested on a thread of its own, in order; each request has what becomes of its result with it.

    `on_done` and `on_failed` are called on the thread that this object lives in.
    """

    _ended = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: dict[Hashable, _Request] = {}
        self._changed = threading.Condition()
        self._busy = False
        self._stopping = False
        self._ended.connect(self._call)
        self._thread = threading.Thread(target=self._run, name="histoloop-viewer", daemon=True)
        self._thread.start()

    def request(
        self,
        work: Callable[[], Result],
        *,
        on_done: Callable[[Result], object] = ignore,
        on_failed: Callable[[Failure], object] = ignore,
        topic: str | None = None,
    ) -> None:
        """Do this after what waits already; of one topic only the newest request waits, and comes last."""
        with self._changed:
            key: Hashable = object() if topic is None else topic
            self._waiting.pop(key, None)
            self._waiting[key] = _Request(work, on_done, on_failed)
            self._changed.notify_all()

    @property
    def idle(self) -> bool:
        """Whether nothing waits or runs."""
        with self._changed:
            return not self._waiting and not self._busy

    def wait(self, seconds: float | None = None) -> bool:
        """Return once all that was requested is done, or the time is up; whether it is done."""
        with self._changed:
            return self._changed.wait_for(
                lambda: (not self._waiting and not self._busy) or not self._thread.is_alive(), seconds
            )

    def stop(self) -> None:
        """Forget what waits and end the thread after what runs."""
        with self._changed:
            self._waiting.clear()
        self.finish()

    def finish(self) -> None:
        """Do what waits, then end the thread; nobody is called any more."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if not self._waiting:
                    return
                request = self._waiting.pop(next(iter(self._waiting)))
                self._busy = True
            self._do(request)

    def _do(self, request: _Request) -> None:
        try:
            result = request.work()
        except Exception as error:  # the boundary of this thread: the user sees it, the log has the rest
            if not isinstance(error, HistoLoopError):
                _log.exception("background work failed")
            self._emit(functools.partial(request.on_failed, failure_of(error)))
        else:
            self._emit(functools.partial(request.on_done, result))

    def _emit(self, completion: Callable[[], object]) -> None:
        with self._changed:
            if self._stopping:
                return
        self._ended.emit(completion)

    def _call(self, completion: Callable[[], object]) -> None:
        completion()
