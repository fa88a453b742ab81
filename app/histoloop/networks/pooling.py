"""Pooling of class activation maps to scores.

Every pooling has a `head` (the layer from features to maps), `modalities` (maps per class that the head gives,
channel = class * modalities + m), `classwise` (their mean per class) and `pool_maps` (maps to scores), and pools any
set of valid cells, so that a whole slide's stitched map is scored by the rule that scored the tiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from histoloop.losses.jia import log_generalised_mean

if TYPE_CHECKING:
    from histoloop.network_config import PoolingConfig


class MapPooling(nn.Module):
    """What every pooling of class activation maps shares; the base pools by the mean (CAM, thesis eq 1.7)."""

    def __init__(self, *, modalities: int = 1) -> None:
        super().__init__()
        self.modalities = modalities

    def head(self, features: int, classes: int) -> nn.Module:
        """A layer with random weights from `features` feature maps to the maps of `classes` classes."""
        return nn.Conv2d(features, classes * self.modalities, kernel_size=1)

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
    While training, dropout takes chosen cells away just before their mean (min-max, appendix B.2): the score is, on
    average, that of evaluation. Cells dropped before they are ranked and rescaled would raise it.
    """

    def __init__(self, config: PoolingConfig) -> None:
        super().__init__(modalities=config.modalities)
        self.config = config

    def pool_cells(self, cells_BCN: Tensor) -> Tensor:
        """(B, C, N) cells -> (B, C) scores."""
        cells = cells_BCN.shape[-1]
        score = self._mean_of_highest(cells_BCN, cell_count(self.config.kmax, cells))
        lowest = cell_count(self.config.kmin, cells)
        if self.config.variant == "top" or lowest == 0 or self.config.alpha == 0:
            return score
        score = score - self.config.alpha * self._mean_of_highest(-cells_BCN, lowest)
        return score / 2 if self.config.variant == "half" else score

    def _mean_of_highest(self, cells_BCN: Tensor, count: int) -> Tensor:
        highest = cells_BCN.topk(count, dim=-1, sorted=False).values
        return functional.dropout(highest, self.config.dropout, self.training).mean(dim=-1)


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


class AttentionPooling(MapPooling):
    """Deep MIL of Ilse et al. 2018, replicated for each class (thesis ch. 1-2, eq 1.4-1.6).

    Each class weighs the features of the cells by its own attention, a = softmax(w tanh(V F)) or, gated,
    softmax(w [tanh(V F) * sigmoid(U F)]), V and U with a bias as in the authors' code, and scores their weighted sum by
    its own linear layer. Since that is linear, the score is the weighted sum of the cells' scores: the maps are the
    scores of the C classes, then their C attention energies before the softmax.
    """

    def __init__(self, config: PoolingConfig) -> None:
        super().__init__()
        self.hidden = config.hidden
        self.gated = config.name == "gated-attention"

    def head(self, features: int, classes: int) -> nn.Module:
        """Scores and attention energies of every class: 2 * `classes` maps."""
        return AttentionHead(features, classes, hidden=self.hidden, gated=self.gated)

    def pool_cells(self, cells_BCN: Tensor) -> Tensor:
        """(B, 2C, N) scores and energies -> (B, C) scores."""
        scores_BCN, energies_BCN = cells_BCN.chunk(2, dim=1)
        return (energies_BCN.softmax(dim=-1) * scores_BCN).sum(dim=-1)


class AttentionHead(nn.Module):
    """From features to the scores and the attention energies of each class, cell by cell."""

    def __init__(self, features: int, classes: int, *, hidden: int, gated: bool) -> None:
        super().__init__()
        self.score = nn.Conv2d(features, classes, kernel_size=1)
        self.attend = nn.Conv2d(features, classes * hidden, kernel_size=1)
        self.gate = nn.Conv2d(features, classes * hidden, kernel_size=1) if gated else None
        self.weigh = nn.Conv2d(classes * hidden, classes, kernel_size=1, groups=classes, bias=False)

    def forward(self, features_BKHW: Tensor) -> Tensor:
        """(B, K, H, W) -> (B, 2C, H, W)."""
        hidden = self.attend(features_BKHW).tanh()
        if self.gate is not None:
            hidden = hidden * self.gate(features_BKHW).sigmoid()
        return torch.cat([self.score(features_BKHW), self.weigh(hidden)], dim=1)


class GeneralisedMeanPooling(MapPooling):
    """The logit of p = (mean of sigmoid(M)^r)^(1/r), each class against the rest (Jia et al. 2017; thesis eq 4.1)."""

    def __init__(self, config: PoolingConfig) -> None:
        super().__init__(modalities=config.modalities)
        self.exponent = config.exponent

    def pool_cells(self, cells_BCN: Tensor) -> Tensor:
        """(B, C, N) cells -> (B, C) logits."""
        log_p, log_rest = log_generalised_mean(cells_BCN[:, :, None], r=self.exponent)
        return log_p - log_rest


def cell_count(k: float, cells: int) -> int:
    """How many of `cells` k stands for: none at 0, a fraction (at least one) below 1, else a count (at most all)."""
    if k == 0:
        return 0
    return max(1, round(k * cells)) if k < 1 else min(round(k), cells)


def build_pooling(config: PoolingConfig) -> MapPooling:
    """The pooling a config names."""
    if config.name == "wildcat":
        return WildcatPooling(config)
    if config.name == "log-sum-exp":
        return LogSumExpPooling(config)
    if config.name == "deep-mil":
        return DeepMilPooling(config)
    if config.name in ("attention", "gated-attention"):
        return AttentionPooling(config)
    if config.name == "generalised-mean":
        return GeneralisedMeanPooling(config)
    return (MaxPooling if config.name == "max" else MapPooling)(modalities=config.modalities)
