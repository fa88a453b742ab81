"""Retrain a project's model on what people said: masks (label-prop, Algorithm 1), sizes or labels (thesis, min-max)."""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from histoloop.errors import ProjectError
from histoloop.language import tr
from histoloop.networks.build import with_decoder
from histoloop.store.cards import Card, model_hash
from histoloop.store.model_folder import save_model
from histoloop.training.outputs import look_at
from histoloop.training.recipe import Recipe, load_recipe, recipe_path
from histoloop.workflows.contents.estimates import extent_figures
from histoloop.workflows.contents.rounds import (
    CONSISTENCY_RECIPE,
    Candidate,
    HowToLearn,
    LearnFrom,
    candidate_of,
    nothing_to_learn_from,
)
from histoloop.workflows.prediction.loaded_model import LoadedModel, choose_device, load_model
from histoloop.workflows.prediction.predict import predict_project
from histoloop.workflows.prediction.robustness import robustness_of, with_robustness
from histoloop.workflows.regions.regions import RegionReader
from histoloop.workflows.regions.tiles import annotated_tiles, regions_left, unlabelled_tiles
from histoloop.workflows.retraining.fit import Lesson, QuickLesson, Taught, dice_of, teach, teach_quickly
from histoloop.workflows.retraining.pretrain import pretrain_base
from histoloop.workflows.retraining.recipes import recipe_text
from histoloop.workflows.retraining.unlabelled import UNLABELLED_REGIONS, Others, find_others

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histoloop.network_config import NetworkConfig
    from histoloop.progress import Work
    from histoloop.store.project import Project
    from histoloop.training.samples import TrainingTile


