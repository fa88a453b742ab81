"""Variational adversarial active learning: what a network tells most clearly from the annotated tissue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.acquisition.strategies.coreset import NEAREST, beside_most_alike, reason_by_nearest
from histoloop.acquisition.strategy import Inputs, Needs, ScoresAfter, Strategy, unchanging
from histoloop.language import mark

if TYPE_CHECKING:
    from histoloop.progress import Work


def _score(inputs: Inputs) -> Work[ScoresAfter]:
    return unchanging((yield from inputs.log_odds_unlabelled()))


STRATEGIES = (
    Strategy(
        name="vaal",
        order=80,
        title=mark("Clearly unlike the annotated"),
        sentence=mark(
            "Learns to distinguish annotated tissue from the rest, and asks about what is most clearly not "
            "annotated yet."
        ),
        source=mark("ssl-al, section 4 (variational adversarial active learning)"),
        needs=Needs("tiles", annotated=1),
        score=_score,
        reason=reason_by_nearest,
        evidence=beside_most_alike,
        caption=NEAREST,
    ),
)
