"""Regions sampled at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoloop.acquisition.strategy import Facts, Floats, Inputs, Needs, ScoresAfter, Strategy, unchanging
from histoloop.language import mark, tr

if TYPE_CHECKING:
    from histoloop.progress import Work


def random_scores(count: int, *, seed: int) -> Floats:
    """Scores (count,) sampled evenly from [0, 1)."""
    return np.random.default_rng(seed).random(count)


def _score(inputs: Inputs) -> Work[ScoresAfter]:
    yield from ()
    return unchanging(random_scores(inputs.count, seed=inputs.seed))


def _reason(_facts: Facts) -> str:
    return tr("Sampled at random, to keep the measurement fair.")


RANDOM = Strategy(
    name="random",
    order=10,
    title=mark("At random"),
    sentence=mark(
        "Samples anywhere in the tissue; hard to beat while there are few annotations, and the fairest measurement."
    ),
    source=mark("label-prop, section 4.1 (baseline); ssl-al, section 5 (best at low budgets)"),
    needs=Needs(),
    score=_score,
    reason=_reason,
    shows_score=False,
)

STRATEGIES = (RANDOM,)
