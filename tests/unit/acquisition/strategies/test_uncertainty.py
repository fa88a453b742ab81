from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histoloop.acquisition.strategies.uncertainty import (
    STRATEGIES,
    mean_least_confidence,
    mean_margin,
    mean_pixel_entropy,
    mean_ratio,
    pixel_entropy,
)
from histoloop.acquisition.strategy import Inputs
from histoloop.progress import finish

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from histoloop.acquisition.strategy import Strategy

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


class Maps(Inputs):
    """Two regions: sure, and unsure in one pixel of four."""

    count, seed = 2, 0

    def outcomes(self, index: int) -> NDArray[np.floating]:
        return np.array([[0.9, 0.9], [0.1, 0.5 if index else 0.9]])


@pytest.mark.parametrize(("strategy", "score"), list(zip(STRATEGIES, SCORES, strict=True)))
def test_each_strategy_scores_by_its_measure(strategy: Strategy, score: Callable[[NDArray[np.float64]], float]) -> None:
    inputs = Maps()
    scores_N = finish(strategy.score(inputs))([])
    assert scores_N.tolist() == [score(inputs.outcomes(0)), score(inputs.outcomes(1))]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_it_says_how_much_is_unsure_and_shows_where(strategy: Strategy) -> None:
    evidence = strategy.evidence(Maps(), 1)
    assert evidence.facts == {"share": 0.25}
    assert evidence.strength is not None
    assert evidence.strength[1, 1] == pytest.approx(1)
    assert strategy.reason(evidence.facts) == "The model is unsure about 25% of this region."
    assert strategy.reason({}) == "The model is unsure about this region."


# --- background and mask classes --------------------------------------------------------------------------------------

OUTCOMES = np.array([[[0.5, 0.9]], [[0.3, 0.06]], [[0.2, 0.04]]])
"""Of background and two classes, at two pixels."""


def test_uncertainty_over_classes_is_that_of_the_two_likeliest_or_of_all() -> None:
    entropies = [-sum(p * math.log(p) for p in pixel) for pixel in ((0.5, 0.3, 0.2), (0.9, 0.06, 0.04))]
    assert pixel_entropy(OUTCOMES) == pytest.approx(np.array([entropies]))
    assert mean_pixel_entropy(OUTCOMES) == pytest.approx(sum(entropies) / 2)
    assert mean_least_confidence(OUTCOMES) == pytest.approx((0.5 + 0.1) / 2)
    assert mean_margin(OUTCOMES) == pytest.approx(-(0.2 + 0.84) / 2)
    assert mean_ratio(OUTCOMES) == pytest.approx((0.6 + 0.06 / 0.9) / 2)


def test_over_classes_margin_and_least_confidence_ask_for_different_regions() -> None:
    """One region is torn between two outcomes, the other unsure among all three."""
    torn, unsure = (np.array(outcomes)[:, None, None] for outcomes in ((0.48, 0.48, 0.04), (0.44, 0.28, 0.28)))
    assert mean_margin(torn) > mean_margin(unsure)
    assert mean_least_confidence(torn) < mean_least_confidence(unsure)


@pytest.mark.parametrize("score", SCORES)
@given(p=PROBABILITIES)
@settings(deadline=None, max_examples=25)
def test_a_foreground_alone_is_as_unsure_as_it_and_its_background(
    score: Callable[[NDArray[np.float64]], float], p: NDArray[np.float64]
) -> None:
    assert score(np.stack([1 - p, p])) == pytest.approx(score(p), rel=1e-12, abs=1e-12)


def test_all_outcomes_sum_to_one_but_for_the_rounding_of_half_precision() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        mean_margin(np.full((3, 1, 1), 0.5))
    rounded = OUTCOMES.astype(np.float16)
    assert mean_pixel_entropy(rounded) == pytest.approx(mean_pixel_entropy(OUTCOMES), rel=1e-3)


class ClassMaps(Inputs):
    """One region of four pixels, unsure at one of them, with background and three classes."""

    count, seed = 1, 0

    def outcomes(self, index: int) -> NDArray[np.floating]:
        return np.array([[[1.0, 0, 0, 0.25]], [[0, 1.0, 0, 0.25]], [[0, 0, 1.0, 0.25]], [[0, 0, 0, 0.25]]])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_evidence_over_classes_is_full_where_all_outcomes_are_alike(strategy: Strategy) -> None:
    evidence = strategy.evidence(ClassMaps(), 0)
    assert evidence.facts == {"share": 0.25}
    assert evidence.strength == pytest.approx(np.array([[0, 0, 0, 1.0]]))


def test_the_foreground_of_outcomes_is_what_is_no_background() -> None:
    assert ClassMaps().foreground(0).tolist() == [[0, 1, 1, 0.75]]
