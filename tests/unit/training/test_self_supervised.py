"""Pretraining learns without labels, goes on after a stop as if there had been none, and tells of a collapse."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from histoloop.errors import DataError
from histoloop.networks.backbones import build_backbone
from histoloop.networks.colours import Colours
from histoloop.progress import Progress, finish
from histoloop.training.checkpoint import Checkpoint
from histoloop.training.loop import FitResult, LoopSettings
from histoloop.training.recipe import load_recipe, recipe_path, shipped_recipes
from histoloop.training.self_supervised import (
    DIMENSIONS,
    SPREAD,
    PretrainSettings,
    collapse_warning,
    dimensions_used,
    pretrain,
    spread,
)
from histoloop.training.views import ViewSettings

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.networks.backbone import Backbone
    from histoloop.progress import Work

CPU = torch.device("cpu")
COLOURS = Colours((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def tiles(count: int) -> list[np.ndarray]:
    """Stripes of many widths on a light ground."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        pixels = np.full((48, 48, 3), 220, np.uint8)
        pixels[:, :: 2 + number % 7] = rng.integers(0, 150, 3)
        made.append(pixels)
    return made


def quick(epochs: int = 2, batch_size: int = 8) -> PretrainSettings:
    loop = LoopSettings(epochs=epochs, batch_size=batch_size, learning_rate=1.6, optimiser="sgd", warmup_epochs=0)
    return PretrainSettings(projection=16, bottleneck=8, loop=loop, views=ViewSettings(crop_px=32, blurred=0))


def backbone() -> Backbone:
    torch.manual_seed(3)
    return build_backbone("mobilenet_v3_small")


def pretrained(
    *, of: Backbone | None = None, count: int = 16, settings: PretrainSettings | None = None, **given: object
) -> FitResult:
    return finish(
        pretrain(
            of or backbone(), tiles(count), settings=settings or quick(), device=CPU, seed=0, colours=COLOURS, **given
        )
    )  # fmt: skip


def test_the_loss_falls_and_the_backbone_is_what_was_trained() -> None:
    trained = backbone()
    result = pretrained(of=trained, count=32, settings=quick(epochs=12, batch_size=16))
    losses = [figures["loss"] for figures in result.history]
    assert sum(losses[-3:]) / 3 < sum(losses[:3]) / 3 - 0.05
    assert all(-1 <= loss <= 1 for loss in losses)
    own = trained.state_dict()
    assert all(torch.equal(result.weights[f"backbone.{name}"], own[name]) for name in own)
    assert not torch.equal(own["features.0.0.weight"], backbone().state_dict()["features.0.0.weight"])


def test_the_figures_tell_of_the_spread() -> None:
    figures = pretrained().figures
    assert 0 <= figures[SPREAD] <= 1.2
    assert 1 <= figures[DIMENSIONS] <= 7


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second = pretrained(), pretrained()
    assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)


def test_a_stopped_pretraining_ends_as_if_it_had_never_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Checkpoint, "EVERY_SECONDS", 0.0)
    state = tmp_path / "state.safetensors"

    def work() -> Work[FitResult]:
        checkpoint = Checkpoint(state, "this one")
        return pretrain(
            backbone(), tiles(16), settings=quick(epochs=3), device=CPU, seed=0, checkpoint=checkpoint, colours=COLOURS
        )

    whole = pretrained(settings=quick(epochs=3))
    stopped = work()
    next(step for step in stopped if step.done == 2 and step.figures)
    stopped.close()
    steps: list[Progress] = []
    resumed = finish(work(), steps.append)
    assert steps[0].done > 2
    assert resumed.history == whole.history
    assert all(torch.equal(resumed.weights[name], whole.weights[name]) for name in whole.weights)


def test_fewer_tiles_than_a_batch_are_one_batch_and_a_single_tile_is_refused() -> None:
    assert len(pretrained(count=3, settings=quick(epochs=1, batch_size=64)).history) == 1
    with pytest.raises(DataError, match="1 tile to"):
        pretrained(count=1)


def test_spread_is_one_for_all_directions_and_zero_for_one() -> None:
    scattered = torch.randn(4000, 16, generator=torch.Generator().manual_seed(0))
    assert spread(scattered) == pytest.approx(1.0, abs=0.03)
    assert spread(7 * scattered) == pytest.approx(spread(scattered), rel=1e-5)
    assert spread(torch.ones(8, 16)) == 0.0


