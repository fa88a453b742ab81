"""Output discrepancy: how far two states of a model are apart in what they say of a region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Outputs = Literal["logit", "softmax"]


def cod(old: NDArray[np.floating], new: NDArray[np.floating], *, outputs: Outputs = "logit") -> float:
    """The L2 norm of the difference of two outputs (tod, eq 5), divided by the root of the number of pixels.

    Class logits (C,) count as one pixel; other outputs are logits (C, H, W), or foreground logits (H, W). `outputs`
    says whether logits or probabilities are compared; a foreground logit stands for the pair (0, logit). ValueError
    when the shapes differ or are none of these.
    """
    before, after = np.asarray(old, np.float64), np.asarray(new, np.float64)
    if before.shape != after.shape or before.ndim not in (1, 2, 3) or before.size == 0:
        raise ValueError(f"two outputs of one shape, (C,), (H, W) or (C, H, W), not {before.shape} and {after.shape}")
    if outputs not in ("logit", "softmax"):
        raise ValueError(f"outputs are 'logit' or 'softmax', not {outputs!r}")
    if outputs == "softmax":
        before, after = _probabilities(before), _probabilities(after)
    pixels = after[0].size if after.ndim == 3 else 1 if after.ndim == 1 else after.size
    return float(np.linalg.norm(after - before) / np.sqrt(pixels))


def _probabilities(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    channels = np.stack([np.zeros_like(logits), logits]) if logits.ndim == 2 else logits
    powers = np.exp(channels - channels.max(axis=0))
    shares: NDArray[np.float64] = powers / powers.sum(axis=0)
    return shares
