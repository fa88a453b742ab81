"""A teacher that follows a student: the moving average of all it has been (tod eq 6; Tarvainen and Valpola 2017)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Self, get_args

import torch
from torch import nn

from histoloop.losses.consistency import Outputs

RECENCY = 4.0
"""Averages over about the last sixth of the steps taken: measured, docs/active-learning.md."""


@dataclass(frozen=True, slots=True)
class ConsistencySettings:
    """Semi-supervised training (tod eq 9): `weight` is lambda, 0.05 in the paper; 0 does without.

    `decay` is alpha of eq 6, at most; until that is reached, the average is over about the last (2 + `recency`)-th of
    the steps taken, with 0 over all, as in the paper. `outputs` are compared: 'logit', as in the paper, suits scores of
    labels; of masks 'softmax' with a weight of 1 has been measured to be the better. Each step takes
    `unlabelled_per_step` tiles that nobody annotated.
    """

    weight: float = 0.0
    decay: float = 0.999
    unlabelled_per_step: int = 4
    recency: float = RECENCY
    outputs: Outputs = "softmax"

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise ValueError(f"weight must be 0 or more, not {self.weight}")
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must lie in [0, 1), not {self.decay}")
        if self.unlabelled_per_step < 1:
            raise ValueError(f"unlabelled_per_step must be at least 1, not {self.unlabelled_per_step}")
        if not self.recency >= 0:
            raise ValueError(f"recency must be 0 or more, not {self.recency}")
        if self.outputs not in get_args(Outputs):
            raise ValueError(f"outputs must be 'softmax' or 'logit', not {self.outputs!r}")


class Teacher(nn.Module):
    """A copy of any module that takes the student's place as the one to agree with; it never gets a gradient.

    It stays in evaluation mode: its batch norms use their statistics, which follow the student's as the weights do,
    so that its output for a tile depends neither on the tile's batch mates nor on how often it was asked. As a module
    it is saved and restored like one: name it among what `fit` keeps with a training.
    """

    def __init__(self, student: nn.Module, *, decay: float = 0.999, recency: float = 0.0) -> None:
        super().__init__()
        self.decay, self.recency = decay, recency
        self.module = copy.deepcopy(student).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, student: nn.Module, step: int) -> None:
        """Follow after the student's step number `step`, which counts from 1.

        Eq 6 with alpha = min(1 - (1 + r) / (step + 1 + r), decay). With a recency r of 0 that is the plain mean of all
        states until the decay is reached, as in the paper: within the few hundred steps of a round the random beginning
        still weighs in it, and the student is better. With r the average reaches back over about a (2 + r)-th of the
        steps taken, however many (polynomial-decay averaging: Shamir and Zhang 2013). Buffers are averaged too;
        integers are copied. ValueError for a student of other tensors than it began as, or a step below 1.
        """
        if step < 1:
            raise ValueError(f"steps count from 1, not {step}")
        own, others = self.module.state_dict(), student.state_dict()
        if own.keys() != others.keys():
            raise ValueError(f"the student has other tensors: {', '.join(sorted(own.keys() ^ others.keys())[:3])}")
        alpha = min(step / (step + 1 + self.recency), self.decay)
        for name, tensor in own.items():
            if tensor.is_floating_point():
                tensor.mul_(alpha).add_(others[name], alpha=1 - alpha)
            else:
                tensor.copy_(others[name])

    @torch.no_grad()
    def forward(self, *inputs: Any) -> Any:
        """The output of the averaged module."""
        return self.module(*inputs)

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode, whatever is asked."""
        del mode
        return super().train(False)
