"""The Decoupled Direction and Norm attack: how little a tile must change for the network to call it something else.

Rony, Hafemann et al. (CVPR 2019); thesis appendix V, Algorithm A V-1. Norms are Euclidean, over the colour values of
a tile in [0, 1]: the same change of every pixel has twice the norm on a tile of twice the side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from histoloop.progress import Progress, Work, finish

if TYPE_CHECKING:
    from numpy.typing import NDArray

ScoresOf = Callable[[Tensor], Tensor]
"""Tiles (B, 3, H, W) in [0, 1] to scores (B, C) before softmax, differentiable, each tile on its own."""

_LAST_STEP = 0.01
"""The step length falls from 1 to this."""


@dataclass(frozen=True, slots=True)
class DdnSettings:
    """How hard to try. `gamma` is the relative change of the norm in a step, `initial_norm` the norm to start from.

    No norm below about initial_norm (1 - gamma)^steps is ever tried: 0.006 of the first after 100 steps of 0.05.

    With `quantise_levels` (256 for 8 bits) every changed tile is rounded to so many values from 0 to 1, so that what
    is found can be stored as a picture; None leaves it real-valued. The tile as given is judged, and returned where
    nothing better is found, without rounding.
    """

    steps: int = 100
    gamma: float = 0.05
    initial_norm: float = 1.0
    quantise_levels: int | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, not {self.steps}")
        if not 0 < self.gamma < 1:
            raise ValueError(f"gamma must lie between 0 and 1, not {self.gamma}")
        if not 0 < self.initial_norm < math.inf:
            raise ValueError(f"initial_norm must be above 0 and finite, not {self.initial_norm}")
        if self.quantise_levels is not None and self.quantise_levels < 2:
            raise ValueError(f"quantise_levels must be None or at least 2, not {self.quantise_levels}")


@dataclass(frozen=True, slots=True, eq=False)
class DdnResult:
    """What an attack found.

    `tiles_BCHW` in [0, 1]: adversarial where `success_B`, else the tile as it was given; `norm_B` is that of the
    change. A tile that is adversarial as it stands (misclassified already) is returned as it is, with success and
    norm 0; a tile that was never broken has norm 0 too, but no success.
    """

    tiles_BCHW: Tensor
    success_B: Tensor
    norm_B: Tensor


def ddn_attack(
    scores_of: ScoresOf,
    tiles_BCHW: Tensor,
    labels_B: Tensor,
    settings: DdnSettings,
    *,
    targeted: bool = False,
    valid_BHW: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> DdnResult:
    """The smallest change found that takes each tile away from its label or, `targeted`, to it.

    Tiles in [0, 1]; the caller's `scores_of` normalises them. `labels_B` are class indices. Only pixels that are
    `valid_BHW` (all, where None) are changed. Where the gradient vanishes the step goes in a random direction, as in
    the authors' code, sampled from `generator` (on the CPU; a fresh one of seed 0 where None). Scores that are not
    finite are never taken for a success. Works under `no_grad` and `inference_mode`, leaves the gradients and the
    mode of the network alone: put it in evaluation mode first. Gradients are those of the cross-entropy (A V-1, line
    10) up to their length, which the algorithm discards.
    """
    return finish(
        ddn_steps(
            scores_of, tiles_BCHW, labels_B, settings, targeted=targeted, valid_BHW=valid_BHW, generator=generator
        )
    )


def ddn_steps(
    scores_of: ScoresOf,
    tiles_BCHW: Tensor,
    labels_B: Tensor,
    settings: DdnSettings,
    *,
    targeted: bool = False,
    valid_BHW: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Work[DdnResult]:
    """`ddn_attack`, with a chance to stop after every step."""
    _check_tiles(tiles_BCHW, labels_B, valid_BHW)
    clean, labels = tiles_BCHW.detach(), labels_B.detach()
    valid = torch.ones_like(clean[:, 0], dtype=torch.bool) if valid_BHW is None else valid_BHW
    random = torch.Generator().manual_seed(0) if generator is None else generator
    highest_B = worst_norm(clean, valid)
    radius_B = torch.full_like(highest_B, settings.initial_norm)
    best, best_norm_B = clean, torch.full_like(highest_B, math.inf)
    current = clean
    for step in range(settings.steps):
        # Judge before moving: the tile that the last step makes is never judged, and so never returned.
        adversarial_B, gradient = _judge_and_differentiate(scores_of, current, labels, targeted=targeted)
        norm_B = _norm(current - clean)
        better_B = adversarial_B & (norm_B < best_norm_B)
        best = torch.where(_per_tile(better_B), current, best)
        best_norm_B = torch.where(better_B, norm_B, best_norm_B)
        change = current - clean + step_length(step, settings.steps) * _direction(gradient, valid, random)
        factor_B = 1 + settings.gamma * (1 - 2 * adversarial_B.to(radius_B.dtype))
        radius_B = torch.minimum(radius_B * factor_B, highest_B)
        moved = _within_range(clean + _of_norm(change, radius_B), settings.quantise_levels)
        current = torch.where(valid[:, None], moved, clean)
        yield Progress("Attacking", step + 1, settings.steps)
    return _rechecked(scores_of, clean, best, torch.isfinite(best_norm_B), labels, targeted=targeted)


def step_length(step: int, steps: int) -> float:
    """The alpha of step 0 .. steps - 1 (A V-1, line 11): from 1 towards 0.01 by a cosine, as in the authors' code."""
    return _LAST_STEP + (1 - _LAST_STEP) * (1 + math.cos(math.pi * step / steps)) / 2


