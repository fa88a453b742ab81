from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histoloop.acquisition.strategies import STRATEGIES, mean_pixel_entropy, random_scores, select


def test_entropy_is_that_of_both_outcomes() -> None:
    p = np.array([[0.5, 0.9], [0.1, 0.99]])
    assert mean_pixel_entropy(p) == pytest.approx(0.349828665424, rel=1e-9)
    assert mean_pixel_entropy(p) != pytest.approx(0.340803198083, rel=1e-3)  # -2 p log p, a known mistake
    assert mean_pixel_entropy(np.array([0.9])) == pytest.approx(0.325082973391, rel=1e-9)


def test_entropy_is_zero_where_the_model_is_sure_and_highest_at_one_half() -> None:
    assert mean_pixel_entropy(np.array([0.0, 1.0])) == 0
    assert mean_pixel_entropy(np.full((3, 3), 0.5)) == pytest.approx(math.log(2))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_entropy_stays_between_zero_and_log_two(values: list[float]) -> None:
    assert 0 <= mean_pixel_entropy(np.array(values)) <= math.log(2) + 1e-12


def test_random_scores_follow_their_seed() -> None:
    assert np.array_equal(random_scores(5, seed=1), random_scores(5, seed=1))
    assert not np.array_equal(random_scores(5, seed=1), random_scores(5, seed=2))


def test_classes_get_equal_numbers_best_first() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.1, 0.2])
    assert select(scores, ["a", "a", "a", "b", "b"], count=4) == [0, 4, 1, 3]


def test_a_class_that_is_used_up_leaves_its_turns_to_the_others() -> None:
    assert select(np.array([3.0, 2.0, 1.0, 9.0]), ["a", "a", "a", "b"], count=4) == [3, 0, 1, 2]


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from("abc")), max_size=20), st.integers(1, 25))
def test_no_region_is_picked_twice_and_none_is_missing(pool: list[tuple[float, str]], count: int) -> None:
    picks = select(np.array([score for score, _ in pool]), [name for _, name in pool], count=count)
    assert len(picks) == len(set(picks)) == min(count, len(pool))


def test_what_overlaps_a_better_region_is_passed_over() -> None:
    picks = select(
        np.array([3.0, 2.0, 1.0]), ["a", "b", "a"], count=3, overlap=lambda one, other: {one, other} == {0, 1}
    )
    assert picks == [0, 2]


def test_ties_go_to_the_lowest_index() -> None:
    assert select(np.zeros(3), ["a", "a", "a"], count=2) == [0, 1]


def test_every_strategy_has_a_sentence_and_a_source() -> None:
    assert set(STRATEGIES) == {"random", "entropy"}
    for name, strategy in STRATEGIES.items():
        assert strategy.name == name
        assert strategy.sentence.endswith(".")
        assert "section" in strategy.source
