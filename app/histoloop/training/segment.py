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
from histoloop.training.metrics import CountedMasks, judged
from histoloop.training.objectives import label_loss
from histoloop.training.pseudo_labels import weight_of_pseudo
from histoloop.training.ranks import current_ranks
from histoloop.training.samples import Batch, TrainingTile, foreground, in_turns, repeated_order, values_of
from histoloop.training.teacher import ConsistencySettings, Teacher

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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
    consistency = None
    if settings.consistency.weight and unlabelled:
        consistency = _Consistency(model, unlabelled, settings, augmentation, seed=seed)
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
            yield settings.consistency.weight * consistency.loss()

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


class _Consistency:
    """What tiles without masks add to a step: the distance of the student from its teacher (tod eq 7).

    Both see the same varied view of a tile, as in the paper: what sets them apart is time alone. The student is what
    learns: the decoder over a frozen classifier, whose features serve both, else the whole network.
    """

    def __init__(
        self,
        model: Model,
        tiles: Sequence[TrainingTile],
        settings: SegmentSettings,
        augmentation: AugmentSettings,
        *,
        seed: int,
    ) -> None:
        network, decoder = _with_decoder(model)
        self.student = decoder if settings.freeze else network
        self.teacher = Teacher(self.student, decay=settings.consistency.decay)
        self._model, self._frozen = model, network.backbone if settings.freeze else None
        self._tiles, self._count = tiles, settings.consistency.unlabelled_per_step
        self._augmentation, self._seed = augmentation, seed
        self._batches: Iterator[Batch] = iter(())

    def start(self, epoch: int) -> None:
        """Begin to draw the tiles of an epoch."""
        self._batches = self._draw(epoch)

    def _draw(self, epoch: int) -> Iterator[Batch]:
        """Tiles in shuffled order, over and over."""
        rng = np.random.default_rng((epoch_seed(self._seed, epoch), 1))  # not the one that draws the masked tiles
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        stride = self._model.network.stride_px
        ranks = current_ranks()
        while True:
            order = repeated_order(len(self._tiles), len(self._tiles), rng)
            yield from augmented_batches(
                self._tiles,
                order,
                self._augmentation,
                generator,
                batch_size=self._count * ranks.size,
                multiple_px=stride,
                ranks=ranks,
            )

    def loss(self) -> Tensor:
        """Of the next tiles."""
        batch = next(self._batches).to(self._model.device)
        inputs: Tensor | tuple[Tensor, ...] = self._model.colours.normalise(batch.tiles_BCHW)
        if self._frozen:
            with torch.no_grad():
                inputs = self._frozen(inputs)
        student_BLHW, teacher_BLHW = _mask_logits(self.student(inputs)), _mask_logits(self.teacher(inputs))
        return mask_consistency(student_BLHW, teacher_BLHW, valid_BHW=batch.valid_BHW)

    def follow(self, step: int) -> None:
        """Let the teacher follow, after a step of the student."""
        self.teacher.update(self.student, step)


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
