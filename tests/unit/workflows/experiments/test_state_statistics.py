"""A model that was made without statistics of its training tiles gets them; a shipped one is never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from histoloop.cli import main
from histoloop.errors import DataError, ModelError
from histoloop.progress import finish
from histoloop.store.cards import model_hash
from histoloop.store.model_folder import STATISTICS
from histoloop.store.shipped import DEFAULT_MODEL, find_model
from histoloop.workflows.experiments.state_statistics import state_statistics
from histoloop.workflows.experiments.train import train_model
from histoloop.workflows.prediction.loaded_model import open_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def model(discs: Path, write_recipe: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as earlier versions made it."""
    folder = tmp_path_factory.mktemp("stated")
    finish(train_model(recipe=write_recipe(folder, "labels"), data=discs, out=folder / "m", device="cpu", mpp=1.0))
    (folder / "m" / STATISTICS).unlink(missing_ok=True)
    return folder / "m"


@pytest.fixture(scope="module")
def tissue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 15 pictures a class, each of a case of its own."""
    folder, rng = tmp_path_factory.mktemp("tissue"), np.random.default_rng(0)
    for label, colour in (("benign", (210, 140, 180)), ("malignant", (150, 90, 170))):
        (folder / label).mkdir()
        for number in range(15):
            pixels = rng.integers(-25, 26, (64, 64, 3)) + np.array(colour)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / label / f"{number}.png")
    return folder


def test_statistics_are_added_once_and_then_tell_strange_pictures(
    model: Path, tissue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = model_hash(model)
    command = ["evaluate", "--model", str(model), "--data", str(tissue), "--mpp", "1", "--statistics"]
    assert main([*command, "--device", "cpu"]) == 0
    assert f"training tiles are like is written to {model / STATISTICS}" in capsys.readouterr().out
    assert model_hash(model) == before
    loaded = open_model(model, device="cpu")
    assert loaded.statistics is not None
    known = np.asarray(Image.open(tissue / "benign" / "0.png"))
    assert loaded.statistics.distances(loaded.block_features(known))[0] < 1.5
    assert loaded.statistics.distances(loaded.block_features(255 - known))[0] > 3
    kept = (model / STATISTICS).read_bytes()
    assert main(command) == 1
    assert "exists already. To create it again, delete it first." in capsys.readouterr().err
    assert (model / STATISTICS).read_bytes() == kept
    (model / STATISTICS).unlink()


def test_a_shipped_model_is_not_changed(tissue: Path) -> None:
    shipped = find_model(DEFAULT_MODEL)
    with pytest.raises(ModelError, match="never changed") as caught:
        finish(state_statistics(shipped, data=tissue))
    assert "Copy its folder" in caught.value.advice


def test_too_few_tiles_are_refused_and_nothing_is_written(model: Path, tmp_path: Path) -> None:
    for label in ("benign", "malignant"):
        (tmp_path / label).mkdir()
        for number in range(4):
            grey = np.full((32, 32, 3), 100 + number, np.uint8)
            Image.fromarray(grey).save(tmp_path / label / f"{number}.png")
    with pytest.raises(DataError, match="too small"):
        finish(state_statistics(model, data=tmp_path, mpp=1.0))
    assert not (model / STATISTICS).exists()


def test_what_only_measuring_uses_is_refused_beside_it(
    model: Path, tissue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--model", str(model), "--data", str(tissue), "--statistics"]
    assert main([*command, "--json", str(tmp_path / "a.json")]) == 2
    assert "measures nothing" in capsys.readouterr().err
    assert not (model / STATISTICS).exists()
