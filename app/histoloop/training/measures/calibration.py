"""Whether probabilities of labels mean what they say: calibration error, likelihood, Brier score, temperature.

Scores are those of a network before softmax or sigmoid, float (N, C). Where labels exclude each other the truth is an
index (N,); where each stands on its own it is bool (N, C), and every pair of tile and label counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BINS = 15
"""Of the calibration error, as in Guo et al. 2017."""

COOLEST, HOTTEST = 0.05, 20.0
"""Bounds of a temperature: labels that are all told right would have it at 0, and labels at random at infinity."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Of the probabilities in (low, high]: how many, their mean, and the share that came true (None without any)."""

    low: float
    high: float
    count: int
    confidence: float | None
    share: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Forecasts:
    """Probabilities (N, J) in [0, 1] that were stated of N tiles, and whether each came true (N, J) bool.

    Where labels exclude each other J is 1: the likeliest label, and whether it is right (Guo et al. 2017, eq 1). Else
    it is every label by itself. `losses` (N,) are the negative log-likelihoods of the truth in nats, and `brier` (N,)
    the squared distances of probabilities and truth: summed over the labels where these exclude each other (Brier
    1950, in [0, 2]), else their mean (in [0, 1]), as the losses are.
    """

    stated_NJ: NDArray[np.float64]
    came_true_NJ: NDArray[np.bool_]
    losses_N: NDArray[np.float64]
    brier_N: NDArray[np.float64]

    def bins(self, rows: NDArray[np.intp] | None = None, *, count: int = BINS) -> tuple[Bin, ...]:
        """Bins of equal width for a reliability diagram, of all tiles or of some rows."""
        numbers, stated, true = self._binned(rows, count)
        return tuple(
            Bin(
                low=number / count,
                high=(number + 1) / count,
                count=int(found),
                confidence=float(stated[number] / found) if found else None,
                share=float(true[number] / found) if found else None,
            )
            for number, found in enumerate(numbers)
        )

    def figures(self, rows: NDArray[np.intp] | None = None) -> dict[str, float]:
        """The figures of all tiles, or of some rows.

        `calibration_error` is the mean distance between what was stated and what came true, bin by bin (Guo et al.
        2017, eq 3), in [0, 1].
        """
        numbers, stated, true = self._binned(rows, BINS)
        chosen = slice(None) if rows is None else rows
        return {
            "calibration_error": float(np.abs(true - stated).sum() / numbers.sum()),
            "log_loss": float(self.losses_N[chosen].mean()),
            "brier_score": float(self.brier_N[chosen].mean()),
        }

    def _binned(self, rows: NDArray[np.intp] | None, count: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """How many probabilities fall into each bin, their sum, and how many of them came true."""
        chosen = slice(None) if rows is None else rows
        stated, true = self.stated_NJ[chosen].ravel(), self.came_true_NJ[chosen].ravel()
        place = np.clip(np.ceil(stated * count).astype(np.intp) - 1, 0, count - 1)
        numbers, sums, hits = (
            np.bincount(place, weights=weights, minlength=count) for weights in (None, stated, true.astype(np.float64))
        )
        return numbers, sums, hits


def forecasts(scores_NC: NDArray[np.floating[Any]], labels_N: Sequence[int]) -> Forecasts:
    """Of tiles with one label each; ValueError without tiles or for a label that is no class."""
    scores, labels = _scores(scores_NC), np.asarray(labels_N, np.intp)
    if labels.shape != scores.shape[:1] or not ((labels >= 0) & (labels < scores.shape[1])).all():
        raise ValueError(f"labels {labels.shape} do not fit scores {scores.shape}")
    posterior = softmax(scores, axis=1)
    truth = np.eye(scores.shape[1])[labels]
    return Forecasts(
        stated_NJ=posterior.max(axis=1, keepdims=True),
        came_true_NJ=(scores.argmax(axis=1) == labels)[:, None],
        losses_N=-log_softmax(scores, axis=1)[np.arange(len(labels)), labels],
        brier_N=((posterior - truth) ** 2).sum(axis=1),
    )


def forecasts_of_several(scores_NC: NDArray[np.floating[Any]], truth_NC: NDArray[np.bool_]) -> Forecasts:
    """Of tiles that may have several labels; ValueError without tiles or where the shapes differ."""
    scores = _scores(scores_NC)
    if truth_NC.shape != scores.shape:
        raise ValueError(f"the truth {truth_NC.shape} does not fit scores {scores.shape}")
    posterior = expit(scores)
    losses = np.logaddexp(0, np.where(truth_NC, -scores, scores))
    return Forecasts(posterior, truth_NC, losses.mean(axis=1), ((posterior - truth_NC) ** 2).mean(axis=1))


def _scores(scores_NC: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    if scores_NC.ndim != 2 or not scores_NC.size:
        raise ValueError(f"scores must be (tiles, labels) of one tile at least, not {scores_NC.shape}")
    return scores_NC.astype(np.float64)


def fitted_temperature(scores_NC: NDArray[np.floating[Any]], labels_N: Sequence[int]) -> float:
    """The T for which scores / T have the least negative log-likelihood of the labels (Guo et al. 2017, 4.2).

    It changes no likeliest label. Within [0.05, 20]. ValueError as of `forecasts`.
    """
    return _least_loss(lambda factor: forecasts(scores_NC * factor, labels_N))


def fitted_temperature_of_several(scores_NC: NDArray[np.floating[Any]], truth_NC: NDArray[np.bool_]) -> float:
    """The same where tiles may have several labels."""
    return _least_loss(lambda factor: forecasts_of_several(scores_NC * factor, truth_NC))


def _least_loss(forecasts_of: Callable[[float], Forecasts]) -> float:
    """The loss is convex in 1 / T, so that it has one minimum in log T."""

    def loss(log_temperature: float) -> float:
        return float(forecasts_of(math.exp(-log_temperature)).losses_N.mean())

    found = minimize_scalar(
        loss, bounds=(math.log(COOLEST), math.log(HOTTEST)), method="bounded", options={"xatol": 1e-6}
    )
    return float(math.exp(found.x))
