"""Monte-Carlo dropout: where the model's answer differs most between passes with parts of it switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoloop.acquisition.strategies.uncertainty import checked_probability
from histoloop.acquisition.strategy import Evidence, Facts, Floats, Inputs, Needs, Strategy, percent, score_each
from histoloop.language import mark, tr

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from histoloop.acquisition.strategy import ScoresAfter
    from histoloop.progress import Work

EVIDENCE_PASSES = 10
SURE_SPREAD = 0.125
"""A pixel's answer wavers when its probability has a larger standard deviation over the passes."""


class PassVariance:
    """Variance of the probabilities of one region over MC dropout passes, in the memory of two passes.

    Unbiased (divided by passes - 1), per pixel, then averaged over the pixels (label-prop, section 4.1c). Of background
    and mask classes (L, H, W) the variances are summed and halved: a foreground and its background would give what the
    foreground alone does. Welford's running sums lose no digits where the passes hardly differ.
    """

    def __init__(self) -> None:
        self.passes = 0
        self._mean: Floats = np.zeros(0)
        self._squares: Floats = np.zeros(0)

    def add(self, probability: NDArray[np.floating]) -> None:
        """Take in one pass, (H, W) or (L, H, W). ValueError when its shape is not that of the passes before."""
        p = checked_probability(probability)
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
        variance = self._squares / (self.passes - 1)
        return variance if variance.ndim < 3 else variance.sum(axis=0) / 2

    def mean_variance(self) -> float:
        """Mean of the variance over the pixels: the score of the region. ValueError below 2 passes."""
        return float(np.mean(self.variance()))


def _taken_in(passes: Iterable[NDArray[np.floating]]) -> PassVariance:
    running = PassVariance()
    for probability in passes:
        running.add(probability)
    return running


def _score(inputs: Inputs) -> Work[ScoresAfter]:
    return score_each(inputs, lambda index: _taken_in(inputs.passes(index)).mean_variance())


def _evidence(inputs: Inputs, index: int) -> Evidence:
    spread = np.sqrt(_taken_in(inputs.passes(index, EVIDENCE_PASSES)).variance())
    return Evidence({"share": float((spread > SURE_SPREAD).mean())}, strength=np.clip(2 * spread, 0, 1))


def _reason(facts: Facts) -> str:
    if "share" not in facts:
        return tr("The model's prediction for this region varies when parts of it are switched off.")
    return tr(
        "The model's prediction varies over {share} of this region when parts of it are switched off.",
        share=percent(facts["share"]),
    )


STRATEGIES = (
    Strategy(
        name="mc-dropout",
        order=60,
        title=mark("Where the model contradicts itself"),
        sentence=mark(
            "Runs the model many times with parts of it switched off, and asks where its predictions differ most."
        ),
        source=mark("label-prop, section 4.1 (50 passes, dropout 0.2, variance per pixel)"),
        needs=Needs("passes", decoder=True),
        score=_score,
        reason=_reason,
        evidence=_evidence,
        caption=mark("Yellow: the model contradicts itself."),
    ),
)
