"""Every hyper-parameter of the papers' own rows, with its source, beside what the shipped recipes have.

A recipe that has another value states it here, with the reason. What the optimiser fixes for all (momentum 0.9,
Nesterov) is tested as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import pytest
import torch

from histoloop.acquisition.propagation import NEIGHBOURS
from histoloop.training import loop
from histoloop.training.ddn import DdnSettings
from histoloop.training.pseudo_labels import PASSES, PSEUDO_WEIGHT
from histoloop.training.recipe import Recipe, load_recipe, recipe_path, shipped_recipes
from histoloop.training.teacher import ConsistencySettings
from histoloop.workflows.experiments.simulate import PRESETS
from histoloop.workflows.queries.score_regions import ScoringSettings


@dataclass(frozen=True)
class Row:
    """A value of a paper; where the recipe has another one on purpose, that and why."""

    recipe: str
    key: str
    paper: Any
    source: str
    shipped: Any = None
    reason: str = ""


def rows_of(recipe: str, source: str, values: dict[str, Any]) -> list[Row]:
    return [Row(recipe, key, value, source) for key, value in values.items()]


# --- thesis chapter 2 -------------------------------------------------------------------------------------------------

WEAK = {
    "network.backbone": "resnet18",
    "network.weights": "imagenet",
    "network.stride": 32,
    "classify.loop.optimiser": "sgd",
    "classify.loop.weight_decay": 1e-4,
    "classify.loop.learning_rate": 0.01,
    "classify.loop.schedule": "steps",
    "classify.loop.step_epochs": 80,  # 0.001 for the second half
    "classify.loop.step_factor": 0.1,
    "classify.loop.epochs": 160,
    "classify.loop.batch_size": 32,
    "classify.loop.warmup_epochs": 0,
    "augment.flips_and_turns": True,
    "augment.crop_px": 416,
    "augment.scale_min": 1.0,
    "augment.scale_max": 1.0,
    "augment.colour_jitter": 0.5,
    "augment.hue": 0.05,
    "augment.stain": 0.0,
    "augment.brightness": 0.0,
}
POOLINGS = {
    "glas-cam": {"network.pooling.name": "average"},
    "glas-max": {"network.pooling.name": "max"},
    "glas-lse": {"network.pooling.name": "log-sum-exp", "network.pooling.sharpness": 10.0},
    "glas-wildcat": {
        "network.pooling.name": "wildcat",
        "network.pooling.kmax": 0.1,
        "network.pooling.kmin": 0.1,
        "network.pooling.alpha": 0.6,
    },
    "glas-deep-mil": {"network.pooling.name": "attention"},
    "glas-deep-mil-gated": {"network.pooling.name": "gated-attention"},
    "glas-multi-class-mil": {"network.pooling.name": "deep-mil", "network.pooling.zeroed": 0.1},
}
CHAPTER_2 = [
    row
    for recipe, pooling in POOLINGS.items()
    for row in (
        *rows_of(recipe, "thesis 2.1.3.1", WEAK),
        *rows_of(recipe, "thesis 2.1.3.1 and ch. 3 (Tab. 3.3 for d)", pooling),
    )
]
UNET = [
    *rows_of(
        "glas-unet",
        "thesis 2.1.3.2",
        {
            "mask_fraction": 1.0,
            "segment.freeze": False,
            "segment.loss": "bce",
            "segment.loop.optimiser": "sgd",
            "segment.loop.weight_decay": 1e-4,
            "segment.loop.learning_rate": 0.1,
            "segment.loop.schedule": "steps",
            "segment.loop.epochs": 960,
            "segment.loop.step_epochs": 320,
            "segment.loop.step_factor": 0.1,
            "segment.loop.batch_size": 16,
            "augment.crop_px": 416,
            "augment.colour_jitter": 0.5,
            "augment.hue": 0.05,
        },
    ),
    Row(
        "glas-unet",
        "segment.loop.warmup_epochs",
        0,
        "thesis 2.1.3.2",
        1,
        "a whole U-Net begins to diverge at 0.1: the rate rises over the first of 960 epochs",
    ),
]
CAMELYON_WEAK = [
    Row(f"camelyon16-{name}", key, value, "thesis 2.1.3.1")
    for name in ("cam", "max", "lse", "wildcat", "deep-mil")
    for key, value in (
        ("classify.loop.batch_size", 64),
        ("classify.loop.epochs", 20),
        ("classify.loop.learning_rate", 0.01),
        ("classify.loop.step_epochs", 10),
        ("augment.crop_px", 0),
    )
]

# --- thesis chapter 4 -------------------------------------------------------------------------------------------------

SIZES = {
    **{
        key: value
        for key, value in WEAK.items()
        if key not in ("classify.loop.step_epochs", "classify.loop.step_factor")
    },
    "network.stride": 16,
    "classify.supervision": "sizes",
    "classify.loop.schedule": "cosine",
    "classify.sizes.weight": 10.0,
    "classify.sizes.entropy": 0.1,
    "augment.crop_px": 448,
}
CHAPTER_4 = [
    row
    for loss in ("adaptive", "kl", "l2")
    for row in rows_of(f"glas-size-{loss}", "thesis 4.4.1-4.4.2", {**SIZES, "classify.sizes.loss": loss})
] + rows_of(
    "glas-size-jia",
    "thesis 4.1 and Tab. 4.1 (r = 4)",
    {
        **SIZES,
        "classify.sizes.loss": "jia",
        "classify.scores": "sigmoid",
        "network.pooling.name": "generalised-mean",
        "network.pooling.exponent": 4,
    },
)
CAMELYON_SIZES = [
    *rows_of(
        "camelyon16-size-adaptive",
        "thesis 4.4.2 and Tab. 4.2",
        {
            **{
                key: value
                for key, value in SIZES.items()
                if key not in ("classify.loop.epochs", "classify.loop.batch_size")
            },
            "classify.loop.epochs": 20,
            "classify.sizes.weight": 3.0,
            "classify.sizes.entropy": 0.1,
            "classify.sizes.loss": "adaptive",
            "augment.crop_px": 0,
        },
    ),
    Row(
        "camelyon16-size-adaptive",
        "classify.loop.batch_size",
        64,
        "thesis 2.1.3.1 (all data sets but GlaS)",
    ),
]

# --- min-max, appendix B.2 --------------------------------------------------------------------------------------------

_B2 = "min-max, appendix B.2"
MIN_MAX = [
    row
    for recipe, depth in (("glas-min-max", 4), ("glas-min-max-u0", 0))
    for row in (
        *rows_of(
            recipe,
            _B2,
            {
                "network.backbone": "resnet101",
                "network.weights": "imagenet",
                "network.pooling.name": "wildcat",
                "network.pooling.modalities": 5,
                "network.pooling.kmax": 0.09,
                "network.pooling.kmin": 0.09,
                "network.pooling.alpha": 0.0,
                "network.pooling.dropout": 0.75,
                "network.minmax.omega": 8.0,
                "network.minmax.threshold": 0.5,
                "network.minmax.detach": True,
                "classify.supervision": "min-max",
                "classify.erasing.depth": depth,
                "classify.erasing.sigma": 10.0,
                "classify.loop.optimiser": "sgd",
                "classify.loop.weight_decay": 1e-5,
                "classify.loop.learning_rate": 0.001,
                "classify.loop.schedule": "steps",
                "classify.loop.step_epochs": 40,
                "classify.loop.step_factor": 0.1,
                "classify.loop.epochs": 400,
                "classify.loop.batch_size": 8,
                "classify.keep": "best",
                "augment.crop_px": 480,
                "augment.flips_and_turns": True,
                "augment.colour_jitter": 0.5,
                "augment.hue": 0.05,
            },
        ),
        Row(
            recipe,
            "network.minmax.mask_norm",
            "none",
            "min-max eq 11",
            "image",
            "scores have no bound: only maps scaled to [0, 1] make a threshold of 0.5 mean something (docs/methods.md)",
        ),
        Row(recipe, "network.mean", (0.5, 0.5, 0.5), _B2, (), "ImageNet's weights expect ImageNet's mean and spread"),
        Row(recipe, "network.std", (0.5, 0.5, 0.5), _B2, (), "ImageNet's weights expect ImageNet's mean and spread"),
        Row(recipe, "classify.loop: rate in the last epoch", 1e-7, _B2),
    )
]
QUICK_MIN_MAX = [
    Row(recipe, "network.pooling.dropout", 0.75, _B2)
    for recipe in ("quick-min-max", "quick-min-max-u0", "retrain-min-max")
]

# --- label-prop -------------------------------------------------------------------------------------------------------

_TAB5 = "label-prop, Tab. 5"
LABEL_PROP = [
    *rows_of(
        "glas-hybrid",
        _TAB5,
        {
            "network.backbone": "resnet18",
            "network.pooling.name": "wildcat",
            "network.pooling.alpha": 0.6,
            "network.pooling.kmin": 0.1,
            "network.pooling.kmax": 0.1,
            "network.pooling.modalities": 5,
            "segment.freeze": True,
            "segment.loss": "bce",
            "segment.loop.optimiser": "sgd",
            "segment.loop.weight_decay": 1e-4,
            "segment.loop.learning_rate": 0.1,
            "segment.loop.schedule": "steps",
            "segment.loop.step_factor": 0.9,
            "segment.loop.step_epochs": 100,
            "segment.loop.batch_size": 20,
            "segment.loop.epochs": 1000,
            "segment.loop.warmup_epochs": 0,
            "segment.keep": "best",
            "augment.crop_px": 416,
            "classify.loop.optimiser": "sgd",
            "classify.loop.weight_decay": 1e-4,
        },
    ),
    *(
        Row("glas-hybrid", key, value, _TAB5)
        for key, value in {
            "classify.loop.learning_rate": 1e-4,
            "classify.loop.batch_size": 20,
            "classify.loop.epochs": 1000,
            "classify.loop.step_epochs": 100,
            "classify.loop.step_factor": 0.9,
            "augment.colour_jitter": 0.0,
            "augment.hue": 0.0,
        }.items()
    ),
]
PAPER_PRESET = [
    *rows_of("preset: paper", "label-prop 4.1", {
        "session.rounds": 25,
        "session.first_per_class": 4,
        "session.per_class": 1,
    }),
    *rows_of("preset: paper", "label-prop 4.1 and Tab. 5", {
        "session.neighbours": 40,
        "session.score.passes": 50,
        "session.score.dropout": 0.2,
        "session.learn.pseudo_weight": 0.1,
        "session.learn.loss": "bce",
        "session.learn.crop_px": 416,
        "session.learn.loop.batch_size": 20,
        "session.learn.loop.weight_decay": 1e-4,
    }),
    *(
        Row("preset: paper", key, value, _TAB5)
        for key, value in {
            "session.learn.loop.optimiser": "sgd",
            "session.learn.loop.learning_rate": 0.1,
            "session.learn.loop.schedule": "steps",
            "session.learn.loop.step_factor": 0.9,
            "session.learn.loop.step_epochs": 100,
            "session.learn.loop.epochs": 1000,
        }.items()
    ),
    Row(
        "preset: quick",
        "session.score.passes",
        50,
        "label-prop 4.1",
        20,
        "questions in seconds on two cores; `simulate --passes 50` takes the paper's",
    ),
]  # fmt: skip

# --- ssl-al -----------------------------------------------------------------------------------------------------------

SSL = [
    *rows_of(
        "pretrain",
        "ssl-al section 4",
        {
            "network.backbone": "resnet18",
            "pretrain.loop.optimiser": "sgd",
            "pretrain.loop.epochs": 800,
            "pretrain.loop.batch_size": 512,
            "pretrain.loop.weight_decay": 1e-4,
            "pretrain.loop.schedule": "cosine",
        },
    ),
    Row(
        "pretrain",
        "pretrain.loop.learning_rate",
        0.03,
        "ssl-al section 4: base rate, which the loop multiplies by batch / 256",
    ),
]

ROWS = [
    *CHAPTER_2, *UNET, *CAMELYON_WEAK, *CHAPTER_4, *CAMELYON_SIZES, *MIN_MAX, *QUICK_MIN_MAX, *LABEL_PROP,
    *PAPER_PRESET, *SSL,
]  # fmt: skip

NOT_SHIPPED = {
    "thesis Tab. 2.6: BACH and BreakHis (512 and 448 px, batch 64)": "their pictures are not read; a table of tiles is",
    "thesis 3.3: Pascal VOC (batch 16, 20 epochs, cosine from 0.01, d = 0.3, q = 0.5)": "photographs",
    "min-max B.2 and label-prop Tab. 5: CUB (lambda 0.001, 30 epochs)": "photographs of birds",
    "ssl-al section 4: linear head (rate 30, batch 256, 100 epochs)": "fit_linear_head, not a recipe",
    "tod Tab. VIII: CIFAR to STL-10 (SGD 0.1, 200 epochs) and Cityscapes (Adam 5e-4, 40 epochs)": "photographs",
    "thesis appendix V, 6: MNIST and CIFAR-10 hardened (epsilon 2.4 and 1, 100 steps)": "not histology",
}  # fmt: skip
"""Rows of the papers that no recipe is of, and why."""


def named(row: Row) -> str:
    return f"{row.recipe} {row.key}"


def value_of(row: Row) -> Any:
    if row.recipe.startswith("preset: "):
        return attrgetter(row.key)(PRESETS[row.recipe.removeprefix("preset: ")])  # type: ignore[index]
    recipe: Recipe = load_recipe(recipe_path(row.recipe))
    if row.key.endswith(": rate in the last epoch"):
        settings = recipe.classify.loop
        return settings.rate(settings.epochs * 10 - 1, 10)
    return attrgetter(row.key)(recipe)


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_recipe_has_the_papers_value_or_the_stated_one(row: Row) -> None:
    expected = row.shipped if row.reason else row.paper
    assert value_of(row) == (pytest.approx(expected) if isinstance(expected, float) else expected), row.source


def test_every_recipe_of_a_paper_is_in_the_list() -> None:
    of_papers = {path.stem for path in shipped_recipes() if path.stem.startswith(("glas-", "camelyon16-", "pretrain"))}
    assert of_papers <= {row.recipe for row in ROWS}


def test_a_deviation_has_a_reason_and_another_value() -> None:
    for row in ROWS:
        assert row.source
        assert (row.shipped is not None) == bool(row.reason)
        assert not row.reason or row.shipped != row.paper
    assert all(NOT_SHIPPED.values())


def test_momentum_is_nesterovs_of_nine_tenths_as_in_all_papers() -> None:
    plan = load_recipe(recipe_path("glas-cam"))
    optimiser = loop._optimiser(torch.nn.Linear(2, 2), (), plan.classify.loop, {})
    assert isinstance(optimiser, torch.optim.SGD)
    assert all(group["momentum"] == 0.9 and group["nesterov"] for group in optimiser.param_groups)


def test_numbers_of_the_methods_that_no_recipe_holds() -> None:
    assert (PSEUDO_WEIGHT, PASSES, NEIGHBOURS) == (0.1, 2, 40)  # label-prop 4.1: lambda, lines 4-10 twice, k
    assert (ScoringSettings().passes, ScoringSettings().dropout) == (50, 0.2)  # label-prop 4.1
    wanted = ConsistencySettings(weight=0.05, decay=0.999, recency=0.0, outputs="logit")  # tod Tab. VIII, eq 6-7
    assert PRESETS["paper"].session.learn.consistency == wanted
    attack = DdnSettings()
    assert (attack.steps, attack.gamma, attack.initial_norm) == (100, 0.05, 1.0)  # thesis appendix V, Algorithm A V-1
