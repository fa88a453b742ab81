"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real slides and data sets; tests that need it are skipped where it is absent."""
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("HISTOLOOP_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set HISTOLOOP_DATA to its folder to run this test")
    return folder
