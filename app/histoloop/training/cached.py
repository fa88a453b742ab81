"""Train a decoder on kept features of a frozen backbone: label-prop eq 1 without running the backbone again."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from histoloop.inference.features import decode, probability
from histoloop.language import tr
from histoloop.localisation.stitcher import foreground_of, hard_mask
from histoloop.losses.consistency import mask_consistency
from histoloop.losses.segmentation import MaskLoss
from histoloop.training.features import FeatureBatch, FeatureTile, collate_features
from histoloop.training.loop import FitResult, LoopSettings, epoch_seed, fit
from histoloop.training.mask_objective import MaskObjective
from histoloop.training.measures.metrics import class_figures, dice_figures_of, judged
from histoloop.training.measures.thresholds import BestThreshold, ThresholdSearch
from histoloop.training.pseudo_labels import PSEUDO_WEIGHT, weight_of_pseudo
from histoloop.training.samples import foreground, repeated_order, values_of
from histoloop.training.teacher import ConsistencySettings, Teacher

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from histoloop.networks.unet import Decoder
    from histoloop.progress import Work

STEADY = 1.0
"""Lambda of tod eq 9 for masks: of probabilities, whose squared differences are small, the paper's 0.05 pulls with one
or two hundredths of the gradient of the masks' loss, 1 with a fifth to a third (docs/active-learning.md)."""


@dataclass(frozen=True, slots=True)
class CachedSettings:
    """How a decoder learns on kept features.

    An epoch is `steps_per_epoch` batches of annotated tiles (0: as many as hold each once), each with as many
    pseudo-labelled ones, if there are.

    `pseudo_weight` is lambda of eq 1. `views` of each annotated tile are learned from in turn: it, and it turned,
    flipped and with another `stain`. `crop_px` is a multiple of 32. `consistency` is of the tiles nobody annotated.
    """

    loop: LoopSettings = field(default_factory=lambda: LoopSettings(epochs=4, batch_size=4, learning_rate=3e-3))
    steps_per_epoch: int = 20
    loss: MaskLoss = "bce"
    pseudo_weight: float = PSEUDO_WEIGHT
    dropout: float = 0.0
    views: int = 4
    stain: float = 0.06
    crop_px: int = 192
    consistency: ConsistencySettings = field(default_factory=lambda: ConsistencySettings(weight=STEADY))

    def __post_init__(self) -> None:
        if self.steps_per_epoch < 0:
            raise ValueError(f"steps_per_epoch must be at least 0, not {self.steps_per_epoch}")
        if self.pseudo_weight < 0 or not 0 <= self.dropout < 1:
            raise ValueError("pseudo_weight must be at least 0 and dropout in [0, 1)")
        if not 1 <= self.views <= 8:
            raise ValueError(f"views must be 1 to 8, not {self.views}")


