from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from histoloop.losses.robust import AdaptiveRobustLoss, barron_rho, log_partition, negative_log_likelihood
from histoloop.losses.size import size_l2

# Columns alpha = -inf, -2, 0, 0.5, 1, 1.5, 2, 4; rows (x, c).
ALPHAS = [-math.inf, -2.0, 0.0, 0.5, 1.0, 1.5, 2.0, 4.0]
RESIDUALS, SCALES = [0.5, -1.5, 3.0, 0.1, 0.0], [1.0, 1.0, 1.0, 0.25, 1.0]
RHO = [
    [0.117503097415, 0.117647058824, 0.117783035656, 0.117869632876, 0.11803398875, 0.118467668472, 0.125, 0.1328125],
    [0.675347532642, 0.72, 0.753771802376, 0.772300289049, 0.802775637732, 0.863822710497, 1.125, 1.7578125],
    [0.988891003462, 1.38461538462, 1.70474809224, 1.87972968509, 2.16227766017, 2.70016629448, 4.5, 14.625],
    [
        0.0768836536134,
        0.0769230769231,
        0.0769610411361,
        0.0769855870374,
        0.0770329614269,
        0.0771629163025,
        0.08,
        0.0832,
    ],
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
]
LOG_Z = {
    0.0: 1.49130347613,
    0.25: 1.36416341232,
    0.5: 1.29170703099,
    0.75: 1.23529285778,
    1.0: 1.18549523235,
    1.25: 1.13752670681,
    1.5: 1.08718891929,
    1.75: 1.02749287765,
    2.0: 0.918938533205,
}
# Rows alpha = 0, 0.5, 1, 1.5, 2; columns (x, c).
NLL_RESIDUALS, NLL_SCALES = [0.0, 0.5, -1.5, 0.05], [1.0, 1.0, 0.25, 0.1]
NLL = [
    [1.49130347613, 1.60908651179, 3.04944809418, -0.693498581208],
    [1.29170703099, 1.40957666387, 3.61361660237, -0.893008429125],
    [1.18549523235, 1.3035292211, 4.88196340153, -0.999055871895],
    [1.08718891929, 1.20565658776, 7.69230528769, -1.09692850523],
    [0.918938533205, 1.0439385332, 17.5326441721, -1.25864655979],
]


def column(values: list[float]) -> torch.Tensor:
    return torch.tensor(values)[:, None]


def integrated_log_partition(alpha: float) -> float:
    """log Z by scipy's adaptive rule, after x = sinh(t), for alpha strictly between 0 and 2."""

    def density(t: float) -> float:
        power = math.expm1(alpha / 2 * math.log1p(math.sinh(t) ** 2 / (2 - alpha)))
        return 2 * math.exp(-(2 - alpha) / alpha * power) * math.cosh(t)

    pieces = zip((0, 0.01, 0.1, 1, 3, 8), (0.01, 0.1, 1, 3, 8, 45), strict=True)
    return math.log(sum(quad(density, low, high, epsabs=1e-13, epsrel=1e-12, limit=200)[0] for low, high in pieces))


def test_rho_matches_the_reference_values() -> None:
    rho = barron_rho(column(RESIDUALS), torch.tensor(ALPHAS), column(SCALES))
    torch.testing.assert_close(rho, torch.tensor(RHO), rtol=1e-6, atol=1e-9)


def test_rho_takes_plain_numbers_for_alpha_and_scale() -> None:
    for position, alpha in enumerate(ALPHAS):
        rho = barron_rho(torch.tensor([0.1]), alpha, 0.25)
        torch.testing.assert_close(rho, torch.tensor([RHO[3][position]]), rtol=1e-6, atol=0)


