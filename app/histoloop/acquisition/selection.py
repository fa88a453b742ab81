"""How the scores of candidate regions become questions: balanced by class, never the same pixels twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histoloop.acquisition.strategy import Estimates

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from numpy.typing import NDArray

    from histoloop.acquisition.strategy import ScoresAfter


@dataclass(frozen=True, slots=True)
class Pick:
    """A candidate to ask about, and the score it had at that moment."""

    index: int
    score: float


@dataclass(frozen=True, slots=True)
class Mix:
    """Questions of two kinds: `chosen` by a strategy, best first, and `sampled` at random, in a random order."""

    chosen: tuple[int, ...]
    sampled: tuple[int, ...]


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
    scores_after: ScoresAfter,
    classes: Sequence[str],
    *,
    count: int,
    overlap: Callable[[int, int], bool] = _apart,
    protected: Collection[int] = (),
) -> list[Pick]:
    """The `count` best candidates, one after another, where each pick may change the scores of the others.

    `scores_after(picks)` gives one score per candidate once `picks` are taken; `CoverDistance` of
    `strategies.coreset` is one. Of `Estimates` those that may be the highest are scored exactly, so that the picks are
    those of exact scores. The next pick is the highest of the class that has the fewest picks; between such
    classes the order of their best scores at the start decides. A class that is used up leaves its turns to the others.
    Ties go to the lowest index. What overlaps an earlier pick is passed over: nobody is asked twice about the same
    pixels. `protected` candidates (the pseudo-labelled ones) come only when all others are used up. Fewer than `count`
    when there are not as many. ValueError unless every candidate is scored exactly once, by a finite number.
    """

    def scores_now() -> Estimates:
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
        names = np.asarray(classes, dtype=object)
        self._members = {name: names == name for name in dict.fromkeys(classes)}
        self._taken = dict.fromkeys(classes, 0)
        self._order: list[str] = []
        self._left = np.zeros(len(classes), bool)

    def open_all_but(self, closed: Collection[int], scores: Estimates) -> None:
        """Let all be taken but the closed ones and the picks; the order of the classes follows their best scores."""
        self._left[:] = True
        self._left[[*closed, *(pick.index for pick in self.picks)]] = False
        best = {name: pick for name in self._members if (pick := self._highest(scores, name)) is not None}
        self._order = sorted(best, key=lambda name: (-best[name].score, best[name].index))

    def take(self, scores: Estimates) -> bool:
        """Take the best candidate of the class whose turn it is; False when none is left in any class."""
        for name in sorted(self._order, key=self._taken.__getitem__):  # stable: among equals the order of the classes
            pick = self._best(scores, name)
            if pick is not None:
                self.picks.append(pick)
                self._taken[name] += 1
                return True
        return False

    def _best(self, scores: Estimates, name: str) -> Pick | None:
        """The highest of a class that is left and overlaps no pick."""
        while (best := self._highest(scores, name)) is not None:
            self._left[best.index] = False
            if not any(self._overlap(best.index, pick.index) for pick in self.picks):
                return best
        return None

    def _highest(self, scores: Estimates, name: str) -> Pick | None:
        """The highest of a class that is left; the first of several."""
        candidates = np.flatnonzero(self._left & self._members[name])
        if len(candidates) == 0:
            return None
        values = scores.values_N[candidates]
        perhaps = candidates[values >= values.max() - 2 * scores.tolerance]
        exact = scores.exact(perhaps)
        first = int(np.argmax(exact))
        return Pick(int(perhaps[first]), float(exact[first]))


def _checked(scores: NDArray[np.floating] | Estimates, count: int) -> Estimates:
    if isinstance(scores, Estimates):
        _check_scores(scores.values_N, count)
        return scores
    scores_N = np.asarray(scores, np.float64)
    _check_scores(scores_N, count)
    return Estimates(scores_N, 0.0, scores_N.__getitem__)


def _check_scores(scores_N: NDArray[np.floating], count: int) -> None:
    if scores_N.shape != (count,):
        raise ValueError(f"every candidate is scored once: {count} candidates, scores of shape {scores_N.shape}")
    if not np.isfinite(scores_N).all():
        raise ValueError(f"candidate {int(np.flatnonzero(~np.isfinite(scores_N))[0])} has no finite score")


def mix_random(
    picks: Sequence[int],
    pool: Sequence[int],
    share: float,
    seed: int,
    *,
    overlap: Callable[[int, int], bool] = _apart,
) -> Mix:
    """As many questions as `picks` (best first), of which `share` are sampled at random, to keep the estimate fair.

    The size of the sample is share * len(picks), rounded, halves up; at least one when share > 0 and there are two
    picks or more, for a strategy alone leaves nothing fair to measure on. It is taken first and evenly from the whole
    pool, picks included, whatever their class: only then does it stand for the pool. The best picks that neither are
    in it nor overlap it fill the rest; fewer than `picks` when overlaps leave no more.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share lies between 0 and 1, got {share}")
    count = len(picks)
    wanted = int(share * count + 0.5)
    if share > 0 and count >= 2:
        wanted = max(1, wanted)
    shuffled = [pool[place] for place in np.random.default_rng(seed).permutation(len(pool))]
    sampled = _apart_from([], shuffled, wanted, overlap)
    chosen = _apart_from(sampled, picks, count - len(sampled), overlap)
    return Mix(tuple(chosen), tuple(sampled))


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
