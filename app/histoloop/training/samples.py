"""What training sees: tiles in memory with what is known of them, and their batches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True, eq=False)
class TrainingTile:
    """Pixels at the model's resolution with a label, a mask, or both.

    `pixels` (H, W, 3) uint8; `label` index of the label class; `mask` (H, W) bool foreground; `weight` is 1 for
    annotated tiles and lambda for pseudo-labelled ones; `name` says where it comes from, `case` whose tissue it is;
    `size` is the foreground fraction that somebody estimated, in [0, 1] (the mask is not asked for it).
    """

    pixels: NDArray[np.uint8]
    label: int | None
    mask: NDArray[np.bool_] | None
    name: str
    case: str = ""
    weight: float = 1.0
    size: float | None = None

    def __post_init__(self) -> None:
        if self.size is not None and not 0 <= self.size <= 1:
            raise ValueError(f"{self.name}: the size must be a fraction in [0, 1], not {self.size}")
        if self.mask is not None and self.mask.shape != self.pixels.shape[:2]:
            raise ValueError(f"{self.name}: mask {self.mask.shape} does not fit pixels {self.pixels.shape[:2]}")


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Tensors of one step, before augmentation and normalisation.

    `tiles_BCHW` float in [0, 1]; `masks_BHW` float 0 or 1; `valid_BHW` bool, False on padding; `labels_B` long, -1
    where unknown; `weights_B` float; `sizes_B` float, the estimated foreground fraction of the whole tile whatever a
    crop shows of it, NaN where unknown; `masked_B` bool, whether the mask is known.
    """

    tiles_BCHW: Tensor
    masks_BHW: Tensor
    valid_BHW: Tensor
    labels_B: Tensor
    weights_B: Tensor
    sizes_B: Tensor
    masked_B: Tensor

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.tiles_BCHW.device

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return Batch(
            tiles_BCHW=self.tiles_BCHW.to(device),
            masks_BHW=self.masks_BHW.to(device),
            valid_BHW=self.valid_BHW.to(device),
            labels_B=self.labels_B.to(device),
            weights_B=self.weights_B.to(device),
            sizes_B=self.sizes_B.to(device),
            masked_B=self.masked_B.to(device),
        )


def collate(tiles: Sequence[TrainingTile], *, multiple_px: int) -> Batch:
    """Stack tiles, padded with white at the right and bottom to the largest, a multiple of `multiple_px`."""
    height = _round_up(max(tile.pixels.shape[0] for tile in tiles), multiple_px)
    width = _round_up(max(tile.pixels.shape[1] for tile in tiles), multiple_px)
    pixels = np.full((len(tiles), height, width, 3), 255, np.uint8)
    masks = np.zeros((len(tiles), height, width), np.float32)
    valid = np.zeros((len(tiles), height, width), np.bool_)
    for row, tile in enumerate(tiles):
        rows, columns = tile.pixels.shape[:2]
        pixels[row, :rows, :columns] = tile.pixels
        valid[row, :rows, :columns] = True
        if tile.mask is not None:
            masks[row, :rows, :columns] = tile.mask
    return Batch(
        tiles_BCHW=torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255),
        masks_BHW=torch.from_numpy(masks),
        valid_BHW=torch.from_numpy(valid),
        labels_B=torch.tensor([-1 if tile.label is None else tile.label for tile in tiles]),
        weights_B=torch.tensor([tile.weight for tile in tiles], dtype=torch.float32),
        masked_B=torch.tensor([tile.mask is not None for tile in tiles]),
        sizes_B=torch.tensor([math.nan if tile.size is None else tile.size for tile in tiles], dtype=torch.float32),
    )


def _round_up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple


def plain_order(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Every index once, shuffled."""
    return rng.permutation(count)


def balanced_order(labels: Sequence[int], rng: np.random.Generator, *, power: float) -> NDArray[np.int64]:
    """As many draws as labels, a label class drawn in proportion to its count ** `power` (1: as it comes, 0: evenly).

    Within a class indices come round robin in shuffled order, so small classes repeat and large ones are thinned.
    """
    classes, counts = np.unique(labels, return_counts=True)
    share = counts.astype(float) ** power
    drawn = rng.choice(classes, size=len(labels), p=share / share.sum())
    order = np.empty(len(labels), np.int64)
    for label in classes:
        members = np.flatnonzero(np.asarray(labels) == label)
        places = np.flatnonzero(drawn == label)
        rounds = -(-len(places) // len(members))
        order[places] = np.concatenate([rng.permutation(members) for _ in range(max(1, rounds))])[: len(places)]
    return order


def batches(
    tiles: Sequence[TrainingTile], order: NDArray[np.int64], *, batch_size: int, multiple_px: int
) -> Iterator[Batch]:
    """Batches in the given order; the last may be smaller."""
    for start in range(0, len(order), batch_size):
        yield collate([tiles[i] for i in order[start : start + batch_size]], multiple_px=multiple_px)
