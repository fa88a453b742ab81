from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from histoloop.losses import jia

MAPS_BCHW = torch.tensor([[[[1.0, -2.0], [0.5, 3.0]], [[-1.0, 0.0], [-0.5, -2.0]]]])


def power_mean(maps_BCHW: torch.Tensor, r: int) -> torch.Tensor:
    return (maps_BCHW.double().sigmoid() ** r).mean(dim=(2, 3)) ** (1 / r)


@pytest.mark.parametrize("r", [1, 2, 4, 7])
def test_probability_is_the_power_mean_of_the_sigmoids(r: int) -> None:
    expected = power_mean(MAPS_BCHW, r)
    torch.testing.assert_close(jia.generalised_mean(MAPS_BCHW.double(), r=r), expected)
    log_p, log_rest = jia.log_generalised_mean(MAPS_BCHW.double(), r=r)
    torch.testing.assert_close(log_p, expected.log())
    torch.testing.assert_close(log_rest, (1 - expected).log())


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), spread=st.floats(0.1, 20))
def test_probability_lies_between_mean_and_maximum(seed: int, spread: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps = spread * torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    p, sigmoids = jia.generalised_mean(maps), maps.sigmoid()
    assert (p >= sigmoids.mean(dim=(2, 3)) - 1e-12).all()
    assert (p <= sigmoids.amax(dim=(2, 3)) + 1e-12).all()


def test_cross_entropy_is_that_of_the_probability_summed_over_the_classes() -> None:
    maps = torch.cat([MAPS_BCHW, -MAPS_BCHW]).double()
    truth = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    expected = functional.binary_cross_entropy(power_mean(maps, 4), truth, reduction="none").sum(dim=1)
    torch.testing.assert_close(jia.classification(maps, torch.tensor([0, 1])), expected)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("logit", [-1e4, -100.0, -30.0, 0.0, 30.0, 100.0, 1e4])
def test_cross_entropy_of_a_constant_map_is_that_of_its_logit(logit: float, label: int) -> None:
    logits = torch.tensor([logit, 0.0])
    truth = functional.one_hot(torch.tensor(label), 2).float()
    maps = logits[None, :, None, None].expand(1, 2, 3, 3).clone().requires_grad_()
    loss = jia.classification(maps, torch.tensor([label]))
    (gradient,) = torch.autograd.grad(loss.sum(), maps)
    expected = functional.binary_cross_entropy_with_logits(logits, truth, reduction="sum")
    torch.testing.assert_close(loss[0], expected, rtol=1e-5, atol=1e-5)
    # Steps of float32 at r times the largest logit are 4e-3.
    torch.testing.assert_close(gradient.sum(dim=(0, 2, 3)), logits.sigmoid() - truth, rtol=4e-3, atol=1e-6)


def test_jia_losses_have_the_gradients_of_finite_differences() -> None:
    maps = torch.randn(2, 3, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    labels, foreground = torch.tensor([2, 0]), torch.tensor([0.1, 0.2], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda maps: jia.classification(maps, labels), maps)
    assert torch.autograd.gradcheck(lambda maps: jia.oversize_penalty(maps, labels, foreground), maps)


def test_only_the_true_class_pays_and_only_for_too_large_a_region() -> None:
    size = MAPS_BCHW.sigmoid().mean(dim=(2, 3))[0]
    labels = torch.tensor([0, 0, 1])
    foreground = torch.stack([size[0] - 0.2, size[0] + 0.2, size[1] - 0.1])
    penalties = jia.oversize_penalty(MAPS_BCHW.expand(3, -1, -1, -1), labels, foreground)
    torch.testing.assert_close(penalties, torch.tensor([0.04, 0.0, 0.01]), rtol=1e-5, atol=1e-7)
    maps = MAPS_BCHW.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(jia.oversize_penalty(maps, torch.tensor([0]), torch.tensor([0.1])).sum(), maps)
    assert (gradient[0, 0] > 0).all()
    assert not gradient[0, 1].any()


def test_padding_does_not_count_in_either_loss() -> None:
    maps = torch.randn(2, 2, 3, 5)
    valid = torch.ones(2, 3, 5, dtype=torch.bool)
    valid[:, :, 3:] = False
    labels, foreground = torch.tensor([0, 1]), torch.tensor([0.05, 0.0])
    torch.testing.assert_close(
        jia.classification(maps, labels, valid_BHW=valid), jia.classification(maps[..., :3], labels)
    )
    torch.testing.assert_close(
        jia.oversize_penalty(maps, labels, foreground, valid_BHW=valid),
        jia.oversize_penalty(maps[..., :3], labels, foreground),
    )


def test_a_power_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="positive integer, not 0"):
        jia.generalised_mean(MAPS_BCHW, r=0)
