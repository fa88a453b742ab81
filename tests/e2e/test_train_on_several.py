"""A recipe trained by two processes that torchrun starts: what one process learns from batches twice as large."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from histoloop.cli import main
from histoloop.store.cards import load_card
from histoloop.store.model_folder import load_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

RECIPE = """name = "tiny"
description = "Tiny"
source = "a test"
mask_fraction = 1.0

[network]
backbone = "mobilenet_v3_small"
weights = "random"
decoder_channels = [8, 8, 8, 8, 8]

[network.pooling]
name = "average"
modalities = 1

[augment]
crop_px = 48
colour_jitter = 0.3

[classify]
supervision = "labels"
keep = "last"

[classify.loop]
epochs = 1
batch_size = BATCH
optimiser = "sgd"
learning_rate = 0.05

[segment]
freeze = false
keep = "last"

[segment.loop]
epochs = 1
batch_size = BATCH
optimiser = "sgd"
learning_rate = 0.05

[robustness]
tiles = 0
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Fourteen tiles in two folders, with masks: the last batch is smaller, and one process gets less of it."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :64]
    for name, colour in (("benign", (60, 40, 180)), ("malignant", (180, 40, 60))):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(7):
            disc = (rows - rng.integers(20, 44)) ** 2 + (columns - rng.integers(20, 44)) ** 2 < 14**2
            pixels = rng.integers(215, 245, (64, 64, 3)).astype(np.uint8)
            pixels[disc] = colour
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
            Image.fromarray(np.uint8(255) * disc).save(tmp_path / "data" / name / f"{number}_mask.png")
    return tmp_path / "data"


def arguments(data: Path, folder: Path, *, batch: int, out: str) -> list[str]:
    recipe = folder / f"tiny-{batch}.toml"
    recipe.write_text(RECIPE.replace("BATCH", str(batch)), encoding="utf-8")
    given = ["train", "--recipe", recipe, "--data", data, "--out", folder / out, "--mpp", "1", "--by", "case"]
    return [*map(str, given), "--device", "cpu", "--json", str(folder / f"{out}.json")]


def distance(one: Mapping[str, NDArray[np.generic]], other: Mapping[str, NDArray[np.generic]]) -> float:
    """Euclidean, of all that learns."""
    learned = [name for name in one if name.endswith((".weight", ".bias"))]
    return float(sum(np.sum((one[name].astype(float) - other[name].astype(float)) ** 2) for name in learned) ** 0.5)


@pytest.mark.skipif(sys.platform == "win32", reason="Gloo is not tried on Windows")
def test_two_processes_learn_what_one_does_from_batches_twice_as_large(data: Path, tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    two = arguments(data, tmp_path, batch=2, out="two")
    done = subprocess.run([*launcher, "-m", "histoloop", *two], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("model written to") == 1  # the first speaks for both
    assert main(arguments(data, tmp_path, batch=4, out="one")) == 0
    assert json.loads((tmp_path / "two.json").read_text(encoding="utf-8"))["exit_code"] == 0
    assert not (tmp_path / "two.training").exists()
    own, other = load_weights(tmp_path / "one"), load_weights(tmp_path / "two")
    assert own.keys() == other.keys()
    assert main(arguments(data, tmp_path, batch=2, out="alone")) == 0
    # Rounding is carried on by batch norms over few cells; batches of half the size are another training altogether.
    assert distance(own, other) < 0.1 * distance(own, load_weights(tmp_path / "alone"))
    moved = [name for name in own if "running_mean" in name and np.abs(own[name]).max() > 1e-3]
    assert moved  # the statistics of batches are learned too
    figures = [load_card(tmp_path / name).figures for name in ("one", "two")]
    assert figures[1] == pytest.approx(figures[0], abs=0.02)
