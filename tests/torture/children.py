"""A fork of this process, which has imported everything, for each command: a trial pays for its work alone."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: `code` its exit code, or minus the signal; peak memory in MB."""

    code: int
    out: str
    err: str
    seconds: float
    megabytes: float
    late: bool = False


class Child:
    """A forked process that runs `work`, whose result is its exit code; its output goes to files in `folder`."""

    def __init__(self, work: Callable[[], int | None], folder: Path, *, name: str = "run") -> None:
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        folder.mkdir(parents=True, exist_ok=True)
        self._begun = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        gc.freeze()
        self.pid = os.fork()
        if self.pid == 0:
            self._be_child(work)

    def wait(self, timeout: float = 60.0) -> Ended:
        """Until it ends, or is ended after `timeout` seconds."""
        handle = os.pidfd_open(self.pid)
        late = not select.select([handle], [], [], timeout)[0]
        os.close(handle)
        if late:
            os.kill(self.pid, signal.SIGKILL)
        return self._reap(late=late)

    def wait_for_stop(self, timeout: float = 60.0) -> bool:
        """Until it stops itself (True) or has ended (False); it is to be reaped by wait() all the same."""
        last = time.monotonic() + timeout
        while time.monotonic() < last:
            found = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is not None:
                return found.si_code == os.CLD_STOPPED
            time.sleep(0.002)
        return False

    def end(self) -> Ended:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)
        return self._reap(late=False)

    def _reap(self, *, late: bool) -> Ended:
        _pid, status, usage = os.wait4(self.pid, 0)
        out, err = (path.read_text(encoding="utf-8", errors="replace") for path in (self._out, self._err))
        seconds = time.monotonic() - self._begun
        return Ended(os.waitstatus_to_exitcode(status), out, err, seconds, usage.ru_maxrss / 1024, late)

    def _be_child(self, work: Callable[[], int | None]) -> None:
        code = 70
        try:
            for path, number in ((self._out, 1), (self._err, 2)):
                file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                os.dup2(file, number)
                os.close(file)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
            sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            tempfile.tempdir = None
            signal.signal(signal.SIGINT, signal.default_int_handler)
            code = work() or 0
            atexit._run_exitfuncs()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            traceback.print_exc()
            code = 1
        finally:
            try:
                logging.shutdown()
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)


def run(work: Callable[[], int | None], folder: Path, *, name: str = "run", timeout: float = 60.0) -> Ended:
    """Run `work` in a child to its end."""
    return Child(work, folder, name=name).wait(timeout)
