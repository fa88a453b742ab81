"""Train the decoder of a hybrid on masks; its classifier is frozen (label-prop, Algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from histoloop.losses.segmentation import binary_cross_entropy, soft_dice
from histoloop.training.augment import AugmentSettings, augment
from histoloop.training.classify import normalise
from histoloop.training.loop import FitResult, LoopSettings, fit
from histoloop.training.metrics import mean_dice, pooled_dice
from histoloop.training.samples import Batch, TrainingTile, batches, collate, plain_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from histoloop.networks.hybrid import Hybrid
    from histoloop.progress import Work


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """`loss` 'bce' is the paper's (eq 1); 'bce+dice' adds the soft Dice. `steps_per_epoch` 0 sees each tile once.

    `keep` 'last' when the validation tiles are to measure the result and so must not choose it.
    """

    loop: LoopSettings = field(default_factory=LoopSettings)
    loss: Literal["bce", "bce+dice"] = "bce"
    steps_per_epoch: int = 0
    keep: Literal["best", "last"] = "best"

    def __post_init__(self) -> None:
        if self.loss not in ("bce", "bce+dice"):
            raise ValueError(f"loss must be 'bce' or 'bce+dice', not {self.loss!r}")
        if self.keep not in ("best", "last"):
            raise ValueError(f"keep must be 'best' or 'last', not {self.keep!r}")
        if self.steps_per_epoch < 0:
            raise ValueError(f"steps_per_epoch must be 0 or more, not {self.steps_per_epoch}")


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
) -> Work[FitResult]:
    """Freeze the classifier and train the decoder; the epoch of the best mean Dice on `validation` is kept.

    Without validation tiles, or where the settings say so, the last epoch is kept. Tiles need masks (ValueError).
    """
    if unmasked := [tile.name for tile in (*training, *validation) if tile.mask is None]:
        raise ValueError(f"tiles without masks cannot train a decoder: {', '.join(unmasked[:3])}")
    network.freeze_classifier()
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    stride, size = network.stride_px, settings.loop.batch_size
    steps = settings.steps_per_epoch or -(-len(training) // size)

    def epoch_batches(_epoch: int) -> Iterable[Batch]:
        if settings.steps_per_epoch:
            order = np.concatenate([plain_order(len(training), rng) for _ in range(-(-steps * size // len(training)))])
        else:
            order = plain_order(len(training), rng)
        for batch in batches(training, order[: steps * size], batch_size=size, multiple_px=stride):
            yield augment(batch, augmentation, generator, multiple_px=stride)

    def objective(batch: Batch) -> Tensor:
        with torch.no_grad():
            features = network.classifier.backbone(normalise(batch.tiles_BCHW, mean, std))
        logits_BHW = network.decoder(features).squeeze(1).float()
        loss = binary_cross_entropy(logits_BHW, batch.masks_BHW, valid_BHW=batch.valid_BHW, weights_B=batch.weights_B)
        if settings.loss == "bce+dice":
            loss = loss + soft_dice(logits_BHW, batch.masks_BHW, valid_BHW=batch.valid_BHW, weights_B=batch.weights_B)
        return loss

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
        )
    )


def predict_foreground(
    network: Hybrid, tile: TrainingTile, *, mean: Sequence[float], std: Sequence[float], device: torch.device
) -> NDArray[np.float32]:
    """Foreground probability (H, W) of one tile, in evaluation mode as the network stands."""
    batch = collate([tile], multiple_px=network.stride_px)
    with torch.inference_mode():
        logits = network(normalise(batch.tiles_BCHW.to(device), mean, std)).foreground_B1HW
    height, width = tile.pixels.shape[:2]
    probability: NDArray[np.float32] = logits[0, 0, :height, :width].float().sigmoid().cpu().numpy()
    return probability


def segmentation_figures(
    network: Hybrid,
    tiles: Sequence[TrainingTile],
    *,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
    threshold: float = 0.5,
) -> dict[str, float]:
    """Mean and pooled Dice of the foreground against the tiles' masks, at a threshold."""
    pairs = [
        (predict_foreground(network, tile, mean=mean, std=std, device=device) > threshold, tile.mask)
        for tile in tiles
        if tile.mask is not None
    ]
    return {"dice": mean_dice(pairs), "pooled_dice": pooled_dice(pairs)}
