"""A stand-in for the frozen program: the same layout, a few kilobytes."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from installers.licences import Component
from installers.program import Program, load_program

if TYPE_CHECKING:
    from pathlib import Path

SAY_WHAT_WAS_ASKED = '#!/bin/sh\nprintf "%s\\n" "$0" "$@"\n'


@pytest.fixture(scope="session")
def program() -> Program:
    return load_program()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "dist" / "histoloop"
    inside = folder / "_internal"
    for part in ("models/tiny", "resources/icons", "PySide6"):
        (inside / part).mkdir(parents=True)
    (inside / "models" / "tiny" / "card.md").write_text("a card")
    for name in ("histoloop", "histoloop-gui"):
        (folder / name).write_text(SAY_WHAT_WAS_ASKED)
        (folder / name).chmod(0o755)
    library = inside / "PySide6" / "libneedsc.so.6"
    shutil.copyfile(shutil.which("true") or "/bin/true", library)  # any ELF file that needs the C library
    library.chmod(0o775)
    (inside / "libneedsc.so").symlink_to("PySide6/libneedsc.so.6")
    return folder


@pytest.fixture
def found(tmp_path: Path) -> list[Component]:
    terms = tmp_path / "LICENSE.txt"
    terms.write_text("Do as you like.")
    return [Component("numpy", "2.3.4", "BSD-3-Clause", (terms,)), Component("torch", "2.14.0", "BSD-3-Clause", ())]
