"""Cyclic output discrepancy: how far the outputs moved between the model of a round and that of the round before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import expit, softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Outputs = Literal["logit", "softmax"]


def cod(old: NDArray[np.floating], new: NDArray[np.floating], *, outputs: Outputs = "logit") -> float:
    """COD of one region (tod, eq 5): root over the pixels' mean squared change; highest is asked first.

    For class logits (C,) this is the L2 norm of the difference, eq 5 itself. For segmentation logits (C, H, W), or
    foreground logits (H, W), it is the L2 norm over channels and pixels divided by the root of the number of pixels,
    so that regions of different size compare: repeating a region side by side does not change it.
    """
    return float(np.sqrt(np.mean(discrepancy_map(old, new, outputs=outputs) ** 2)))


def discrepancy_map(old: NDArray[np.floating], new: NDArray[np.floating], *, outputs: Outputs = "logit") -> Floats:
    """The L2 norm over the channels of the change at every pixel, (H, W); a single value for class logits (C,).

    `outputs` says what is compared: the logits (tod, eq 5) or their softmax (the authors' code; it ranks differently).
    A foreground logit (H, W) stands for the pair (background 0, foreground), so its softmax is (1 - p, p). ValueError
    when the shapes differ, are none of these, or a logit is not finite.
    """
    before, after = (np.asarray(logits, np.float64) for logits in (old, new))
    if before.shape != after.shape or before.ndim not in (1, 2, 3) or before.size == 0:
        raise ValueError(f"two outputs of one shape, (C,), (H, W) or (C, H, W), got {before.shape} and {after.shape}")
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        raise ValueError("logits must be finite")
    if outputs == "logit":
        return _norm(_channels(after) - _channels(before))
    if outputs == "softmax":
        return _norm(_posterior(after) - _posterior(before))
    raise ValueError(f"outputs are 'logit' or 'softmax', got {outputs!r}")


def _channels(logits: Floats) -> Floats:
    return logits[np.newaxis] if logits.ndim == 2 else logits


def _posterior(logits: Floats) -> Floats:
    if logits.ndim == 2:
        return np.stack([expit(-logits), expit(logits)])
    posterior: Floats = softmax(logits, axis=0)
    return posterior


def _norm(change: Floats) -> Floats:
    norm: Floats = np.linalg.norm(change, axis=0)
    return norm
