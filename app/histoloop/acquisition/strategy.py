"""What an acquisition strategy is: what it needs, how it scores, and why it chose a region.

The modules of `strategies` fill this in; whoever has regions provides the `Inputs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from histoloop.language import mark, tr
from histoloop.progress import Progress, Work

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """Scores of which it is quickly known which may be the highest: a million of them need not be exact.

    `values_N` grow with the scores, each known to within `tolerance`, in whatever unit; `exact` gives the scores
    themselves, of those whose indices it is given.
    """

    values_N: Floats | NDArray[np.float32]
    tolerance: float
    exact: Callable[[NDArray[np.intp]], Floats]


ScoresAfter = Callable[[Sequence[int]], NDArray[np.floating] | Estimates]
"""Scores (N,) of all candidates once some are picked; see `selection.select_setwise`."""

Facts = Mapping[str, Any]
"""What the sentence about a region is made of, as JSON can keep it: {'share': 0.4}."""

Needed = Literal[
    "nothing", "probabilities", "passes", "earlier model", "embeddings", "labelled embeddings", "tiles", "losses"
]

STAGE = mark("Comparing regions")


@dataclass(frozen=True, slots=True)
class Needs:
    """What has to be there before regions can be scored.

    `inputs` is what is computed of regions. probabilities: those of each candidate's pixels; passes: many of them, with
    dropout; earlier model: the outputs of this round's model and of the one before; embeddings: pooled
    features of candidates and annotated regions; labelled embeddings: these, and the class of the annotated ones;
    tiles: the pixels of both, to train a network that tells them apart; losses: a head trained along that predicts the
    loss.

    `decoder` asks for a model that has learned masks, `annotated` for so many annotated regions, `two_classes` for
    regions of two classes among them.
    """

    inputs: Needed = "nothing"
    decoder: bool = False
    annotated: int = 0
    two_classes: bool = False

    @property
    def predictions(self) -> bool:
        """Whether a model has to have learned something: what one that has not predicts means nothing."""
        return self.inputs in ("probabilities", "passes", "earlier model", "losses") or self.decoder

    @property
    def network(self) -> bool:
        """Whether a network has to run; without, the maps of a project are enough."""
        return self.inputs not in ("nothing", "probabilities")


class Output(Protocol):
    """What a decoder gives for a region."""

    @property
    def logits(self) -> NDArray[np.floating]:
        """Logits (H, W) of one foreground, or (L, H, W) of background and mask classes."""

    @property
    def outcomes(self) -> NDArray[np.floating]:
        """Their sigmoid, the foreground probability (H, W), or their softmax (L, H, W)."""


class Inputs(Protocol):
    """What strategies score by, computed when it is asked for. Candidates and annotated regions go by their index.

    A provider overrides what it has. The rest raises NotImplementedError: a strategy has to declare what it needs.
    """

    count: int
    """How many candidates there are."""

    seed: int
    """Of everything random; torch's own random numbers begin with it too."""

    def size(self, _index: int) -> float:
        """How much of the work a candidate is, in any unit, for the time that is left."""
        return 1.0

    def outcomes(self, index: int) -> NDArray[np.floating]:
        """Foreground probability (h, w) of a candidate, or those of background and mask classes (L, h, w)."""
        _not_provided("probabilities")

    def foreground(self, index: int) -> NDArray[np.floating]:
        """Foreground probability (h, w) of a candidate, of whatever class."""
        found = self.outcomes(index)
        return found if found.ndim == 2 else 1 - found[0]

    def passes(self, index: int, count: int | None = None) -> Iterator[NDArray[np.floating]]:
        """As `outcomes`, of a candidate by `count` passes with dropout (None: the usual number)."""
        _not_provided("passes")

    def output(self, index: int) -> Output:
        """What this round's decoder gives for a candidate."""
        _not_provided("outputs")

    def earlier_output(self, index: int) -> Output:
        """What the decoder of the round before gives."""
        _not_provided("outputs of the earlier model")

    def embedding(self, index: int) -> NDArray[np.float32]:
        """Pooled features (D,) of a candidate."""
        _not_provided("embeddings")

    def annotated_embeddings(self) -> NDArray[np.float32]:
        """Pooled features (M, D) of the annotated regions."""
        _not_provided("embeddings")

    def annotated_classes(self) -> Sequence[str]:
        """The class of each annotated region; '' without."""
        _not_provided("annotated regions")

    def annotated_slide(self, index: int) -> str:
        """Name of the slide that an annotated region is of."""
        _not_provided("annotated regions")

    def annotated_pixels(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) of an annotated region."""
        _not_provided("annotated regions")

    def log_odds_unlabelled(self) -> Work[Floats]:
        """Log-odds (N,) of candidates being unlabelled, by a network trained to tell them from annotated regions."""
        _not_provided("tiles")

    def predicted_losses(self) -> Work[Floats]:
        """Loss (N,) that a head trained on the annotated regions predicts for each candidate, in no unit."""
        _not_provided("losses")


def _not_provided(what: str) -> NoReturn:
    raise NotImplementedError(f"{what} are not provided: does the strategy declare that it needs them?")


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a strategy found in a region: `facts` for the sentence, kept with the query; the rest for a picture.

    `strength` (h, w) in [0, 1] is where (any size, stretched over the region), `beside` (H, W, 3) another region to
    compare it with.
    """

    facts: Facts = field(default_factory=dict)
    strength: NDArray[np.floating] | None = None
    beside: NDArray[np.uint8] | None = None


def no_evidence(_inputs: Inputs, _index: int) -> Evidence:
    """Of a strategy that has nothing to show."""
    return Evidence()


@dataclass(frozen=True, slots=True, eq=False)
class Strategy:
    """An acquisition strategy: what a user should know of it, how it scores, and why it chose a region.

    `order` is its place in lists. `title`, `sentence`, `source` and `caption` (what one sees in the picture of the
    evidence; '' without a picture) are marked: `tr` translates them where they are shown. The region with the highest
    score is asked about first. `evidence` is taken of the chosen candidates; `reason` makes one sentence in plain
    words of its facts, which may be missing in queries of earlier versions. `shows_score` is off where a score says
    nothing to a person.
    """

    name: str
    order: int
    title: str
    sentence: str
    source: str
    needs: Needs
    score: Callable[[Inputs], Work[ScoresAfter]]
    reason: Callable[[Facts], str]
    evidence: Callable[[Inputs, int], Evidence] = no_evidence
    caption: str = ""
    shows_score: bool = True


def unchanging(scores_N: Floats) -> ScoresAfter:
    """Scores that do not depend on what is picked."""
    return lambda _picks: scores_N


def score_each(inputs: Inputs, measure: Callable[[int], float]) -> Work[ScoresAfter]:
    """Score one candidate after another by a measure of its index."""
    scores_N = np.empty(inputs.count)
    done, total = 0.0, sum(inputs.size(number) for number in range(inputs.count))
    for number in range(inputs.count):
        yield Progress(tr(STAGE), done, total)
        scores_N[number] = measure(number)
        done += inputs.size(number)
    return unchanging(scores_N)


def percent(share: float) -> str:
    """A share in [0, 1] as it stands in a sentence."""
    return tr("{share:.0%}", share=share)
