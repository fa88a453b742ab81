"""Weights out of tissue without labels: from data sets and projects, stopped and gone on with, and trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from histoloop.cli import main
from histoloop.errors import DataError, ModelError
from histoloop.networks.backbones import build_backbone
from histoloop.networks.colours import Colours
from histoloop.progress import Progress, finish
from histoloop.store.cards import load_card
from histoloop.training.checkpoint import Checkpoint
from histoloop.training.pretrained import colours_of, start_backbone
from histoloop.training.recipe import parse_recipe
from histoloop.workflows.experiments.train import train_model
from histoloop.workflows.regions.tissue import read_project_tissue
from histoloop.workflows.retraining import pretrain as module
from histoloop.workflows.retraining.pretrain import PretrainReport, pretrain_on_dataset, pretrain_on_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.progress import Work
    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord

RECIPE = """
name = "tiny-pretrain"
description = "Tiny"
source = "this test"
[network]
backbone = "mobilenet_v3_small"
[pretrain]
projection = 16
bottleneck = 4
[pretrain.loop]
epochs = 2
batch_size = 4
learning_rate = 0.05
optimiser = "sgd"
warmup_epochs = 0
[pretrain.views]
crop_px = 32
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "tiny-pretrain.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return str(path)


def on_dataset(data: Path, out: Path, recipe: str, **given: object) -> Work[PretrainReport]:
    return pretrain_on_dataset(data, out=out, recipe=recipe, device="cpu", mpp=1.0, **given)  # type: ignore[arg-type]


def test_a_recipe_starts_from_the_weights_with_the_colours_they_were_trained_with(
    discs: Path, recipe: str, tmp_path: Path
) -> None:
    out = tmp_path / "weights" / "start.safetensors"
    report = finish(on_dataset(discs, out, recipe))
    assert report.weights == out
    assert report.tiles == 16
    assert {"loss", "spread", "dimensions"} <= set(report.figures)
    assert [path.name for path in out.parent.iterdir()] == [out.name]  # nothing else is left
    backbone = build_backbone("mobilenet_v3_small")
    finish(start_backbone(backbone, "mobilenet_v3_small", str(out)))
    assert all(torch.equal(value, load_file(out)[name]) for name, value in backbone.state_dict().items())
    colours = colours_of(str(out))
    assert colours is not None

    text = RECIPE + "[classify.loop]\nepochs = 1\nbatch_size = 8\nlearning_rate = 1e-9\n"
    text = text.replace("backbone =", f'weights = "{out.as_posix()}"\nbackbone =')
    (tmp_path / "from.toml").write_text(text, encoding="utf-8")
    model = finish(
        train_model(recipe=str(tmp_path / "from.toml"), data=discs, out=tmp_path / "model", device="cpu", mpp=1.0)
    )
    assert Colours(load_card(model).mean, load_card(model).std) == colours
    kept = load_file(model / "weights.safetensors")["classifier.backbone.features.0.0.weight"].float()
    torch.testing.assert_close(kept, load_file(out)["features.0.0.weight"], atol=1e-3, rtol=1e-2)


def test_the_file_says_how_it_was_made(discs: Path, recipe: str, tmp_path: Path) -> None:
    out = tmp_path / "start.safetensors"
    finish(on_dataset(discs, out, recipe, epochs=1))
    with safe_open(out, framework="pt") as file:
        about = file.metadata()
    assert about["backbone"] == "mobilenet_v3_small"
    assert about["tiles"] == "16"
    assert parse_recipe(about["recipe"], name="kept").pretrain.loop.epochs == 1


def test_only_the_training_part_is_learned_from_when_asked(discs: Path, recipe: str, tmp_path: Path) -> None:
    report = finish(on_dataset(discs, tmp_path / "start.safetensors", recipe, epochs=1, part="train"))
    assert 2 <= report.tiles < 16


def test_tiles_without_any_label_are_enough(discs: Path, recipe: str, tmp_path: Path) -> None:
    table = tmp_path / "tiles.csv"
    names = [f"{discs / 'benign' / str(number)}.png" for number in range(4)]
    table.write_text("image\n" + "\n".join(names) + "\n", encoding="utf-8")
    report = finish(on_dataset(table, tmp_path / "start.safetensors", recipe, epochs=1))
    assert report.tiles == 4


