"""Fit a project's first model to a training set: with augmented tiles, or quickly on kept features."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from histoloop.inference.features import Features, decode, probability
from histoloop.language import tr
from histoloop.localisation.stitcher import hard_mask
from histoloop.networks.build import build_network, with_mask_classes
from histoloop.networks.hybrid import Hybrid
from histoloop.progress import Progress
from histoloop.training.cached import CachedSettings, train_on_features
from histoloop.training.classify import train_classifier
from histoloop.training.features import FeatureTile
from histoloop.training.loop import FitResult
from histoloop.training.pseudo_labels import learn_with_pseudo_labels
from histoloop.training.recipe import Recipe
from histoloop.training.samples import foreground
from histoloop.training.segment import train_decoder
from histoloop.workflows.contents.rounds import HowToLearn, LearnFrom
from histoloop.workflows.prediction.loaded_model import LoadedModel
from histoloop.workflows.prediction.present_classes import PresentClasses
from histoloop.workflows.regions.regions import ProjectRegion, RegionReader
from histoloop.workflows.retraining.training_set import TrainingSet

if TYPE_CHECKING:
    from histoloop.networks.network import SlideNetwork
    from histoloop.networks.unet import Decoder
    from histoloop.progress import Work
    from histoloop.training.samples import TileMask, TrainingTile

QUICK_VIEWS = 4


@dataclass(frozen=True, slots=True, eq=False)
class LearningSetup:
    """What a retraining consists of.

    It goes from `start` (theta_0, or what goes on; `to_go_on_from`) by the `recipe`. `current` is the model that makes
    the pseudo-masks at first (`to_compare_with`), `classes` those of the project when the training set was read. The
    regions are read by `reader`, which keeps the features of the start's frozen classifier; `reader.network` is the
    start's with a decoder to start from, of as many mask classes as are learned. `backbone` has weights to start from
    in place of theta_0's, where the backbone is to learn.
    """

    start: LoadedModel
    current: LoadedModel
    how: HowToLearn
    recipe: Recipe
    reader: RegionReader
    training_set: TrainingSet
    classes: PresentClasses
    seed: int
    backbone: Mapping[str, torch.Tensor] | None = None

    @property
    def mask_classes(self) -> int:
        """How many mask classes the decoder learns to tell apart; 1 is one foreground."""
        return self.reader.network.config.mask_classes

    @property
    def mask_classes_of_project(self) -> int:
        """How many mask classes the project has today: a model's masks are in their values."""
        return len(self.classes.ids)

    def pseudo_masks(self, model: LoadedModel, pixels: Iterable[NDArray[np.uint8]]) -> list[TileMask]:
        """A model's own masks of tiles (H, W, 3), of the kind that is learned from."""
        predict = model.predict_classes if self.mask_classes > 1 else model.predict_mask
        return [predict(tile) for tile in pixels]

    def first_pseudo_masks(self, pixels: Iterable[NDArray[np.uint8]]) -> list[TileMask]:
        """Masks of the current model; none where nobody has trained it."""
        return self.pseudo_masks(self.current, pixels) if self.current.card.trained else []

    @property
    def learn_from(self) -> LearnFrom:
        """What the recipe learns from: labels after a self-supervised start, and masks only then."""
        return "labels" if self.how.pace == "self-supervised" else self.how.learn_from


@dataclass(frozen=True, slots=True, eq=False)
class FittedModel:
    """A model after learning, what its last stage gave, and its masks (H, W) of the pseudo-labelled regions."""

    model: LoadedModel
    result: FitResult
    pseudo_masks: Sequence[NDArray[np.bool_]] = ()


def fit_model(setup: LearningSetup) -> Work[FittedModel]:
    """The start model, fitted to the training set."""
    if setup.how.pace == "quick":
        return (yield from _fit_on_features(setup))
    if setup.learn_from == "masks":
        return (yield from _fit_to_masks(setup))
    return (yield from _fit_backbone(setup))


# --- on augmented tiles -----------------------------------------------------------------------------------------------


def _fit_backbone(setup: LearningSetup) -> Work[FittedModel]:
    """The backbone under a new head, then a decoder on the masks as far as there are any."""
    masked = setup.training_set.masked
    network = _fresh_network(setup, decoder=bool(masked) and setup.learn_from != "min-max")
    model = setup.start.with_network(network)
    unlabelled = [region.tile() for region in setup.training_set.unlabelled.consistent]
    result = yield from train_classifier(
        model,
        training=setup.training_set.tiles,
        validation=(),
        settings=setup.recipe.classify,
        augmentation=setup.recipe.augment,
        seed=setup.seed,
        unlabelled=unlabelled,
    )
    if isinstance(network, Hybrid) and network.decoder is not None:
        result = yield from _train_decoder(setup, model, masked, unlabelled)
    return FittedModel(model, result)


def _fresh_network(setup: LearningSetup, *, decoder: bool) -> SlideNetwork:
    """The start model's backbone under a new head, as the recipe's supervision needs it."""
    own = setup.start.network
    plan = dataclasses.replace(
        setup.recipe,
        mask_fraction=1.0 if decoder else 0.0,
        network=dataclasses.replace(setup.recipe.network, backbone=own.config.backbone),
    )
    config = plan.network_config(own.config.labels)
    if decoder:
        config = dataclasses.replace(config, mask_classes=setup.mask_classes)
    network = build_network(config).to(setup.start.device)
    network.backbone.load_state_dict(setup.backbone or own.backbone.state_dict())
    return network


