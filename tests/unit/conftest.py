"""Faults that tests inject: processes that end in the middle."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from histoloop.store.project_database import Database

if TYPE_CHECKING:
    from collections.abc import Callable

_DONE, _KILLED, _FAILED = 0, 99, 98


@pytest.fixture
def killed() -> Callable[[Callable[[], object], int], bool]:
    """Run work in a process of its own, ended without a word before its n-th change of the disk; whether it was.

    Changes are renames, links, new folders, removals, flushes and commits. False when the work came to its end.
    """
    if sys.platform == "win32":
        pytest.skip("processes are not copied on Windows")

    def run(work: Callable[[], object], at: int) -> bool:
        process = os.fork()
        if process == 0:
            try:
                _end_before_change(at)
                work()
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(_FAILED)
            os._exit(_DONE)
        _, status = os.waitpid(process, 0)
        code = os.waitstatus_to_exitcode(status)
        assert code in (_DONE, _KILLED), f"the work failed, with code {code}"
        return code == _KILLED

    return run


def _end_before_change(at: int) -> None:
    left = at

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal left
            if left == 0:
                os._exit(_KILLED)
            left -= 1
            return function(*args, **options)

        return call

    for name in ("replace", "rename", "link", "mkdir", "unlink", "fsync"):
        setattr(os, name, counted(getattr(os, name)))
    run = Database.run
    commit = counted(run)
    Database.run = lambda self, sql, *values: (commit if sql == "COMMIT" else run)(self, sql, *values)  # type: ignore[method-assign]
