"""Every hyper-parameter of the papers' own rows, with its source, beside what the shipped recipes have.

A recipe that has another value states it here, with the reason. A setting of which its paper says nothing stands in
`SILENT`, with what it is and why: no setting of a paper's recipe is left out. What the optimiser fixes for all
(momentum 0.9, Nesterov) is tested as such.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pytest
import torch

from histoloop.acquisition.propagation import NEIGHBOURS
from histoloop.training import loop
from histoloop.training.ddn import DdnSettings
from histoloop.training.pseudo_labels import PASSES, PSEUDO_WEIGHT
from histoloop.training.recipe import Recipe, load_recipe, recipe_path, shipped_recipes
from histoloop.training.teacher import ConsistencySettings
from histoloop.workflows.experiments.patch_grid import PatchSettings
from histoloop.workflows.experiments.simulate import PRESETS
from histoloop.workflows.queries.score_regions import ScoringSettings
from histoloop.workflows.queries.vaal_scores import PAPER_VAAL

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    "classify.supervision": "labels",
    "data.scale": 1.0,
    "mask_fraction": 0.0,
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
    "augment.turns": True,
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
        "network.pooling.variant": "sum",
        "network.pooling.dropout": 0.0,
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
        *rows_of(recipe, "thesis 2.1.3.1, eq 3.7-3.11; of d Tab. 3.5 (CAMELYON16; 0.03 in Tab. 3.3-3.4)", pooling),
        Row(
            recipe,
            "classify.keep",
            "best",
            "min-max B.2 (GlaS, other methods): early stopping by the classification; the thesis says nothing",
            "last",
            "all of them tell GlaS's labels after a few epochs: which of them is best says nothing of masks",
        ),
    )
]
UNET = [
    row
    for recipe, epochs, crop in (("glas-unet", 960, 416), ("camelyon16-unet", 90, 0))
    for row in (
        *rows_of(
            recipe,
            "thesis 2.1.3.2",
            {
                **{key: value for key, value in WEAK.items() if key.startswith(("augment.", "data.", "network."))},
                "mask_fraction": 1.0,
                "classify.supervision": "none",
                "segment.freeze": False,
                "segment.loss": "bce",
                "segment.loop.optimiser": "sgd",
                "segment.loop.weight_decay": 1e-4,
                "segment.loop.learning_rate": 0.1,
                "segment.loop.schedule": "steps",
                "segment.loop.epochs": epochs,
                "segment.loop.step_epochs": epochs // 3,
                "segment.loop.step_factor": 0.1,
                "segment.loop.batch_size": 16,
                "augment.crop_px": crop,
            },
        ),
        Row(
            recipe,
            "segment.loop.warmup_epochs",
            0,
            "thesis 2.1.3.2",
            1,
            "a whole U-Net begins to diverge at 0.1: the rate rises over the first epoch",
        ),
        Row(
            recipe,
            "segment.label_weight",
            0.0,
            "thesis 2.1.3.2",
            0.1,
            "the U-Net learns labels too, so that its masks have a class (docs/methods.md)",
        ),
    )
]
CAMELYON_WEAK = [
    row
    for name in ("cam", "max", "lse", "wildcat", "deep-mil", "multi-class-mil")
    for row in rows_of(
        f"camelyon16-{name}",
        "thesis 2.1.3.1; Tab. 3.5 for d",
        {
            **WEAK,
            **POOLINGS[f"glas-{name}"],
            "classify.loop.batch_size": 64,
            "classify.loop.epochs": 20,
            "classify.loop.step_epochs": 10,
            "augment.crop_px": 0,
        },
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
    "classify.scores": "softmax",
    "classify.sizes.weight": 10.0,
    "classify.sizes.entropy": 0.1,
    "classify.sizes.noise_per": "step",
    "augment.crop_px": 448,
}
CHAPTER_4 = [
    row
    for loss in ("adaptive", "kl", "l2")
    for row in rows_of(
        f"glas-size-{loss}",
        "thesis 4.3-4.4 (4.4.3: noise anew in each step)",
        {**SIZES, "classify.sizes.loss": loss, "network.pooling.name": "average"},
    )
] + rows_of(
    "glas-size-jia",
    "thesis 4.1 and Tab. 4.1 (r = 4); of lambda_s it says nothing, so that it is that of the others",
    {
        **{key: value for key, value in SIZES.items() if key != "classify.sizes.entropy"},
        "classify.sizes.loss": "jia",
        "classify.scores": "sigmoid",
        "network.pooling.name": "generalised-mean",
        "network.pooling.exponent": 4,
    },
)
CAMELYON_SIZES = [
    *rows_of(
        "camelyon16-size-adaptive",
        "thesis 4.4.2, 4.4.3 (a wrong size stays wrong) and Tab. 4.2",
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
            "classify.sizes.noise_per": "tile",
            "network.pooling.name": "average",
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
TEXT = {
    "network.minmax.classifier_scale": 1.0,
    "classify.erasing.trust_ends": True,
    "classify.erasing.untrusted_learn": False,
}
AUTHORS_CODE = {
    "network.minmax.classifier_scale": 0.5,
    "classify.erasing.trust_ends": False,
    "classify.erasing.untrusted_learn": True,
}
MIN_MAX = [
    row
    for recipe, depth in (("glas-min-max", 4), ("glas-min-max-u0", 0), ("glas-min-max-code", 4))
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
                "network.minmax.detach": True,  # footnote 5
                "data.scale": 1.0,
                "mask_fraction": 0.0,
                "classify.supervision": "min-max",
                "classify.erasing.depth": depth,
                "classify.erasing.sigma": 10.0,
                "classify.loop.least_rate": 1e-7,
                "classify.loop.warmup_epochs": 0,
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
                "augment.turns": True,
                "augment.scale_min": 1.0,
                "augment.scale_max": 1.0,
                "augment.stain": 0.0,
                "augment.brightness": 0.0,
                "augment.colour_jitter": 0.5,
                "augment.hue": 0.05,
            },
        ),
        *(
            rows_of(recipe, "the authors' code, which the paper's text does not have", AUTHORS_CODE)
            if recipe == "glas-min-max-code"
            else rows_of(recipe, "min-max eq 9, eq 14 and Algorithm 1", TEXT)
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
    for recipe in ("quick-min-max", "quick-min-max-u0", "quick-min-max-code", "retrain-min-max")
] + rows_of("quick-min-max-code", "the authors' code", AUTHORS_CODE)

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
            "network.pooling.variant": "sum",
            "network.pooling.dropout": 0.0,
            "network.weights": "imagenet",
            "network.stride": 32,
            "data.scale": 1.0,
            "mask_fraction": 1.0,
            "classify.supervision": "labels",
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
            "augment.flips_and_turns": True,
            "augment.turns": False,  # horizontal and vertical flips
            "augment.scale_min": 1.0,
            "augment.scale_max": 1.0,
            "augment.stain": 0.0,
            "augment.brightness": 0.0,
            "classify.keep": "best",
            "classify.loop.optimiser": "sgd",
            "classify.loop.weight_decay": 1e-4,
            "classify.loop.schedule": "steps",
            "classify.loop.warmup_epochs": 0,
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
            "session.learn.loop.warmup_epochs": 0,
            "session.learn.steps_per_epoch": 0,
            "session.learn.stain": 0.0,
            "pool": 0,
            "test": 0,
        }.items()
    ),
    Row(
        "preset: paper",
        "session.learn.views",
        4,
        "label-prop, Tab. 5 (as it is, and flipped either way or both)",
        8,
        "features of turned tiles are kept too: tissue has no up",
    ),
    *rows_of(
        "preset: paper",
        "tod Tab. VIII and eq 6-7",
        {
            "session.learn.consistency.weight": 0.05,
            "session.learn.consistency.decay": 0.999,
            "session.learn.consistency.recency": 0.0,
            "session.learn.consistency.outputs": "logit",
        },
    ),
    Row("preset: paper", "session.score.vaal", PAPER_VAAL, "ssl-al section 4 (the official code of VAAL)"),
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
            "pretrain.loop.warmup_epochs": 0,
            "network.weights": "random",
            "data.scale": 1.0,
            "pretrain.views.area_min": 0.2,
            "pretrain.views.area_max": 1.0,
            "pretrain.views.flips_and_turns": True,
            "pretrain.views.jittered": 0.8,
            "pretrain.views.brightness": 0.4,
            "pretrain.views.contrast": 0.4,
            "pretrain.views.saturation": 0.4,
            "pretrain.views.hue": 0.1,
            "pretrain.views.grey": 0.2,
            "pretrain.views.blur_min_px": 0.1,
            "pretrain.views.blur_max_px": 2.0,
        },
    ),
    Row(
        "pretrain",
        "pretrain.views.crop_px",
        32,
        "ssl-al section 4 (CIFAR; 64 of Tiny ImageNet)",
        224,
        "tiles of tissue are larger, and the last stage of the network wants seven cells",
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


_OURS = "nothing of the paper: does nothing here"
SILENT: dict[str, tuple[Any, str]] = {
    "classify.adversarial.epsilon": (0.0, _OURS),
    "classify.balance": (1.0, "classes are drawn as they come"),
    "classify.consistency.weight": (0.0, _OURS),
    "classify.keep": ("last", "of CAMELYON16 and of sizes: accuracy says nothing of masks (docs/methods.md)"),
    "classify.label_smoothing": (0.0, _OURS),
    "classify.loop.least_rate": (0.0, _OURS),
    "classify.loop.precision": ("float32", "as everywhere then"),
    "classify.loop.validate_every": (1, "chooses an epoch, or only tells"),
    "classify.scores": ("softmax", "one label a picture"),
    "classify.sizes.noise": (0.0, "several in the thesis (4.4.3): one adds what one wants to study"),
    "classify.steps_per_epoch": (0, "each tile once an epoch"),
    "classify.temperature_scaling": (False, _OURS),
    "network.stride": (32, "of min-max: the network as it is"),
    "network.decoder_channels": ((96, 64, 48, 32, 16), "the papers' U-Nets are not described"),
    "network.mean": ((), "that of the weights"),
    "network.std": ((), "that of the weights"),
    "network.pooling.hidden": (128, "L of eq 1.5: as Ilse et al. 2018"),
    "network.pooling.modalities": (1, "of WILDCAT alone"),
    "network.pooling.variant": ("sum", "thesis eq 3.8"),
    "robustness.quantise_levels": (0, "a figure on the card"),
    "robustness.steps": (50, "a figure on the card"),
    "robustness.tiles": (8, "a figure on the card"),
    "segment.consistency.weight": (0.0, _OURS),
    "segment.keep": ("best", "label-prop 4.1: early stopping; the thesis says nothing"),
    "segment.loop.least_rate": (0.0, _OURS),
    "segment.loop.precision": ("float32", "as everywhere then"),
    "segment.steps_per_epoch": (0, "each tile once an epoch"),
    "pretrain.bottleneck": (512, "as SimSiam's authors"),
    "pretrain.loop.least_rate": (0.0, _OURS),
    "pretrain.loop.precision": ("float32", "as everywhere then"),
    "pretrain.predictor_rate": (1.0, "and constant: as SimSiam's authors"),
    "pretrain.projection": (2048, "as SimSiam's authors"),
    "pretrain.views.blurred": (0.5, "the share is that of SimSiam's authors"),
}
"""Settings of which a recipe's paper says nothing: their value, and why it is that."""