def test_dimensions_count_the_directions_in_use() -> None:
    generator = torch.Generator().manual_seed(0)
    line = torch.tensor([[1.0], [-1.0]]).repeat(10, 1) * torch.ones(16)
    assert dimensions_used(line) == pytest.approx(1.0, rel=1e-6)  # its spread is that of a healthy one
    assert spread(line) == pytest.approx(1.0, abs=0.05)
    plane = torch.zeros(4000, 16)
    plane[:, :3] = torch.randn(4000, 3, generator=generator)
    assert dimensions_used(plane) == pytest.approx(3.0, abs=0.05)
    assert dimensions_used(torch.ones(8, 16)) == 0.0


def test_a_collapse_is_told_with_a_way_on() -> None:
    assert collapse_warning({SPREAD: 0.9, DIMENSIONS: 20.0}) is None
    for figures in ({SPREAD: 0.79, DIMENSIONS: 20.0}, {SPREAD: 0.99, DIMENSIONS: 3.9}, {SPREAD: 0.48, DIMENSIONS: 2.2}):
        told = collapse_warning(figures)
        assert told is not None
        assert "collapsed" in told
        assert "learning_rate" in told


def test_the_shipped_recipe_has_the_values_of_the_paper() -> None:
    plan = load_recipe(recipe_path("pretrain"))
    assert plan.network.backbone == "resnet18"
    assert plan.pretrain == PretrainSettings(
        loop=LoopSettings(
            epochs=800, batch_size=512, learning_rate=0.03, weight_decay=1e-4, optimiser="sgd", schedule="cosine",
            warmup_epochs=0, validate_every=10,
        )
    )  # fmt: skip
    views = plan.pretrain.views
    assert (views.area_min, views.area_max, views.jittered, views.grey) == (0.2, 1.0, 0.8, 0.2)
    assert (views.brightness, views.contrast, views.saturation, views.hue) == (0.4, 0.4, 0.4, 0.1)


@pytest.mark.parametrize("name", ["quick-pretrain", "retrain-pretrain"])
def test_recipes_for_a_few_thousand_tiles_have_gentle_views_and_a_quick_predictor(name: str) -> None:
    plan = load_recipe(recipe_path(name))
    views = plan.pretrain.views
    assert plan.network.backbone == "mobilenet_v2"
    assert 96 <= views.crop_px <= 128
    assert (views.area_min, views.hue, views.grey, views.blurred) == (0.5, 0.03, 0.0, 0.2)
    assert (views.brightness, views.contrast, views.saturation) == (0.2, 0.2, 0.2)
    assert plan.pretrain.predictor_rate == 10
    assert plan.with_epochs(5).pretrain.loop.epochs == 5


def test_the_rate_grows_with_the_batch_and_the_predictors_is_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[list[float]] = []
    step = torch.optim.SGD.step

    def noted(optimiser: torch.optim.SGD, *given: object) -> object:
        rates.append([group["lr"] for group in optimiser.param_groups])
        return step(optimiser, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.optim.SGD, "step", noted)
    loop = LoopSettings(epochs=2, batch_size=8, learning_rate=0.032, optimiser="sgd", warmup_epochs=0)
    pretrained(settings=replace(quick(), loop=loop, predictor_rate=10.0))
    others, predictor = zip(*rates, strict=True)
    assert others == pytest.approx([0.001 * (1 + math.cos(math.pi * number / 4)) / 2 for number in range(4)])
    assert predictor == pytest.approx([0.01] * 4)
    rates.clear()
    pretrained(count=4, settings=replace(quick(), loop=loop))  # of fewer tiles than a batch
    assert rates[0] == pytest.approx([0.0005, 0.0005])


@pytest.mark.parametrize("path", shipped_recipes(), ids=lambda path: path.stem)
def test_crops_of_every_recipe_are_three_cells_of_the_last_stage_at_least(path: Path) -> None:
    assert load_recipe(path).pretrain.views.crop_px >= 96


def test_a_predictor_that_stands_still_is_refused() -> None:
    with pytest.raises(ValueError, match="predictor_rate"):
        PretrainSettings(predictor_rate=0.0)
