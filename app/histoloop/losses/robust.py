"""Barron's general and adaptive robust loss (Barron 2019; thesis eqs 4.10-4.11).

One family holds L2 (alpha 2), Charbonnier (1), Cauchy (0), Geman-McClure (-2) and Welsch (-inf): the smaller alpha, the
less an outlier weighs. Minimising the negative log-likelihood of the distribution that belongs to it learns alpha and
the scale with everything else.
"""

from __future__ import annotations

import functools
import math

import torch
from scipy.interpolate import CubicSpline
from torch import Tensor, nn
from torch.nn import functional

ALPHA_LOW, ALPHA_HIGH = 0.001, 1.999
SCALE_LOW = 1e-5
_CELLS = 512


def barron_rho(residual: Tensor, alpha: Tensor | float, scale: Tensor | float) -> Tensor:
    """rho(x, alpha, c) of eq 4.10, elementwise; the three broadcast against each other.

    `alpha` is any real number, and +-inf (Welsch at -inf; at +inf the limit exp((x/c)^2 / 2) - 1); `scale` is positive.
    Values and gradients with respect to all three are finite wherever rho is, alpha = 0 and 2 included. In exact
    arithmetic d rho / d alpha grows like log(1 / |alpha - 2|) next to 2; |alpha - 2| has a floor of a machine epsilon.
    """
    shape = torch.as_tensor(alpha, dtype=residual.dtype, device=residual.device)
    limit = max(1e8, 1 / torch.finfo(shape.dtype).eps)  # beyond, rho differs from its limits by rounding alone
    shape = shape.clamp(min=-limit, max=limit)
    squares = (residual / scale) ** 2
    # Each form sees only the alphas at which it is finite: an inf that the last torch.where drops has a nan gradient.
    # (Not clamp: it has no gradient at its bound, and alpha = 1 is where learning starts.)
    below = shape < 1
    around_zero = _rho_around_zero(squares, torch.where(below, shape, 0.0))
    return torch.where(below, around_zero, _rho_around_two(squares, torch.where(below, 2.0, shape)))


def log_partition(alpha: Tensor) -> Tensor:
    """Logarithm of Z(alpha) of eq 4.11, elementwise, for alpha in [0, 2]; ValueError outside.

    A cubic spline through numerical integrals: in float64 less than 1e-9 from them, with a derivative right to 1e-4 up
    to alpha = 2 - 1e-6. It falls like log(2 - alpha) from there; at 2 itself, where it has no value, the gradient is 0.
    The first call integrates, later ones look up.
    """
    if not bool(((alpha >= 0) & (alpha <= 2)).all()):
        raise ValueError(f"log Z(alpha) is tabulated for alpha in [0, 2], not {alpha.tolist()}")
    knots, coefficients = _log_partition_spline(alpha.dtype, alpha.device)
    position = (1 - alpha / 2).clamp(min=torch.finfo(alpha.dtype).tiny) ** 0.25
    cell = torch.bucketize(position.detach(), knots[1:-1])
    cubic, square, linear, constant = coefficients[cell].unbind(dim=-1)
    offset = position - knots[cell]
    return ((cubic * offset + square) * offset + linear) * offset + constant


def negative_log_likelihood(residual: Tensor, alpha: Tensor, scale: Tensor) -> Tensor:
    """-log p(x | alpha, c) = rho + log c + log Z(alpha) (eq 4.11), elementwise, alpha in [0, 2]; can be negative.

    Without the last two terms alpha falls as low as it may and c grows for ever: rho shrinks with either.
    """
    return barron_rho(residual, alpha, scale) + scale.log() + log_partition(alpha)