VALIDATION = {"segment.loop.validate_every": (5, 10), "pretrain.loop.validate_every": (10,)}
"""How often something is measured on the way, which the papers leave open."""

WILDCAT_OF_THE_THESIS = 5
"""Modalities, as in label-prop Tab. 5: thesis 3.4.3 has 4 on photographs and finds no difference, 2.1.3.1 says none."""


OF_PAPERS = [path.stem for path in shipped_recipes() if path.stem.startswith(("glas-", "camelyon16-", "pretrain"))]
"""The recipes of the papers' own rows."""


def settings_of(plan: Any, above: str = "") -> Iterator[str]:
    """The dotted names of all settings."""
    for field in dataclasses.fields(plan):
        value = getattr(plan, field.name)
        if dataclasses.is_dataclass(value):
            yield from settings_of(value, f"{above}{field.name}.")
        else:
            yield f"{above}{field.name}"


POOLING_OWN = {
    "wildcat": ("modalities", "kmax", "kmin", "alpha", "variant", "dropout"),
    "log-sum-exp": ("sharpness",),
    "deep-mil": ("zeroed",),
    "attention": ("hidden",),
    "gated-attention": ("hidden",),
    "generalised-mean": ("exponent",),
}


def without_effect(plan: Recipe) -> list[str]:
    """Patterns of settings that change nothing of what a recipe makes."""
    found = ["name", "description", "source"]
    if plan.name == "pretrain":
        others = ("augment", "classify", "segment", "robustness", "network.pooling", "network.minmax")
        return [*found, *(f"{name}.*" for name in others), "network.stride", "mask_fraction", "pretrain.loop.step_*"]
    found.append("pretrain.*")
    own = POOLING_OWN.get(plan.network.pooling.name, ())
    pooling = {field.name for field in dataclasses.fields(plan.network.pooling)} - {"name", *own}
    found += [f"network.pooling.{name}" for name in pooling]
    classify, segment = plan.classify, plan.segment
    found += [f"classify.adversarial.{name}" for name in ("gamma", "initial_norm", "steps")]
    found += [f"*.consistency.{name}" for name in ("decay", "outputs", "recency", "unlabelled_per_step")]
    if classify.supervision != "min-max":
        found += ["network.minmax.*", "classify.erasing.*"]
    if classify.supervision != "sizes":
        found.append("classify.sizes.*")
    if classify.sizes.loss == "jia":
        found.append("classify.sizes.entropy")  # there is no background to be sure of
    if classify.loop.schedule == "cosine":
        found.append("classify.loop.step_*")
    if classify.supervision == "none":
        found += [f"classify.{name}" for name in ("loop.*", "balance", "keep", "steps_per_epoch", "label_smoothing")]
        found += [
            "classify.consistency.*",
            "classify.adversarial.*",
            "classify.temperature_scaling",
            "network.pooling.*",
        ]
    if not plan.mask_fraction:
        found += ["segment.*", "network.decoder_channels"]
    elif segment.freeze:
        found.append("segment.label_weight")
    return found