def _fit_to_masks(setup: LearningSetup) -> Work[FittedModel]:
    """The decoder alone; with pseudo-labelled tiles as `learn_with_pseudo_labels` has it."""
    start = setup.start.with_network(with_mask_classes(setup.start.network, setup.mask_classes))
    unlabelled = setup.training_set.unlabelled
    masked, tiles = setup.training_set.masked, [one.region.tile() for one in unlabelled.pseudo]
    consistent = [region.tile() for region in unlabelled.consistent]

    def fit(masks: Sequence[TileMask]) -> Work[tuple[LoadedModel, FitResult]]:
        pseudo = [dataclasses.replace(tile, mask=mask) for tile, mask in zip(tiles, masks, strict=False)]
        model = start.with_network(copy.deepcopy(start.network))
        return model, (yield from _train_decoder(setup, model, masked, consistent, pseudo))

    def label(fitted: tuple[LoadedModel, FitResult]) -> list[TileMask]:
        return setup.pseudo_masks(fitted[0], [tile.pixels for tile in tiles])

    earlier = setup.first_pseudo_masks([tile.pixels for tile in tiles])
    (model, result), masks = yield from learn_with_pseudo_labels(fit, label, earlier, count=len(tiles))
    return FittedModel(model, result, [foreground(mask) for mask in masks])


def _train_decoder(
    setup: LearningSetup,
    model: LoadedModel,
    masked: Sequence[TrainingTile],
    unlabelled: Sequence[TrainingTile] = (),
    pseudo: Sequence[TrainingTile] = (),
) -> Work[FitResult]:
    model.network.to(memory_format=torch.channels_last)
    result = yield from train_decoder(
        model,
        training=masked,
        validation=setup.training_set.held_out,
        settings=setup.recipe.segment,
        augmentation=setup.recipe.augment,
        seed=setup.seed,
        pseudo=pseudo,
        unlabelled=unlabelled,
    )
    model.network.to(memory_format=torch.contiguous_format)
    return result


# --- on kept features -------------------------------------------------------------------------------------------------


def _fit_on_features(setup: LearningSetup) -> Work[FittedModel]:
    """The decoder on kept features: the backbone runs once per region and view, if at all.

    Turned and flipped views stand in for the augmentation; scales do not vary.
    """
    settings, start, device = quick_settings(setup.recipe), setup.reader.network, setup.start.device
    unlabelled = setup.training_set.unlabelled
    annotated = yield from features_of_views(setup.training_set.painted, settings)
    pseudo = yield from _features([one.region for one in unlabelled.pseudo])
    consistent = yield from _features(unlabelled.consistent)
    assert start.decoder is not None  # by LearningSetup
    first = start.decoder

    def fit(masks: Sequence[TileMask]) -> Work[tuple[Decoder, FitResult]]:
        decoder = copy.deepcopy(first)
        result = yield from train_on_features(
            decoder,
            annotated=annotated,
            pseudo=[FeatureTile(features, mask) for features, mask in zip(pseudo, masks, strict=False)],
            unlabelled=[FeatureTile(features, None) for features in consistent],
            settings=settings,
            device=device,
            seed=setup.seed,
        )
        return decoder, result

    def label(fitted: tuple[Decoder, FitResult]) -> list[TileMask]:
        found = (probability(decode(fitted[0], features, device=device)) for features in pseudo)
        return [hard_mask(one, threshold=setup.start.card.threshold) for one in found]

    earlier = setup.first_pseudo_masks(one.region.pixels() for one in unlabelled.pseudo)
    (decoder, result), masks = yield from learn_with_pseudo_labels(fit, label, earlier, count=len(pseudo))
    network = copy.deepcopy(start)
    network.decoder = decoder.to(memory_format=torch.contiguous_format)
    pseudo_masks = [foreground(mask) for mask in masks]
    return FittedModel(setup.start.with_network(network), _of_network(result), pseudo_masks)


def quick_settings(recipe: Recipe) -> CachedSettings:
    """How a recipe's decoder learns on kept features."""
    segment, augmentation = recipe.segment, recipe.augment
    return CachedSettings(
        loop=segment.loop,
        steps_per_epoch=segment.steps_per_epoch or 6,
        loss=segment.loss,
        views=QUICK_VIEWS,
        stain=augmentation.stain,
        crop_px=augmentation.crop_px or 256,
        consistency=segment.consistency,
    )


def features_of_views(regions: Sequence[ProjectRegion], settings: CachedSettings) -> Work[list[list[FeatureTile]]]:
    """Each region as it is and in turned and flipped views, with its mask; what was read before is kept."""
    found = []
    for number, region in enumerate(regions):
        yield Progress(tr("Reading annotated regions"), number, len(regions))
        found.append(region.views(count=settings.views, stain=settings.stain))
    return found


def _features(regions: Sequence[ProjectRegion]) -> Work[list[Features]]:
    found = []
    for number, region in enumerate(regions):
        yield Progress(tr("Reading other regions"), number, len(regions))
        found.append(region.features())
    return found


def _of_network(result: FitResult) -> FitResult:
    """The result of a decoder, its tensors named as in the whole network."""
    return FitResult(
        {f"decoder.{name}": tensor for name, tensor in result.weights.items()},
        result.figures,
        result.history,
        {f"decoder.{name}": tensor for name, tensor in result.earlier.items()},
    )