class AdaptiveRobustLoss(nn.Module):
    """Negative log-likelihood of residuals with an alpha and a scale learned for each class (thesis section 4.3).

    alpha = 0.001 + 1.998 sigmoid(latent) and c = 1e-5 + (1 - 1e-5) softplus(latent + log(e - 1)); all latents start at
    0, where alpha = c = 1. Give its parameters to the optimiser without weight decay, which would pull both back to 1.
    """

    def __init__(self, class_count: int) -> None:
        super().__init__()
        if class_count < 1:
            raise ValueError(f"an adaptive loss needs at least one class, not {class_count}")
        self.latent_alpha = nn.Parameter(torch.zeros(class_count))
        self.latent_scale = nn.Parameter(torch.zeros(class_count))

    @property
    def alpha(self) -> Tensor:
        """Shape parameter of each class, (C,), within [0.001, 1.999]."""
        return ALPHA_LOW + (ALPHA_HIGH - ALPHA_LOW) * self.latent_alpha.sigmoid()

    @property
    def scale(self) -> Tensor:
        """Scale of each class, (C,), at least 1e-5, in the unit of the residuals."""
        return SCALE_LOW + (1 - SCALE_LOW) * functional.softplus(self.latent_scale + math.log(math.e - 1))

    def forward(self, residual_BC: Tensor) -> Tensor:
        """(B, C) negative log-likelihoods of (B, C) residuals, in the precision of the parameters."""
        return negative_log_likelihood(residual_BC.to(self.latent_alpha.dtype), self.alpha, self.scale)


def _rho_around_zero(squares: Tensor, alpha: Tensor) -> Tensor:
    """Eq 4.10 for alpha < 1: (b / alpha) expm1(alpha L / 2) with b = 2 - alpha and L = log(s/b + 1); no pole at 0."""
    b = 2 - alpha
    half_log = torch.log1p(squares / b) / 2
    return b * half_log * _expm1_ratio(alpha * half_log)


def _rho_around_two(squares: Tensor, alpha: Tensor) -> Tensor:
    """Eq 4.10 for alpha >= 1: with h = alpha - 2, (s/|h| + 1)^(alpha/2) is split so that nothing grows like 1/|h|."""
    h = alpha - 2
    b = h.abs().clamp(min=torch.finfo(h.dtype).eps)
    exponent = h * torch.log1p(squares / b) / 2
    return (squares * exponent.exp() + b * exponent.expm1()) / alpha


def _expm1_ratio(z: Tensor) -> Tensor:
    """(exp(z) - 1) / z, 1 at z = 0; by its Taylor series near 0, where the quotient's gradient cancels."""
    near = z.abs() < 0.5
    small = torch.where(near, z, 0.0)
    series = torch.ones_like(z)
    for order in range(14, 1, -1):
        series = 1 + small / order * series
    large = torch.where(near, 1.0, z)
    return torch.where(near, series, large.expm1() / large)


@functools.cache
def _log_partition_spline(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Knots (N + 1) and coefficients (N, 4), highest power first, of log Z over u = (1 - alpha/2)^(1/4).

    Next to alpha = 2 log Z goes like h log h with h = 2 - alpha, which u^4 makes smooth. Next to alpha = 0 it is smooth
    but not analytic, its n-th derivative growing like (2n)!: there the sine sets the knots closer.
    """
    with torch.inference_mode(mode=False), torch.no_grad():  # a table made in inference mode could never train
        knots = torch.linspace(0, math.pi / 2, _CELLS + 1, dtype=torch.float64).sin()
        spline = CubicSpline(knots.numpy(), _integrate_log_partition(2 * (1 - knots**4)).numpy())
        coefficients = torch.from_numpy(spline.c.T.copy())
        return knots.to(device=device, dtype=dtype), coefficients.to(device=device, dtype=dtype)


def _integrate_log_partition(alpha: Tensor) -> Tensor:
    """Logarithm of Z(alpha) by the trapezoidal rule after x = exp(t).

    The rule converges exponentially in the width of the strip around the real t-axis where the integrand is analytic;
    exp(t) keeps the branch points x = +-i sqrt(2 - alpha) at a distance of pi/2 from it even for alpha next to 2.
    """
    step = 0.1
    x = torch.arange(-40, 40, step, dtype=alpha.dtype).exp()
    densities = torch.exp(-barron_rho(x, alpha[:, None], 1.0))
    return torch.log(2 * step * (densities * x).sum(dim=1))
