"""The self-supervised start: a backbone that has learned from tissue before anybody labels any (ssl-al)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from histoloop.errors import ModelError, ModelPlaceError, RecipeError
from histoloop.language import tr
from histoloop.networks.backbones import build_backbone
from histoloop.store.cards import WEIGHTS, load_card
from histoloop.store.encoders import weights_of_encoder
from histoloop.store.files import file_beside
from histoloop.training.checkpoint import Checkpoint, discard
from histoloop.training.datasets import read_unlabelled
from histoloop.training.recipe import Recipe, load_recipe, recipe_path
from histoloop.training.self_supervised import collapse_warning, pretrain
from histoloop.workflows.prediction.loaded_model import choose_device
from histoloop.workflows.regions.tissue import read_project_tissue
from histoloop.workflows.retraining.recipes import recipe_text
from histoloop.workflows.retraining.starting_weights import start_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.networks.backbone import Backbone
    from histoloop.networks.colours import Colours
    from histoloop.progress import Work
    from histoloop.slides.reader import Pixels
    from histoloop.store.project import Project

PROJECT_TILES = 2000
BASE_RECIPE = "retrain-pretrain"
STATE = "pretrain.safetensors"
"""File in the folder of a pretraining that is not done."""


@dataclass(frozen=True, slots=True)
class PretrainReport:
    """The file of weights, of how many tiles they learned, the last epoch's figures, and what the user must know."""

    weights: Path
    tiles: int
    figures: Mapping[str, float]
    warnings: tuple[str, ...]


def pretrain_on_dataset(
    data: Path,
    *,
    out: Path,
    recipe: str = "pretrain",
    start: str | None = None,
    epochs: int | None = None,
    part: Literal["all", "train"] = "all",
    mpp: float | None = None,
    mpp_from_objective: bool = False,
    device: str = "auto",
    seed: int = 0,
) -> Work[PretrainReport]:
    """Pretrain the backbone of a recipe on the tiles of a data set (or its training part), without their labels.

    `out` is a .safetensors file that a recipe's `network.weights` takes; it states the mean and deviation of colours
    that it was trained with. `start` replaces the recipe's starting weights, `epochs` its number of epochs. A
    pretraining that was stopped goes on where it was when it is asked for again: its state is kept in `<out>.training`.
    """
    plan = _plan(recipe, out=out, start=start, epochs=epochs)
    tiles = yield from read_unlabelled(
        data, part=part, mpp=mpp, seed=seed, scale=plan.data.scale, from_objective=mpp_from_objective
    )
    return (yield from _pretrain(plan, tiles, (), out=out, device=device, seed=seed))


def pretrain_on_project(
    project: Project,
    *,
    out: Path,
    recipe: str = "pretrain",
    start: str | None = None,
    epochs: int | None = None,
    count: int = PROJECT_TILES,
    device: str = "auto",
    seed: int = 0,
) -> Work[PretrainReport]:
    """Pretrain on `count` tiles of the tissue of a project's slides, at the resolution of its current model.

    The rest as for `pretrain_on_dataset`.
    """
    plan = _plan(recipe, out=out, start=start, epochs=epochs)
    tissue = yield from read_project_tissue(
        project, count=count, crop_px=plan.pretrain.views.crop_px, scale=plan.data.scale
    )
    return (yield from _pretrain(plan, tissue.tiles, tissue.warnings, out=out, device=device, seed=seed))


def pretrain_base(
    project: Project, base: Path, *, out: Path, epochs: int | None = None, device: str = "auto", seed: int = 0
) -> Work[PretrainReport]:
    """Pretrain the backbone of the project's first model, of the folder `base`, on the project's own tissue.

    It goes on from that model's weights and keeps that model's colours. The rest as for `pretrain_on_project`.
    """
    card = load_card(base)
    weights = base / WEIGHTS if card.encoder is None else weights_of_encoder(card.encoder)
    plan = _plan(BASE_RECIPE, out=out, start=str(weights), epochs=epochs)
    network = dataclasses.replace(
        plan.network,
        backbone=card.network.backbone,
        stride=16 if card.network.stride == 16 else 32,
        mean=card.mean,
        std=card.std,
    )
    plan = dataclasses.replace(plan, network=network)
    tissue = yield from read_project_tissue(
        project, count=PROJECT_TILES, crop_px=plan.pretrain.views.crop_px, scale=plan.data.scale
    )
    return (yield from _pretrain(plan, tissue.tiles, tissue.warnings, out=out, device=device, seed=seed))


def _plan(recipe: str, *, out: Path, start: str | None, epochs: int | None) -> Recipe:
    if out.suffix != ".safetensors":
        raise ModelError(
            tr("{path} is not a .safetensors file.", path=out), advice=tr("Give a name that ends in .safetensors.")
        )
    if out.exists():
        raise ModelError(
            tr("{path} exists already.", path=out), advice=tr("Give a new file: weights are never overwritten.")
        )
    plan = load_recipe(recipe_path(recipe)).with_epochs(epochs)
    if start is None:
        return plan
    network = dataclasses.replace(plan.network, weights=start, mean=(), std=())  # those were of other weights
    return dataclasses.replace(plan, network=network)


def _pretrain(
    plan: Recipe, tiles: Sequence[Pixels], warnings: Sequence[str], *, out: Path, device: str, seed: int
) -> Work[PretrainReport]:
    place = choose_device(device)
    torch.manual_seed(seed)
    backbone = build_backbone(plan.network.backbone, stride=plan.network.stride)
    colours = yield from start_from(backbone, plan.network, tiles)
    state = out.with_name(f"{out.name}.training")
    try:
        fitted = yield from pretrain(
            backbone,
            tiles,
            settings=plan.pretrain,
            colours=colours,
            device=place,
            seed=seed,
            checkpoint=Checkpoint(state / STATE, _key(plan, tiles, seed)),
        )
    except RecipeError:
        discard(state, STATE)  # to go on from there would only fail again
        raise
    _save(out, backbone, colours, plan, fitted.figures, tiles=len(tiles))
    discard(state, STATE)
    collapsed = collapse_warning(fitted.figures)
    return PretrainReport(out, len(tiles), fitted.figures, (*warnings, *([collapsed] if collapsed else [])))


def _key(plan: Recipe, tiles: Sequence[Pixels], seed: int) -> str:
    """What a pretraining is of: network, settings, seed and tiles; another one cannot go on from its state."""
    digest = hashlib.sha256(repr((plan.network, plan.pretrain, plan.data, seed)).encode())
    for tile in tiles:
        digest.update(repr(tile.shape).encode() + tile[::16, ::16].tobytes())
    return digest.hexdigest()


def _save(
    out: Path, backbone: Backbone, colours: Colours, plan: Recipe, figures: Mapping[str, float], *, tiles: int
) -> None:
    """The backbone alone, in its own names; ModelError when it cannot be written."""
    about = {
        "backbone": plan.network.backbone,
        "mean": json.dumps(colours.mean),
        "std": json.dumps(colours.std),
        "tiles": str(tiles),
        "figures": json.dumps(dict(figures)),
        "recipe": recipe_text(plan),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in backbone.state_dict().items()}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with file_beside(out) as partial:
            save_file(tensors, partial, metadata=about)
    except (OSError, SafetensorError) as error:
        advice = tr("Check that the folder may be written to and that the disk is not full.")
        raise ModelPlaceError(
            tr("{path} cannot be written: {reason}.", path=out, reason=error), advice=advice
        ) from error
