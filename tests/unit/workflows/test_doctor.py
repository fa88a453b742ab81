"""How the doctor asks about OpenGL: by the command line, whichever program asks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from histoloop.workflows import doctor

if TYPE_CHECKING:
    from pathlib import Path


def test_from_source_the_interpreter_runs_the_package() -> None:
    assert doctor._command_line() == [sys.executable, "-m", "histoloop"]


@pytest.mark.parametrize(("program", "twin"), [("histoloop-gui", "histoloop"), ("histoloop.exe", "histoloop.exe"),
                                               ("histoloop-gui.exe", "histoloop.exe")])  # fmt: skip
def test_a_frozen_window_asks_the_console_twin_beside_it(
    program: str, twin: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / program))
    assert doctor._command_line() == [str(tmp_path / twin)]
