"""How unsure the model is: four measures of the foreground probability, highest where to ask first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import entr

from histoloop.acquisition.strategy import Evidence, Facts, Floats, Inputs, Needs, Strategy, percent, score_each
from histoloop.language import mark, tr

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from histoloop.acquisition.strategy import ScoresAfter
    from histoloop.progress import Work

ROUNDING = 1e-3
"""How far above 1 or below 0 half precision may carry a probability; beyond it is none (a logit, say)."""

UNSURE = (0.25, 0.75)
"""Probabilities between which a pixel counts as unsure in the reason that the user reads."""


def pixel_entropy(probability_HW: NDArray[np.floating]) -> Floats:
    """Binary entropy of the foreground probability at every pixel, in nats: 0 where p is 0 or 1, log 2 at one half."""
    p = checked_probability(probability_HW)
    entropy: Floats = entr(p) + entr(1 - p)
    return entropy


def mean_pixel_entropy(probability_HW: NDArray[np.floating]) -> float:
    """Mean over the pixels of the binary entropy, in nats (label-prop, section 4.1c). Highest, log 2, at p = 0.5."""
    return float(np.mean(pixel_entropy(probability_HW)))


def mean_least_confidence(probability_HW: NDArray[np.floating]) -> float:
    """Mean over the pixels of 1 - max(p, 1 - p), the probability of what was not chosen (tod, section VI-E).

    From 0 to 0.5. With two outcomes half of the margin's score plus one half: both ask for the same regions.
    """
    p = checked_probability(probability_HW)
    return float(np.mean(np.minimum(p, 1 - p)))


def mean_margin(probability_HW: NDArray[np.floating]) -> float:
    """Mean over the pixels of minus the difference between the two probabilities (tod, section VI-E): -1 to 0.

    The sign makes the smallest margin the highest score.
    """
    p = checked_probability(probability_HW)
    return float(-np.mean(np.abs(2 * p - 1)))


def mean_ratio(probability_HW: NDArray[np.floating]) -> float:
    """Mean over the pixels of the second probability over the first (tod, section VI-E): 0 to 1."""
    p = checked_probability(probability_HW)
    second = np.minimum(p, 1 - p)
    return float(np.mean(second / (1 - second)))


def checked_probability(probability: NDArray[np.floating]) -> Floats:
    """Probabilities in double precision, [0, 1]. ValueError for what are none, missing values, and no pixels."""
    p = np.asarray(probability, np.float64)
    if p.size == 0:
        raise ValueError("a region without pixels has no uncertainty")
    if not (p.min() >= -ROUNDING and p.max() <= 1 + ROUNDING):  # NaN fails both
        raise ValueError(f"probabilities lie between 0 and 1, got {p.min():g} to {p.max():g}")
    return np.clip(p, 0, 1)


def _score_by(measure: Callable[[NDArray[np.floating]], float]) -> Callable[[Inputs], Work[ScoresAfter]]:
    return lambda inputs: score_each(inputs, lambda index: measure(inputs.foreground(index)))


def _evidence(inputs: Inputs, index: int) -> Evidence:
    foreground = inputs.foreground(index)
    share = float(np.mean((foreground > UNSURE[0]) & (foreground < UNSURE[1])))
    return Evidence({"share": share}, strength=pixel_entropy(foreground) / np.log(2))


def _reason(facts: Facts) -> str:
    if "share" not in facts:
        return tr("The model is unsure about this region.")
    return tr("The model is unsure about {share} of this region.", share=percent(facts["share"]))


def _strategy(
    name: str, *, order: int, title: str, sentence: str, source: str, measure: Callable[[NDArray[np.floating]], float]
) -> Strategy:
    return Strategy(
        name=name,
        order=order,
        title=title,
        sentence=sentence,
        source=source,
        needs=Needs("probabilities"),
        score=_score_by(measure),
        reason=_reason,
        evidence=_evidence,
        caption=mark("Yellow: the model is unsure."),
    )


STRATEGIES = (
    _strategy(
        "entropy",
        order=20,
        title=mark("Where the model is unsure"),
        sentence=mark("Asks where the model is least sure, pixel by pixel."),
        source=mark("label-prop, section 4.1 (entropy of the foreground probability, mean over pixels)"),
        measure=mean_pixel_entropy,
    ),
    _strategy(
        "least-confidence",
        order=30,
        title=mark("Where the model is least confident"),
        sentence=mark("Asks where the model's own answer convinces it least; much like 'where the model is unsure'."),
        source=mark("tod, section VI-E (least confidence, mean over pixels)"),
        measure=mean_least_confidence,
    ),
    _strategy(
        "margin",
        order=40,
        title=mark("Where it is a close call"),
        sentence=mark(
            "Asks where two answers are almost equally likely; for a mask of one tissue the same as least confident."
        ),
        source=mark("tod, section VI-E (margin of confidence, mean over pixels)"),
        measure=mean_margin,
    ),
    _strategy(
        "ratio",
        order=50,
        title=mark("Where the runner-up is strong"),
        sentence=mark("Asks where the second most likely answer is nearly as likely as the first."),
        source=mark("tod, section VI-E (ratio of confidence, mean over pixels)"),
        measure=mean_ratio,
    ),
)