def worst_norm(tiles_BCHW: Tensor, valid_BHW: Tensor | None = None) -> Tensor:
    """(B,) norm of the largest change a tile has room for in [0, 1]: ||max(x, 1 - x)||, over valid pixels."""
    room = torch.maximum(tiles_BCHW, 1 - tiles_BCHW)
    return _norm(room if valid_BHW is None else room * valid_BHW[:, None])


def robustness_figures(norms: Sequence[float], successes: Sequence[bool]) -> dict[str, float]:
    """Figures of an attack on a classifier: `success_rate` and `clean_accuracy` in [0, 1], `median_l2`.

    The median is over the tiles that were broken. Those misclassified as they stand are among them, with norm 0 (the
    clean accuracy counts the others); those never broken are not, but lower the success rate: compare medians only
    of like success rates. There is no `median_l2` when no tile was broken. ValueError without tiles.
    """
    if len(norms) != len(successes) or not len(norms):
        raise ValueError(
            f"figures need as many norms as successes, at least one; not {len(norms)} and {len(successes)}"
        )
    norm, broken = np.asarray(norms, float), np.asarray(successes, bool)
    figures = {
        "success_rate": float(broken.mean()),
        "clean_accuracy": 1 - float((broken & (norm == 0)).mean()),
    }
    return figures | _median(norm[broken])


def _median(norms: NDArray[np.float64]) -> dict[str, float]:
    return {"median_l2": float(np.median(norms))} if norms.size else {}


def _judge_and_differentiate(
    scores_of: ScoresOf, tiles_BCHW: Tensor, labels_B: Tensor, *, targeted: bool
) -> tuple[Tensor, Tensor]:
    """(B,) whether tiles are adversarial, and the direction (B, C, H, W) in which they become more so."""
    with torch.inference_mode(False), torch.enable_grad():
        tiles, labels = tiles_BCHW.clone().requires_grad_(), labels_B.clone()  # inference tensors have no gradients
        scores_BC = _scores(scores_of, tiles, labels)
        if not scores_BC.requires_grad:
            raise ValueError("the scores do not depend differentiably on the tiles: is the network under no_grad?")
        margin = _margin_against(scores_BC, labels).sum()
        (gradient,) = torch.autograd.grad(-margin if targeted else margin, tiles, materialize_grads=True)
    return _is_adversarial(scores_BC.detach(), labels, targeted=targeted), gradient


def _scores(scores_of: ScoresOf, tiles_BCHW: Tensor, labels_B: Tensor) -> Tensor:
    scores_BC = scores_of(tiles_BCHW)
    if scores_BC.ndim != 2 or len(scores_BC) != len(tiles_BCHW) or scores_BC.shape[1] < 2:
        raise ValueError(f"an attack needs scores (B, C) of two classes or more, not {tuple(scores_BC.shape)}")
    if bool(((labels_B < 0) | (labels_B >= scores_BC.shape[1])).any()):
        raise ValueError(f"labels {labels_B.tolist()} are not all indices of {scores_BC.shape[1]} classes")
    return scores_BC.float() if scores_BC.dtype in (torch.float16, torch.bfloat16) else scores_BC


