from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histoloop.acquisition.selection import select_setwise
from histoloop.acquisition.strategies.coreset import (
    ESTIMATED,
    STRATEGIES,
    CoverDistance,
    LargeCoverDistance,
    cover_distance,
)
from histoloop.acquisition.strategies.vaal import STRATEGIES as OF_VAAL
from histoloop.acquisition.strategy import Inputs
from histoloop.progress import finish

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.acquisition.strategy import Strategy

POINTS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [5.0, 0.0], [5.0, 1.0], [2.5, 4.0], [-3.0, -1.0]])
POOLS = arrays(np.float64, st.tuples(st.integers(1, 8), st.just(2)), elements=st.floats(-9, 9))
NONE = np.zeros((0, 2))


def farthest(labelled: NDArray[np.float64], pool: NDArray[np.float64], count: int) -> list[int]:
    """Picks of one class."""
    return [pick.index for pick in select_setwise(CoverDistance(labelled, pool), ["a"] * len(pool), count=count)]


def cover_radius(centres: NDArray[np.float64], pool: NDArray[np.float64]) -> float:
    return float(CoverDistance(centres, pool)([]).max())


def test_each_pick_is_the_farthest_from_all_before() -> None:
    labelled, pool = POINTS[:1], POINTS
    assert farthest(labelled, pool, 4) == [4, 5, 6, 2]
    scores_after = CoverDistance(labelled, pool)
    at_pick = [scores_after([4, 5, 6, 2][:taken])[pick] for taken, pick in enumerate([4, 5, 6, 2])]
    assert at_pick == pytest.approx([5.09901951359, 3.90512483795, 3.16227766017, 2.0], rel=1e-9)
    assert cover_radius(POINTS[[0, 4, 5, 6, 2]], pool) == pytest.approx(1.0, rel=1e-9)


@given(labelled=POOLS, pool=POOLS)
@settings(deadline=None, max_examples=25)
def test_the_cover_radius_never_grows(labelled: NDArray[np.float64], pool: NDArray[np.float64]) -> None:
    picks = farthest(labelled, pool, len(pool))
    scores_after = CoverDistance(labelled, pool)
    radii = [float(scores_after(picks[:taken]).max()) for taken in range(len(pool) + 1)]
    assert radii[-2] == cover_radius(np.concatenate([labelled, pool[picks[:-1]]]), pool)
    assert radii == sorted(radii, reverse=True)
    assert radii[-1] == 0


@given(pool=POOLS, count=st.integers(1, 3))
@settings(deadline=None, max_examples=25)
def test_the_cover_radius_is_at_most_twice_the_best(pool: NDArray[np.float64], count: int) -> None:
    count = min(count, len(pool))
    best = min(cover_radius(pool[list(some)], pool) for some in itertools.combinations(range(len(pool)), count))
    assert cover_radius(pool[farthest(NONE, pool, count)], pool) <= 2 * best + 1e-9


@given(pool=POOLS, count=st.integers(0, 12))
@settings(deadline=None, max_examples=25)
def test_no_point_is_picked_twice_and_a_small_pool_is_used_up(pool: NDArray[np.float64], count: int) -> None:
    picks = farthest(NONE, pool, count)
    assert len(picks) == len(set(picks)) == min(count, len(pool))


def test_identical_points_are_picked_in_order() -> None:
    assert farthest(np.zeros((1, 2)), np.ones((3, 2)), 3) == [0, 1, 2]


def test_with_nothing_annotated_the_most_typical_point_comes_first() -> None:
    assert farthest(NONE, np.array([[0.0, 0], [4, 0], [9, 0]]), 3) == [1, 2, 0]


def test_an_empty_pool_gives_nothing() -> None:
    assert farthest(POINTS, NONE, 3) == farthest(NONE, NONE, 3) == []
    assert CoverDistance(NONE, NONE)([]).shape == (0,)


def test_spaces_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="features"):
        CoverDistance(np.zeros((1, 3)), POINTS)
    with pytest.raises(ValueError, match=r"\(N, D\)"):
        CoverDistance(POINTS, np.zeros(3))