def train_on_features(
    decoder: Decoder,
    *,
    annotated: Sequence[Sequence[FeatureTile]],
    pseudo: Sequence[FeatureTile] = (),
    unlabelled: Sequence[FeatureTile] = (),
    validation: Sequence[FeatureTile] = (),
    settings: CachedSettings,
    device: torch.device,
    seed: int,
) -> Work[FitResult]:
    """Train a decoder; the epoch of the best mean Dice on `validation` is kept, without it the last.

    `annotated` has the views of each annotated tile; `pseudo` carries pseudo-masks, all of weight lambda. A step takes
    a batch of each, that of pseudo-labelled ones with the weight of `weight_of_pseudo`. On `unlabelled` tiles the
    decoder is pulled towards its own moving average (tod eq 9).
    """
    _check(annotated, pseudo)
    size = settings.loop.batch_size
    steps = settings.steps_per_epoch or -(-len(annotated) // size)
    weight = weight_of_pseudo(pseudo=len(pseudo), annotated=len(annotated), weight=settings.pseudo_weight)
    decoder.to(device).to(memory_format=torch.channels_last)
    steady = settings.consistency
    teacher = Teacher(decoder, decay=steady.decay, recency=steady.recency) if unlabelled and steady.weight else None
    painted = [(views[0].mask, views[0].known) for views in annotated if views[0].mask is not None]
    of_masks = MaskObjective.of(decoder, painted, settings.loss)
    bare = steady.unlabelled_per_step if teacher else 0

    def epoch_batches(epoch: int) -> Iterable[FeatureBatch]:
        rng = np.random.default_rng(epoch_seed(seed, epoch))
        generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
        of_annotated = repeated_order(len(annotated), steps * size, rng)
        of_pseudo = repeated_order(len(pseudo), steps * size, rng)
        of_unlabelled = repeated_order(len(unlabelled), steps * bare, rng)
        for step in range(steps):
            chosen = slice(step * size, (step + 1) * size)
            tiles = [annotated[index][int(rng.integers(len(annotated[index])))] for index in of_annotated[chosen]]
            tiles += [replace(pseudo[index], weight=weight) for index in of_pseudo[chosen]]
            tiles += [unlabelled[index] for index in of_unlabelled[step * bare : (step + 1) * bare]]
            yield collate_features(tiles, crop_px=settings.crop_px, generator=generator)

    def objective(batch: FeatureBatch) -> Iterable[Tensor]:
        logits_BLHW = decoder(batch.stages, dropout=settings.dropout).float()
        with_masks, without = slice(len(batch) - bare), slice(len(batch) - bare, None)
        masked, unmasked = batch.part(with_masks), batch.part(without)
        weights_B = masked.weights_B * (len(masked) / size)  # losses divide by the batch, eq 1 by annotated tiles
        loss = of_masks(logits_BLHW[with_masks], masked.masks_BHW, valid_BHW=masked.valid_BHW, weights_B=weights_B)
        if teacher:
            averaged_BLHW = teacher(unmasked.stages).float()
            distance = mask_consistency(
                logits_BLHW[without], averaged_BLHW, valid_BHW=unmasked.valid_BHW, outputs=steady.outputs
            )
            loss = loss + steady.weight * distance
        yield loss

    return (
        yield from fit(
            decoder,
            stage=tr("Training the masks"),
            epoch_batches=epoch_batches,
            batches_per_epoch=steps,
            objective=objective,
            validate=lambda: dice_figures(decoder, validation, device=device) if validation else {},
            rank_by="class_dice" if decoder.mask_classes > 1 else "dice",
            settings=settings.loop,
            device=device,
            seed=seed,
            learned=(teacher,) if teacher else (),
            after_step=(lambda step: teacher.update(decoder, step)) if teacher else None,
        )
    )


def _check(annotated: Sequence[Sequence[FeatureTile]], pseudo: Sequence[FeatureTile]) -> None:
    if not annotated:
        raise ValueError("there is no annotated tile to learn from")
    if any(tile.mask is None for tile in (*itertools.chain(*annotated), *pseudo)):
        raise ValueError("tiles without masks cannot train a decoder")


def dice_figures(
    decoder: Decoder, tiles: Sequence[FeatureTile], *, device: torch.device, threshold: float = 0.5
) -> dict[str, float]:
    """Mean and pooled Dice of the foreground on tiles with masks, and of a decoder of classes `class_dice`."""
    masked = [(tile, tile.mask) for tile in tiles if tile.mask is not None]
    found = (
        hard_mask(probability(decode(decoder, tile.features, device=device)), threshold=threshold)
        for tile, _mask in masked
    )
    if decoder.mask_classes == 1:
        return dice_figures_of(
            judged(one, foreground(mask), tile.known) for one, (tile, mask) in zip(found, masked, strict=True)
        )
    pairs = (judged(one, values_of(mask), tile.known) for one, (tile, mask) in zip(found, masked, strict=True))
    return class_figures(pairs, mask_classes=decoder.mask_classes)


def best_threshold(decoder: Decoder, tiles: Sequence[FeatureTile], *, device: torch.device) -> BestThreshold:
    """Where pseudo-masks are cut (label-prop): the threshold of the best mean Dice on tiles with masks."""
    search = ThresholdSearch()
    for tile in tiles:
        if tile.mask is not None:
            found = foreground_of(probability(decode(decoder, tile.features, device=device)))
            search.add(*judged(found, foreground(tile.mask), tile.known))
    return search.best()
