"""The developers' examples: their differences apply to the program as it is, and their tests pass then."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Page


@pytest.fixture
def copy(docs: Path, tmp_path: Path) -> Path:
    """The program's sources, to be changed."""
    for part in ("app", "resources"):
        shutil.copytree(docs.parent / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(docs.parent / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_difference_applies_and_its_test_passes(example: Page, copy: Path) -> None:
    blocks = list(example.blocks())
    (change,) = (block.text for block in blocks if block.language == "diff")
    (test,) = (block.text for block in blocks if block.language == "python")
    outside = {**os.environ, "GIT_CEILING_DIRECTORIES": str(copy.parent)}  # the copy is no repository
    applied = subprocess.run(
        ["git", "apply", "--verbose", "-"], cwd=copy, input=change, capture_output=True, text=True, env=outside
    )
    assert applied.returncode == 0, applied.stderr
    file = copy / test.splitlines()[0].removeprefix("# ")
    file.parent.mkdir(parents=True)
    file.write_text(test, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(copy / "app"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
