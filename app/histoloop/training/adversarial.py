"""Adversarial training with DDN: learn from tiles pushed to the decision boundary (thesis appendix V, section 6)."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from histoloop.networks.network import evaluating
from histoloop.training.ddn import DdnSettings, ScoresOf, ddn_attack

if TYPE_CHECKING:
    from torch import Tensor, nn

    from histoloop.training.samples import Batch


@dataclass(frozen=True, slots=True)
class AdversarialSettings:
    """The option of a recipe. `epsilon` is the largest L2 norm of a change, over a tile's values in [0, 1]; 0 is off.

    The paper: 100 steps, epsilon 1 on tiles of 32 x 32 x 3 values (CIFAR-10), in the last epochs of training. Larger
    tiles need a larger epsilon for the same change per pixel: in proportion to their side. Training takes about
    `steps` times as long.
    """

    epsilon: float = 0.0
    steps: int = 100
    gamma: float = 0.05
    initial_norm: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon < math.inf:
            raise ValueError(f"epsilon must be 0 (off) or a norm above it, not {self.epsilon}")
        DdnSettings(steps=self.steps, gamma=self.gamma, initial_norm=self.initial_norm)  # refuses what it cannot do

    @property
    def attack(self) -> DdnSettings:
        """The attack's own settings."""
        return DdnSettings(steps=self.steps, gamma=self.gamma, initial_norm=self.initial_norm)


def adversarial_batch(batch: Batch, *, network: nn.Module, scores_of: ScoresOf, settings: AdversarialSettings) -> Batch:
    """The batch with its labelled tiles hardened, for any loss to be taken of (eq A V-9); as it is where it is off.

    The network, whatever parts `scores_of` uses of it, is in evaluation mode during the attack (neither its
    batch-norm statistics nor its dropout see the tiles that are tried), and in the mode it was afterwards. Tiles
    without a label, and padding, stay as they are.
    """
    known_B = batch.labels_B >= 0
    if settings.epsilon == 0 or not bool(known_B.any()):
        return batch
    tiles = batch.tiles_BCHW.clone()
    with evaluating(network):
        tiles[known_B] = harden(
            scores_of,
            batch.tiles_BCHW[known_B].clamp(0, 1),  # rescaling may have rounded a value out
            batch.labels_B[known_B],
            epsilon=settings.epsilon,
            settings=settings.attack,
            valid_BHW=batch.valid_BHW[known_B],
        )
    return dataclasses.replace(batch, tiles_BCHW=tiles)


def harden(
    scores_of: ScoresOf,
    tiles_BCHW: Tensor,
    labels_B: Tensor,
    *,
    epsilon: float,
    settings: DdnSettings,
    valid_BHW: Tensor | None = None,
) -> Tensor:
    """The closest adversarial tiles DDN finds, projected on the ball of radius `epsilon` around the tiles given.

    In [0, 1], detached. Tiles that are misclassified already, or that the attack cannot break, come back unchanged;
    epsilon 0 changes none. The projection does not keep to quantised levels.
    """
    if not 0 <= epsilon < math.inf:
        raise ValueError(f"epsilon must be a norm, not {epsilon}")
    if epsilon == 0:
        return tiles_BCHW.detach()
    found = ddn_attack(scores_of, tiles_BCHW, labels_B, settings, valid_BHW=valid_BHW)
    share_B = epsilon / found.norm_B.clamp(min=epsilon)
    # Between two tiles in [0, 1], so in [0, 1] too.
    return torch.lerp(tiles_BCHW.detach(), found.tiles_BCHW, share_B[:, None, None, None])
