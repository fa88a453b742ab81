"""HistoLoop as `pip install histoloop` gives it: no Qt, no napari, and yet the whole command line."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tiny_model import write_tiny_model

if TYPE_CHECKING:
    from pathlib import Path

# Stands in for an environment without these packages: neither found nor imported.
BLOCKED = """
import importlib.abc, importlib.metadata, importlib.util, sys
WINDOW = ("PySide6", "shiboken6", "napari", "vispy", "qtpy", "superqt", "magicgui", "dask", "distributed")
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in WINDOW:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None
sys.meta_path.insert(0, Absent())
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name.partition(".")[0] in WINDOW else found(name, *rest)
version = importlib.metadata.version
def without(name):
    if name in WINDOW:
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)
importlib.metadata.version = without
from histoloop.cli import main
sys.exit(main(sys.argv[1:]))
"""


def histoloop(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKED, *map(str, arguments)]
    environment = {**os.environ, "DISPLAY": ":99"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("arguments", [["open"], ["tour", "--out", "nowhere"]])
def test_the_window_names_the_extra_that_is_missing(arguments: list[str]) -> None:
    done = histoloop(*arguments)
    assert done.returncode == 1
    assert "pip install 'histoloop[gui]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_dask_names_the_extra_that_is_missing(tmp_path: Path) -> None:
    done = histoloop("predict", tmp_path, "--out", tmp_path / "out", "--dask", "local")
    assert done.returncode == 1
    assert "pip install 'histoloop[cluster]'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_slides_are_predicted_and_the_doctor_has_no_complaint(tmp_path: Path) -> None:
    pixels = np.array((205, 130, 180)) + np.random.default_rng(0).integers(-25, 26, (96, 128, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "a.png")
    model = write_tiny_model(tmp_path / "tiny")
    done = histoloop("predict", tmp_path / "a.png", "--out", tmp_path / "out", "--model", model, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "a.geojson").is_file()
    looked = histoloop("doctor")
    assert "note     PySide6: not installed" in looked.stdout
    assert "problem" not in looked.stdout, looked.stdout
    assert looked.returncode == 0
