"""How the frozen program on Linux finds libraries by name."""

from __future__ import annotations

import ctypes.util
import runpy
import sys
from pathlib import Path

import pytest

HOOK = Path(__file__).resolve().parents[3] / "packaging" / "entry" / "find_libraries.py"


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle on a system that has a C library and nothing else, with the hook at work."""
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    monkeypatch.setattr(ctypes.util, "find_library", {"c": "libc.so.6"}.get)
    (tmp_path / "libfontconfig.so.1").touch()
    (tmp_path / "libfontconfigs.so.1").touch()
    runpy.run_path(str(HOOK))
    return tmp_path


def test_a_library_of_the_bundle_is_found_where_the_system_has_none(bundled: Path) -> None:
    assert ctypes.util.find_library("fontconfig") == str(bundled / "libfontconfig.so.1")


def test_what_is_not_in_the_bundle_is_the_systems(bundled: Path) -> None:
    assert ctypes.util.find_library("c") == "libc.so.6"
    assert ctypes.util.find_library("nowhere") is None
