"""What tiles that nobody annotated add to a training: the student's distance from its own average (tod eq 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from histoloop.training.augment import AugmentSettings, augmented_batches
from histoloop.training.loop import epoch_seed
from histoloop.training.ranks import current_ranks
from histoloop.training.samples import Batch, TrainingTile, repeated_order
from histoloop.training.teacher import ConsistencySettings, Teacher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

    from histoloop.inference.model import Model


class Consistency:
    """The term of a step that holds a student to its teacher on tiles without annotations.

    Both see the same varied view of a tile, as in the paper: what sets them apart is time alone. The `student` is what
    learns, all of the model's network or a part of it; `distance` takes it, the teacher's copy of it and a batch.
    """

    def __init__(
        self,
        student: nn.Module,
        distance: Callable[[nn.Module, nn.Module, Batch], Tensor],
        *,
        model: Model,
        tiles: Sequence[TrainingTile],
        settings: ConsistencySettings,
        augmentation: AugmentSettings,
        seed: int,
    ) -> None:
        self.teacher = Teacher(student, decay=settings.decay, recency=settings.recency)
        self._student, self._distance, self._weight = student, distance, settings.weight
        self._model, self._tiles, self._count = model, tiles, settings.unlabelled_per_step
        self._augmentation, self._seed = augmentation, seed
        self._batches: Iterator[Batch] = iter(())

    def start(self, epoch: int) -> None:
        """Begin to sample the tiles of an epoch."""
        self._batches = self._sampled(epoch)

    def _sampled(self, epoch: int) -> Iterator[Batch]:
        """Tiles in shuffled order, over and over."""
        rng = np.random.default_rng((epoch_seed(self._seed, epoch), 1))  # not the one that samples annotated tiles
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        ranks = current_ranks()
        while True:
            order = repeated_order(len(self._tiles), len(self._tiles), rng)
            yield from augmented_batches(
                self._tiles,
                order,
                self._augmentation,
                generator,
                batch_size=self._count * ranks.size,
                multiple_px=self._model.network.stride_px,
                ranks=ranks,
            )

    def loss(self) -> Tensor:
        """Lambda times the distance on the next tiles."""
        batch = next(self._batches).to(self._model.device)
        return self._weight * self._distance(self._student, self.teacher.module, batch)

    def follow(self, step: int) -> None:
        """Let the teacher follow, after a step of the student."""
        self.teacher.update(self._student, step)
