from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histoloop.acquisition.coreset import CoverDistance, cover_radius, k_center_greedy

if TYPE_CHECKING:
    from numpy.typing import NDArray

POINTS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [5.0, 0.0], [5.0, 1.0], [2.5, 4.0], [-3.0, -1.0]])
POOLS = arrays(np.float64, st.tuples(st.integers(1, 8), st.just(2)), elements=st.floats(-9, 9))
NONE = np.zeros((0, 2))


def test_each_pick_is_the_farthest_from_all_before() -> None:
    labelled, pool = POINTS[:1], POINTS
    assert k_center_greedy(labelled, pool, 4) == [4, 5, 6, 2]
    scores_after = CoverDistance(labelled, pool)
    at_pick = [scores_after([4, 5, 6, 2][:taken])[pick] for taken, pick in enumerate([4, 5, 6, 2])]
    assert at_pick == pytest.approx([5.09901951359, 3.90512483795, 3.16227766017, 2.0], rel=1e-9)
    assert cover_radius(POINTS[[0, 4, 5, 6, 2]], pool) == pytest.approx(1.0, rel=1e-9)


@given(labelled=POOLS, pool=POOLS)
@settings(deadline=None, max_examples=25)
def test_the_cover_radius_never_grows(labelled: NDArray[np.float64], pool: NDArray[np.float64]) -> None:
    picks = k_center_greedy(labelled, pool, len(pool))
    radii = [cover_radius(np.concatenate([labelled, pool[picks[:taken]]]), pool) for taken in range(len(pool) + 1)]
    assert radii == sorted(radii, reverse=True)
    assert radii[-1] == 0


@given(pool=POOLS, count=st.integers(1, 3))
@settings(deadline=None, max_examples=25)
def test_the_cover_radius_is_at_most_twice_the_best(pool: NDArray[np.float64], count: int) -> None:
    count = min(count, len(pool))
    best = min(cover_radius(pool[list(some)], pool) for some in itertools.combinations(range(len(pool)), count))
    assert cover_radius(pool[k_center_greedy(NONE, pool, count)], pool) <= 2 * best + 1e-9


@given(pool=POOLS, count=st.integers(0, 12))
@settings(deadline=None, max_examples=25)
def test_no_point_is_picked_twice_and_a_small_pool_is_used_up(pool: NDArray[np.float64], count: int) -> None:
    picks = k_center_greedy(NONE, pool, count)
    assert len(picks) == len(set(picks)) == min(count, len(pool))


def test_identical_points_are_picked_in_order() -> None:
    assert k_center_greedy(np.zeros((1, 2)), np.ones((3, 2)), 3) == [0, 1, 2]


def test_with_nothing_annotated_the_most_typical_point_comes_first() -> None:
    assert k_center_greedy(NONE, np.array([[0.0, 0], [4, 0], [9, 0]]), 3) == [1, 2, 0]


def test_an_empty_pool_gives_nothing() -> None:
    assert k_center_greedy(POINTS, NONE, 3) == k_center_greedy(NONE, NONE, 3) == []
    assert CoverDistance(NONE, NONE)([]).shape == (0,)
    assert cover_radius(POINTS, NONE) == 0
    assert cover_radius(NONE, POINTS) == np.inf


def test_spaces_that_differ_and_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="features"):
        k_center_greedy(np.zeros((1, 3)), POINTS, 1)
    with pytest.raises(ValueError, match=r"\(N, D\)"):
        k_center_greedy(POINTS, np.zeros(3), 1)
    with pytest.raises(ValueError, match="negative"):
        k_center_greedy(POINTS, POINTS, -1)
