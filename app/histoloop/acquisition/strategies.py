"""Acquisition strategies: functions of arrays and a seed to scores; the region of the highest is asked first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Strategy:
    """What a user should know of a strategy: its name, what it does in a sentence, what it needs, where it is from."""

    name: str
    sentence: str
    needs: str
    source: str


STRATEGIES: Mapping[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy(
            "entropy",
            "Asks where the model is least sure, pixel by pixel.",
            "probabilities",
            "label-prop, section 4 (entropy of the foreground probability, mean over pixels)",
        ),
        Strategy(
            "random",
            "Asks anywhere in the tissue; hard to beat while there are few annotations, and the fairest measurement.",
            "nothing",
            "label-prop, section 4 (baseline)",
        ),
    )
}


def random_scores(count: int, *, seed: int) -> NDArray[np.float64]:
    """Scores (count,) drawn evenly from [0, 1)."""
    return np.random.default_rng(seed).random(count)


def mean_pixel_entropy(probability: NDArray[np.floating]) -> float:
    """Mean over the pixels of the binary entropy of a foreground probability, in nats; 0 log 0 is 0.

    Highest, log 2, where the probability is 0.5 everywhere.
    """
    p = np.asarray(probability, np.float64)
    return float(np.mean(_plogp(p) + _plogp(1 - p)))


def _plogp(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """-p log p, with its limit 0 at p = 0."""
    return -p * np.log(np.where(p > 0, p, 1.0))


def select(
    scores: NDArray[np.floating],
    classes: Sequence[str],
    *,
    count: int,
    overlap: Callable[[int, int], bool] = lambda _one, _other: False,
) -> list[int]:
    """Indices of the `count` highest scores in equal numbers from each class (label-prop: queries are class-balanced).

    Classes take turns in the order of their best score; one that is used up leaves its turns to the others. Ties go
    to the lowest index. What overlaps an earlier pick is passed over: nobody is asked twice about the same pixels.
    Fewer than `count` when there are not as many.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    queues: dict[str, list[int]] = {}
    for index in order:
        queues.setdefault(classes[index], []).append(int(index))
    picks: list[int] = []
    while queues and len(picks) < count:
        for name in list(queues):
            queue = [index for index in queues[name] if not any(overlap(index, pick) for pick in picks)]
            picks += queue[:1]
            queues[name] = queue[1:]
            if not queues[name]:
                del queues[name]
    return picks[:count]