def _margin_against(scores_BC: Tensor, labels_B: Tensor) -> Tensor:
    """(B,) log-sum-exp of the other classes' scores less the label's.

    The cross-entropy is softplus of this, so both have gradients of one direction; but those of the cross-entropy
    vanish in float32 where the network is sure of itself, which is where an attack begins.
    """
    own = functional.one_hot(labels_B, scores_BC.shape[1]).bool()
    others_B = scores_BC.masked_fill(own, -math.inf).logsumexp(dim=1)
    return others_B - scores_BC.gather(1, labels_B[:, None]).squeeze(1)


def _is_adversarial(scores_BC: Tensor, labels_B: Tensor, *, targeted: bool) -> Tensor:
    finite_B = torch.isfinite(scores_BC).all(dim=1)
    return finite_B & ((scores_BC.argmax(dim=1) == labels_B) == targeted)


def _direction(gradient_BCHW: Tensor, valid_BHW: Tensor, generator: torch.Generator) -> Tensor:
    """Gradients over the valid pixels at norm 1, random ones in place of those that are zero or not finite."""
    valid = valid_BHW[:, None]
    gradient = gradient_BCHW.masked_fill(~valid, 0)
    norm_B = _norm(gradient)
    lost_B = ~torch.isfinite(norm_B) | (norm_B <= torch.finfo(norm_B.dtype).tiny)
    if bool(lost_B.any()):
        drawn = torch.randn(gradient.shape, generator=generator).to(gradient).masked_fill(~valid, 0)
        gradient = torch.where(_per_tile(lost_B), drawn, gradient)
    return _of_norm(gradient, torch.ones_like(norm_B))


def _of_norm(change_BCHW: Tensor, norm_B: Tensor) -> Tensor:
    """Changes rescaled to these norms; no change stays none."""
    present = _norm(change_BCHW).clamp(min=torch.finfo(change_BCHW.dtype).tiny)
    return change_BCHW / _per_tile(present) * _per_tile(norm_B)


def _within_range(tiles_BCHW: Tensor, levels: int | None) -> Tensor:
    """Tiles clipped to [0, 1], rounded to the nearest of so many levels where there are any."""
    if levels is None:
        return tiles_BCHW.clamp(0, 1)
    return (tiles_BCHW * (levels - 1)).round().div(levels - 1).clamp(0, 1)


def _rechecked(
    scores_of: ScoresOf, clean: Tensor, best: Tensor, found_B: Tensor, labels_B: Tensor, *, targeted: bool
) -> DdnResult:
    """The best tiles that are adversarial when judged again, the clean ones elsewhere."""
    with torch.inference_mode(False), torch.enable_grad():  # as they were judged, down to the kernels that run
        scores_BC = _scores(scores_of, best.clone().requires_grad_(), labels_B).detach()
    success_B = found_B & _is_adversarial(scores_BC, labels_B, targeted=targeted)
    tiles = torch.where(_per_tile(success_B), best, clean)
    return DdnResult(tiles, success_B, _norm(tiles - clean))


def _norm(values_BCHW: Tensor) -> Tensor:
    norm_B: Tensor = torch.linalg.vector_norm(values_BCHW.flatten(1), dim=1)
    return norm_B


def _per_tile(values_B: Tensor) -> Tensor:
    return values_B[:, None, None, None]


def _check_tiles(tiles_BCHW: Tensor, labels_B: Tensor, valid_BHW: Tensor | None) -> None:
    if tiles_BCHW.ndim != 4 or not len(tiles_BCHW) or not tiles_BCHW.is_floating_point():
        raise ValueError(f"an attack needs float tiles (B, C, H, W), not {tiles_BCHW.dtype} {tuple(tiles_BCHW.shape)}")
    low, high = float(tiles_BCHW.min()), float(tiles_BCHW.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"tiles must lie in [0, 1], not in [{low}, {high}]: attack them before they are normalised")
    if labels_B.shape != tiles_BCHW.shape[:1]:
        raise ValueError(f"{len(tiles_BCHW)} tiles need as many labels, not {tuple(labels_B.shape)}")
    if valid_BHW is not None and valid_BHW.shape != tiles_BCHW[:, 0].shape:
        raise ValueError(f"valid {tuple(valid_BHW.shape)} does not fit tiles {tuple(tiles_BCHW.shape)}")