def test_a_pretraining_that_was_killed_goes_on_to_the_same_weights(
    discs: Path, recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checkpoint, "EVERY_SECONDS", 0.0)
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    finish(on_dataset(discs, whole, recipe))
    work = on_dataset(discs, cut, recipe)
    next(step for step in work if step.stage.startswith("Training") and step.done > 1)
    work.close()
    assert not cut.exists()
    steps: list[Progress] = []
    finish(on_dataset(discs, cut, recipe), steps.append)
    assert min(step.done for step in steps if step.stage.startswith("Training")) > 1
    first, second = load_file(whole), load_file(cut)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_another_start_cannot_go_on_from_the_state_of_one(
    discs: Path, recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checkpoint, "EVERY_SECONDS", 0.0)
    out = tmp_path / "start.safetensors"
    work = on_dataset(discs, out, recipe)
    next(step for step in work if step.stage.startswith("Training") and step.done > 1)
    work.close()
    with pytest.raises(ModelError, match="another"):
        finish(on_dataset(discs, out, recipe, seed=1))


def test_earlier_weights_are_a_start_and_lend_their_colours(discs: Path, recipe: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    finish(on_dataset(discs, first, recipe, epochs=1))
    finish(on_dataset(discs, second, recipe, epochs=1, start=str(first)))
    assert colours_of(str(first)) == colours_of(str(second))
    assert not torch.equal(load_file(first)["features.0.0.weight"], load_file(second)["features.0.0.weight"])


def test_files_that_cannot_be_are_refused_before_anything_is_read(discs: Path, recipe: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="safetensors"):
        next(on_dataset(discs, tmp_path / "start.pt", recipe))
    there = tmp_path / "start.safetensors"
    there.write_bytes(b"")
    with pytest.raises(ModelError, match="exists"):
        next(on_dataset(discs, there, recipe))


def test_a_collapse_is_among_the_warnings(
    discs: Path, recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "collapse_warning", lambda figures: "it collapsed" if "spread" in figures else None)
    report = finish(on_dataset(discs, tmp_path / "start.safetensors", recipe, epochs=1))
    assert report.warnings == ("it collapsed",)


# --- projects ---------------------------------------------------------------------------------------------------------


def test_a_projects_tiles_lie_in_the_tissue_of_all_its_slides(
    project: Project, add_slide: Callable[..., SlideRecord]
) -> None:
    add_slide("half.png", mpp=1.0, width=448, height=224, until=224)
    add_slide("whole.png", mpp=0.5, width=448, height=448)
    tissue = finish(read_project_tissue(project, count=10, crop_px=56, scale=1.0))  # squares of 64 px at 1 um
    assert len(tissue.tiles) == 10
    assert not tissue.warnings
    assert {tile.shape for tile in tissue.tiles} == {(64, 64, 3)}
    assert all(np.median(tile[..., 1]) < 200 for tile in tissue.tiles)  # glass is 245
    again = finish(read_project_tissue(project, count=10, crop_px=56, scale=1.0))
    assert all(np.array_equal(*pair) for pair in zip(tissue.tiles, again.tiles, strict=True))


def test_a_slide_with_little_tissue_leaves_its_share_to_the_others(
    project: Project, add_slide: Callable[..., SlideRecord]
) -> None:
    add_slide("small.png", mpp=1.0, width=64, height=64)
    add_slide("large.png", mpp=1.0, width=320, height=320)
    assert len(finish(read_project_tissue(project, count=12, crop_px=56, scale=1.0)).tiles) == 12
    assert len(finish(read_project_tissue(project, count=500, crop_px=56, scale=1.0)).tiles) == 26


def test_a_slide_that_is_gone_is_told_of_and_the_others_are_used(
    project: Project, add_slide: Callable[..., SlideRecord], recipe: str, tmp_path: Path
) -> None:
    add_slide("here.png", mpp=1.0)
    gone = add_slide("gone.png", mpp=1.0)
    gone.path.unlink()
    report = finish(pretrain_on_project(project, out=tmp_path / "w.safetensors", recipe=recipe, epochs=1, device="cpu"))
    assert report.tiles > 1
    assert "gone" in report.warnings[0]
    (tmp_path / "slides" / "here.png").unlink()
    with pytest.raises(DataError, match="No slide"):
        finish(pretrain_on_project(project, out=tmp_path / "v.safetensors", recipe=recipe, device="cpu"))


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_learns_from_a_data_set_and_from_a_project(
    discs: Path, recipe: str, project: Project, add_slide: Callable[..., SlideRecord], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    common = ["--recipe", recipe, "--epochs", "1", "--device", "cpu"]
    data, own = tmp_path / "data.safetensors", tmp_path / "own.safetensors"
    assert main(["pretrain", "--data", str(discs), "--out", str(data), "--mpp", "1", *common]) == 0
    assert "16 unlabelled tiles" in capsys.readouterr().out
    add_slide("a.png", mpp=1.0)
    folder = project.folder
    project.close()
    assert main(["pretrain", "--project", str(folder), "--out", str(own), "--tiles", "5", *common]) == 0
    assert "5 unlabelled tiles" in capsys.readouterr().out
    assert set(load_file(data)) == set(load_file(own))
