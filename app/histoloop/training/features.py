"""What a frozen backbone sees of a tile, kept: one forward pass serves every strategy and every round."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from histoloop.training.augment import AugmentSettings, vary_stain
from histoloop.training.outputs import normalise
from histoloop.training.samples import TrainingTile, collate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histoloop.networks.hybrid import Hybrid
    from histoloop.networks.unet import Decoder

CELL_PX = 32
"""Pixels per cell of the coarsest stage: tiles are padded and cropped to multiples of it."""

VIEWS = 8
"""The square's symmetries: what turning and flipping makes of a tile."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Stages of one tile, finest first, (C, H/2, W/2) to (C, H/32, W/32), half precision, on the CPU.

    `height` and `width` are the tile's in pixels; the stages reach on to multiples of 32. `scores` (C,) are the frozen
    classifier's, before softmax.
    """

    stages: tuple[Tensor, ...]
    scores: Tensor
    height: int
    width: int

    @property
    def embedding(self) -> NDArray[np.float32]:
        """(C,) mean of the last stage over the cells that the tile reaches into."""
        return self.pooled(-1)

    def pooled(self, stage: int) -> NDArray[np.float32]:
        """(C,) mean of a stage over the tile."""
        planes = self.stages[stage]
        stride = CELL_PX >> (len(self.stages) - 1 - stage % len(self.stages))
        inside = planes[:, : -(-self.height // stride), : -(-self.width // stride)]
        mean: NDArray[np.float32] = inside.float().mean(dim=(1, 2)).numpy()
        return mean

    def as_tensors(self) -> dict[str, Tensor]:
        """For a file of tensors."""
        stages = {f"stage{number}": planes.contiguous() for number, planes in enumerate(self.stages)}
        return {**stages, "scores": self.scores, "size": torch.tensor([self.height, self.width])}

    @staticmethod
    def of_tensors(tensors: Mapping[str, Tensor]) -> Features:
        """Back from a file; KeyError or ValueError for what is not of features."""
        names = sorted(name for name in tensors if name.startswith("stage"))
        height, width = tensors["size"].tolist()
        return Features(tuple(tensors[name] for name in names), tensors["scores"], int(height), int(width))


def extract(
    network: Hybrid, tile: TrainingTile, *, mean: Sequence[float], std: Sequence[float], device: torch.device
) -> Features:
    """Run the backbone of a network, as it stands, on one tile (put it into evaluation mode first)."""
    pixels = normalise(collate([tile], multiple_px=CELL_PX).tiles_BCHW.to(device), mean, std)
    with torch.inference_mode():
        scores_1C, _maps, features = network.classifier(pixels.contiguous(memory_format=torch.channels_last))
    height, width = tile.pixels.shape[:2]
    # copies outside of inference mode, so that training may use them, and laid out as a file would give them back
    stages = tuple(torch.empty(planes.shape[1:], dtype=torch.half).copy_(planes[0]) for planes in features)
    return Features(stages, scores_1C[0].float().cpu().clone(), height, width)


def view_of(tile: TrainingTile, view: int, *, stain: float, seed: int) -> TrainingTile:
    """The tile turned or flipped in the `view`-th of eight ways (0: as it is), its stain varied along with that.

    Features of a turned tile are not the features turned, so each view is a forward pass of its own.
    """
    if view == 0:
        return tile
    pixels = np.ascontiguousarray(_turned(tile.pixels, view))
    mask = None if tile.mask is None else np.ascontiguousarray(_turned(tile.mask, view))
    if stain:
        generator = torch.Generator().manual_seed(seed * VIEWS + view)
        planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        varied = vary_stain(planes, AugmentSettings(stain=stain, brightness=stain), generator)
        pixels = (varied[0].permute(1, 2, 0) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    return replace(tile, pixels=pixels, mask=mask)


def _turned(planes: NDArray[np.generic], view: int) -> NDArray[np.generic]:
    flipped = planes[:, ::-1] if view >= VIEWS // 2 else planes
    return np.rot90(flipped, view % (VIEWS // 2))


def spread_views(count: int) -> list[int]:
    """So many of the eight views, turned and flipped ones mixed; the tile as it is comes first."""
    return [0, 6, 3, 5, 2, 4, 1, 7][:count]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTile:
    """Features of a tile or of a view of it, its mask (H, W) bool as far as known, and its weight in the loss."""

    features: Features
    mask: NDArray[np.bool_] | None
    weight: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class FeatureBatch:
    """`stages` (B, C, H/s, W/s) float; `masks_BHW` 0 or 1; `valid_BHW` False on padding; `weights_B` of each tile."""

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


def collate_features(
    tiles: Sequence[FeatureTile], *, crop_px: int, generator: torch.Generator | None = None
) -> FeatureBatch:
    """A batch of crops of `crop_px` (a multiple of 32), at random cells by `generator`; smaller tiles are padded."""
    if crop_px < CELL_PX or crop_px % CELL_PX:
        raise ValueError(f"crop_px must be a multiple of {CELL_PX}, not {crop_px}")
    side = crop_px // CELL_PX
    depth = len(tiles[0].features.stages)
    rows: list[list[Tensor]] = [[] for _ in range(depth)]
    masks = torch.zeros(len(tiles), crop_px, crop_px)
    valid = torch.zeros(len(tiles), crop_px, crop_px, dtype=torch.bool)
    for row, tile in enumerate(tiles):
        features = tile.features
        top, left = (_start(int(cells), side, generator) for cells in features.stages[-1].shape[-2:])
        for number, planes in enumerate(features.stages):
            scale = 1 << (depth - 1 - number)
            crop = planes[:, top * scale : (top + side) * scale, left * scale : (left + side) * scale].float()
            below, right = side * scale - crop.shape[1], side * scale - crop.shape[2]
            rows[number].append(functional.pad(crop, (0, right, 0, below)) if below or right else crop)
        height = max(0, min(crop_px, features.height - top * CELL_PX))
        width = max(0, min(crop_px, features.width - left * CELL_PX))
        valid[row, :height, :width] = True
        if tile.mask is not None:
            y, x = top * CELL_PX, left * CELL_PX
            masks[row, :height, :width] = torch.from_numpy(tile.mask[y : y + height, x : x + width]).float()
    stages = tuple(torch.stack(planes).contiguous(memory_format=torch.channels_last) for planes in rows)
    return FeatureBatch(stages, masks, valid, torch.tensor([tile.weight for tile in tiles]))


def _start(cells: int, side: int, generator: torch.Generator | None) -> int:
    if cells <= side or generator is None:
        return 0
    return int(torch.randint(0, cells - side + 1, (), generator=generator))


def decode(decoder: Decoder, features: Features, *, device: torch.device, dropout: float = 0.0) -> NDArray[np.float32]:
    """Foreground logits (H, W) of a tile by a decoder as it stands (put it into evaluation mode first)."""
    stages = tuple(
        planes[None].to(device).float().contiguous(memory_format=torch.channels_last) for planes in features.stages
    )
    with torch.inference_mode():
        logits_11HW = decoder(stages, dropout=dropout)
    logits: NDArray[np.float32] = logits_11HW[0, 0, : features.height, : features.width].float().cpu().numpy()
    return logits


def probability(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sigmoid, without overflow."""
    return torch.from_numpy(logits).sigmoid().numpy()