def named(row: Row) -> str:
    return f"{row.recipe} {row.key}"


@cache
def shipped(name: str) -> Recipe:
    return load_recipe(recipe_path(name))


def value_of(row: Row) -> Any:
    if row.recipe.startswith("preset: "):
        return attrgetter(row.key)(PRESETS[row.recipe.removeprefix("preset: ")])  # type: ignore[index]
    recipe = shipped(row.recipe)
    if row.key.endswith(": rate in the last epoch"):
        settings = recipe.classify.loop
        return settings.rate(settings.epochs * 10 - 1, 10)
    return attrgetter(row.key)(recipe)


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_recipe_has_the_papers_value_or_the_stated_one(row: Row) -> None:
    expected = row.shipped if row.reason else row.paper
    assert value_of(row) == (pytest.approx(expected) if isinstance(expected, float) else expected), row.source


def test_every_recipe_of_a_paper_is_in_the_list() -> None:
    assert set(OF_PAPERS) <= {row.recipe for row in ROWS}


def unlisted(name: str) -> dict[str, Any]:
    """The settings that count in a recipe and that no row has, with their values."""
    plan, listed = shipped(name), {row.key for row in ROWS if row.recipe == name}
    idle = without_effect(plan)
    keys = (key for key in settings_of(plan) if key not in listed)
    return {key: attrgetter(key)(plan) for key in keys if not any(fnmatch(key, pattern) for pattern in idle)}


