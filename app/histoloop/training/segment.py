"""Train the decoder of a hybrid on masks; its classifier is frozen (label-prop, Algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from histoloop.language import tr
from histoloop.localisation.stitcher import mask_of_classes
from histoloop.losses.consistency import mask_consistency
from histoloop.losses.segmentation import MaskLoss
from histoloop.networks.hybrid import Hybrid
from histoloop.training.augment import AugmentSettings, augmented_batches
from histoloop.training.loop import FitResult, LoopSettings, epoch_seed, fit
from histoloop.training.mask_objective import MaskObjective
from histoloop.training.measures.metrics import CountedMasks, judged
from histoloop.training.objectives import label_loss
from histoloop.training.pseudo_labels import weight_of_pseudo
from histoloop.training.ranks import current_ranks
from histoloop.training.samples import Batch, TrainingTile, foreground, in_turns, repeated_order, values_of
from histoloop.training.steady import Consistency
from histoloop.training.teacher import ConsistencySettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import nn

    from histoloop.inference.model import Model
    from histoloop.networks.network import NetworkOutput
    from histoloop.networks.unet import Decoder
    from histoloop.progress import Work
    from histoloop.training.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """`loss` 'bce' is the paper's (eq 1); 'bce+dice' adds the soft Dice. `steps_per_epoch` 0 takes each tile once.

    `keep` 'last' when the validation tiles are to measure the result and so must not choose it. `freeze` keeps the
    classifier as it is (label-prop); without it the whole network learns from masks, and from labels by their
    cross-entropy with the weight `label_weight`: a U-Net. `consistency` adds what can be learned from tiles without
    masks.
    """

    loop: LoopSettings = field(default_factory=LoopSettings)
    loss: MaskLoss = "bce"
    steps_per_epoch: int = 0
    keep: Literal["best", "last"] = "best"
    freeze: bool = True
    label_weight: float = 0.1
    consistency: ConsistencySettings = field(default_factory=ConsistencySettings)

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
    model: Model,
    *,
    training: Sequence[TrainingTile],
    validation: Sequence[TrainingTile],
    settings: SegmentSettings,
    augmentation: AugmentSettings,
    seed: int,
    pseudo: Sequence[TrainingTile] = (),
    unlabelled: Sequence[TrainingTile] = (),
    checkpoint: Checkpoint | None = None,
) -> Work[FitResult]:
    """Freeze the classifier and train the decoder, or both; the epoch of the best mean Dice on `validation` is kept.

    Without validation tiles, or where the settings ask for it, the last epoch is kept. Tiles need masks (ValueError),
    but for the `unlabelled` ones: where the settings weigh them, each step also pulls the network towards its own
    average on some of them (tod eq 9). What is sampled for those changes nothing for the others. Each step takes as
    many `pseudo` tiles, whose masks are a model's, as training ones, so that these are learned from as often as
    without; they weigh by `weight_of_pseudo`.
    """
    network, decoder = _with_decoder(model)
    _check_masks((*training, *validation, *pseudo))
    if settings.freeze:
        network.freeze_classifier()
    network.to(model.device)
    of_masks = mask_objective(decoder, training, settings.loss)
    consistency = _consistency(model, unlabelled, settings, augmentation, seed=seed)
    ranks = current_ranks()
    stride, size = network.stride_px, settings.loop.batch_size * ranks.size
    weight = weight_of_pseudo(pseudo=len(pseudo), annotated=len(training))
    tiles, kinds = (*training, *(replace(tile, weight=weight) for tile in pseudo)), 2 if pseudo else 1
    steps = settings.steps_per_epoch or -(-len(training) // size)
    length = steps * size if settings.steps_per_epoch else len(training)

    def epoch_batches(epoch: int) -> Iterable[Batch]:
        if consistency:
            consistency.start(epoch)
        rng = np.random.default_rng(epoch_seed(seed, epoch))
        of_training = repeated_order(len(training), length, rng)
        of_pseudo = len(training) + repeated_order(len(pseudo), length, rng)
        generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
        order = in_turns(of_training, of_pseudo, size)
        return augmented_batches(
            tiles, order, augmentation, generator, batch_size=kinds * size, multiple_px=stride, ranks=ranks
        )

    def objective(batch: Batch) -> Iterable[Tensor]:
        tiles_BCHW = model.colours.normalise(batch.tiles_BCHW)
        if settings.freeze:
            with torch.no_grad():
                features = network.backbone(tiles_BCHW)
        else:
            scores_BC, _maps, features = network.classifier(tiles_BCHW)
        weights_B = kinds * batch.weights_B  # losses divide by the batch, eq 1 by annotated tiles
        loss = of_masks(decoder(features), batch.masks_BHW, valid_BHW=batch.known_BHW, weights_B=weights_B)
        if not settings.freeze and bool((batch.labels_B >= 0).any()):
            loss = loss + settings.label_weight * label_loss(scores_BC, batch, network.config.scores)
        yield loss
        if consistency:
            yield consistency.loss()

    return (
        yield from fit(
            network,
            stage=tr("Training the masks"),
            epoch_batches=epoch_batches,
            batches_per_epoch=steps,
            objective=objective,
            validate=lambda: segmentation_figures(model, validation) if validation else {},
            rank_by=("class_dice" if decoder.mask_classes > 1 else "dice") if settings.keep == "best" else None,
            settings=settings.loop,
            device=model.device,
            seed=seed,
            learned=(consistency.teacher,) if consistency else (),
            after_step=consistency.follow if consistency else None,
            checkpoint=checkpoint,
        )
    )


def _with_decoder(model: Model) -> tuple[Hybrid, Decoder]:
    network = model.network
    if not isinstance(network, Hybrid) or network.decoder is None:
        raise ValueError("a network without a decoder cannot learn from masks")
    return network, network.decoder


def _check_masks(tiles: Sequence[TrainingTile]) -> None:
    if unmasked := [tile.name for tile in tiles if tile.mask is None]:
        raise ValueError(f"tiles without masks cannot train a decoder: {', '.join(unmasked[:3])}")


def _consistency(
    model: Model, tiles: Sequence[TrainingTile], settings: SegmentSettings, augmentation: AugmentSettings, *, seed: int
) -> Consistency | None:
    """Of the masks' logits, where it is asked for: of the decoder over a frozen classifier, else of the whole network.

    The features of a frozen classifier serve both student and teacher.
    """
    if not (settings.consistency.weight and tiles):
        return None
    network, decoder = _with_decoder(model)

    def distance(student: nn.Module, teacher: nn.Module, batch: Batch) -> Tensor:
        inputs: Tensor | tuple[Tensor, ...] = model.colours.normalise(batch.tiles_BCHW)
        with torch.no_grad():
            if settings.freeze:
                inputs = network.backbone(inputs)
            teacher_BLHW = _mask_logits(teacher(inputs))
        return mask_consistency(
            _mask_logits(student(inputs)),
            teacher_BLHW,
            valid_BHW=batch.valid_BHW,
            outputs=settings.consistency.outputs,
        )

    return Consistency(
        decoder if settings.freeze else network,
        distance,
        model=model,
        tiles=tiles,
        settings=settings.consistency,
        augmentation=augmentation,
        seed=seed,
    )


def _mask_logits(output: Tensor | NetworkOutput) -> Tensor:
    """The logits (B, L, H, W) of a decoder, or of a network with one."""
    logits_BLHW = output if isinstance(output, Tensor) else output.mask_logits_BLHW
    assert logits_BLHW is not None
    return logits_BLHW.float()


def mask_objective(decoder: Decoder, tiles: Sequence[TrainingTile], kind: MaskLoss) -> MaskObjective:
    """The loss of a decoder that learns from these tiles; people's masks, of weight 1, say how classes weigh."""
    painted = [(tile.mask, tile.known) for tile in tiles if tile.mask is not None and tile.weight == 1]
    return MaskObjective.of(decoder, painted, kind)


def segmentation_figures(model: Model, tiles: Sequence[TrainingTile], *, threshold: float = 0.5) -> dict[str, float]:
    """Mean and pooled Dice of the foreground, by the network's own localisation method, against the tiles' masks.

    Of a decoder of classes, whose tiles have masks of values, also `class_dice`, the mean of the classes' Dice.
    """
    return counted_masks(model, tiles, threshold=threshold).figures()


def counted_masks(model: Model, tiles: Sequence[TrainingTile], *, threshold: float = 0.5) -> CountedMasks:
    """The pixels of those masks, of the tiles that have one; ValueError where none has."""
    masked = ((model.predict_tile(tile.pixels), tile, tile.mask) for tile in tiles if tile.mask is not None)
    if not model.network.config.decodes_classes:
        return CountedMasks.of(
            judged(output.foreground() > threshold, foreground(mask), tile.known) for output, tile, mask in masked
        )
    pairs = (
        judged(mask_of_classes(output.decoded, threshold=threshold), values_of(mask), tile.known)
        for output, tile, mask in masked
        if output.decoded is not None
    )
    return CountedMasks.of(pairs, mask_classes=model.network.config.mask_classes)
