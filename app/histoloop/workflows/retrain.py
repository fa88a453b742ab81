"""Retrain a project's model on what people said: masks (label-prop, Algorithm 1), sizes or labels (thesis, min-max)."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import torch

from histoloop.errors import ProjectError
from histoloop.networks.build import build_network, with_decoder
from histoloop.networks.hybrid import Hybrid
from histoloop.store.cards import Card, model_hash
from histoloop.store.models import save_model
from histoloop.training.classify import train_classifier
from histoloop.training.outputs import look_at
from histoloop.training.recipe import Recipe, load_recipe, recipe_path
from histoloop.training.samples import TrainingTile
from histoloop.training.segment import segmentation_figures, train_decoder
from histoloop.workflows.models import LoadedModel, choose_device, load_model
from histoloop.workflows.predict import predict_project
from histoloop.workflows.project_tiles import annotated_tiles
from histoloop.workflows.recipes import recipe_text
from histoloop.workflows.robustness import robustness_of, with_robustness
from histoloop.workflows.rounds import RECIPES, Candidate, LearnFrom, candidate_of, nothing_to_learn_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histoloop.networks.config import NetworkConfig
    from histoloop.networks.network import SlideNetwork
    from histoloop.progress import Work
    from histoloop.store.project import Project


@dataclass(frozen=True, slots=True, eq=False)
class _Setting:
    """What a retraining starts from and goes by."""

    theta_0: LoadedModel
    recipe: Recipe
    learn_from: LearnFrom
    training: Sequence[TrainingTile]
    held_out: Sequence[TrainingTile]
    device: torch.device
    seed: int


def retrain(
    project: Project,
    *,
    learn_from: LearnFrom = "masks",
    device: str = "auto",
    seed: int = 0,
    epochs: int | None = None,
) -> Work[Candidate]:
    """Train on all annotations that are not held out, always from the project's first model (theta_0).

    From 'masks' the decoder learns, over the frozen classifier. From 'labels' and 'sizes' the backbone learns under a
    new head, then a decoder on the masks as far as there are any; from 'min-max' a localizer and a classifier. A region
    without a label of its own counts with its slide's, else with the one that theta_0 sees in it.

    The last epoch is kept, not the one that is best on the held-out annotations: those only measure. Afterwards the
    candidate predicts the slides that have maps. ProjectError when there is nothing of that kind to learn from.
    """
    started = time.monotonic()
    place = choose_device(device)
    recipe = load_recipe(recipe_path(RECIPES[learn_from])).with_epochs(epochs)
    current = project.current_model()
    theta_0 = load_model(project.base_model().folder, place)
    tiles, held_out = yield from annotated_tiles(project, theta_0)
    training = _teaching(tiles, learn_from, theta_0, project)
    old = load_model(current.folder, place)
    old_dice = _dice(old, held_out)
    torch.manual_seed(seed)
    setting = _Setting(theta_0, recipe, learn_from, training, held_out, place, seed)
    taught = yield from _taught(setting)
    new_dice = _dice(taught.model, held_out)
    figures = {"loss": taught.loss, "held_out": float(len(held_out))}
    if old_dice is not None and new_dice is not None:
        figures |= {"dice_before": old_dice, "dice": new_dice}
    number = len(project.rounds()) + 1
    model_id = _save_candidate(project, setting, taught.model, old, number, figures)
    mapped = [slide.id for slide in project.slides() if project.map_folder(slide.id) is not None]
    yield from predict_project(project, slide_ids=mapped, device=device, model_id=model_id)
    figures |= {"seconds": round(time.monotonic() - started, 1)}
    return candidate_of(project.add_round(model_id, current.id, figures, len(training)))


# --- what there is to learn from --------------------------------------------------------------------------------------


def _teaching(
    tiles: Sequence[TrainingTile], learn_from: LearnFrom, theta_0: LoadedModel, project: Project
) -> list[TrainingTile]:
    """The tiles that teach something of this kind; ProjectError when they do not suffice."""
    if learn_from == "masks":
        masked = [tile for tile in tiles if tile.mask is not None]
        if not masked:
            raise nothing_to_learn_from(project)
        return masked
    if learn_from == "sizes":
        sized = [tile for tile in tiles if tile.size is not None or tile.mask is not None]
        if not sized:
            raise ProjectError(
                "No region has a size to learn from.",
                advice="Say how much of some regions is foreground, or paint them.",
            )
        return [_labelled(tile, theta_0) for tile in sized]
    labelled = [tile for tile in tiles if tile.label is not None]
    if len({tile.label for tile in labelled}) < 2:
        raise ProjectError(
            "Learning from labels needs regions or slides of two labels at least.",
            advice="Label some slides (Slides panel) or regions (Annotation panel) of another class.",
        )
    return labelled


def _labelled(tile: TrainingTile, theta_0: LoadedModel) -> TrainingTile:
    """The tile with a label: its own, or the one that theta_0 sees in it."""
    if tile.label is not None:
        return tile
    card = theta_0.card
    seen = look_at(theta_0.network, tile, mean=card.mean, std=card.std, device=theta_0.device, decode=False)
    return dataclasses.replace(tile, label=seen.label)


# --- learning ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Taught:
    model: LoadedModel
    loss: float


def _taught(setting: _Setting) -> Work[_Taught]:
    """theta_0 after learning, with its last loss."""
    masked = [tile for tile in setting.training if tile.mask is not None]
    if setting.learn_from == "masks":
        return (yield from _teach_decoder(setting, with_decoder(setting.theta_0.network), masked))
    network = _fresh(setting, decoder=bool(masked) and setting.learn_from != "min-max")
    card = setting.theta_0.card
    fitted = yield from train_classifier(
        network,
        training=setting.training,
        validation=(),
        settings=setting.recipe.classify,
        augmentation=setting.recipe.augment,
        mean=card.mean,
        std=card.std,
        device=setting.device,
        seed=setting.seed,
    )
    if isinstance(network, Hybrid) and network.decoder is not None:
        return (yield from _teach_decoder(setting, network, masked))
    return _Taught(_model(setting, network), float(fitted.figures["loss"]))


def _fresh(setting: _Setting, *, decoder: bool) -> SlideNetwork:
    """theta_0's backbone under a new head, as the recipe's supervision needs it."""
    own = setting.theta_0.network
    plan = dataclasses.replace(
        setting.recipe,
        mask_fraction=1.0 if decoder else 0.0,
        network=dataclasses.replace(setting.recipe.network, backbone=own.config.backbone),
    )
    network = build_network(plan.network_config(own.config.labels)).to(setting.device)
    network.backbone.load_state_dict(own.backbone.state_dict())
    return network


def _teach_decoder(setting: _Setting, network: Hybrid, masked: Sequence[TrainingTile]) -> Work[_Taught]:
    card = setting.theta_0.card
    fitted = yield from train_decoder(
        network.to(setting.device),
        training=masked,
        validation=setting.held_out,
        settings=setting.recipe.segment,
        augmentation=setting.recipe.augment,
        mean=card.mean,
        std=card.std,
        device=setting.device,
        seed=setting.seed,
    )
    return _Taught(_model(setting, network), float(fitted.figures["loss"]))


def _model(setting: _Setting, network: SlideNetwork) -> LoadedModel:
    card = dataclasses.replace(setting.theta_0.card, network=network.config)
    return dataclasses.replace(setting.theta_0, network=network.eval(), card=card)


def _dice(model: LoadedModel, tiles: Sequence[TrainingTile]) -> float | None:
    if not tiles:
        return None
    card = model.card
    return segmentation_figures(
        model.network, tiles, mean=card.mean, std=card.std, device=model.device, threshold=card.threshold
    )["dice"]


# --- the candidate ----------------------------------------------------------------------------------------------------

_LEARNED: Mapping[LearnFrom, str] = {
    "masks": "The decoder of {name} retrained on {count} painted regions of the project '{project}'; the classifier is "
    "unchanged.",
    "sizes": "The backbone of {name} retrained on labels and sizes of {count} regions of the project '{project}'.",
    "labels": "The backbone of {name} retrained on {count} labelled tiles of the project '{project}'.",
    "min-max": "The backbone of {name} retrained by min-max entropy on {count} labelled tiles of '{project}'.",
}


def _save_candidate(
    project: Project,
    setting: _Setting,
    trained: LoadedModel,
    parent: LoadedModel,
    number: int,
    figures: dict[str, float],
) -> int:
    folder = project.new_model_folder(number)
    count = len(setting.training)
    learned = _LEARNED[setting.learn_from].format(name=trained.card.name, count=count, project=project.name)
    card = dataclasses.replace(
        trained.card,
        name=folder.name,
        title=f"{project.name}, round {number}",
        description=f"{learned} Research use only: not a diagnostic device.\n\n{trained.card.attribution}\n",
        training={"recipe": setting.recipe.name, "regions": float(count), "round": float(number)},
        figures=figures,
        parent=parent.hash,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    card = _with_robustness(card, setting.theta_0.card)
    save_model(folder, card, trained.network.state_dict(), recipe=recipe_text(setting.recipe), half=True)
    current = project.current_model()
    return project.add_model(folder.name, hash=model_hash(folder), parent=current.id, round=number).id


def _with_robustness(card: Card, base: Card) -> Card:
    """The card with the figures of the base model's attack while the classifier is the base model's.

    A classifier that has learned is not attacked anew: that would cost time in every round, and the labels that a
    project has are often the model's own. Its card says that nothing is known.
    """
    if _classifier_config(card) == _classifier_config(base) and card.training["recipe"] == RECIPES["masks"]:
        where = f"when {base.name} was made, whose classifier this is"
        return with_robustness(card, robustness_of(base), measured_on=where)
    unknown = "Its classifier has changed since: how robust its labels are is not known."
    return dataclasses.replace(card, description=f"{card.description.rstrip()}\n\n{unknown}\n")


def _classifier_config(card: Card) -> NetworkConfig:
    """The network less its decoder, which may be a new one: of another stride or kind, it says something else."""
    return dataclasses.replace(card.network, decoder_channels=())
