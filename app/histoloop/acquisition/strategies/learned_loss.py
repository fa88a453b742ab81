"""Learned loss: where a head that was trained on the annotated regions predicts the largest loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.acquisition.strategy import Facts, Inputs, Needs, ScoresAfter, Strategy, unchanging
from histoloop.language import mark, tr

if TYPE_CHECKING:
    from histoloop.progress import Work


def _score(inputs: Inputs) -> Work[ScoresAfter]:
    return unchanging((yield from inputs.predicted_losses()))


def _reason(_facts: Facts) -> str:
    return tr("The model expects to be wrong here, judging by where it was wrong before.")


STRATEGIES = (
    Strategy(
        name="learned-loss",
        order=100,
        title=mark("Where the model expects to be wrong"),
        sentence=mark("Trains the model to predict its own errors, and asks where it expects the largest ones."),
        source=mark("tod, section VI-A (learned loss, Yoo and Kweon 2019, as its baseline)"),
        needs=Needs("losses", decoder=True, annotated=2),
        score=_score,
        reason=_reason,
    ),
)
