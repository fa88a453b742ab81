"""What a network is trained on: tiles in memory with what is known of them, and their batches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from histoloop.annotations.records import Mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


TileMask = NDArray[np.bool_] | Mask
"""(H, W): bool foreground, or uint8 mask values."""


def foreground(mask: TileMask) -> NDArray[np.bool_]:
    """(H, W) what is foreground of any class."""
    found: NDArray[np.bool_] = mask > 0
    return found


def values_of(mask: TileMask) -> Mask:
    """(H, W) mask values; ValueError for a mask that tells foreground alone."""
    if mask.dtype != np.uint8:
        raise ValueError("mask values are needed, not a foreground")
    return mask.astype(np.uint8, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingTile:
    """Pixels at the model's resolution with a label, a mask, or both.

    `pixels` (H, W, 3) uint8; `label` index of the label class, the first named of a tile that has several, whose others
    are `other_labels`; `mask` (H, W) foreground of any of its labels, or values of mask classes; `weight` is 1 for
    annotated tiles and lambda for pseudo-labelled ones; `name` is where it comes from, `case` whose tissue it is;
    `size` is the foreground fraction that somebody estimated, in [0, 1] (the mask is not asked for it); `known` (H, W)
    bool, where the mask is known, None where it is everywhere; `states_size` says whether the mask's foreground is a
    size of the tile, which strokes are not.
    """

    pixels: NDArray[np.uint8]
    label: int | None
    mask: TileMask | None
    name: str
    case: str = ""
    weight: float = 1.0
    size: float | None = None
    other_labels: tuple[int, ...] = ()
    known: NDArray[np.bool_] | None = None
    states_size: bool = True

    def __post_init__(self) -> None:
        if len(set(self.labels)) < len(self.labels) or (self.other_labels and self.label is None):
            raise ValueError(f"{self.name}: labels must be distinct, not {self.label} and {self.other_labels}")
        if self.size is not None and not 0 <= self.size <= 1:
            raise ValueError(f"{self.name}: the size must be a fraction in [0, 1], not {self.size}")
        if self.mask is not None and self.mask.shape != self.pixels.shape[:2]:
            raise ValueError(f"{self.name}: mask {self.mask.shape} does not fit pixels {self.pixels.shape[:2]}")
        if self.known is not None and (self.mask is None or self.known.shape != self.mask.shape):
            raise ValueError(f"{self.name}: what is known, {self.known.shape}, does not fit the mask")

    @property
    def labels(self) -> tuple[int, ...]:
        """Indices of all its label classes; none where nothing is known."""
        return () if self.label is None else (self.label, *self.other_labels)


def have_several_labels(tiles: Iterable[TrainingTile]) -> bool:
    """Whether any tile has more than one label, so that labels do not exclude each other."""
    return any(tile.other_labels for tile in tiles)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Tensors of one step, before augmentation and normalisation.

    `tiles_BCHW` float in [0, 1]; `masks_BHW` float 0 or 1 of foregrounds, or uint8 mask values; `valid_BHW` bool, False
    on padding; `known_BHW` bool, False there and where the mask is unknown; `labels_B` long, -1 where unknown, of
    several the first; `targets_BK` float 0 or 1, whether a tile has the label k, for the K labels up to the highest one
    of the batch, 0 where unknown; `weights_B` float; `sizes_B` float, the estimated foreground fraction of the whole
    tile whatever a crop shows of it, NaN where unknown; `masked_B` bool, whether there is a mask
    that states a size. `share` is how much the loss of these tiles weighs where several processes have a part of the
    step each (Ranks.share).
    """

    tiles_BCHW: Tensor
    masks_BHW: Tensor
    valid_BHW: Tensor
    known_BHW: Tensor
    labels_B: Tensor
    targets_BK: Tensor
    weights_B: Tensor
    sizes_B: Tensor
    masked_B: Tensor
    share: float = 1.0

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
            known_BHW=self.known_BHW.to(device),
            labels_B=self.labels_B.to(device),
            targets_BK=self.targets_BK.to(device),
            weights_B=self.weights_B.to(device),
            sizes_B=self.sizes_B.to(device),
            masked_B=self.masked_B.to(device),
            share=self.share,
        )


