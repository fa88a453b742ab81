"""How unsure the model is: four measures of its probabilities, highest where to ask first.

Each takes a foreground probability (H, W), as label-prop has it, or those of background and mask classes (L, H, W),
which sum to 1. A foreground alone gives what it and its background would give.
"""

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

SURE = 0.75
"""Below this probability of its likeliest outcome a pixel counts as unsure in the reason that the user reads."""


def pixel_entropy(probability: NDArray[np.floating]) -> Floats:
    """Entropy at every pixel (H, W), in nats: 0 where the model is sure, log L where all L outcomes are alike."""
    p = checked_probability(probability)
    entropy: Floats = entr(p) + entr(1 - p) if p.ndim < 3 else entr(p).sum(axis=0)
    return entropy


def mean_pixel_entropy(probability: NDArray[np.floating]) -> float:
    """Mean over the pixels of the entropy, in nats (label-prop, section 4.1c, of one foreground)."""
    return float(np.mean(pixel_entropy(probability)))


def mean_least_confidence(probability: NDArray[np.floating]) -> float:
    """Mean over the pixels of 1 - max p, the probability of what was not chosen (tod, section VI-E).

    From 0 to 1 - 1/L. With two outcomes half of the margin's score plus one half: both ask for the same regions.
    """
    p = checked_probability(probability)
    return float(np.mean(np.minimum(p, 1 - p) if p.ndim < 3 else 1 - p.max(axis=0)))


def mean_margin(probability: NDArray[np.floating]) -> float:
    """Mean over the pixels of minus the difference between the two highest probabilities (tod, section VI-E): -1 to 0.

    The sign makes the smallest margin the highest score.
    """
    p = checked_probability(probability)
    if p.ndim < 3:
        return float(-np.mean(np.abs(2 * p - 1)))
    first, second = _first_and_second(p)
    return float(-np.mean(first - second))


def mean_ratio(probability: NDArray[np.floating]) -> float:
    """Mean over the pixels of the second probability over the first (tod, section VI-E): 0 to 1."""
    p = checked_probability(probability)
    if p.ndim < 3:
        second = np.minimum(p, 1 - p)
        return float(np.mean(second / (1 - second)))
    first, second = _first_and_second(p)
    return float(np.mean(second / first))


def _first_and_second(p_LHW: Floats) -> tuple[Floats, Floats]:
    """The two highest probabilities (H, W) at every pixel."""
    highest = np.partition(p_LHW, -2, axis=0)
    return highest[-1], highest[-2]


def highest_probability(probability: NDArray[np.floating]) -> Floats:
    """That of the likeliest outcome at every pixel (H, W)."""
    p = checked_probability(probability)
    highest: Floats = np.maximum(p, 1 - p) if p.ndim < 3 else p.max(axis=0)
    return highest


def checked_probability(probability: NDArray[np.floating]) -> Floats:
    """Probabilities in double precision, [0, 1]. ValueError for what are none, missing values, and no pixels.

    Those of several outcomes (L, H, W) are brought to a sum of 1, which half precision misses by a little; ValueError
    where it is missed by more.
    """
    p = np.asarray(probability, np.float64)
    if p.size == 0:
        raise ValueError("a region without pixels has no uncertainty")
    if not (p.min() >= -ROUNDING and p.max() <= 1 + ROUNDING):  # NaN fails both
        raise ValueError(f"probabilities lie between 0 and 1, got {p.min():g} to {p.max():g}")
    p = np.clip(p, 0, 1)
    if p.ndim < 3:
        return p
    total = p.sum(axis=0)
    if not (np.abs(total - 1) <= ROUNDING * len(p)).all():
        raise ValueError(f"probabilities of all outcomes sum to 1, not to {total.min():g} to {total.max():g}")
    normalised: Floats = p / total
    return normalised


def _score_by(measure: Callable[[NDArray[np.floating]], float]) -> Callable[[Inputs], Work[ScoresAfter]]:
    return lambda inputs: score_each(inputs, lambda index: measure(inputs.outcomes(index)))


def _evidence(inputs: Inputs, index: int) -> Evidence:
    outcomes = inputs.outcomes(index)
    count = 2 if outcomes.ndim < 3 else len(outcomes)
    share = float(np.mean(highest_probability(outcomes) < SURE))
    return Evidence({"share": share}, strength=pixel_entropy(outcomes) / np.log(count))


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
        sentence=mark("Asks where the most likely class is least certain; much like 'where the model is unsure'."),
        source=mark("tod, section VI-E (least confidence, mean over pixels)"),
        measure=mean_least_confidence,
    ),
    _strategy(
        "margin",
        order=40,
        title=mark("Where it is a close call"),
        sentence=mark(
            "Asks where two classes are almost equally likely; for a mask of one tissue the same as least confident."
        ),
        source=mark("tod, section VI-E (margin of confidence, mean over pixels)"),
        measure=mean_margin,
    ),
    _strategy(
        "ratio",
        order=50,
        title=mark("Where the runner-up is strong"),
        sentence=mark("Asks where the second most likely class is nearly as likely as the first."),
        source=mark("tod, section VI-E (ratio of confidence, mean over pixels)"),
        measure=mean_ratio,
    ),
)
