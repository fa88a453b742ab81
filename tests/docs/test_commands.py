"""The commands of the guide, run as they stand: each page in an empty home, with two synthetic slides."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from histoloop.geometry import Region
from histoloop.progress import finish
from histoloop.slides.synthetic import SyntheticSpec, SyntheticTissue, write_synthetic_slide

if TYPE_CHECKING:
    from .conftest import Page

pytestmark = pytest.mark.walk
SLIDE_PX = (1300, 900)


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`slides/case-1.tiff` and `case-2.tiff`, and a mask of the first, `masks/case-1.png`."""
    folder = tmp_path_factory.mktemp("material")
    for part in ("slides", "masks"):
        (folder / part).mkdir()
    for seed, label in enumerate(("malignant", "benign"), start=1):
        spec = SyntheticSpec(seed=seed, width=SLIDE_PX[0], height=SLIDE_PX[1], mpp=0.5, label=label)
        finish(write_synthetic_slide(folder / "slides" / f"case-{seed}.tiff", spec))
        if seed == 1:
            _pixels, mask = SyntheticTissue(spec).read(Region(0, 0, *SLIDE_PX))
            Image.fromarray(mask).save(folder / "masks" / "case-1.png")
    return folder


def test_the_commands_of_a_page_run_in_their_order(run_page: Page, material: Path, tmp_path: Path) -> None:
    work, home, programs = tmp_path / "work", tmp_path / "home", tmp_path / "bin"
    shutil.copytree(material, work)
    home.mkdir()
    programs.mkdir()
    program = programs / "histoloop"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m histoloop "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = {
        "HOME": str(home),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[2] / "app"),
    }
    for block in run_page.blocks():
        if block.language == "bash" and not block.not_run:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.text],
                cwd=work,
                env=environment,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, f"{block.text}\n{done.stdout}{done.stderr}"
