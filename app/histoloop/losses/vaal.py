"""The objectives of variational adversarial active learning (Sinha, Ebrahimi & Darrell 2019, VAAL).

A variational autoencoder describes tiles, a discriminator reads its latent means and tells the annotated tiles from
those that are not; the autoencoder learns to have all of them taken for annotated. The discriminator answers with a
logit: the log-odds that a tile is annotated. The autoencoder minimises the reconstruction error, plus beta times the
divergence, plus a weight times the adversarial term.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def reconstruction_error(reconstructed_BCHW: Tensor, tiles_BCHW: Tensor) -> Tensor:
    """Squared difference, mean over ALL elements; a scalar."""
    return functional.mse_loss(reconstructed_BCHW, tiles_BCHW)


def kl_to_standard_normal(mean_BZ: Tensor, log_variance_BZ: Tensor) -> Tensor:
    """Kullback-Leibler divergence of N(mean, variance) from N(0, 1), SUM over batch and dimensions, in nats; a scalar.

    A sum beside the mean of `reconstruction_error`, as in the authors' code: at beta 1 the divergence far outweighs
    the reconstruction, and more so in larger batches.
    """
    return -0.5 * (1 + log_variance_BZ - mean_BZ**2 - log_variance_BZ.exp()).sum()


def vae_adversarial(annotated_logits_B: Tensor, other_logits_B: Tensor) -> Tensor:
    """What the autoencoder adds: binary cross-entropy against 'annotated' for BOTH groups, a mean each, added.

    As in the paper; some versions of the authors' code set the target of the other tiles to 'not annotated', which
    makes the autoencoder help the discriminator rather than mislead it.
    """
    return _cross_entropy(annotated_logits_B, annotated=True) + _cross_entropy(other_logits_B, annotated=True)


def discriminator_loss(annotated_logits_B: Tensor, other_logits_B: Tensor) -> Tensor:
    """Binary cross-entropy of the two groups against what they are, a mean each, added: 2 log 2 for blind guesses."""
    return _cross_entropy(annotated_logits_B, annotated=True) + _cross_entropy(other_logits_B, annotated=False)


def _cross_entropy(logits_B: Tensor, *, annotated: bool) -> Tensor:
    targets_B = torch.full_like(logits_B, float(annotated))
    return functional.binary_cross_entropy_with_logits(logits_B, targets_B)
