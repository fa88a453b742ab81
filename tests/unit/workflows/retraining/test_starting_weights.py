"""The colours that a training sees belong to its starting weights, or to its tiles where nothing is known of those."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from histoloop.networks.backbones import build_backbone
from histoloop.networks.colours import Colours
from histoloop.progress import finish
from histoloop.store.cards import WEIGHTS
from histoloop.training.pretrained import IMAGENET, IMAGENET_COLOURS, is_folded
from histoloop.training.recipe import NetworkRecipe
from histoloop.workflows.retraining.pretrain import pretrain_on_dataset
from histoloop.workflows.retraining.starting_weights import start_from, starting_card, starting_colours

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TILES = [np.full((8, 8, 3), (51, 102, 255), np.uint8), np.full((16, 4, 3), (153, 102, 255), np.uint8)]
OF_TILES = Colours((0.4, 0.4, 1.0), (0.2, 0.0, 0.0))


def as_given(colours: Colours) -> tuple[object, object]:
    return pytest.approx(colours.mean), pytest.approx(colours.std, abs=1e-9)


def written(path: Path, **metadata: str) -> str:
    save_file(build_backbone("mobilenet_v3_small").state_dict(), path, metadata=metadata or None)
    return str(path)


def test_random_weights_see_the_colours_of_the_tiles_pixels() -> None:
    found = starting_colours(NetworkRecipe(), TILES)
    assert (found.mean, found.std) == as_given(OF_TILES)


def test_weights_that_state_their_colours_keep_them_and_others_take_the_tiles(tmp_path: Path) -> None:
    stated = written(tmp_path / "a.safetensors", mean=json.dumps([0.1, 0.2, 0.3]), std=json.dumps([0.4, 0.5, 0.6]))
    assert starting_colours(NetworkRecipe(weights=stated), TILES) == Colours((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    silent = starting_colours(NetworkRecipe(weights=written(tmp_path / "b.safetensors")), TILES)
    assert (silent.mean, silent.std) == as_given(OF_TILES)
    assert starting_colours(NetworkRecipe(weights=IMAGENET), TILES) == IMAGENET_COLOURS


def test_weights_of_a_model_keep_the_colours_of_its_card(make_model: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    recipe = NetworkRecipe(weights=str(folder / WEIGHTS))
    card = starting_card(recipe)
    assert card is not None
    assert card.name == "m"
    assert starting_colours(recipe, TILES) == Colours((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_a_recipe_that_states_colours_is_believed(make_model: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    recipe = NetworkRecipe(weights=str(folder / WEIGHTS), mean=(0.7, 0.7, 0.7), std=(0.3, 0.3, 0.3))
    assert starting_colours(recipe, TILES) == Colours((0.7, 0.7, 0.7), (0.3, 0.3, 0.3))


def test_folded_weights_get_the_statistics_of_the_tiles_and_compute_what_they_did(tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = build_backbone("mobilenet_v3_small")
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.bias, -0.1, 0.1)
    assert is_folded(backbone)
    path = tmp_path / "folded.safetensors"
    save_file(backbone.state_dict(), path)
    other = build_backbone("mobilenet_v3_small")
    tiles = [np.random.default_rng(seed).integers(0, 256, (40, 50, 3), np.uint8) for seed in range(2)]
    finish(start_from(other, NetworkRecipe(backbone="mobilenet_v3_small", weights=str(path)), tiles))
    assert not is_folded(other)
    inputs = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(other.eval()(inputs)[-1], backbone.eval()(inputs)[-1], rtol=1e-3, atol=1e-3)


def test_a_pretraining_from_a_model_sees_that_models_colours(
    discs: Path, make_model: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_model(tmp_path / "m", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    (folder / WEIGHTS).unlink()
    save_file(build_backbone("mobilenet_v3_small").state_dict(), folder / WEIGHTS)
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        'name = "r"\ndescription = "Tiny"\nsource = "this test"\n[network]\nbackbone = "mobilenet_v3_small"\n'
        "[pretrain]\nprojection = 8\nbottleneck = 2\n[pretrain.loop]\nepochs = 1\nbatch_size = 8\n"
        "[pretrain.views]\ncrop_px = 32\n",
        encoding="utf-8",
    )
    out = tmp_path / "out.safetensors"
    finish(pretrain_on_dataset(discs, out=out, recipe=str(recipe), start=str(folder / WEIGHTS), device="cpu", mpp=1.0))
    again = starting_colours(NetworkRecipe(weights=str(out)), TILES)
    assert again == Colours((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
