"""One thing at a time on a worker thread, the newest request first: what the viewer's pixels come through."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from histoloop.errors import HistoLoopError

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)


class LatestWorker(QObject):
    """Runs callables on its own thread; a new request replaces one of the same topic that has not begun.

    `done(topic, result)` and `failed(topic, message)` arrive on the thread this object lives in.
    """

    done = Signal(str, object)
    failed = Signal(str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: dict[str, Callable[[], Any]] = {}
        self._changed = threading.Condition()
        self._busy = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="histoloop-viewer", daemon=True)
        self._thread.start()

    def request(self, topic: str, work: Callable[[], Any]) -> None:
        """Do this as soon as possible."""
        with self._changed:
            self._waiting.pop(topic, None)
            self._waiting[topic] = work
            self._changed.notify_all()

    @property
    def idle(self) -> bool:
        """Whether nothing waits or runs."""
        with self._changed:
            return not self._waiting and not self._busy

    def wait(self) -> None:
        """Return once all that was asked for is done."""
        with self._changed:
            self._changed.wait_for(lambda: (not self._waiting and not self._busy) or not self._thread.is_alive())

    def stop(self) -> None:
        """Forget what waits and end the thread after what runs."""
        with self._changed:
            self._waiting.clear()
        self.finish()

    def finish(self) -> None:
        """Do what waits, then end the thread; what is still done is not told any more."""
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
                topic = next(iter(self._waiting))
                work = self._waiting.pop(topic)
                self._busy = True
            self._do(topic, work)

    def _do(self, topic: str, work: Callable[[], Any]) -> None:
        try:
            result = work()
        except HistoLoopError as error:
            self._tell(self.failed, topic, str(error))
        except Exception as error:  # the boundary of this thread: the user is told, the log has the rest
            _log.exception("background work failed: %s", topic)
            self._tell(self.failed, topic, f"{type(error).__name__}: {error}")
        else:
            self._tell(self.done, topic, result)

    def _tell(self, signal: Any, topic: str, content: object) -> None:
        with self._changed:
            if self._stopping:
                return
        signal.emit(topic, content)
