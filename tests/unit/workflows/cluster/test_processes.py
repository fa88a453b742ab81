"""Processes beside each other end with the one that started them, in silence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_S = 120
SLOW = """
import multiprocessing, pathlib, time
if multiprocessing.current_process().name != "MainProcess":
    pathlib.Path({marker!r}).touch()
    time.sleep(600)
def work(part):
    return part
"""
SCRIPT = """
import signal, sys
import slow
from histoloop.workflows.cluster.processes import in_processes
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    try:
        list(in_processes(slow.work, [1, 2], jobs=2, retries=0))
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no groups of processes that a signal reaches")
def test_ctrl_c_ends_workers_that_still_import_without_a_word_of_theirs(tmp_path: Path) -> None:
    marker = tmp_path / "importing"
    (tmp_path / "slow.py").write_text(SLOW.format(marker=str(marker)))
    (tmp_path / "script.py").write_text(SCRIPT)
    child = subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + PATIENCE_S
    while not marker.exists() and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does
    out, err = child.communicate(timeout=PATIENCE_S)
    assert (out, err) == ("interrupted\n", "")
