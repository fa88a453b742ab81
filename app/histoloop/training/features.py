"""Kept features as training data: views of tiles, and batches of crops of their features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from histoloop.inference.features import CELL_PX, Features
from histoloop.training.augment import AugmentSettings, vary_stain
from histoloop.training.samples import TileMask, batch_masks_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.training.samples import TrainingTile

VIEWS = 8
"""The square's symmetries: what turning and flipping makes of a tile."""


def view_of(tile: TrainingTile, view: int, *, stain: float, seed: int) -> TrainingTile:
    """The tile turned or flipped in the `view`-th of eight ways (0: as it is), its stain varied along with that.

    Features of a turned tile are not the features turned, so each view is a forward pass of its own.
    """
    if view == 0:
        return tile
    pixels = np.ascontiguousarray(_turned(tile.pixels, view))
    mask, known = (
        None if plane is None else np.ascontiguousarray(_turned(plane, view)) for plane in (tile.mask, tile.known)
    )
    if stain:
        generator = torch.Generator().manual_seed(seed * VIEWS + view)
        planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        varied = vary_stain(planes, AugmentSettings(stain=stain, brightness=stain), generator)
        pixels = (varied[0].permute(1, 2, 0) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    return replace(tile, pixels=pixels, mask=mask, known=known)


def _turned(planes: NDArray[np.generic], view: int) -> NDArray[np.generic]:
    flipped = planes[:, ::-1] if view >= VIEWS // 2 else planes
    return np.rot90(flipped, view % (VIEWS // 2))


def spread_views(count: int) -> list[int]:
    """So many of the eight views, turned and flipped ones mixed; the tile as it is comes first."""
    return [0, 6, 3, 5, 2, 4, 1, 7][:count]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTile:
    """Features of a tile or of a view of it, its mask (H, W) if there is one, and its weight in the loss.

    `known` (H, W) bool is where the mask is known; None where it is everywhere.
    """

    features: Features
    mask: TileMask | None
    weight: float = 1.0
    known: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FeatureBatch:
    """`stages` (B, C, H/s, W/s) float; masks as in `Batch`; `weights_B` of each tile.

    `valid_BHW` is False on padding and where a mask is unknown.
    """

    stages: tuple[Tensor, ...]
    masks_BHW: Tensor
    valid_BHW: Tensor
    weights_B: Tensor

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.masks_BHW.device

    def to(self, device: torch.device) -> FeatureBatch:
        """The same on a device."""
        stages = tuple(stage.to(device) for stage in self.stages)
        return FeatureBatch(stages, self.masks_BHW.to(device), self.valid_BHW.to(device), self.weights_B.to(device))

    def __len__(self) -> int:
        return len(self.weights_B)

    def part(self, tiles: slice) -> FeatureBatch:
        """Some of the tiles."""
        stages = tuple(stage[tiles] for stage in self.stages)
        return FeatureBatch(stages, self.masks_BHW[tiles], self.valid_BHW[tiles], self.weights_B[tiles])


def collate_features(
    tiles: Sequence[FeatureTile], *, crop_px: int, generator: torch.Generator | None = None
) -> FeatureBatch:
    """A batch of crops of `crop_px` (a multiple of 32), at random cells by `generator`; smaller tiles are padded."""
    if crop_px < CELL_PX or crop_px % CELL_PX:
        raise ValueError(f"crop_px must be a multiple of {CELL_PX}, not {crop_px}")
    side = crop_px // CELL_PX
    depth = len(tiles[0].features.stages)
    rows: list[list[Tensor]] = [[] for _ in range(depth)]
    kind = torch.float32 if batch_masks_type([tile.mask for tile in tiles]) is np.float32 else torch.uint8
    masks = torch.zeros(len(tiles), crop_px, crop_px, dtype=kind)
    valid = torch.zeros(len(tiles), crop_px, crop_px, dtype=torch.bool)
    for row, tile in enumerate(tiles):
        features = tile.features
        top, left = _corner(tile, side, generator)
        for number, planes in enumerate(features.stages):
            scale = 1 << (depth - 1 - number)
            crop = planes[:, top * scale : (top + side) * scale, left * scale : (left + side) * scale].float()
            below, right = side * scale - crop.shape[1], side * scale - crop.shape[2]
            rows[number].append(functional.pad(crop, (0, right, 0, below)) if below or right else crop)
        height = max(0, min(crop_px, features.height - top * CELL_PX))
        width = max(0, min(crop_px, features.width - left * CELL_PX))
        part = np.s_[top * CELL_PX : top * CELL_PX + height, left * CELL_PX : left * CELL_PX + width]
        valid[row, :height, :width] = True if tile.known is None else torch.from_numpy(tile.known[part])
        if tile.mask is not None:
            masks[row, :height, :width] = torch.from_numpy(tile.mask[part]).to(kind)
    stages = tuple(torch.stack(planes).contiguous(memory_format=torch.channels_last) for planes in rows)
    return FeatureBatch(stages, masks, valid, torch.tensor([tile.weight for tile in tiles]))


CROPS_TRIED = 16
"""So often a crop is sampled anew that shows nothing known: strokes may be few in a large region."""


def _corner(tile: FeatureTile, side: int, generator: torch.Generator | None) -> tuple[int, int]:
    """The first row and column of cells of a crop, of one with known pixels where such are found."""
    rows, columns = (int(cells) for cells in tile.features.stages[-1].shape[-2:])
    for _ in range(CROPS_TRIED):
        top, left = _start(rows, side, generator), _start(columns, side, generator)
        shown = np.s_[top * CELL_PX : (top + side) * CELL_PX, left * CELL_PX : (left + side) * CELL_PX]
        if tile.known is None or tile.known[shown].any():
            break
    return top, left


def _start(cells: int, side: int, generator: torch.Generator | None) -> int:
    if cells <= side or generator is None:
        return 0
    return int(torch.randint(0, cells - side + 1, (), generator=generator))
