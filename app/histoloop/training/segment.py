"""Train the decoder of a hybrid on masks; its classifier is frozen (label-prop, Algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from histoloop.losses.segmentation import binary_cross_entropy, soft_dice
from histoloop.training.augment import AugmentSettings, augment
from histoloop.training.loop import FitResult, LoopSettings, epoch_seed, fit
from histoloop.training.metrics import mean_dice, pooled_dice
from histoloop.training.objectives import label_loss
from histoloop.training.outputs import look_at, normalise
from histoloop.training.samples import Batch, TrainingTile, batches, plain_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from histoloop.networks.hybrid import Hybrid
    from histoloop.networks.network import SlideNetwork
    from histoloop.progress import Work
    from histoloop.training.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """`loss` 'bce' is the paper's (eq 1); 'bce+dice' adds the soft Dice. `steps_per_epoch` 0 sees each tile once.

    `keep` 'last' when the validation tiles are to measure the result and so must not choose it. `freeze` keeps the
    classifier as it is (label-prop); without it the whole network learns from masks, and from labels by their
    cross-entropy with the weight `label_weight`: a U-Net.
    """

    loop: LoopSettings = field(default_factory=LoopSettings)
    loss: Literal["bce", "bce+dice"] = "bce"
    steps_per_epoch: int = 0
    keep: Literal["best", "last"] = "best"
    freeze: bool = True
    label_weight: float = 0.1

    def __post_init__(self) -> None:
        if self.loss not in ("bce", "bce+dice"):
            raise ValueError(f"loss must be 'bce' or 'bce+dice', not {self.loss!r}")
        if self.keep not in ("best", "last"):
            raise ValueError(f"keep must be 'best' or 'last', not {self.keep!r}")
        if self.steps_per_epoch < 0:
            raise ValueError(f"steps_per_epoch must be 0 or more, not {self.steps_per_epoch}")
        if self.label_weight < 0:
            raise ValueError(f"label_weight must be 0 or more, not {self.label_weight}")


def train_decoder(
    network: Hybrid,
    *,
    training: Sequence[TrainingTile],
    validation: Sequence[TrainingTile],
    settings: SegmentSettings,
    augmentation: AugmentSettings,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
    seed: int,
    checkpoint: Checkpoint | None = None,
) -> Work[FitResult]:
    """Freeze the classifier and train the decoder, or both; the epoch of the best mean Dice on `validation` is kept.

    Without validation tiles, or where the settings say so, the last epoch is kept. Tiles need masks (ValueError).
    """
    if unmasked := [tile.name for tile in (*training, *validation) if tile.mask is None]:
        raise ValueError(f"tiles without masks cannot train a decoder: {', '.join(unmasked[:3])}")
    decoder = network.decoder
    if decoder is None:
        raise ValueError("a network without a decoder cannot learn from masks")
    if settings.freeze:
        network.freeze_classifier()
    stride, size = network.stride_px, settings.loop.batch_size
    steps = settings.steps_per_epoch or -(-len(training) // size)

    def epoch_batches(epoch: int) -> Iterable[Batch]:
        generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
        rng = np.random.default_rng(epoch_seed(seed, epoch))
        if settings.steps_per_epoch:
            order = np.concatenate([plain_order(len(training), rng) for _ in range(-(-steps * size // len(training)))])
        else:
            order = plain_order(len(training), rng)
        for batch in batches(training, order[: steps * size], batch_size=size, multiple_px=stride):
            yield augment(batch, augmentation, generator, multiple_px=stride)

    def objective(batch: Batch) -> Iterable[Tensor]:
        tiles_BCHW = normalise(batch.tiles_BCHW, mean, std)
        if settings.freeze:
            with torch.no_grad():
                features = network.classifier.backbone(tiles_BCHW)
        else:
            scores_BC, _maps, features = network.classifier(tiles_BCHW)
        logits_BHW = decoder(features).squeeze(1).float()
        loss = binary_cross_entropy(logits_BHW, batch.masks_BHW, valid_BHW=batch.valid_BHW, weights_B=batch.weights_B)
        if settings.loss == "bce+dice":
            loss = loss + soft_dice(logits_BHW, batch.masks_BHW, valid_BHW=batch.valid_BHW, weights_B=batch.weights_B)
        if not settings.freeze and bool((batch.labels_B >= 0).any()):
            loss = loss + settings.label_weight * label_loss(scores_BC, batch, network.config.scores)
        yield loss

    def validate() -> Mapping[str, float]:
        return segmentation_figures(network, validation, mean=mean, std=std, device=device) if validation else {}

    return (
        yield from fit(
            network.to(device),
            stage="Training the masks",
            epoch_batches=epoch_batches,
            batches_per_epoch=steps,
            objective=objective,
            validate=validate,
            rank_by="dice" if settings.keep == "best" else None,
            settings=settings.loop,
            device=device,
            seed=seed,
            checkpoint=checkpoint,
        )
    )


def segmentation_figures(
    network: SlideNetwork,
    tiles: Sequence[TrainingTile],
    *,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
    threshold: float = 0.5,
) -> dict[str, float]:
    """Mean and pooled Dice of the foreground, by the network's own drawing, against the tiles' masks."""
    pairs = [
        (look_at(network, tile, mean=mean, std=std, device=device).foreground() > threshold, tile.mask)
        for tile in tiles
        if tile.mask is not None
    ]
    return {"dice": mean_dice(pairs), "pooled_dice": pooled_dice(pairs)}
