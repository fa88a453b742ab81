"""How unsure a model is of a region: functions of its foreground probability, highest where to ask first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import entr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ROUNDING = 1e-3
"""How far above 1 or below 0 half precision may carry a probability; beyond it is none (a logit, say)."""


def pixel_entropy(probability_HW: NDArray[np.floating]) -> Floats:
    """Binary entropy of the foreground probability at every pixel, in nats: 0 where p is 0 or 1, log 2 at one half."""
    p = _checked(probability_HW)
    entropy: Floats = entr(p) + entr(1 - p)
    return entropy


def mean_pixel_entropy(probability_HW: NDArray[np.floating]) -> float:
    """Mean over the pixels of the binary entropy, in nats (label-prop, section 4.1c). Highest, log 2, at p = 0.5."""
    return float(np.mean(pixel_entropy(probability_HW)))


def mean_least_confidence(probability_HW: NDArray[np.floating]) -> float:
    """Mean over the pixels of 1 - max(p, 1 - p), the probability of what was not chosen (tod, section VI-E).

    From 0 to 0.5. With two outcomes half of the margin's score plus one half: both ask for the same regions.
    """
    p = _checked(probability_HW)
    return float(np.mean(np.minimum(p, 1 - p)))


def mean_margin(probability_HW: NDArray[np.floating]) -> float:
    """Mean over the pixels of minus the difference between the two probabilities (tod, section VI-E): -1 to 0.

    The sign makes the smallest margin the highest score.
    """
    p = _checked(probability_HW)
    return float(-np.mean(np.abs(2 * p - 1)))


def mean_ratio(probability_HW: NDArray[np.floating]) -> float:
    """Mean over the pixels of the second probability over the first (tod, section VI-E): 0 to 1."""
    p = _checked(probability_HW)
    second = np.minimum(p, 1 - p)
    return float(np.mean(second / (1 - second)))


def _checked(probability: NDArray[np.floating]) -> Floats:
    p = np.asarray(probability, np.float64)
    if p.size == 0:
        raise ValueError("a region without pixels has no uncertainty")
    if not (p.min() >= -ROUNDING and p.max() <= 1 + ROUNDING):  # NaN fails both
        raise ValueError(f"probabilities lie between 0 and 1, got {p.min():g} to {p.max():g}")
    return np.clip(p, 0, 1)


class PassVariance:
    """Variance of the foreground probability of one region over MC dropout passes, in the memory of two maps.

    Unbiased (divided by passes - 1), per pixel, then averaged over the pixels (label-prop, section 4.1c). Welford's
    running sums lose no digits where the passes hardly differ.
    """

    def __init__(self) -> None:
        self.passes = 0
        self._mean: Floats = np.zeros(0)
        self._squares: Floats = np.zeros(0)

    def add(self, probability_HW: NDArray[np.floating]) -> None:
        """Take in one pass. ValueError when its shape is not that of the passes before."""
        p = _checked(probability_HW)
        if self.passes == 0:
            self._mean, self._squares = np.zeros_like(p), np.zeros_like(p)
        if p.shape != self._mean.shape:
            raise ValueError(f"a pass of shape {p.shape} after passes of shape {self._mean.shape}")
        self.passes += 1
        before = p - self._mean
        self._mean += before / self.passes
        self._squares += before * (p - self._mean)

    def variance(self) -> Floats:
        """Unbiased variance (H, W) at every pixel. ValueError below 2 passes."""
        if self.passes < 2:
            raise ValueError(f"a variance needs at least 2 passes, got {self.passes}")
        return self._squares / (self.passes - 1)

    def mean_variance(self) -> float:
        """Mean of the variance over the pixels: the score of the region. ValueError below 2 passes."""
        return float(np.mean(self.variance()))
