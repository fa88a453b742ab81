"""Train a classifier with class activation maps on image labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from histoloop.training.augment import AugmentSettings, augment
from histoloop.training.loop import FitResult, LoopSettings, fit
from histoloop.training.metrics import accuracy, balanced_accuracy
from histoloop.training.samples import Batch, TrainingTile, balanced_order, batches, collate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from histoloop.networks.hybrid import Hybrid
    from histoloop.progress import Work


@dataclass(frozen=True, slots=True)
class ClassifySettings:
    """`balance` 1 draws label classes as they come, 0 evenly; `label_smoothing` as in Szegedy et al. 2016."""

    loop: LoopSettings = field(default_factory=LoopSettings)
    balance: float = 0.5
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.balance <= 1 or not 0 <= self.label_smoothing < 1:
            raise ValueError("balance must lie in [0, 1] and label_smoothing in [0, 1)")


def train_classifier(
    network: Hybrid,
    *,
    training: Sequence[TrainingTile],
    validation: Sequence[TrainingTile],
    settings: ClassifySettings,
    augmentation: AugmentSettings,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
    seed: int,
) -> Work[FitResult]:
    """Softmax cross-entropy on the labels; the epoch of the best balanced accuracy is kept. Tiles need labels."""
    labels = [_label(tile) for tile in training]
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    stride = network.stride_px

    def epoch_batches(_epoch: int) -> Iterable[Batch]:
        order = balanced_order(labels, rng, power=settings.balance)
        for batch in batches(training, order, batch_size=settings.loop.batch_size, multiple_px=stride):
            yield augment(batch, augmentation, generator, multiple_px=stride)

    def objective(batch: Batch) -> Tensor:
        scores_BC = network.classifier(normalise(batch.tiles_BCHW, mean, std)).scores_BC
        return functional.cross_entropy(scores_BC.float(), batch.labels_B, label_smoothing=settings.label_smoothing)

    def validate() -> Mapping[str, float]:
        if not validation:
            return {}
        scores_NC = classify(network, validation, mean=mean, std=std, device=device)
        return classification_figures(scores_NC, [_label(tile) for tile in validation])

    return (
        yield from fit(
            network.to(device),
            stage="Training the classifier",
            epoch_batches=epoch_batches,
            batches_per_epoch=-(-len(training) // settings.loop.batch_size),
            objective=objective,
            validate=validate,
            rank_by="balanced_accuracy",
            settings=settings.loop,
            device=device,
        )
    )


def _label(tile: TrainingTile) -> int:
    if tile.label is None:
        raise ValueError(f"{tile.name} has no label to train a classifier with")
    return tile.label


def normalise(tiles_BCHW: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(tile - mean) / std per colour plane; tiles in [0, 1]."""
    shape = (1, 3, 1, 1)
    return (tiles_BCHW - tiles_BCHW.new_tensor(mean).view(shape)) / tiles_BCHW.new_tensor(std).view(shape)


def classify(
    network: Hybrid,
    tiles: Sequence[TrainingTile],
    *,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
) -> Tensor:
    """Scores (N, C) of tiles, each alone, in evaluation mode as the network stands."""
    rows = []
    for tile in tiles:
        batch = collate([tile], multiple_px=network.stride_px)
        with torch.inference_mode():
            scores_BC = network.classifier(normalise(batch.tiles_BCHW.to(device), mean, std)).scores_BC
        rows.append(scores_BC.float().cpu())
    return torch.cat(rows)


def classification_figures(scores_NC: Tensor, labels: Sequence[int]) -> dict[str, float]:
    """Accuracy, balanced accuracy (over the classes that occur) and mean cross-entropy."""
    predicted = scores_NC.argmax(dim=1).tolist()
    return {
        "accuracy": accuracy(predicted, labels),
        "balanced_accuracy": balanced_accuracy(predicted, labels),
        "cross_entropy": float(functional.cross_entropy(scores_NC, torch.tensor(labels))),
    }
