"""Intervals of figures by the bootstrap, over cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from histoloop.training.measures.intervals import figures_by_case, intervals_by_case

if TYPE_CHECKING:
    from numpy.typing import NDArray

VALUES = np.random.default_rng(3).normal(size=40)


def mean_of(rows: NDArray[np.intp]) -> dict[str, float]:
    return {"mean": float(VALUES[rows].mean())}


def test_with_a_tile_a_case_the_interval_is_the_percentile_bootstraps() -> None:
    low, high = intervals_by_case(mean_of, [f"case {number}" for number in range(40)], resamples=20_000)["mean"]
    known = stats.bootstrap(
        (VALUES,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert (low, high) == pytest.approx((known.low, known.high), abs=0.01)


def test_tiles_of_a_case_come_and_go_together() -> None:
    cases = ["a", "b", "a", "c", "b"]
    seen = []

    def figures(rows: NDArray[np.intp]) -> dict[str, float]:
        seen.append(np.bincount(rows, minlength=5))
        return {"tiles": float(len(rows))}

    low, high = intervals_by_case(figures, cases)["tiles"]
    assert all(counts[0] == counts[2] and counts[1] == counts[4] for counts in seen)
    assert {int(counts[0] + counts[1] + counts[3]) for counts in seen} == {3}
    assert (low, high) == (3.0, 6.0)


def test_tiles_that_are_alike_within_a_case_widen_the_interval() -> None:
    """Ten cases of four equal tiles tell no more than ten tiles do."""
    values = np.repeat(VALUES[:10], 4)

    def figures(rows: NDArray[np.intp]) -> dict[str, float]:
        return {"mean": float(values[rows].mean())}

    low, high = intervals_by_case(figures, [f"case {number // 4}" for number in range(40)])["mean"]
    narrow_low, narrow_high = intervals_by_case(figures, [f"tile {number}" for number in range(40)])["mean"]
    assert high - low == pytest.approx(2 * (narrow_high - narrow_low), rel=0.15)


def test_a_tile_of_an_unknown_case_is_a_case_of_its_own() -> None:
    assert intervals_by_case(mean_of, [""] * 40) == intervals_by_case(mean_of, [f"{number}" for number in range(40)])


def test_one_case_has_no_interval() -> None:
    assert intervals_by_case(mean_of, ["a"] * 40) == {}
    assert intervals_by_case(mean_of, []) == {}


def test_a_figure_that_most_draws_have_not_has_no_interval() -> None:
    def figures(rows: NDArray[np.intp]) -> dict[str, float | None]:
        found = {"often": 0 in rows, "seldom": bool((rows == 0).sum() > 2)}
        return {name: 1.0 if there else None for name, there in found.items()}

    assert intervals_by_case(figures, [f"{number}" for number in range(20)]) == {"often": (1.0, 1.0)}


def test_a_seed_gives_an_interval_again_and_figures_are_of_all_tiles_once() -> None:
    cases = [f"{number}" for number in range(40)]
    found = figures_by_case(mean_of, cases, seed=4)
    assert found == figures_by_case(mean_of, cases, seed=4) != figures_by_case(mean_of, cases, seed=5)
    assert found.values == {"mean": pytest.approx(VALUES.mean())}
    low, high = found.intervals["mean"]
    assert low < VALUES.mean() < high
