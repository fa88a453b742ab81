"""How far a figure would move with other cases: bootstrap intervals, cases drawn whole; and whether one is another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

if TYPE_CHECKING:
    from collections.abc import Sequence

Interval = tuple[float, float]
FiguresOf = Callable[[NDArray[np.intp]], Mapping[str, float | None]]
"""Figures of tiles given by their numbers, some of them more than once; None where a figure does not exist."""

LEVEL = 0.95
RESAMPLES = 1000
FEWEST_CASES = 2

INTERVALS = (
    "Under 95 % stand the bounds between which a figure lay in 95 of 100 draws of as many cases, with replacement: "
    "what other cases of the same kind may give. With fewer than ten cases they are rough."
)
"""For a card."""


@dataclass(frozen=True, slots=True)
class FiguresByCase:
    """Figures, and the interval of each that has one."""

    values: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)

    def __or__(self, other: FiguresByCase) -> FiguresByCase:
        """The figures of both."""
        return FiguresByCase({**self.values, **other.values}, {**self.intervals, **other.intervals})

    def named(self, pattern: str) -> FiguresByCase:
        """The same under names made by a pattern such as 'attack_{}'."""
        return FiguresByCase(
            {pattern.format(name): value for name, value in self.values.items()},
            {pattern.format(name): interval for name, interval in self.intervals.items()},
        )

    def rounded(self, digits: int) -> FiguresByCase:
        """The same with so many digits behind the point."""
        return FiguresByCase(
            {name: round(value, digits) for name, value in self.values.items()},
            {name: (round(low, digits), round(high, digits)) for name, (low, high) in self.intervals.items()},
        )


def figures_by_case(figures_of: FiguresOf, cases: Sequence[str], *, seed: int = 0) -> FiguresByCase:
    """Those figures of all tiles that exist, with their intervals; `cases` are of the tiles, in their order."""
    values = {name: value for name, value in figures_of(np.arange(len(cases))).items() if value is not None}
    intervals = intervals_by_case(figures_of, cases, seed=seed)
    return FiguresByCase(values, {name: interval for name, interval in intervals.items() if name in values})


def intervals_by_case(
    figures_of: FiguresOf, cases: Sequence[str], *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> dict[str, Interval]:
    """The middle `level` of each figure over `resamples` draws of as many cases as there are, with replacement.

    The percentile bootstrap (Efron 1979) over clusters: tiles of one patient are alike, so that a case is drawn with
    all its tiles or not at all. A tile whose case is not known ('') counts as a case of its own. Without two cases
    there is no interval; with fewer than about ten it is a rough one, too narrow rather than too wide. A figure that
    does not exist in most of the draws, for want of tiles of a class, has none.
    """
    members = _members(cases)
    if len(members) < FEWEST_CASES:
        return {}
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    for _draw in range(resamples):
        drawn = rng.integers(len(members), size=len(members))
        for name, value in figures_of(np.concatenate([members[number] for number in drawn])).items():
            if value is not None:
                found.setdefault(name, []).append(value)
    sides = (1 - level) / 2, (1 + level) / 2
    return {
        name: (float(low), float(high))
        for name, values in found.items()
        if len(values) > resamples / 2
        for low, high in [np.quantile(values, sides)]
    }


LEAST_SPREAD = 0.01
"""Least standard deviation of a difference between regions: the smallest of Dice between seeds on GlaS (label-prop,
Table 4: 1.04). Regions that happen to change alike do not make a change certain."""


def paired_change(before: Sequence[float], after: Sequence[float], *, level: float = LEVEL) -> Interval | None:
    """Where the mean of after - before lies with the confidence `level`, for figures in [0, 1] of the same regions.

    Student's interval of the paired differences (Student 1908), with n - 1 degrees of freedom: with few regions it is
    wide, as it should be, where the percentile bootstrap hardly leaves the values that were seen. It is cut to
    [-1, 1]. The regions count as independent, so that it speaks of the slides they lie on and of others like these.
    None of fewer than two. ValueError for lists of different lengths.
    """
    if len(before) != len(after):
        raise ValueError(f"{len(before)} figures before do not go with {len(after)} after")
    if len(after) < FEWEST_CASES:
        return None
    differences = np.subtract(after, before)
    spread = max(float(differences.std(ddof=1)), LEAST_SPREAD) / np.sqrt(len(differences))
    reach = float(stdtrit(len(differences) - 1, (1 + level) / 2)) * spread
    mean = float(differences.mean())
    return max(-1.0, mean - reach), min(1.0, mean + reach)


def _members(cases: Sequence[str]) -> list[NDArray[np.intp]]:
    """The numbers of the tiles of each case."""
    groups: dict[str | int, list[int]] = {}
    for number, case in enumerate(cases):
        groups.setdefault(case or number, []).append(number)
    return [np.array(own, np.intp) for own in groups.values()]


def interval_text(interval: Sequence[float] | None) -> str:
    """Its bounds for a card; empty for a figure that has none."""
    return "" if interval is None else f"{interval[0]:.4g} to {interval[1]:.4g}"
