"""Train a classifier with class activation maps on image labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch.nn import functional

from histoloop.errors import ModelError, RecipeError
from histoloop.language import tr
from histoloop.losses.consistency import consistency
from histoloop.training.augment import AugmentSettings, augmented_batches
from histoloop.training.loop import FitResult, LoopSettings, epoch_seed, fit
from histoloop.training.measures.figures import multi_label_figures
from histoloop.training.measures.metrics import accuracy, balanced_accuracy
from histoloop.training.objectives import Objective, ObjectiveSettings, check_labels, with_fixed_noise
from histoloop.training.ranks import current_ranks
from histoloop.training.samples import (
    Batch,
    TrainingTile,
    balanced_order,
    have_several_labels,
    multi_hot,
)
from histoloop.training.steady import Consistency
from histoloop.training.teacher import ConsistencySettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor, nn

    from histoloop.inference.model import Model
    from histoloop.progress import Work
    from histoloop.training.checkpoint import Checkpoint


MEAN_PRECISION = "mean_average_precision"
CHECKED_TILES = 4
"""So many training tiles are predicted once a training has ended, to see that it gives numbers."""


@dataclass(frozen=True, slots=True)
class ClassifySettings(ObjectiveSettings):
    """The objective, and how long it is followed; `balance` 1 draws label classes as they come, 0 evenly.

    `steps_per_epoch` 0 takes as many tiles as there are; with few tiles, more steps make epochs worth their while.

    `keep` 'best' keeps the epoch of the best balanced accuracy. With labels that are soon learned and masks that are
    not, 'last' is the better choice: the accuracy does not measure the masks.

    `temperature_scaling` fits a temperature to the validation tiles once the classifier has learned (Guo et al. 2017),
    which the model keeps: its probabilities then mean what they say as nearly as one number can make them.

    `consistency` adds what can be learned from tiles without labels, of the scores (tod eq 7); not for 'min-max', whose
    classifier sees no whole tile.
    """

    loop: LoopSettings = field(default_factory=LoopSettings)
    balance: float = 0.5
    steps_per_epoch: int = 0
    keep: Literal["best", "last"] = "best"
    temperature_scaling: bool = False
    consistency: ConsistencySettings = field(default_factory=ConsistencySettings)

    def __post_init__(self) -> None:
        ObjectiveSettings.__post_init__(self)
        if not 0 <= self.balance <= 1:
            raise ValueError(f"balance must lie in [0, 1], not {self.balance}")
        if self.steps_per_epoch < 0:
            raise ValueError(f"steps_per_epoch must be 0 or more, not {self.steps_per_epoch}")
        if self.temperature_scaling and self.supervision in ("min-max", "none"):
            raise ValueError(
                "temperature_scaling is of a classifier with one score a label, which supervision "
                f"{self.supervision!r} has not: leave it out"
            )
        if self.consistency.weight and self.supervision in ("min-max", "none"):
            raise ValueError(
                f"consistency is of a classifier that learns from labels or sizes, not by {self.supervision!r}"
            )


def train_classifier(
    model: Model,
    *,
    training: Sequence[TrainingTile],
    validation: Sequence[TrainingTile],
    settings: ClassifySettings,
    augmentation: AugmentSettings,
    seed: int,
    unlabelled: Sequence[TrainingTile] = (),
    checkpoint: Checkpoint | None = None,
) -> Work[FitResult]:
    """Train by the objective of the settings; the epoch of the best balanced accuracy, or the last, is kept.

    Tiles need labels, but for the `unlabelled` ones: where the settings weigh them, each step also pulls the scores of
    some towards those of the network's own average (tod eq 9). Where tiles have several labels, the mean average
    precision stands for the accuracy; DataError when the objective is of one label each, RecipeError when the loss
    stops being a number, or the network that has learned predicts none: in evaluation mode batch norms go by the
    statistics of the training, which are of its last steps.
    """
    check_labels(settings, (*training, *validation))
    several = have_several_labels((*training, *validation))
    if settings.supervision == "sizes":
        training = with_fixed_noise(training, settings.sizes, seed=seed)
    labels = [_labels(tile) for tile in training]
    ranks = current_ranks()
    stride, size = model.network.stride_px, settings.loop.batch_size * ranks.size
    steps = settings.steps_per_epoch or -(-len(training) // size)
    length = steps * size if settings.steps_per_epoch else len(training)

    def epoch_batches(epoch: int) -> Iterable[Batch]:
        if steady:
            steady.start(epoch)
        rng = np.random.default_rng(epoch_seed(seed, epoch))
        orders = [balanced_order(labels, rng, power=settings.balance) for _ in range(-(-length // len(labels)))]
        order, generator = np.concatenate(orders)[:length], torch.Generator().manual_seed(epoch_seed(seed, epoch))
        return augmented_batches(
            training, order, augmentation, generator, batch_size=size, multiple_px=stride, ranks=ranks
        )

    model.network.to(model.device)
    objective = Objective(model, settings)
    for module in objective.learned:
        module.to(model.device)
    steady = _consistency(model, unlabelled, settings.consistency, augmentation, seed=seed)

    def parts(batch: Batch) -> Iterable[Tensor]:
        yield from objective(batch)
        if steady:
            yield steady.loss()

    result = yield from fit(
        model.network,
        stage=tr("Training the classifier"),
        epoch_batches=epoch_batches,
        batches_per_epoch=steps,
        objective=parts,
        validate=lambda: _figures(model, validation, several=several),
        rank_by=None if settings.keep == "last" else MEAN_PRECISION if several else "balanced_accuracy",
        settings=settings.loop,
        device=model.device,
        seed=seed,
        learned=(*objective.learned, steady.teacher) if steady else objective.learned,
        after_step=steady.follow if steady else None,
        checkpoint=checkpoint,
    )
    _check_numbers(model, training[:CHECKED_TILES])
    return result


def _consistency(
    model: Model,
    tiles: Sequence[TrainingTile],
    settings: ConsistencySettings,
    augmentation: AugmentSettings,
    *,
    seed: int,
) -> Consistency | None:
    """Of the scores, where it is asked for."""
    if not (settings.weight and tiles):
        return None

    def scores_of(network: nn.Module, tiles_BCHW: Tensor) -> Tensor:
        assert isinstance(network, type(model.network))  # the student is it, the teacher its copy
        scores_BC: Tensor = network.forward_classifier(tiles_BCHW)[0].float()
        if settings.outputs == "logit":
            return scores_BC
        return scores_BC.sigmoid() if network.config.scores == "sigmoid" else scores_BC.softmax(dim=1)

    def distance(student: nn.Module, teacher: nn.Module, batch: Batch) -> Tensor:
        tiles_BCHW = model.colours.normalise(batch.tiles_BCHW)
        with torch.no_grad():
            teacher_BC = scores_of(teacher, tiles_BCHW)
        return consistency(scores_of(student, tiles_BCHW), teacher_BC)

    return Consistency(
        model.network, distance, model=model, tiles=tiles, settings=settings, augmentation=augmentation, seed=seed
    )


def _labels(tile: TrainingTile) -> tuple[int, ...]:
    if not tile.labels:
        raise ValueError(f"{tile.name} has no label to train a classifier with")
    return tile.labels


def _figures(model: Model, tiles: Sequence[TrainingTile], *, several: bool) -> dict[str, float]:
    """Of tiles with labels; none without tiles, nor of an epoch that predicts values which are no numbers.

    In the first epochs from random weights the statistics of batch norms may be so far off.
    """
    if not tiles:
        return {}
    labels = [_labels(tile) for tile in tiles]
    try:
        scores_NC = classify(model, tiles)
    except ModelError:
        return {}
    if several:
        return several_labels_figures(scores_NC, labels)
    return classification_figures(scores_NC, [own[0] for own in labels])


def _check_numbers(model: Model, tiles: Sequence[TrainingTile]) -> None:
    """RecipeError where what was learned predicts values of tiles that are no numbers."""
    try:
        classify(model, tiles)
    except ModelError as error:
        raise RecipeError(
            tr("{stage}: the trained model predicts values that are not numbers.", stage=tr("Training the classifier")),
            advice=tr(
                "Lower learning_rate in the recipe, train longer, or start from trained weights; nothing was "
                "saved or changed."
            ),
        ) from error


def classify(model: Model, tiles: Sequence[TrainingTile]) -> Tensor:
    """Scores (N, C) of tiles, each alone, in evaluation mode as the network stands."""
    return torch.from_numpy(np.stack([model.predict_tile(tile.pixels, decode=False).scores for tile in tiles]))


def classification_figures(scores_NC: Tensor, labels: Sequence[int]) -> dict[str, float]:
    """Accuracy, balanced accuracy (over the classes that occur) and mean cross-entropy."""
    predicted = scores_NC.argmax(dim=1).tolist()
    return {
        "accuracy": accuracy(predicted, labels),
        "balanced_accuracy": balanced_accuracy(predicted, labels),
        "cross_entropy": float(functional.cross_entropy(scores_NC, torch.tensor(labels))),
    }


def several_labels_figures(scores_NC: Tensor, labels: Sequence[Sequence[int]]) -> dict[str, float]:
    """Mean average precision, and error and binary cross-entropy meant over the labels, of which tiles have several."""
    truth_NC = multi_hot(labels, scores_NC.shape[1])
    found = multi_label_figures(scores_NC.numpy(), truth_NC)
    loss = functional.binary_cross_entropy_with_logits(scores_NC, torch.from_numpy(truth_NC).to(scores_NC.dtype))
    precision = found.average_precision.mean
    assert precision is not None  # every tile has a label
    return {MEAN_PRECISION: precision, "label_error": found.error, "binary_cross_entropy": float(loss)}