class Embedded(Inputs):
    """The points, of which the first `labelled` are annotated regions."""

    seed = 0

    def __init__(self, labelled: int) -> None:
        self.labelled, self.count = labelled, len(POINTS) - labelled

    def embedding(self, index: int) -> NDArray[np.float32]:
        return POINTS[self.labelled + index].astype(np.float32)

    def annotated_embeddings(self) -> NDArray[np.float32]:
        return POINTS[: self.labelled].astype(np.float32)

    def annotated_slide(self, index: int) -> str:
        return f"{index}.svs"

    def annotated_pixels(self, index: int) -> NDArray[np.uint8]:
        return np.full((1, 1, 3), index, np.uint8)


def test_the_strategy_scores_by_the_distance_to_what_is_annotated_and_picked() -> None:
    scores_after = finish(STRATEGIES[0].score(Embedded(2)))
    assert scores_after([])[:2].tolist() == pytest.approx([2, 4])
    assert scores_after([1])[2] == pytest.approx(1)


@pytest.mark.parametrize("strategy", [*STRATEGIES, *OF_VAAL])
def test_the_annotated_region_most_alike_is_named_and_shown(strategy: Strategy) -> None:
    evidence = strategy.evidence(Embedded(2), 1)
    assert evidence.facts == {"beside": "1.svs"}
    assert evidence.beside is not None
    assert evidence.beside.max() == 1
    sentence = "It looks unlike anything annotated; the most similar region is on 1.svs."
    assert strategy.reason(evidence.facts) == sentence


def test_before_the_first_annotation_it_is_the_most_typical_region() -> None:
    (strategy,) = STRATEGIES
    evidence = strategy.evidence(Embedded(0), 1)
    assert (evidence.facts, evidence.beside) == ({}, None)
    assert strategy.reason({}) == "Nothing is annotated yet: together, the questions cover the variety of the tissue."


# --- large pools ------------------------------------------------------------------------------------------------------


def picked(scores_after, classes: list[str], count: int) -> list[tuple[int, float]]:
    return [(pick.index, pick.score) for pick in select_setwise(scores_after, classes, count=count)]


@given(labelled=POOLS | st.just(NONE), pool=POOLS, data=st.data())
@settings(deadline=None, max_examples=60)
def test_estimated_distances_lead_to_the_picks_of_the_exact_ones(
    labelled: NDArray[np.float64], pool: NDArray[np.float64], data: st.DataObject
) -> None:
    classes = data.draw(st.lists(st.sampled_from("ab"), min_size=len(pool), max_size=len(pool)))
    exact = picked(CoverDistance(labelled, pool), classes, len(pool))
    assert picked(LargeCoverDistance(labelled, pool), classes, len(pool)) == exact


@pytest.mark.parametrize("annotated", [0, 3, 70])
def test_ties_of_a_large_pool_go_to_the_lowest_index(annotated: int) -> None:
    rng = np.random.default_rng(0)
    kinds = rng.standard_normal((60, 33)).astype(np.float32) * 3 + 40
    pool, labelled = kinds[rng.integers(0, 60, 20_000)], kinds[rng.integers(0, 5, annotated)]
    classes = [f"class {number % 3}" for number in range(len(pool))]
    exact = picked(CoverDistance(labelled, pool), classes, 40)
    assert picked(LargeCoverDistance(labelled, pool), classes, 40) == exact


def test_points_that_differ_by_less_than_single_precision_are_told_apart() -> None:
    pool = np.full((3000, 16), 1000.0)
    pool[1234, 0] += 1e-9
    assert [index for index, _score in picked(LargeCoverDistance(pool[:1], pool), ["a"] * 3000, 2)] == [1234, 0]


def test_a_pool_is_estimated_when_it_is_large() -> None:
    many = np.zeros((ESTIMATED // 8 + 1, 8), np.float32)
    assert isinstance(cover_distance(many[:1], many), LargeCoverDistance)
    assert isinstance(cover_distance(many[:1], many[:100]), CoverDistance)


def test_spaces_of_a_large_pool_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="features"):
        LargeCoverDistance(np.zeros((1, 3)), POINTS)
