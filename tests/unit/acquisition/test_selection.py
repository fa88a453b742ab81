from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histoloop.acquisition.selection import mix_random, select, select_setwise
from histoloop.acquisition.strategies.coreset import CoverDistance

if TYPE_CHECKING:
    from numpy.typing import NDArray


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


# --- scores that change with every pick -------------------------------------------------------------------------------


LINE = np.array([[0.0], [1.0], [2.0], [9.0], [10.0]])


def test_picks_that_change_the_scores_follow_classes_and_overlaps_too() -> None:
    farthest = CoverDistance(np.array([[0.0]]), LINE)
    picks = select_setwise(farthest, ["a", "a", "b", "b", "b"], count=4, overlap=lambda one, two: {one, two} == {3, 4})
    assert [pick.index for pick in picks] == [4, 1, 2, 0]
    assert [pick.score for pick in picks] == [10, 1, 1, 0]


def k_center_greedy(pool_ND: NDArray[np.float64], count: int) -> list[int]:
    """From the definition: the most typical point, then each time the farthest from all picks."""
    distances = np.linalg.norm(pool_ND[:, np.newaxis] - pool_ND, axis=2)
    picks = [int(np.argmin(np.linalg.norm(pool_ND - pool_ND.mean(axis=0), axis=1)))]
    while len(picks) < min(count, len(pool_ND)):
        nearest_N = distances[:, picks].min(axis=1)
        nearest_N[picks] = -np.inf
        picks.append(int(np.argmax(nearest_N)))
    return picks


@given(st.lists(st.floats(-9, 9), min_size=1, max_size=9), st.integers(1, 9))
@settings(deadline=None, max_examples=25)
def test_in_a_single_class_the_picks_are_those_of_k_center_greedy(places: list[float], count: int) -> None:
    pool, nothing = np.array(places)[:, np.newaxis], np.zeros((0, 1))
    picks = select_setwise(CoverDistance(nothing, pool), ["a"] * len(pool), count=count)
    assert [pick.index for pick in picks] == k_center_greedy(pool, count)


@pytest.mark.parametrize("scores", [np.zeros(2), np.zeros(4), np.zeros((3, 1)), np.array([1.0, np.nan, 2.0])])
def test_every_candidate_must_be_scored_exactly_once(scores: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match=r"scored once|no finite score"):
        select(scores, ["a", "b", "c"], count=1)


# --- protected candidates ---------------------------------------------------------------------------------------------


def test_protected_regions_are_asked_about_only_when_all_others_are_used_up() -> None:
    scores, classes = np.array([9.0, 8.0, 1.0, 2.0]), ["a", "a", "a", "b"]
    assert select(scores, classes, count=2, protected=[0, 1]) == [3, 2]
    assert select(scores, classes, count=4, protected=[0, 1]) == [3, 2, 0, 1]


def test_a_class_that_got_less_before_catches_up_with_its_protected_regions() -> None:
    assert select(np.array([9.0, 8.0, 7.0, 1.0]), ["a", "a", "a", "b"], count=3, protected=[2, 3]) == [0, 1, 3]


# --- random questions among the others --------------------------------------------------------------------------------


@given(
    pool=st.integers(1, 20),
    count=st.integers(0, 20),
    share=st.sampled_from([0.0, 0.01, 0.25, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=50)
def test_a_share_of_the_questions_is_sampled_and_the_best_picks_are_kept(
    pool: int, count: int, share: float, seed: int
) -> None:
    picks = list(range(pool))[::-1][:count]
    mix = mix_random(picks, range(pool), share, seed)
    assert len({*mix.chosen, *mix.sampled}) == len(mix.chosen) + len(mix.sampled) == len(picks)
    assert list(mix.chosen) == [pick for pick in picks if pick not in mix.sampled][: len(mix.chosen)]
    assert abs(len(mix.sampled) - share * len(picks)) <= 1
    assert mix.sampled or share == 0 or len(picks) < 2
    assert mix == mix_random(picks, range(pool), share, seed)


def test_the_size_of_the_sample_is_rounded_and_at_least_one_of_two() -> None:
    sizes = [len(mix_random(range(count), range(50), 0.25, 0).sampled) for count in range(8)]
    assert sizes == [0, 0, 1, 1, 1, 1, 2, 2]
    assert mix_random([3, 2], range(9), 0, 0).chosen == (3, 2)


def test_samples_come_evenly_from_the_whole_pool_picks_included() -> None:
    counts = np.bincount([mix_random([0, 1], range(4), 0.5, seed).sampled[0] for seed in range(400)], minlength=4)
    assert counts.min() > 70


def test_picks_that_overlap_the_sample_are_left_out() -> None:
    mix = mix_random([0, 1, 2, 3], range(4), 0.25, 1, overlap=lambda one, other: one // 2 == other // 2)
    (sampled,) = mix.sampled
    assert all(pick // 2 != sampled // 2 for pick in mix.chosen)


def test_a_share_outside_zero_and_one_is_refused() -> None:
    with pytest.raises(ValueError, match="share"):
        mix_random([0], [0], 1.2, 0)
