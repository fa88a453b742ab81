"""Learning loss for active learning (LL4AL): ask about the regions where the network is predicted to do worst.

Yoo & Kweon (2019), a baseline of Huang et al. (2022, tod). There the module learns together with the network and, at
first, sends gradients into it. Here the backbone is frozen, so that the module learns beside it, from stage features
computed once, and sends no gradient into it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from histoloop.losses.ranking import pairwise_margin_ranking
from histoloop.networks.loss_prediction import LossPrediction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class LearnedLossSettings:
    """Width, margin and weight decay are the authors'; Adam and few steps suit a handful of regions.

    A step compares up to `batch_size` annotated regions in random pairs.
    """

    width: int = 128
    margin: float = 1.0
    steps: int = 200
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        if self.width < 1 or self.steps < 1:
            raise ValueError(f"width and steps must be at least 1, not {self.width} and {self.steps}")
        if self.batch_size < 2:
            raise ValueError(f"batch_size must be at least 2, a pair, not {self.batch_size}")
        for name in ("margin", "learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be 0 or more, not {self.weight_decay}")


def learned_loss_scores(
    annotated_stages: Sequence[Tensor],
    losses_N: Tensor,
    pool_stages: Sequence[Tensor],
    *,
    settings: LearnedLossSettings,
    device: torch.device,
    seed: int,
) -> NDArray[np.float64]:
    """Predicted loss (M,) of every region of the pool, in no unit: highest is asked first.

    The stages are globally averaged features of the annotated regions, one (N, C_s) a stage, and of the pool, one
    (M, C_s) each; `losses_N` is the segmentation loss of each annotated region under the current model. Features are
    standardised over all regions first, since stages differ in scale. On one processor the same seed gives the same
    scores; the global random state is neither read nor changed.

    ValueError with fewer than two annotated regions, or where their losses are all the same: there is nothing to rank.
    """
    _check(annotated_stages, losses_N, pool_stages)
    count = len(losses_N)
    stages = [
        _standardise(torch.cat([annotated, pool]).to(device))
        for annotated, pool in zip(annotated_stages, pool_stages, strict=True)
    ]
    losses_N = losses_N.to(device)
    generator = torch.Generator().manual_seed(seed)
    module = _module([stage.shape[1] for stage in stages], settings.width, generator).to(device)
    optimiser = torch.optim.Adam(module.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    paired = min(count, settings.batch_size) // 2 * 2
    for _ in range(settings.steps):
        chosen = torch.randperm(count, generator=generator)[:paired].to(device)
        predicted_B = module([stage[chosen] for stage in stages])
        loss = pairwise_margin_ranking(predicted_B, losses_N[chosen], margin=settings.margin)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        predicted_M = module([stage[count:] for stage in stages])
    return np.asarray(predicted_M.double().cpu().numpy(), dtype=np.float64)


def _module(channels: Sequence[int], width: int, generator: torch.Generator) -> LossPrediction:
    with torch.random.fork_rng(devices=[]):  # layers draw their first weights from the global random state
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        return LossPrediction(channels, width=width)


def _standardise(features_NC: Tensor) -> Tensor:
    """Each feature less its mean over its standard deviation, detached; a constant one becomes 0."""
    centred = features_NC.detach().to(torch.float32)
    centred = centred - centred.mean(dim=0)
    return centred / centred.std(dim=0, correction=0).clamp(min=1e-6)


def _check(annotated: Sequence[Tensor], losses_N: Tensor, pool: Sequence[Tensor]) -> None:
    widths = [[stage.shape[1] for stage in stages if stage.ndim == 2] for stages in (annotated, pool)]
    if not annotated or widths[0] != widths[1] or not len(annotated) == len(pool) == len(widths[0]):
        shapes = [[tuple(stage.shape) for stage in stages] for stages in (annotated, pool)]
        raise ValueError(f"the annotated regions have stages {shapes[0]}, the pool {shapes[1]}")
    if losses_N.ndim != 1 or any(len(stage) != len(losses_N) for stage in annotated):
        rows = [len(stage) for stage in annotated]
        raise ValueError(f"losses of shape {tuple(losses_N.shape)} for stages of {rows} annotated regions")
    if len({len(stage) for stage in pool}) > 1:
        raise ValueError(f"the pool's stages hold {[len(stage) for stage in pool]} regions")
    if len(losses_N) < 2:
        raise ValueError(f"to rank losses takes two annotated regions at least, not {len(losses_N)}")
    if not bool(losses_N.isfinite().all()):
        raise ValueError(f"losses must be finite, not {losses_N.tolist()}")
    if bool((losses_N == losses_N[0]).all()):
        raise ValueError(f"the losses of the annotated regions are all {float(losses_N[0])}: nothing to rank")
    if not all(bool(stage.isfinite().all()) for stage in (*annotated, *pool)):
        raise ValueError("features must be finite")
