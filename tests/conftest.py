"""Fixtures that all tests share."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from histoloop.threads import wait_without_spinning

# before any test module loads torch
wait_without_spinning()
if "PYTEST_XDIST_WORKER" in os.environ:  # tests run side by side: each of them has a core
    os.environ.setdefault("OMP_NUM_THREADS", "1")
_HOME = tempfile.TemporaryDirectory(prefix="histoloop-tests-")
os.environ["HISTOLOOP_HOME"] = _HOME.name  # the log and settings of whoever runs the tests stay as they are


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real slides and data sets; tests that need it are skipped where it is not given."""
    folder = Path(os.environ.get("HISTOLOOP_DATA", ""))
    if not os.environ.get("HISTOLOOP_DATA") or not folder.is_dir():
        pytest.skip("set HISTOLOOP_DATA to the folder of real slides to run this test")
    return folder