def collate(
    tiles: Sequence[TrainingTile], *, multiple_px: int, among: Sequence[TrainingTile] = (), share: float = 1.0
) -> Batch:
    """Stack tiles, padded with white at the right and bottom to the largest, a multiple of `multiple_px`.

    The largest is that of all tiles of the step (`among`), where these are a part of them.
    ValueError where some masks are foregrounds and others values of classes.
    """
    height = _round_up(max(tile.pixels.shape[0] for tile in (*tiles, *among)), multiple_px)
    width = _round_up(max(tile.pixels.shape[1] for tile in (*tiles, *among)), multiple_px)
    pixels = np.full((len(tiles), height, width, 3), 255, np.uint8)
    masks = np.zeros((len(tiles), height, width), batch_masks_type([tile.mask for tile in tiles]))
    valid = np.zeros((len(tiles), height, width), np.bool_)
    known = np.zeros((len(tiles), height, width), np.bool_)
    for row, tile in enumerate(tiles):
        rows, columns = tile.pixels.shape[:2]
        pixels[row, :rows, :columns] = tile.pixels
        valid[row, :rows, :columns] = True
        known[row, :rows, :columns] = True if tile.known is None else tile.known
        if tile.mask is not None:
            masks[row, :rows, :columns] = tile.mask
    return Batch(
        tiles_BCHW=torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255),
        masks_BHW=torch.from_numpy(masks),
        valid_BHW=torch.from_numpy(valid),
        known_BHW=torch.from_numpy(known),
        labels_B=torch.tensor([-1 if tile.label is None else tile.label for tile in tiles]),
        targets_BK=torch.from_numpy(multi_hot([tile.labels for tile in tiles]).astype(np.float32)),
        weights_B=torch.tensor([tile.weight for tile in tiles], dtype=torch.float32),
        masked_B=torch.tensor([tile.mask is not None and tile.states_size for tile in tiles]),
        sizes_B=torch.tensor([math.nan if tile.size is None else tile.size for tile in tiles], dtype=torch.float32),
        share=share,
    )


def batch_masks_type(masks: Sequence[TileMask | None]) -> type[np.float32] | type[np.uint8]:
    """What a batch's masks are kept as: numbers of foregrounds, or mask values; ValueError where both are given."""
    kinds = {mask.dtype for mask in masks if mask is not None}
    if len(kinds) > 1:
        raise ValueError("masks of a batch are all foregrounds or all values of classes")
    return np.uint8 if np.dtype(np.uint8) in kinds else np.float32


def multi_hot(labels: Sequence[Sequence[int]], count: int | None = None) -> NDArray[np.bool_]:
    """(B, count) whether each of B tiles has each label; without a count, up to the highest label that occurs."""
    width = max((label + 1 for some in labels for label in some), default=0) if count is None else count
    present = np.zeros((len(labels), width), np.bool_)
    for row, some in enumerate(labels):
        present[row, list(some)] = True
    return present


def _round_up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple


def repeated_order(count: int, length: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`length` shuffled indices below `count`, every one once before any comes again; none where `count` is 0."""
    if not count or not length:
        return np.empty(0, np.int64)
    return np.concatenate([rng.permutation(count) for _ in range(-(-length // count))])[:length]


def in_turns(one: NDArray[np.int64], other: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """`size` of the one, then `size` of the other, and so on; the one alone where there are none of the other."""
    if not len(other):
        return one
    starts = range(0, len(one), size)
    return np.concatenate([part[start : start + size] for start in starts for part in (one, other)])


def balanced_order(labels: Sequence[Sequence[int]], rng: np.random.Generator, *, power: float) -> NDArray[np.int64]:
    """As many samples as tiles, a label class in proportion to its count ** `power` (1: as it comes, 0: evenly).

    `labels` are all labels of each tile, one at least: a tile is sampled for any of them. Within a class indices come
    round robin in shuffled order, so small classes repeat and large ones are subsampled.
    """
    classes, counts = np.unique([label for some in labels for label in some], return_counts=True)
    share = counts.astype(float) ** power
    drawn = rng.choice(classes, size=len(labels), p=share / share.sum())
    order = np.empty(len(labels), np.int64)
    for label in classes:
        members = np.array([index for index, some in enumerate(labels) if label in some])
        places = np.flatnonzero(drawn == label)
        rounds = -(-len(places) // len(members))
        order[places] = np.concatenate([rng.permutation(members) for _ in range(max(1, rounds))])[: len(places)]
    return order
