from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histoloop.acquisition.uncertainty import (
    PassVariance,
    mean_least_confidence,
    mean_margin,
    mean_pixel_entropy,
    mean_ratio,
    pixel_entropy,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SCORES = [mean_pixel_entropy, mean_least_confidence, mean_margin, mean_ratio]
PROBABILITIES = arrays(np.float64, (3, 2), elements=st.floats(0, 1))


def test_entropy_is_that_of_both_outcomes() -> None:
    p = np.array([[0.5, 0.9], [0.1, 0.99]])
    assert pixel_entropy(p) == pytest.approx(
        np.array([[0.69314718056, 0.325082973391], [0.325082973391, 0.0560015343548]]), rel=1e-9
    )
    assert mean_pixel_entropy(p) == pytest.approx(0.349828665424, rel=1e-9)
    assert mean_pixel_entropy(p) != pytest.approx(0.340803198083, rel=1e-3)  # -2 p log p, a known mistake


def test_entropy_is_zero_where_the_model_is_sure_and_highest_at_one_half() -> None:
    assert mean_pixel_entropy(np.array([[0.0, 1.0]])) == 0
    assert mean_pixel_entropy(np.full((3, 3), 0.5)) == pytest.approx(math.log(2))


def test_the_two_outcomes_are_compared_by_what_was_not_chosen_by_difference_and_by_ratio() -> None:
    p = np.array([[0.9, 0.25]])
    assert mean_least_confidence(p) == pytest.approx((0.1 + 0.25) / 2)
    assert mean_margin(p) == pytest.approx(-(0.8 + 0.5) / 2)
    assert mean_ratio(p) == pytest.approx((1 / 9 + 1 / 3) / 2)


@pytest.mark.parametrize("score", SCORES)
@given(p=PROBABILITIES)
@settings(deadline=None, max_examples=25)
def test_uncertainty_is_highest_at_one_half_lowest_at_certainty_and_blind_to_which_outcome(
    score: Callable[[NDArray[np.float64]], float], p: NDArray[np.float64]
) -> None:
    assert score(np.round(p)) - 1e-12 <= score(p) <= score(np.full_like(p, 0.5)) + 1e-12
    assert score(p) == pytest.approx(score(1 - p), abs=1e-12)


@given(p=PROBABILITIES)
@settings(deadline=None, max_examples=25)
def test_least_confidence_and_margin_rank_masks_alike(p: NDArray[np.float64]) -> None:
    assert mean_least_confidence(p) == pytest.approx((1 + mean_margin(p)) / 2, abs=1e-12)


@pytest.mark.parametrize("score", SCORES)
def test_logits_missing_values_and_nothing_are_refused(score: Callable[[NDArray[np.float64]], float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        score(np.array([[2.5]]))
    with pytest.raises(ValueError, match="between 0 and 1"):
        score(np.array([[np.nan]]))
    with pytest.raises(ValueError, match="without pixels"):
        score(np.zeros((0, 4)))
    assert np.isfinite(score(np.array([[1.0002, -1e-5]], np.float32)))  # half precision rounds


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
