"""Let a project's first model learn from what people said: with augmented tiles, or quickly on kept features."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from histoloop.language import tr
from histoloop.networks.build import build_network, with_decoder
from histoloop.networks.hybrid import Hybrid
from histoloop.progress import Progress
from histoloop.training.cached import CachedSettings, train_on_features
from histoloop.training.classify import train_classifier
from histoloop.training.features import Features, FeatureTile, decode, probability, spread_views, view_of
from histoloop.training.loop import FitResult
from histoloop.training.outputs import look_at
from histoloop.training.recipe import Recipe
from histoloop.training.samples import TrainingTile
from histoloop.training.segment import segmentation_figures, train_decoder
from histoloop.workflows.contents.rounds import LearnFrom
from histoloop.workflows.prediction.loaded_model import LoadedModel
from histoloop.workflows.regions.regions import ProjectRegion, RegionReader

if TYPE_CHECKING:
    from histoloop.networks.network import SlideNetwork
    from histoloop.progress import Work

PSEUDO_WEIGHT = 0.1
"""Lambda of label-prop eq 1."""

MOST_STEPS = 3
"""Tiles with pseudo-masks lengthen an epoch in proportion to their number, but at most so many times."""

PASSES = 2
"""With pseudo-masks a round learns twice, so that they are those of its own decoder (label-prop 4.1)."""

QUICK_VIEWS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What a retraining starts from and goes by.

    `current` is the model that masks the `pseudo` tiles at first; `unlabelled` ones never get masks. `backbone` has
    weights to start from in place of theta_0's, where the backbone is to learn.
    """

    theta_0: LoadedModel
    current: LoadedModel
    recipe: Recipe
    learn_from: LearnFrom
    training: Sequence[TrainingTile]
    held_out: Sequence[TrainingTile]
    pseudo: Sequence[TrainingTile]
    unlabelled: Sequence[TrainingTile]
    device: torch.device
    seed: int
    backbone: Mapping[str, torch.Tensor] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class QuickLesson:
    """The same by regions, of which `reader` keeps what the frozen classifier of theta_0 sees.

    `reader.network` is theta_0's with a decoder to start from.
    """

    theta_0: LoadedModel
    current: LoadedModel
    recipe: Recipe
    reader: RegionReader
    annotated: Sequence[ProjectRegion]
    pseudo: Sequence[ProjectRegion]
    unlabelled: Sequence[ProjectRegion]
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """A model that learned, what its last stage gave, and its masks (H, W) of the pseudo-labelled tiles."""

    model: LoadedModel
    fitted: FitResult
    pseudo_masks: Sequence[NDArray[np.bool_]] = ()


def teach(lesson: Lesson) -> Work[Taught]:
    """theta_0 after learning, with augmented tiles."""
    masked = [tile for tile in lesson.training if tile.mask is not None]
    if lesson.learn_from == "masks":
        return (yield from _teach_masks(lesson, masked))
    network = _fresh(lesson, decoder=bool(masked) and lesson.learn_from != "min-max")
    card = lesson.theta_0.card
    fitted = yield from train_classifier(
        network,
        training=lesson.training,
        validation=(),
        settings=lesson.recipe.classify,
        augmentation=lesson.recipe.augment,
        mean=card.mean,
        std=card.std,
        device=lesson.device,
        seed=lesson.seed,
    )
    if isinstance(network, Hybrid) and network.decoder is not None:
        return (yield from _teach_decoder(lesson, network, masked))
    return Taught(_model(lesson.theta_0, network), fitted)


def _teach_masks(lesson: Lesson, masked: Sequence[TrainingTile]) -> Work[Taught]:
    """The decoder alone; with pseudo-labelled tiles twice from theta_0 on, masked anew in between (Algorithm 1)."""
    theta_0 = with_decoder(lesson.theta_0.network)
    if not lesson.pseudo:
        return (yield from _teach_decoder(lesson, theta_0, masked))
    masks = _masks_of(lesson.current, lesson.pseudo)
    longer = min(MOST_STEPS, (len(masked) + len(lesson.pseudo)) / len(masked))
    segment = lesson.recipe.segment
    segment = dataclasses.replace(segment, steps_per_epoch=round(longer * (segment.steps_per_epoch or len(masked))))
    recipe = dataclasses.replace(lesson.recipe, segment=segment)
    lengthened = dataclasses.replace(lesson, recipe=recipe)
    for _pass in range(PASSES):
        tiles = [
            dataclasses.replace(tile, mask=mask, weight=PSEUDO_WEIGHT)
            for tile, mask in zip(lesson.pseudo, masks, strict=True)
        ]
        taught = yield from _teach_decoder(lengthened, copy.deepcopy(theta_0), [*masked, *tiles])
        masks = _masks_of(taught.model, lesson.pseudo)
    return dataclasses.replace(taught, pseudo_masks=masks)


