"""The baseline of size supervision: Jia et al. 2017 (thesis eqs 4.1-4.3), one-vs-rest over C label classes.

Maps are (B, C, H, W) logits, one a label class and none for the background. The total is l_c + lambda_s l_s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def generalised_mean(maps_BCHW: Tensor, *, r: int = 4, valid_BHW: Tensor | None = None) -> Tensor:
    """Probability p of eq 4.1, (B, C): the r-th power mean of sigmoid(maps) over the valid cells."""
    return log_generalised_mean(maps_BCHW, r=r, valid_BHW=valid_BHW)[0].exp()


def log_generalised_mean(maps_BCHW: Tensor, *, r: int = 4, valid_BHW: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The logarithms of p of eq 4.1 and of 1 - p, (B, C) each: finite, with finite gradients, for any finite logits.

    1 - p is never taken as a difference: 1 - z^r = (1 - z)(1 + z + ... + z^(r-1)), with z = sigmoid in each cell and
    then with z = p. `r` is a positive integer: 1 gives the mean, a large one nearly the maximum. `valid_BHW` (cells of
    the maps) holds at least one cell a tile.
    """
    if r < 1:
        raise ValueError(f"r is a positive integer, not {r}")
    maps = maps_BCHW.to(torch.promote_types(maps_BCHW.dtype, torch.float32))
    log_power = _log_mean_exp(r * functional.logsigmoid(maps), valid_BHW)
    log_rest = functional.logsigmoid(-maps) + _geometric_sum(maps.sigmoid(), r).log()
    log_p = log_power / r
    return log_p, _log_mean_exp(log_rest, valid_BHW) - _geometric_sum(log_p.exp(), r).log()


def classification(maps_BCHW: Tensor, labels_B: Tensor, *, r: int = 4, valid_BHW: Tensor | None = None) -> Tensor:
    """l_c of eq 4.2, (B,): binary cross-entropy of p for each class against label indices, summed over the classes."""
    log_p, log_rest = log_generalised_mean(maps_BCHW, r=r, valid_BHW=valid_BHW)
    truth = functional.one_hot(labels_B, maps_BCHW.shape[1]).bool()
    return -torch.where(truth, log_p, log_rest).sum(dim=1)


def oversize_penalty(
    maps_BCHW: Tensor, labels_B: Tensor, foreground_B: Tensor, *, valid_BHW: Tensor | None = None
) -> Tensor:
    """l_s of eq 4.3, (B,): the square of how much the true class's mean sigmoid exceeds the tile's foreground size.

    A region smaller than estimated costs nothing, and neither do the classes that are not the tile's (y = 0).
    """
    # The generalised mean with r = 1 is the mean.
    predicted_B = generalised_mean(maps_BCHW, r=1, valid_BHW=valid_BHW).gather(1, labels_B[:, None])[:, 0]
    return (predicted_B - foreground_B).relu() ** 2


def _log_mean_exp(values_BCHW: Tensor, valid_BHW: Tensor | None) -> Tensor:
    if valid_BHW is None:
        valid_BHW = torch.ones_like(values_BCHW[:, 0], dtype=torch.bool)
    kept = values_BCHW.masked_fill(~valid_BHW[:, None], -torch.inf)
    count_B1 = valid_BHW.sum(dim=(1, 2))[:, None]
    return kept.flatten(2).logsumexp(dim=2) - count_B1.to(values_BCHW.dtype).log()


def _geometric_sum(z: Tensor, r: int) -> Tensor:
    """1 + z + ... + z^(r-1)."""
    total = torch.ones_like(z)
    for _ in range(r - 1):
        total = 1 + z * total
    return total