def retrain(
    project: Project,
    *,
    how: HowToLearn | None = None,
    device: str = "auto",
    seed: int = 0,
    epochs: int | None = None,
) -> Work[Candidate]:
    """Train on all annotations that are not held out, always from the project's first model (theta_0).

    From 'masks' (and without `how`) the decoder learns, over the frozen classifier. From 'labels' and 'sizes' the
    backbone learns under a new head, then a decoder on the masks as far as there are any; from 'min-max' a localizer
    and a classifier. A region without a label of its own counts with its slide's, else with the one that theta_0 sees.

    The last epoch is kept, not the one that is best on the held-out annotations: those only measure. Afterwards the
    candidate predicts the slides that have maps. ProjectError when there is nothing of that kind to learn from.
    """
    how = how or HowToLearn()
    started = time.monotonic()
    place = choose_device(device)
    theta_0 = load_model(project.base_model().folder, place)
    tiles, held_out = yield from annotated_tiles(project, theta_0)
    training = _teaching(tiles, how.learn_from, theta_0, project)
    current = project.current_model()
    old = load_model(current.folder, place)
    old_dice = dice_of(old, held_out)
    torch.manual_seed(seed)
    reader = RegionReader(project, theta_0, with_decoder(theta_0.network).to(place))
    annotated = reader.all_annotated()
    others = yield from find_others(project, how, reader, annotated, seed=seed)
    recipe = _recipe(how, epochs, theta_0)
    if how.pace == "self-supervised":
        seen = yield from _seen_by(project, theta_0, seed)
        labelled = [_labelled(tile, theta_0) for tile in (*training, *seen)]
        _check_classes(labelled)
        backbone = yield from _self_supervised(project, theta_0, epochs=epochs, device=device, seed=seed)
        taught = yield from teach(
            Lesson(
                theta_0=theta_0,
                current=old,
                recipe=recipe,
                learn_from="labels",
                training=labelled,
                held_out=held_out,
                pseudo=(),
                unlabelled=(),
                device=place,
                seed=seed,
                backbone=backbone,
            )
        )
    elif how.pace == "quick":
        taught = yield from teach_quickly(
            QuickLesson(
                theta_0=theta_0,
                current=old,
                recipe=recipe,
                reader=reader,
                annotated=annotated,
                pseudo=others.pseudo_regions(),
                unlabelled=others.unlabelled_regions(),
                seed=seed,
            )
        )
    else:
        taught = yield from teach(
            Lesson(
                theta_0=theta_0,
                current=old,
                recipe=recipe,
                learn_from=how.learn_from,
                training=training,
                held_out=held_out,
                pseudo=others.tiles(others.pseudo_regions()),
                unlabelled=others.tiles(others.unlabelled_regions()),
                device=place,
                seed=seed,
            )
        )
    new_dice = dice_of(taught.model, held_out)
    figures = {"loss": float(taught.fitted.figures["loss"]), "held_out": float(len(held_out))}
    if old_dice is not None and new_dice is not None:
        figures |= {"dice_before": old_dice, "dice": new_dice}
    if how.propagation:
        figures |= {"pseudo": float(len(others.pseudo))}
    number = len(project.rounds()) + 1
    said = _said(how, theta_0, project, count=len(training), others=others)
    card = dataclasses.replace(
        taught.model.card,
        name=project.new_model_folder(number).name,
        title=f"{project.name}, round {number}",
        description=f"{said} Research use only: not a diagnostic device.\n\n{taught.model.card.attribution}\n",
        training={"recipe": recipe.name, "regions": float(len(training)), "round": float(number)},
        figures=figures,
        parent=old.hash,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    card = _with_robustness(card, theta_0.card, changed=how.learn_from != "masks" or how.pace == "self-supervised")
    model_id = _save_candidate(project, taught, recipe, card, number)
    if others.pseudo:
        others.keep_for_people(project, number, taught.pseudo_masks)
    mapped = [slide.id for slide in project.slides() if project.map_folder(slide.id) is not None]
    yield from predict_project(project, slide_ids=mapped, device=device, model_id=model_id)
    figures |= {"seconds": round(time.monotonic() - started, 1), **extent_figures(how)}
    return candidate_of(project.add_round(model_id, current.id, figures, len(training)))


def _self_supervised(
    project: Project, theta_0: LoadedModel, *, epochs: int | None, device: str, seed: int
) -> Work[dict[str, torch.Tensor]]:
    """theta_0's backbone after learning from all tissue of the project; done once, then kept with the project.

    Goes on where it was when it was stopped.
    """
    kept = project.folder / "pretrained" / f"{theta_0.hash[:16]}.safetensors"
    if not kept.exists():
        yield from pretrain_base(project, theta_0.folder, out=kept, epochs=epochs, device=device, seed=seed)
    weights: dict[str, torch.Tensor] = load_file(kept)
    return weights


def _seen_by(project: Project, theta_0: LoadedModel, seed: int) -> Work[list[TrainingTile]]:
    """Regions that nobody annotated, which count with the label that theta_0 sees: the new classifier learns them."""
    left = yield from regions_left(project, mpp=theta_0.card.mpp, count=UNLABELLED_REGIONS, seed=seed)
    return (yield from unlabelled_tiles(left, theta_0))


def _check_classes(tiles: Sequence[TrainingTile]) -> None:
    if len({tile.label for tile in tiles}) < 2:
        raise ProjectError(
            tr("A new classifier needs regions of two labels at least, and all here are of one."),
            advice=tr("Label some slides of another class (Slides panel), or learn from painted masks."),
        )


def _recipe(how: HowToLearn, epochs: int | None, theta_0: LoadedModel) -> Recipe:
    """The shipped recipe of a way to learn; the quick one takes consistency from the other's."""
    recipe = load_recipe(recipe_path(how.recipe)).with_epochs(epochs)
    if how.learn_from == "labels":  # a model whose labels do not exclude each other stays one
        scores = theta_0.card.network.scores
        recipe = dataclasses.replace(recipe, classify=dataclasses.replace(recipe.classify, scores=scores))
    if how.pace == "quick" and how.consistency:
        consistency = load_recipe(recipe_path(CONSISTENCY_RECIPE)).segment.consistency
        recipe = dataclasses.replace(recipe, segment=dataclasses.replace(recipe.segment, consistency=consistency))
    return recipe


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
                tr("No region has a size to learn from."),
                advice=tr("Say how much of some regions is foreground, or paint them."),
            )
        return [_labelled(tile, theta_0) for tile in sized]
    labelled = [tile for tile in tiles if tile.label is not None]
    if len({tile.label for tile in labelled}) < 2:
        raise ProjectError(
            tr("Learning from labels needs regions or slides of two labels at least."),
            advice=tr("Label some slides (Slides panel) or regions (as you annotate them) of another class."),
        )
    return labelled