def _masks_of(model: LoadedModel, tiles: Sequence[TrainingTile]) -> list[NDArray[np.bool_]]:
    """Hard masks by a model, at the threshold of its card."""
    card = model.card
    return [
        look_at(model.network, tile, mean=card.mean, std=card.std, device=model.device).foreground() > card.threshold
        for tile in tiles
    ]


def teach_quickly(lesson: QuickLesson) -> Work[Taught]:
    """theta_0 with a decoder that learned on kept features: the backbone runs once per region and view, if at all.

    Turned and flipped views stand in for the augmentation; scales do not vary.
    """
    settings, theta_0 = _quick_settings(lesson.recipe), lesson.reader.network
    reader, device = lesson.reader, lesson.theta_0.device
    annotated = []
    for number, region in enumerate(lesson.annotated):
        yield Progress(tr("Looking at annotated regions"), number, len(lesson.annotated))
        annotated.append(_views(reader, region, settings))
    pseudo = yield from _seen(lesson.pseudo)
    unlabelled = yield from _seen(lesson.unlabelled)
    masks = _masks_of(lesson.current, [reader.tile(region) for region in lesson.pseudo])
    assert theta_0.decoder is not None  # by the caller
    for _pass in range(PASSES if pseudo else 1):
        decoder = copy.deepcopy(theta_0.decoder)
        fitted = yield from train_on_features(
            decoder,
            annotated=annotated,
            pseudo=[FeatureTile(features, mask) for features, mask in zip(pseudo, masks, strict=True)],
            unlabelled=[FeatureTile(features, None) for features in unlabelled],
            settings=settings,
            device=device,
            seed=lesson.seed,
        )
        threshold = lesson.theta_0.card.threshold
        masks = [probability(decode(decoder, features, device=device)) > threshold for features in pseudo]
    network = copy.deepcopy(theta_0)
    network.decoder = decoder.to(memory_format=torch.contiguous_format)
    return Taught(_model(lesson.theta_0, network), _of_network(fitted), masks)


def _quick_settings(recipe: Recipe) -> CachedSettings:
    segment, augmentation = recipe.segment, recipe.augment
    return CachedSettings(
        loop=segment.loop,
        steps_per_epoch=segment.steps_per_epoch or 6,
        loss=segment.loss,
        pseudo_weight=PSEUDO_WEIGHT,
        views=QUICK_VIEWS,
        stain=augmentation.stain,
        crop_px=augmentation.crop_px or 256,
        consistency=segment.consistency,
    )


def _views(reader: RegionReader, region: ProjectRegion, settings: CachedSettings) -> list[FeatureTile]:
    tile = reader.tile(region)
    return [
        FeatureTile(reader.features(region, view=view, stain=settings.stain), view_of(tile, view, stain=0, seed=0).mask)
        for view in spread_views(settings.views)
    ]


def _seen(regions: Sequence[ProjectRegion]) -> Work[list[Features]]:
    found = []
    for number, region in enumerate(regions):
        yield Progress(tr("Looking at other regions"), number, len(regions))
        found.append(region.features())
    return found


def _of_network(fitted: FitResult) -> FitResult:
    """The result of a decoder, its tensors named as in the whole network."""
    return FitResult(
        {f"decoder.{name}": tensor for name, tensor in fitted.weights.items()},
        fitted.figures,
        fitted.history,
        {f"decoder.{name}": tensor for name, tensor in fitted.earlier.items()},
    )


def _fresh(lesson: Lesson, *, decoder: bool) -> SlideNetwork:
    """theta_0's backbone under a new head, as the recipe's supervision needs it."""
    own = lesson.theta_0.network
    plan = dataclasses.replace(
        lesson.recipe,
        mask_fraction=1.0 if decoder else 0.0,
        network=dataclasses.replace(lesson.recipe.network, backbone=own.config.backbone),
    )
    network = build_network(plan.network_config(own.config.labels)).to(lesson.device)
    network.backbone.load_state_dict(lesson.backbone or own.backbone.state_dict())
    return network


def _teach_decoder(lesson: Lesson, network: Hybrid, masked: Sequence[TrainingTile]) -> Work[Taught]:
    card = lesson.theta_0.card
    fitted = yield from train_decoder(
        network.to(lesson.device),
        training=masked,
        validation=lesson.held_out,
        settings=lesson.recipe.segment,
        augmentation=lesson.recipe.augment,
        mean=card.mean,
        std=card.std,
        device=lesson.device,
        seed=lesson.seed,
        unlabelled=lesson.unlabelled,
    )
    return Taught(_model(lesson.theta_0, network), fitted)


def _model(theta_0: LoadedModel, network: SlideNetwork) -> LoadedModel:
    card = dataclasses.replace(theta_0.card, network=network.config)
    return dataclasses.replace(theta_0, network=network.eval(), card=card)


def dice_of(model: LoadedModel, tiles: Sequence[TrainingTile]) -> float | None:
    """Mean Dice on tiles with masks; None without tiles."""
    if not tiles:
        return None
    card = model.card
    return segmentation_figures(
        model.network, tiles, mean=card.mean, std=card.std, device=model.device, threshold=card.threshold
    )["dice"]
