"""The objective of a module that learns which of two regions the network does worse on (Yoo & Kweon 2019, LL4AL)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def pairwise_margin_ranking(predicted_B: Tensor, true_B: Tensor, *, margin: float = 1.0) -> Tensor:
    """max(0, -sign (predicted_i - predicted_j) + margin), mean over the pairs (i, j = B - 1 - i); a scalar.

    sign is 1 where the true loss of i is above that of j, else -1 (equal losses too, as in the reference: draw the
    order anew for every batch, so that ties cancel out). No gradient flows into the true losses. Only differences
    count: predictions learn an order, not the losses' unit. ValueError unless B is even and at least 2.
    """
    if predicted_B.shape != true_B.shape or predicted_B.ndim != 1:
        raise ValueError(f"{tuple(predicted_B.shape)} predicted losses for {tuple(true_B.shape)} true ones")
    count = len(predicted_B)
    if count < 2 or count % 2:
        raise ValueError(f"losses are compared in pairs; {count} cannot be paired")
    sign = torch.where(_pair_differences(true_B.detach()) > 0, 1.0, -1.0).to(predicted_B.dtype)
    return (margin - sign * _pair_differences(predicted_B)).relu().mean()


def _pair_differences(values_B: Tensor) -> Tensor:
    """The i-th less the (B - 1 - i)-th, (B / 2,)."""
    return (values_B - values_B.flip(0))[: len(values_B) // 2]