def test_rho_at_infinite_alphas_is_its_limit() -> None:
    x = torch.linspace(-3, 3, 7)
    half_squares = (x / 0.8) ** 2 / 2
    torch.testing.assert_close(barron_rho(x, -math.inf, 0.8), -torch.expm1(-half_squares), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(barron_rho(x, math.inf, 0.8), torch.expm1(half_squares), rtol=2e-6, atol=0)


@settings(deadline=None, max_examples=30)
@given(
    residual=st.floats(-4, 4),
    alpha=st.sampled_from([0.0, 1.0, 2.0]),
    distance=st.sampled_from([-1e-6, 1e-6]),
)
def test_rho_is_continuous_where_its_formula_changes(residual: float, alpha: float, distance: float) -> None:
    x = torch.tensor(residual, dtype=torch.float64)
    torch.testing.assert_close(barron_rho(x, alpha + distance, 1.0), barron_rho(x, alpha, 1.0), rtol=2e-4, atol=0)


def test_rho_at_infinite_alphas_is_its_limit_to_double_precision() -> None:
    x = torch.linspace(-3, 3, 13, dtype=torch.float64)
    half_squares = (x / 0.8) ** 2 / 2
    for alpha in (-math.inf, torch.tensor(-math.inf, dtype=torch.float64)):
        torch.testing.assert_close(barron_rho(x, alpha, 0.8), -torch.expm1(-half_squares), rtol=1e-14, atol=0)
    torch.testing.assert_close(barron_rho(x, math.inf, 0.8), torch.expm1(half_squares), rtol=1e-13, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("alpha", [-math.inf, -1e6, 0.0, 1e-9, 1.0, 1.9999999, 2.0, 2.0000002, 4.0])
def test_rho_and_all_its_gradients_are_finite(alpha: float, dtype: torch.dtype) -> None:
    x = torch.tensor([0.0, 1e-12, 0.01, 1.0, 30.0], dtype=dtype, requires_grad=True)
    shapes = torch.full_like(x, alpha).requires_grad_()
    scales = torch.full_like(x, 0.3).requires_grad_()
    rho = barron_rho(x, shapes, scales)
    rho.sum().backward()
    for tensor in (rho, x.grad, shapes.grad, scales.grad):
        assert tensor is not None
        assert tensor.isfinite().all()


@pytest.mark.parametrize("alpha", [-2.0, 0.0, 0.3, 1.0, 1.7, 3.0])
def test_gradients_of_rho_are_those_of_finite_differences(alpha: float) -> None:
    x = torch.tensor([-1.5, 0.0, 0.2, 3.0], dtype=torch.float64, requires_grad=True)
    shapes = torch.full_like(x, alpha).requires_grad_()
    scales = torch.full_like(x, 0.7).requires_grad_()
    assert torch.autograd.gradcheck(barron_rho, (x, shapes, scales))


def test_gradients_at_alpha_two_are_those_of_half_the_square() -> None:
    x = torch.tensor([-1.5, 0.0, 0.2, 3.0], dtype=torch.float64, requires_grad=True)
    scales = torch.full_like(x, 0.7).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, c: barron_rho(x, 2.0, c), (x, scales))
    gradient_x, gradient_c = torch.autograd.grad(barron_rho(x, 2.0, scales).sum(), (x, scales))
    torch.testing.assert_close(gradient_x, x.detach() / 0.49)
    torch.testing.assert_close(gradient_c, -(x.detach() ** 2) / 0.343)


def test_rho_grows_with_alpha_through_two() -> None:
    alpha = torch.tensor(2.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(barron_rho(torch.tensor(1.0), alpha, 1.0), alpha)
    assert gradient > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_partition_matches_the_reference_values(dtype: torch.dtype) -> None:
    alphas = torch.tensor(list(LOG_Z), dtype=dtype)
    expected = torch.tensor(list(LOG_Z.values()), dtype=dtype)
    torch.testing.assert_close(log_partition(alphas), expected, rtol=1e-6, atol=0)


def test_log_partition_and_its_derivative_follow_numerical_integration() -> None:
    points = [0.0011, 0.01, 0.07, 0.3, 0.9, 1.0, 1.3, 1.8, 1.99, 1.998]
    alphas = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    values = log_partition(alphas)
    (gradients,) = torch.autograd.grad(values.sum(), alphas)
    step = 1e-4
    differences = [
        (8 * (integrated_log_partition(a + step) - integrated_log_partition(a - step))
         - (integrated_log_partition(a + 2 * step) - integrated_log_partition(a - 2 * step))) / (12 * step)
        for a in points
    ]  # fmt: skip
    np.testing.assert_allclose(values.detach(), [integrated_log_partition(a) for a in points], rtol=0, atol=1e-8)
    np.testing.assert_allclose(gradients, differences, rtol=0, atol=1e-4)


@settings(deadline=None, max_examples=30)
@given(alpha=st.floats(0, 2 - 2**-10, width=32))
def test_log_partition_in_float32_follows_float64(alpha: float) -> None:
    results = []
    for dtype in (torch.float32, torch.float64):
        shape = torch.tensor(alpha, dtype=dtype, requires_grad=True)
        value = log_partition(shape)
        (gradient,) = torch.autograd.grad(value, shape)
        results.append((value.item(), gradient.item()))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=0, atol=1e-4)


def test_log_partition_has_finite_gradients_at_both_ends() -> None:
    alphas = torch.tensor([0.0, 2.0], requires_grad=True)
    (gradients,) = torch.autograd.grad(log_partition(alphas).sum(), alphas)
    assert gradients.isfinite().all()


@pytest.mark.parametrize("alpha", [-0.1, 2.1, math.nan])
def test_log_partition_refuses_alphas_without_a_distribution(alpha: float) -> None:
    with pytest.raises(ValueError, match=r"alpha in \[0, 2\]"):
        log_partition(torch.tensor([1.0, alpha]))


def test_a_table_first_used_without_gradients_still_trains() -> None:
    from histoloop.losses import robust

    robust._log_partition_spline.cache_clear()
    loss = AdaptiveRobustLoss(2)
    with torch.inference_mode():
        loss(torch.zeros(3, 2))
    loss(torch.ones(3, 2)).sum().backward()
    assert loss.latent_alpha.grad is not None
    assert loss.latent_alpha.grad.isfinite().all()


def test_negative_log_likelihood_matches_the_reference_values() -> None:
    alphas = column([0.0, 0.5, 1.0, 1.5, 2.0])
    values = negative_log_likelihood(torch.tensor(NLL_RESIDUALS), alphas, torch.tensor(NLL_SCALES))
    torch.testing.assert_close(values, torch.tensor(NLL), rtol=2e-6, atol=0)


def test_likelihoods_sum_to_one() -> None:
    x = torch.linspace(-40, 40, 80001, dtype=torch.float64)
    for alpha in (1.0, 1.5, 2.0):
        shape, scale = torch.tensor([alpha, 0.5], dtype=torch.float64)
        density = torch.exp(-negative_log_likelihood(x, shape, scale))
        assert torch.trapezoid(density, x).item() == pytest.approx(1, abs=1e-8)


def test_at_alpha_two_the_adaptive_loss_is_l2_up_to_its_constant() -> None:
    predicted = torch.tensor([[0.2, 0.75, 0.05], [0.6, 0.1, 0.3]])
    target = torch.tensor([[0.3, 0.7, 0.0], [0.5, 0.0, 0.5]])
    loss = negative_log_likelihood(predicted - target, torch.full((3,), 2.0), torch.full((3,), math.sqrt(0.5)))
    constant = 3 * (0.5 * math.log(2 * math.pi) + math.log(math.sqrt(0.5)))
    torch.testing.assert_close(loss.sum(dim=1) - constant, size_l2(predicted, target), rtol=0, atol=1e-6)


def test_latents_give_the_reference_alphas_and_scales() -> None:
    loss = AdaptiveRobustLoss(5)
    torch.testing.assert_close(loss.alpha, torch.ones(5))
    torch.testing.assert_close(loss.scale, torch.ones(5))
    latents = torch.tensor([-3.0, -1.0, 0.0, 0.5, 2.0])
    loss.load_state_dict({"latent_alpha": latents, "latent_scale": latents})
    alphas = torch.tensor([0.0957568946088, 0.538344959897, 1.0, 1.24467374374, 1.7608325618])
    scales = torch.tensor([0.0820943056968, 0.489885226843, 1.0, 1.34363594914, 2.61712275431])
    torch.testing.assert_close(loss.alpha, alphas, rtol=1e-6, atol=0)
    torch.testing.assert_close(loss.scale, scales, rtol=1e-6, atol=0)


def test_the_adaptive_loss_stays_finite_with_extreme_latents() -> None:
    loss = AdaptiveRobustLoss(3)
    extremes = torch.tensor([-200.0, 0.0, 200.0])
    loss.load_state_dict({"latent_alpha": extremes, "latent_scale": -extremes})
    residuals = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], requires_grad=True)
    values = loss(residuals)
    values.sum().backward()
    for tensor in (values, residuals.grad, loss.latent_alpha.grad, loss.latent_scale.grad):
        assert tensor is not None
        assert tensor.isfinite().all()


