from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histoloop.acquisition.strategies.dropout import STRATEGIES, PassVariance
from histoloop.acquisition.strategy import Inputs
from histoloop.progress import finish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

(MC_DROPOUT,) = STRATEGIES
PASSES = np.array([[0.2, 0.8, 0.5], [0.4, 0.6, 0.5], [0.6, 0.7, 0.5]])


def taken_in(passes: NDArray[np.float64]) -> PassVariance:
    running = PassVariance()
    for one in passes:
        running.add(one)
    return running


def test_the_variance_over_passes_is_unbiased_and_per_pixel() -> None:
    running = taken_in(PASSES)
    assert running.variance() == pytest.approx(np.array([0.04, 0.01, 0.0]), abs=1e-12)
    assert running.mean_variance() == pytest.approx(0.0166666666667, rel=1e-9)
    assert running.mean_variance() != pytest.approx(0.0111111111111, rel=1e-3)  # biased
    assert running.mean_variance() != pytest.approx(0.03, rel=1e-3)  # passes and pixels in one heap, a known mistake


@given(arrays(np.float64, (5, 2, 3), elements=st.floats(0, 1)))
@settings(deadline=None, max_examples=25)
def test_the_running_variance_is_that_of_all_passes_together(passes: NDArray[np.float64]) -> None:
    assert taken_in(passes).variance() == pytest.approx(passes.var(axis=0, ddof=1), abs=1e-12)


def test_passes_that_hardly_differ_keep_their_digits() -> None:
    passes = 0.9 + np.array([0.0, 1e-9, 2e-9])[:, np.newaxis]
    assert taken_in(passes).mean_variance() == pytest.approx(1e-18, rel=1e-6)


def test_a_variance_needs_two_passes_of_one_shape() -> None:
    with pytest.raises(ValueError, match="at least 2 passes, got 1"):
        taken_in(PASSES[:1]).mean_variance()
    running = taken_in(PASSES)
    with pytest.raises(ValueError, match="shape"):
        running.add(np.zeros(2))


def test_adding_a_pass_leaves_its_array_alone() -> None:
    passes = PASSES.copy()
    taken_in(passes)
    assert np.array_equal(passes, PASSES)


class Passes(Inputs):
    """Passes whose first of two pixels wavers in the second of two regions."""

    count, seed = 2, 0

    def passes(self, index: int, count: int | None = None) -> Iterator[NDArray[np.floating]]:
        for number in range(4 if count is None else count):
            yield np.array([[0.5 + (number % 2 - 0.5) * 0.8 * index, 0.1]])


def test_the_score_is_the_mean_variance_over_the_usual_number_of_passes() -> None:
    scores_N = finish(MC_DROPOUT.score(Passes()))([])
    assert scores_N == pytest.approx([0, np.var([0.1, 0.9, 0.1, 0.9], ddof=1) / 2])


def test_it_says_over_how_much_the_answer_wavers_and_shows_where() -> None:
    evidence = MC_DROPOUT.evidence(Passes(), 1)
    assert evidence.facts == {"share": 0.5}
    assert evidence.strength is not None
    assert evidence.strength[0].tolist() == pytest.approx([2 * np.std([0.1, 0.9] * 5, ddof=1), 0])
    assert MC_DROPOUT.reason(evidence.facts) == (
        "The model's prediction varies over 50% of this region when parts of it are switched off."
    )
    assert MC_DROPOUT.reason({}) == "The model's prediction for this region varies when parts of it are switched off."


def test_the_variance_over_classes_is_half_the_sum_so_that_two_outcomes_count_once() -> None:
    passes = PASSES[:, np.newaxis]
    pairs = np.stack([1 - passes, passes], axis=1)
    assert taken_in(pairs).mean_variance() == pytest.approx(taken_in(passes).mean_variance(), rel=1e-12)
    three = np.array([[0.2, 0.5, 0.3], [0.4, 0.3, 0.3], [0.6, 0.1, 0.3]])[:, :, np.newaxis, np.newaxis]
    assert taken_in(three).variance() == pytest.approx(np.array([[0.04]]))  # (0.04 + 0.04 + 0) / 2
