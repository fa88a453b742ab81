"""Size supervision: the share of a tile that each class covers, against an estimate of it (thesis section 4.3).

Order of the K = C + 1 maps and of every vector of sizes: the C label classes first (0 .. C-1), the background LAST
(index C). Sizes are fractions of the tile in [0, 1]; a tile's K sizes sum to 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

# Its inverse, a gradient, stays finite in float32 even times the loss scale of mixed precision.
_SMALLEST_SIZE = 1e-30


def upsampled_log_probabilities(maps_BKHW: Tensor, *, size: tuple[int, int] | None) -> Tensor:
    """Log of the softmax over K of the logits, upsampled bilinearly (align_corners=False) to `size` (rows, columns).

    `size` None leaves the cells as they are. At least float32: half precision cannot average a tile's pixels.
    """
    logits = maps_BKHW.to(torch.promote_types(maps_BKHW.dtype, torch.float32))
    if size is not None:
        logits = functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    return logits.log_softmax(dim=1)


def mean_probabilities(log_probabilities_BKHW: Tensor, *, valid_BHW: Tensor | None = None) -> Tensor:
    """v_hat of eq 4.7, (B, K): the mean over the valid pixels of probabilities, given as logs upsampled to the tile.

    `valid_BHW` has the maps' shape and at least one valid pixel a tile; None is all.
    """
    return _mean_over_valid(log_probabilities_BKHW.exp(), valid_BHW)


def map_entropy(log_probabilities_BKHW: Tensor, *, valid_BHW: Tensor | None = None) -> Tensor:
    """l_e of eq 4.12, (B,), in nats: entropy over the classes of each pixel, mean over the valid pixels."""
    return -_mean_over_valid(log_probabilities_BKHW.exp() * log_probabilities_BKHW, valid_BHW).sum(dim=1)


def size_kl(predicted_BK: Tensor, target_BK: Tensor) -> Tensor:
    """Kullback-Leibler divergence of v_hat from a (eq 4.8, 0 log 0 = 0), (B,), in nats.

    Rows sum to 1. Predictions under 1e-30 count as 1e-30, so that values and gradients stay finite.
    """
    log_predicted = predicted_BK.clamp(min=_SMALLEST_SIZE).log()
    return (torch.xlogy(target_BK, target_BK) - target_BK * log_predicted).sum(dim=1)


def size_l2(predicted_BK: Tensor, target_BK: Tensor) -> Tensor:
    """Squared distance of v_hat from a (eq 4.9), (B,)."""
    return ((predicted_BK - target_BK) ** 2).sum(dim=1)


def total(l_c: Tensor, l_s: Tensor, l_e: Tensor, *, lambda_s: float, lambda_e: float) -> Tensor:
    """l_t of eq 4.13: the classification, size and entropy terms (shapes broadcast) over the sum of their weights.

    The thesis uses lambda_s = 10 and lambda_e = 0.1 on GlaS, 3 and 0.1 on CAMELYON16. ValueError for a negative weight.
    """
    if lambda_s < 0 or lambda_e < 0:
        raise ValueError(f"weights must not be negative: lambda_s {lambda_s}, lambda_e {lambda_e}")
    return (l_c + lambda_s * l_s + lambda_e * l_e) / (1 + lambda_s + lambda_e)


def size_targets(foreground_B: Tensor, labels_B: Tensor, *, label_count: int) -> Tensor:
    """The vector a of each tile, (B, label_count + 1): the foreground's size at its label, the rest at the background.

    The label classes come first, the background last. ValueError for a size outside [0, 1] (or nan) and for a label
    outside 0 .. label_count - 1.
    """
    if not bool(((foreground_B >= 0) & (foreground_B <= 1)).all()):
        raise ValueError(f"sizes are fractions in [0, 1], not {foreground_B.tolist()}")
    if not bool(((labels_B >= 0) & (labels_B < label_count)).all()):
        raise ValueError(f"labels are indices below {label_count}, not {labels_B.tolist()}")
    label_sizes_BC = functional.one_hot(labels_B.long(), label_count) * foreground_B[:, None]
    return torch.cat([label_sizes_BC, 1 - foreground_B[:, None]], dim=1)


def noisy_sizes(size_B: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Foreground sizes with the error of an annotator: plus N(0, sigma^2), clipped to [0, 1] (thesis section 4.4.3).

    The thesis draws afresh for each crop on GlaS, and once a tile for the whole training on CAMELYON16.
    """
    noise = torch.randn(size_B.shape, dtype=size_B.dtype, device=generator.device, generator=generator)
    return (size_B + sigma * noise.to(size_B.device)).clamp(0, 1)


def _mean_over_valid(values_BKHW: Tensor, valid_BHW: Tensor | None) -> Tensor:
    if valid_BHW is None:
        return values_BKHW.mean(dim=(2, 3))
    batch, _, rows, columns = values_BKHW.shape
    if valid_BHW.shape != (batch, rows, columns):
        raise ValueError(f"valid pixels of shape {tuple(valid_BHW.shape)} for maps of {tuple(values_BKHW.shape)}")
    valid_B1HW = valid_BHW.to(values_BKHW.dtype)[:, None]
    return (values_BKHW * valid_B1HW).sum(dim=(2, 3)) / valid_B1HW.sum(dim=(2, 3)).clamp(min=1)
