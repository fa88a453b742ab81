"""Train the decoder of a hybrid on masks; its classifier is frozen (label-prop, Algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from histoloop.language import tr
from histoloop.losses.consistency import pixel_consistency
from histoloop.losses.segmentation import binary_cross_entropy, soft_dice
from histoloop.training.augment import AugmentSettings, augment
from histoloop.training.loop import FitResult, LoopSettings, epoch_seed, fit
from histoloop.training.metrics import mean_dice, pooled_dice
from histoloop.training.objectives import label_loss
from histoloop.training.outputs import look_at, normalise
from histoloop.training.samples import Batch, TrainingTile, batches, plain_order
from histoloop.training.teacher import ConsistencySettings, Teacher

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from histoloop.networks.hybrid import Hybrid
    from histoloop.networks.network import NetworkOutput, SlideNetwork
    from histoloop.progress import Work
    from histoloop.training.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """`loss` 'bce' is the paper's (eq 1); 'bce+dice' adds the soft Dice. `steps_per_epoch` 0 sees each tile once.

    `keep` 'last' when the validation tiles are to measure the result and so must not choose it. `freeze` keeps the
    classifier as it is (label-prop); without it the whole network learns from masks, and from labels by their
    cross-entropy with the weight `label_weight`: a U-Net. `consistency` adds what can be learned from tiles without
    masks.
    """

    loop: LoopSettings = field(default_factory=LoopSettings)
    loss: Literal["bce", "bce+dice"] = "bce"
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
    unlabelled: Sequence[TrainingTile] = (),
    checkpoint: Checkpoint | None = None,
) -> Work[FitResult]:
    """Freeze the classifier and train the decoder, or both; the epoch of the best mean Dice on `validation` is kept.

    Without validation tiles, or where the settings say so, the last epoch is kept. Tiles need masks (ValueError), but
    for the `unlabelled` ones: where the settings weigh them, each step also pulls the network towards its own average
    on some of them (tod eq 9). What is drawn for those changes nothing for the others.
    """
    if unmasked := [tile.name for tile in (*training, *validation) if tile.mask is None]:
        raise ValueError(f"tiles without masks cannot train a decoder: {', '.join(unmasked[:3])}")
    decoder = network.decoder
    if decoder is None:
        raise ValueError("a network without a decoder cannot learn from masks")
    if settings.freeze:
        network.freeze_classifier()
    network.to(device)
    consistency = None
    if settings.consistency.weight and unlabelled:
        consistency = _Consistency(network, unlabelled, settings, augmentation, mean=mean, std=std, seed=seed)
    stride, size = network.stride_px, settings.loop.batch_size
    steps = settings.steps_per_epoch or -(-len(training) // size)

    def epoch_batches(epoch: int) -> Iterable[Batch]:
        generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
        rng = np.random.default_rng(epoch_seed(seed, epoch))
        if consistency:
            consistency.start(epoch)
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
        if consistency:
            yield settings.consistency.weight * consistency.loss(device)

    def validate() -> Mapping[str, float]:
        return segmentation_figures(network, validation, mean=mean, std=std, device=device) if validation else {}

    return (
        yield from fit(
            network,
            stage=tr("Training the masks"),
            epoch_batches=epoch_batches,
            batches_per_epoch=steps,
            objective=objective,
            validate=validate,
            rank_by="dice" if settings.keep == "best" else None,
            settings=settings.loop,
            device=device,
            seed=seed,
            learned=(consistency.teacher,) if consistency else (),
            after_step=consistency.follow if consistency else None,
            checkpoint=checkpoint,
        )
    )


class _Consistency:
    """What tiles without masks add to a step: the distance of the student from its teacher (tod eq 7).

    Both see the same varied view of a tile, as in the paper: what sets them apart is time alone. The student is what
    learns: the decoder over a frozen classifier, whose features serve both, else the whole network.
    """

    def __init__(
        self,
        network: Hybrid,
        tiles: Sequence[TrainingTile],
        settings: SegmentSettings,
        augmentation: AugmentSettings,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        seed: int,
    ) -> None:
        assert network.decoder is not None  # by the caller
        self.student = network.decoder if settings.freeze else network
        self.teacher = Teacher(self.student, decay=settings.consistency.decay)
        self._features = network.classifier.backbone if settings.freeze else None
        self._stride = network.stride_px
        self._tiles, self._count = tiles, settings.consistency.unlabelled_per_step
        self._augmentation, self._mean, self._std, self._seed = augmentation, mean, std, seed
        self._batches: Iterator[Batch] = iter(())

    def start(self, epoch: int) -> None:
        """Begin to draw the tiles of an epoch."""
        self._batches = self._draw(epoch)

    def _draw(self, epoch: int) -> Iterator[Batch]:
        """Tiles in shuffled order, over and over."""
        rng = np.random.default_rng((epoch_seed(self._seed, epoch), 1))  # not the one that draws the masked tiles
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        while True:
            order = plain_order(len(self._tiles), rng)
            for batch in batches(self._tiles, order, batch_size=self._count, multiple_px=self._stride):
                yield augment(batch, self._augmentation, generator, multiple_px=self._stride)

    def loss(self, device: torch.device) -> Tensor:
        """Of the next tiles."""
        batch = next(self._batches).to(device)
        seen: Tensor | tuple[Tensor, ...] = normalise(batch.tiles_BCHW, self._mean, self._std)
        if self._features:
            with torch.no_grad():
                seen = self._features(seen)
        student_BHW, teacher_BHW = _foreground(self.student(seen)), _foreground(self.teacher(seen))
        return pixel_consistency(student_BHW, teacher_BHW, valid_BHW=batch.valid_BHW)

    def follow(self, step: int) -> None:
        """Let the teacher follow, after a step of the student."""
        self.teacher.update(self.student, step)


def _foreground(output: Tensor | NetworkOutput) -> Tensor:
    """The logits (B, H, W) of a decoder, or of a network with one."""
    logits_B1HW = output if isinstance(output, Tensor) else output.foreground_B1HW
    assert logits_B1HW is not None
    return logits_B1HW.squeeze(1).float()


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
