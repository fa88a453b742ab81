"""Pooling of class activation maps to scores.

Every pooling has `modalities` (maps per class that its 1x1 convolution must give, channel = class * modalities + m),
`classwise` (their mean per class) and `pool` (maps to scores), and pools any set of valid cells, so that a whole
slide's stitched map is scored by the rule that scored the tiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from histoloop.networks.config import PoolingConfig


class MapPooling(nn.Module):
    """What every pooling of class activation maps shares; the base pools by the mean (CAM, thesis eq 1.7)."""

    def __init__(self, *, modalities: int = 1) -> None:
        super().__init__()
        self.modalities = modalities

    def classwise(self, maps_BNHW: Tensor) -> Tensor:
        """(B, classes * modalities, H, W) -> (B, classes, H, W): the mean over the modalities of each class."""
        batch, channels, height, width = maps_BNHW.shape
        return maps_BNHW.view(batch, channels // self.modalities, self.modalities, height, width).mean(dim=2)

    def pool_cells(self, cells_BCN: Tensor) -> Tensor:
        """(B, C, N) cells -> (B, C) scores."""
        return cells_BCN.mean(dim=-1)

    def pool_maps(self, maps_BCHW: Tensor, valid_BHW: Tensor | None = None) -> Tensor:
        """(B, C, H, W) class maps -> (B, C) scores, over the valid cells of each map where a mask is given.

        ValueError when a map has no valid cell.
        """
        cells_BCN = maps_BCHW.flatten(2)
        if valid_BHW is None:
            return self.pool_cells(cells_BCN)
        if not bool(valid_BHW.flatten(1).any(dim=1).all()):
            raise ValueError("a map without a valid cell cannot be pooled")
        rows = [self.pool_cells(cells_BCN[i : i + 1, :, valid]) for i, valid in enumerate(valid_BHW.flatten(1))]
        return torch.cat(rows)

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) class maps -> (B, C) scores."""
        return self.pool_maps(maps_BCHW)


class WildcatPooling(MapPooling):
    """Mean of the k+ highest cells + alpha * mean of the k- lowest (Durand et al. 2017; thesis eq 3.8).

    Variants: 'sum' as the equation says; 'half' halves the sum (Durand's code); 'top' leaves the lowest cells out.
    """

    def __init__(self, config: PoolingConfig) -> None:
        super().__init__(modalities=config.modalities)
        self.config = config

    def pool_cells(self, cells_BCN: Tensor) -> Tensor:
        """(B, C, N) cells -> (B, C) scores."""
        cells = cells_BCN.shape[-1]
        score = _mean_of_highest(cells_BCN, cell_count(self.config.kmax, cells))
        lowest = cell_count(self.config.kmin, cells)
        if self.config.variant == "top" or lowest == 0 or self.config.alpha == 0:
            return score
        score = score - self.config.alpha * _mean_of_highest(-cells_BCN, lowest)
        return score / 2 if self.config.variant == "half" else score


class MaxPooling(MapPooling):
    """The highest cell."""

    def pool_cells(self, cells_BCN: Tensor) -> Tensor:
        """(B, C, N) cells -> (B, C) scores."""
        return cells_BCN.amax(dim=-1)


class LogSumExpPooling(MapPooling):
    """1/q log mean exp(q M), between the mean (q towards 0) and the maximum (q towards infinity).

    In the stable form of thesis eq 3.7, max M + 1/q log mean exp(q (M - max M)): eq 3.6 as it stands overflows.
    """

    def __init__(self, config: PoolingConfig) -> None:
        super().__init__(modalities=config.modalities)
        self.sharpness = config.sharpness

    def pool_cells(self, cells_BCN: Tensor) -> Tensor:
        """(B, C, N) cells -> (B, C) scores."""
        highest = cells_BCN.amax(dim=-1, keepdim=True)
        mean = (self.sharpness * (cells_BCN - highest)).exp().mean(dim=-1)
        return highest.squeeze(-1) + mean.log() / self.sharpness


class DeepMilPooling(MapPooling):
    """Multi-class deep MIL: every class weighs its cells by the softmax of their own scores (thesis eq 3.10-3.11).

    While training, a random fraction of the scores is set to 0 inside the softmax; the values that are pooled stay,
    and nothing is rescaled, so that a fraction of 1 is average pooling. This is not dropout of the scores.
    """

    def __init__(self, config: PoolingConfig) -> None:
        super().__init__(modalities=config.modalities)
        self.zeroed = config.zeroed

    def pool_cells(self, cells_BCN: Tensor) -> Tensor:
        """(B, C, N) cells -> (B, C) scores."""
        if not self.training or self.zeroed == 0:
            return attention_pool(cells_BCN, None)
        return attention_pool(cells_BCN, torch.rand_like(cells_BCN) < self.zeroed)


def attention_pool(cells_BCN: Tensor, zeroed_BCN: Tensor | None) -> Tensor:
    """Sum over the cells of softmax(M') M, where M' is M with the `zeroed` cells at 0 (thesis eq 3.10-3.11)."""
    weighing = cells_BCN if zeroed_BCN is None else cells_BCN.masked_fill(zeroed_BCN, 0.0)
    return (weighing.softmax(dim=-1) * cells_BCN).sum(dim=-1)


def cell_count(k: float, cells: int) -> int:
    """How many of `cells` k stands for: none at 0, a fraction (at least one) below 1, else a count (at most all)."""
    if k == 0:
        return 0
    return max(1, round(k * cells)) if k < 1 else min(round(k), cells)


def _mean_of_highest(cells_BCN: Tensor, count: int) -> Tensor:
    return cells_BCN.topk(count, dim=-1, sorted=False).values.mean(dim=-1)


def build_pooling(config: PoolingConfig) -> MapPooling:
    """The pooling a config names."""
    if config.name == "wildcat":
        return WildcatPooling(config)
    if config.name == "log-sum-exp":
        return LogSumExpPooling(config)
    if config.name == "deep-mil":
        return DeepMilPooling(config)
    return (MaxPooling if config.name == "max" else MapPooling)(modalities=config.modalities)
