"""Retrain a project's model on its annotations (label-prop, Algorithm 1)."""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from histoloop.progress import Progress, Work
from histoloop.store.cards import model_hash
from histoloop.store.models import save_model
from histoloop.training.recipe import Recipe, load_recipe, recipe_path
from histoloop.training.samples import TrainingTile
from histoloop.training.segment import segmentation_figures, train_decoder
from histoloop.workflows.models import LoadedModel, choose_device, load_model
from histoloop.workflows.predict import predict_project, working_downsample
from histoloop.workflows.projects import open_project_slide
from histoloop.workflows.rounds import Candidate, candidate_of, nothing_to_learn_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.annotations.records import Mask
    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord

RECIPE = "retrain"


def retrain(project: Project, *, device: str = "auto", seed: int = 0, epochs: int | None = None) -> Work[Candidate]:
    """Train the decoder on all masks that are not held out, always from the project's first model (theta_0).

    Annotations with a label or a size alone do not train the decoder.

    The last epoch is kept, not the one that is best on the held-out annotations: those only measure. Afterwards the
    candidate predicts the slides that have maps. ProjectError when no mask is there to learn from.
    """
    started = time.monotonic()
    place = choose_device(device)
    recipe = _with_epochs(load_recipe(recipe_path(RECIPE)), epochs)
    current = project.current_model()
    theta_0 = load_model(project.base_model().folder, place)
    training, held_out = yield from _annotated_tiles(project, theta_0)
    if not training:
        raise nothing_to_learn_from(project)
    old = load_model(current.folder, place)
    old_dice = _dice(old, held_out)
    torch.manual_seed(seed)
    fitted = yield from train_decoder(
        theta_0.network,
        training=training,
        validation=held_out,
        settings=recipe.segment,
        augmentation=recipe.augment,
        mean=theta_0.card.mean,
        std=theta_0.card.std,
        device=place,
        seed=seed,
    )
    new_dice = _dice(theta_0, held_out)
    figures = {"loss": float(fitted.figures["loss"]), "held_out": float(len(held_out))}
    if old_dice is not None and new_dice is not None:
        figures |= {"dice_before": old_dice, "dice": new_dice}
    number = len(project.rounds()) + 1
    model_id = _save_candidate(project, theta_0, old, number, figures, len(training))
    mapped = [slide.id for slide in project.slides() if project.map_folder(slide.id) is not None]
    yield from predict_project(project, slide_ids=mapped, device=device, model_id=model_id)
    figures |= {"seconds": round(time.monotonic() - started, 1)}
    return candidate_of(project.add_round(model_id, current.id, figures, len(training)))


def _with_epochs(recipe: Recipe, epochs: int | None) -> Recipe:
    if epochs is None:
        return recipe
    loop = dataclasses.replace(recipe.segment.loop, epochs=epochs)
    return dataclasses.replace(recipe, segment=dataclasses.replace(recipe.segment, loop=loop))


def _annotated_tiles(project: Project, model: LoadedModel) -> Work[tuple[list[TrainingTile], list[TrainingTile]]]:
    """Tiles to train on and tiles held out, at the model's resolution."""
    training: list[TrainingTile] = []
    held_out: list[TrainingTile] = []
    records = project.training_annotations()
    for number, record in enumerate(records):
        yield Progress("Reading annotations", number, len(records))
        (held_out if record.held_out else training).append(_tile(project, record, model))
    return training, held_out


def _tile(project: Project, record: AnnotationRecord, model: LoadedModel) -> TrainingTile:
    slide_record = project.slide(record.slide_id)
    downsample = working_downsample(slide_record.mpp, model.card.mpp)
    region = record.region
    with open_project_slide(slide_record) as slide:
        pixels = slide.read_scaled(
            round(region.x / downsample),
            round(region.y / downsample),
            max(1, round(region.width / downsample)),
            max(1, round(region.height / downsample)),
            downsample=downsample,
        )
    mask, _origin = project.load_mask(record.id)
    foreground = shrink_foreground(mask, height=pixels.shape[0], width=pixels.shape[1])
    return TrainingTile(pixels, None, foreground, f"{slide_record.name}, annotation {record.id}", slide_record.name)


def shrink_foreground(mask: Mask, *, height: int, width: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Foreground of a mask at another resolution: a pixel counts when more than half of it is foreground."""
    share = Image.fromarray((mask > 0).astype(np.float32)).resize((width, height), Image.Resampling.BOX)
    return np.asarray(share) > 0.5


def _dice(model: LoadedModel, tiles: Sequence[TrainingTile]) -> float | None:
    if not tiles:
        return None
    card = model.card
    return segmentation_figures(
        model.network, tiles, mean=card.mean, std=card.std, device=model.device, threshold=card.threshold
    )["dice"]


def _save_candidate(
    project: Project, trained: LoadedModel, parent: LoadedModel, number: int, figures: dict[str, float], tiles: int
) -> int:
    folder = project.new_model_folder(number)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    card = dataclasses.replace(
        trained.card,
        name=folder.name,
        title=f"{project.name}, round {number}",
        description=(
            f"The decoder of {trained.card.name} retrained on {tiles} annotated regions of the project "
            f"'{project.name}'; the classifier is unchanged. Research use only: not a diagnostic device.\n\n"
            f"{trained.card.attribution}"
        ),
        training={"recipe": RECIPE, "regions": float(tiles), "round": float(number)},
        figures=figures,
        parent=parent.hash,
        created=now,
    )
    recipe = recipe_path(RECIPE).read_text(encoding="utf-8")
    save_model(folder, card, trained.network.state_dict(), recipe=recipe, half=True)
    current = project.current_model()
    return project.add_model(folder.name, hash=model_hash(folder), parent=current.id, round=number).id