def _labelled(tile: TrainingTile, theta_0: LoadedModel) -> TrainingTile:
    """The tile with a label: its own, or the one that theta_0 sees in it."""
    if tile.label is not None:
        return tile
    card = theta_0.card
    seen = look_at(theta_0.network, tile, mean=card.mean, std=card.std, device=theta_0.device, decode=False)
    return dataclasses.replace(tile, label=seen.label)


# --- the candidate ----------------------------------------------------------------------------------------------------

_LEARNED: Mapping[LearnFrom, str] = {
    "masks": "The decoder of {name} retrained on {count} painted regions of the project '{project}'; the classifier is "
    "unchanged.",
    "sizes": "The backbone of {name} retrained on labels and sizes of {count} regions of the project '{project}'.",
    "labels": "The backbone of {name} retrained on {count} labelled tiles of the project '{project}'.",
    "min-max": "The backbone of {name} retrained by min-max entropy on {count} labelled tiles of '{project}'.",
}


def _said(how: HowToLearn, theta_0: LoadedModel, project: Project, *, count: int, others: Others) -> str:
    """What a card says of how its model learned."""
    learn_from = "labels" if how.pace == "self-supervised" else how.learn_from
    said = _LEARNED[learn_from].format(name=theta_0.card.name, count=count, project=project.name)
    if how.pace == "self-supervised":
        said = f"The backbone learned from all tissue of the project first, without labels (SimSiam). {said}"
    if how.pace == "quick":
        said += " It learned quickly, on kept features in turned and flipped views."
    if how.propagation:
        said += f" {len(others.pseudo)} regions near to those in colour taught too, with the model's own masks."
    if others.unlabelled:
        said += (
            f" On {len(others.unlabelled)} regions that nobody annotated it was kept consistent with its own average."
        )
    return said


def _save_candidate(project: Project, taught: Taught, recipe: Recipe, card: Card, number: int) -> int:
    folder = project.new_model_folder(number)
    weights, way_back = taught.model.network.state_dict(), taught.fitted.way_back()
    save_model(folder, card, weights, recipe=recipe_text(recipe), half=True, way_back=way_back)
    current = project.current_model()
    return project.add_model(folder.name, hash=model_hash(folder), parent=current.id, round=number).id


def _with_robustness(card: Card, base: Card, *, changed: bool) -> Card:
    """The card with the figures of the base model's attack while the classifier is the base model's.

    A classifier that has learned is not attacked anew: that would cost time in every round, and the labels that a
    project has are often the model's own. Its card says that nothing is known.
    """
    if _classifier_config(card) == _classifier_config(base) and not changed:
        where = f"when {base.name} was made, whose classifier this is"
        return with_robustness(card, robustness_of(base), measured_on=where)
    unknown = "Its classifier has changed since: how robust its labels are is not known."
    return dataclasses.replace(card, description=f"{card.description.rstrip()}\n\n{unknown}\n")


def _classifier_config(card: Card) -> NetworkConfig:
    """The network less its decoder, which may be a new one: of another stride or kind, it says something else."""
    return dataclasses.replace(card.network, decoder_channels=())