@pytest.mark.parametrize("name", OF_PAPERS)
def test_every_setting_of_a_papers_recipe_has_its_source_or_its_reason(name: str) -> None:
    for key, value in unlisted(name).items():
        if key in VALIDATION:
            assert value in VALIDATION[key], key
        elif key == "network.pooling.modalities" and shipped(name).network.pooling.name == "wildcat":
            assert value == WILDCAT_OF_THE_THESIS
        else:
            assert key in SILENT, f"{key} = {value!r} has neither a source nor a reason"
            assert value == SILENT[key][0], f"{key}: {SILENT[key][1]}"


def test_no_reason_stands_for_a_setting_that_every_recipe_has_a_source_for() -> None:
    needed = {key for name in OF_PAPERS for key in unlisted(name)}
    assert set(SILENT) | set(VALIDATION) <= needed


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
    protocol = PatchSettings()  # thesis 2.1.2.3: p_t, p_0, p_1 and p_n
    shares = (protocol.tissue_min, protocol.tumour_min, protocol.tumour_abundant, protocol.abundant_share)
    assert shares == (0.10, 0.20, 0.50, 0.01)
    attack = DdnSettings()
    assert (attack.steps, attack.gamma, attack.initial_norm) == (100, 0.05, 1.0)  # thesis appendix V, Algorithm A V-1
