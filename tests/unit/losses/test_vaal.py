from __future__ import annotations

import math

import torch

from histoloop.losses.vaal import (
    discriminator_loss,
    kl_to_standard_normal,
    reconstruction_error,
    vae_adversarial,
)

MEAN = torch.tensor([[0.5, -1.0], [0.0, 0.2]])
LOG_VARIANCE = torch.tensor([[0.1, -0.3], [0.0, 0.4]])
RECONSTRUCTED = torch.tensor([[0.2, 0.4], [0.6, 0.8]])
TILES = torch.tensor([[0.1, 0.5], [0.5, 1.0]])
ANNOTATED = torch.tensor([0.7, 0.6]).logit()
OTHERS = torch.tensor([0.4, 0.2]).logit()


def check(loss: torch.Tensor, expected: float) -> None:
    torch.testing.assert_close(loss, torch.tensor(expected), rtol=1e-6, atol=0)


def test_the_terms_have_the_reference_values() -> None:
    check(reconstruction_error(RECONSTRUCTED, TILES), 0.0175)
    check(kl_to_standard_normal(MEAN, LOG_VARIANCE), 0.713906918199)
    whole = reconstruction_error(RECONSTRUCTED, TILES) + kl_to_standard_normal(MEAN, LOG_VARIANCE)
    check(whole, 0.731406918199)
    check(vae_adversarial(ANNOTATED, OTHERS), 1.69661460601)
    check(discriminator_loss(ANNOTATED, OTHERS), 0.800734871392)


def test_reconstruction_is_a_mean_and_divergence_a_sum_over_the_batch() -> None:
    twice = [torch.cat([values, values]) for values in (RECONSTRUCTED, TILES, MEAN, LOG_VARIANCE)]
    check(reconstruction_error(*twice[:2]), 0.0175)
    check(kl_to_standard_normal(*twice[2:]), 2 * 0.713906918199)


def test_a_standard_normal_has_no_divergence() -> None:
    assert kl_to_standard_normal(torch.zeros(3, 4), torch.zeros(3, 4)) == 0


def test_a_blind_discriminator_pays_log_two_for_each_group() -> None:
    check(discriminator_loss(torch.zeros(3), torch.zeros(5)), 2 * math.log(2))


def test_autoencoder_and_discriminator_pull_the_other_tiles_opposite_ways_and_the_annotated_one_way() -> None:
    annotated, others = ANNOTATED.clone().requires_grad_(), OTHERS.clone().requires_grad_()
    misleading = torch.autograd.grad(vae_adversarial(annotated, others), [annotated, others])
    telling = torch.autograd.grad(discriminator_loss(annotated, others), [annotated, others])
    assert (misleading[0] < 0).all()
    assert (telling[0] < 0).all()
    assert (misleading[1] < 0).all()
    assert (telling[1] > 0).all()


def test_losses_stay_finite_where_the_discriminator_is_certain_and_wrong() -> None:
    check(discriminator_loss(torch.tensor([-500.0]), torch.tensor([500.0])), 1000.0)