def test_alpha_of_each_class_fits_its_residuals_and_does_not_collapse() -> None:
    rng = np.random.default_rng(0)
    heavy, normal = 0.1 * rng.standard_t(4, size=2000), 0.1 * rng.standard_normal(2000)
    residuals = torch.tensor(np.stack([heavy, normal], axis=1), dtype=torch.float32)
    loss = AdaptiveRobustLoss(2)
    optimiser = torch.optim.Adam(loss.parameters(), lr=0.1)
    history = []
    for _ in range(150):
        value = loss(residuals).mean()
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        history.append(value.item())
    heavy_alpha, normal_alpha = loss.alpha.tolist()
    assert history[-1] < history[0] - 1
    assert 0.2 < heavy_alpha < 1.7
    assert heavy_alpha < normal_alpha - 0.2
    assert all(0.02 < scale < 0.3 for scale in loss.scale.tolist())


def test_alpha_learns_from_its_very_start() -> None:
    loss = AdaptiveRobustLoss(1).double()
    values = torch.tensor([[0.2], [2.0]], dtype=torch.float64)
    loss(values).sum().backward()
    assert loss.latent_alpha.grad is not None
    slope, step = loss.latent_alpha.grad.item(), 1e-5
    ends = []
    for latent in (-step, step):
        shifted = copy.deepcopy(loss)
        torch.nn.init.constant_(shifted.latent_alpha, latent)
        ends.append(shifted(values).sum().item())
    assert slope == pytest.approx((ends[1] - ends[0]) / (2 * step), abs=1e-6)


def test_an_adaptive_loss_without_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one class"):
        AdaptiveRobustLoss(0)
