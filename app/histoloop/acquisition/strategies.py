"""Acquisition strategies: what each is to a user, and how scores become questions.

The scores themselves are functions of arrays in the modules beside; the region of the highest score is asked first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from histoloop.language import mark

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Needs = Literal[
    "nothing", "probabilities", "passes", "earlier model", "embeddings", "labelled embeddings", "tiles", "losses"
]
"""What has to be computed before regions can be scored.

probabilities: the foreground probability of each candidate; passes: many of them, with dropout; earlier model: the
outputs of this round's model and of the one before; embeddings: pooled features of candidates and annotated regions;
labelled embeddings: these, and the class of the annotated ones; tiles: the pixels of both, to train a network that
tells them apart; losses: a head trained along that predicts the loss.
"""


@dataclass(frozen=True, slots=True)
class Strategy:
    """What a user should know of a strategy: its name, what it does in a sentence, what it needs, where it is from.

    Title, sentence and source are marked: `tr` translates them where they are shown.
    """

    name: str
    title: str
    sentence: str
    needs: Needs
    source: str


STRATEGIES: Mapping[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy(
            "random",
            mark("At random"),
            mark(
                "Asks anywhere in the tissue; hard to beat while there are few annotations, and the fairest "
                "measurement."
            ),
            "nothing",
            mark("label-prop, section 4.1 (baseline); ssl-al, section 5 (best at low budgets)"),
        ),
        Strategy(
            "entropy",
            mark("Where the model is unsure"),
            mark("Asks where the model is least sure, pixel by pixel."),
            "probabilities",
            mark("label-prop, section 4.1 (entropy of the foreground probability, mean over pixels)"),
        ),
        Strategy(
            "least-confidence",
            mark("Where the model is least confident"),
            mark("Asks where the model's own answer convinces it least; much like 'where the model is unsure'."),
            "probabilities",
            mark("tod, section VI-E (least confidence, mean over pixels)"),
        ),
        Strategy(
            "margin",
            mark("Where it is a close call"),
            mark(
                "Asks where two answers are almost equally likely; for a mask of one tissue the same as least "
                "confident."
            ),
            "probabilities",
            mark("tod, section VI-E (margin of confidence, mean over pixels)"),
        ),
        Strategy(
            "ratio",
            mark("Where the runner-up is strong"),
            mark("Asks where the second most likely answer is nearly as likely as the first."),
            "probabilities",
            mark("tod, section VI-E (ratio of confidence, mean over pixels)"),
        ),
        Strategy(
            "mc-dropout",
            mark("Where the model contradicts itself"),
            mark(
                "Lets the model look many times with parts of it switched off, and asks where its answers differ most."
            ),
            "passes",
            mark("label-prop, section 4.1 (50 passes, dropout 0.2, variance per pixel)"),
        ),
        Strategy(
            "k-center",
            mark("Unlike anything annotated"),
            mark("Asks about the tissue that looks least like anything annotated so far."),
            "embeddings",
            mark("ssl-al, section 4 (k-center greedy)"),
        ),
        Strategy(
            "vaal",
            mark("Easily told from the annotated"),
            mark(
                "Learns to tell annotated tissue from the rest, and asks about what is most clearly not annotated yet."
            ),
            "tiles",
            mark("ssl-al, section 4 (variational adversarial active learning)"),
        ),
        Strategy(
            "svm-margin",
            mark("Between two diagnoses"),
            mark("Asks about the tissue that lies closest to the border between the labels."),
            "labelled embeddings",
            mark("ssl-al, section 4 (minimum margin of a linear support vector machine)"),
        ),
        Strategy(
            "learned-loss",
            mark("Where the model expects to be wrong"),
            mark("Lets the model learn where it makes mistakes, and asks where it expects the largest ones."),
            "losses",
            mark("tod, section VI-A (learned loss, Yoo and Kweon 2019, as its baseline)"),
        ),
        Strategy(
            "cod",
            mark("Where the model changed its mind"),
            mark("Asks where the model's answer moved most since the last retraining."),
            "earlier model",
            mark("tod, section IV-B (cyclic output discrepancy, eq 5)"),
        ),
        Strategy(
            "cod-softmax",
            mark("Where the mask changed most"),
            mark("Asks where the predicted mask, not the raw scores behind it, moved most since the last retraining."),
            "earlier model",
            mark("tod, section IV-B (eq 5 on probabilities, as the authors' code has it)"),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Pick:
    """A candidate to ask about, and the score it had at that moment."""

    index: int
    score: float


@dataclass(frozen=True, slots=True)
class Mix:
    """Questions of two kinds: `chosen` by a strategy, best first, and `drawn` at random, in the order of the draw."""

    chosen: tuple[int, ...]
    drawn: tuple[int, ...]


def random_scores(count: int, *, seed: int) -> Floats:
    """Scores (count,) drawn evenly from [0, 1)."""
    return np.random.default_rng(seed).random(count)


def _apart(_one: int, _other: int) -> bool:
    return False


def select(
    scores: NDArray[np.floating],
    classes: Sequence[str],
    *,
    count: int,
    overlap: Callable[[int, int], bool] = _apart,
    protected: Collection[int] = (),
) -> list[int]:
    """Indices of the `count` highest scores in equal numbers from each class (label-prop: queries are class-balanced).

    `select_setwise` for scores that stay as they are.
    """
    picks = select_setwise(lambda _picks: scores, classes, count=count, overlap=overlap, protected=protected)
    return [pick.index for pick in picks]


def select_setwise(
    scores_after: Callable[[Sequence[int]], NDArray[np.floating]],
    classes: Sequence[str],
    *,
    count: int,
    overlap: Callable[[int, int], bool] = _apart,
    protected: Collection[int] = (),
) -> list[Pick]:
    """The `count` best candidates, one after another, where each pick may change the scores of the others.

    `scores_after(picks)` gives one score per candidate once `picks` are taken; `coreset.CoverDistance` is one. The next
    pick is the highest of the class that has the fewest picks; between such classes the order of their best scores at
    the start decides. A class that is used up leaves its turns to the others. Ties go to the lowest index. What
    overlaps an earlier pick is passed over: nobody is asked twice about the same pixels. `protected` candidates (the
    pseudo-labelled ones) come only when all others are used up. Fewer than `count` when there are not as many.
    ValueError unless every candidate is scored exactly once, by a finite number.
    """

    def scores_now() -> Floats:
        return _checked(scores_after([pick.index for pick in turns.picks]), len(classes))

    turns = _Turns(classes, overlap)
    for closed in (frozenset(protected), frozenset[int]()):
        turns.open_all_but(closed, scores_now())
        while len(turns.picks) < count and turns.take(scores_now()):
            pass
    return turns.picks


class _Turns:
    """Classes taking turns; remembers what is taken, what is left, and whose turn it is."""

    def __init__(self, classes: Sequence[str], overlap: Callable[[int, int], bool]) -> None:
        self.picks: list[Pick] = []
        self._overlap = overlap
        self._classes = np.asarray(classes, dtype=object)
        self._taken = dict.fromkeys(classes, 0)
        self._order: list[str] = []
        self._left = np.zeros(len(classes), bool)

    def open_all_but(self, closed: Collection[int], scores_N: Floats) -> None:
        """Let all be taken but the closed ones and the picks; the order of the classes follows their best scores."""
        shut = {*closed, *(pick.index for pick in self.picks)}
        self._left = np.array([index not in shut for index in range(len(self._classes))], bool)
        best_first = np.argsort(-scores_N, kind="stable")
        self._order = list(dict.fromkeys(self._classes[best_first[self._left[best_first]]]))

    def take(self, scores_N: Floats) -> bool:
        """Take the best candidate of the class whose turn it is; False when none is left in any class."""
        for name in sorted(self._order, key=self._taken.__getitem__):  # stable: among equals the order of the classes
            index = self._best(scores_N, name)
            if index is not None:
                self.picks.append(Pick(index, float(scores_N[index])))
                self._taken[name] += 1
                return True
        return False

    def _best(self, scores_N: Floats, name: str) -> int | None:
        while (candidates := self._left & (self._classes == name)).any():
            index = int(np.argmax(np.where(candidates, scores_N, -np.inf)))
            self._left[index] = False
            if not any(self._overlap(index, pick.index) for pick in self.picks):
                return index
        return None


def _checked(scores: NDArray[np.floating], count: int) -> Floats:
    scores_N = np.asarray(scores, np.float64)
    if scores_N.shape != (count,):
        raise ValueError(f"every candidate is scored once: {count} candidates, scores of shape {scores_N.shape}")
    if not np.isfinite(scores_N).all():
        raise ValueError(f"candidate {int(np.flatnonzero(~np.isfinite(scores_N))[0])} has no finite score")
    return scores_N


def mix_random(
    picks: Sequence[int],
    pool: Sequence[int],
    share: float,
    seed: int,
    *,
    overlap: Callable[[int, int], bool] = _apart,
) -> Mix:
    """As many questions as `picks` (best first), of which `share` are drawn at random, to keep the estimate fair.

    The number drawn is share * len(picks), rounded, halves up; at least one when share > 0 and there are two picks or
    more, for a strategy alone leaves nothing fair to measure on. They are drawn first and evenly from the whole pool,
    picks included, whatever their class: only then do they stand for the pool. The best picks that neither were drawn
    nor overlap what was fill the rest; fewer than `picks` when overlaps leave no more.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share lies between 0 and 1, got {share}")
    count = len(picks)
    wanted = int(share * count + 0.5)
    if share > 0 and count >= 2:
        wanted = max(1, wanted)
    urn = [pool[place] for place in np.random.default_rng(seed).permutation(len(pool))]
    drawn = _apart_from([], urn, wanted, overlap)
    chosen = _apart_from(drawn, picks, count - len(drawn), overlap)
    return Mix(tuple(chosen), tuple(drawn))


def _apart_from(
    taken: Sequence[int], candidates: Sequence[int], count: int, overlap: Callable[[int, int], bool]
) -> list[int]:
    found: list[int] = []
    for candidate in candidates:
        if len(found) == count:
            break
        if not any(candidate == other or overlap(candidate, other) for other in (*taken, *found)):
            found.append(candidate)
    return found
