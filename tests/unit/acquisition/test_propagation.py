from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import hypergeom

from histoloop.acquisition.propagation import (
    capped_k,
    colour_histograms,
    distance_matrix,
    grown,
    nearest_annotated,
    nearest_annotated_by_colour,
    queryable,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

TILES = arrays(np.uint8, (4, 4, 3), elements=st.sampled_from([0, 3, 90, 255]))
DISTANCES = np.array([[0.0, 1, 2, 4, 7], [1, 0, 1.5, 3, 6], [2, 1.5, 0, 2.5, 5], [4, 3, 2.5, 0, 1], [7, 6, 5, 1, 0]])


def pixels(planes_CHW: list[list[list[float]]]) -> NDArray[np.uint8]:
    return np.round(np.array(planes_CHW) * 255).astype(np.uint8).transpose(1, 2, 0)


ONE = pixels([[[0.1, 0.3], [0.6, 0.9]], [[0.1, 0.1], [0.3, 0.3]], [[0.9, 0.9], [0.9, 0.6]]])
OTHER = pixels([[[0.1, 0.1], [0.6, 0.3]], [[0.6, 0.6], [0.9, 0.9]], [[0.9, 0.6], [0.9, 0.9]]])


def colour_distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(distance_matrix(np.stack([one, other]), ["a", "a"])[0, 1])


def test_the_colour_distance_is_the_sum_of_the_planes_divergences() -> None:
    one, other = colour_histograms(ONE), colour_histograms(OTHER)
    assert colour_distance(one, other) == pytest.approx(0.107880777169 + 0.69314718056, rel=1e-9)  # exact
    assert colour_distance(one, other) == pytest.approx(0.801027328744, rel=1e-6)  # with 1e-8 added to every count
    for plane, nats in enumerate([0.107880777169, 0.69314718056, 0.0]):
        assert colour_distance(one[[plane]], other[[plane]]) == pytest.approx(nats, rel=1e-9)


def test_histograms_count_the_valid_pixels_alone() -> None:
    valid = np.array([[True, False], [False, True]])
    histograms = colour_histograms(ONE, valid)
    assert histograms.shape == (3, 256)
    assert histograms.sum(axis=1) == pytest.approx([1, 1, 1])
    assert histograms[0, [ONE[0, 0, 0], ONE[1, 1, 0]]] == pytest.approx([0.5, 0.5])
    with pytest.raises(ValueError, match="valid pixel"):
        colour_histograms(ONE, np.zeros((2, 2), bool))
    with pytest.raises(ValueError, match="8-bit"):
        colour_histograms(np.zeros((2, 2, 3)))  # type: ignore[arg-type]


@given(one=TILES, other=TILES)
@settings(deadline=None, max_examples=25)
def test_colour_distance_is_symmetric_zero_for_equal_and_bounded(
    one: NDArray[np.uint8], other: NDArray[np.uint8]
) -> None:
    first, second = colour_histograms(one), colour_histograms(other)
    distance = colour_distance(first, second)
    assert distance == colour_distance(second, first)
    assert colour_distance(first, first) == 0
    assert 0 <= distance <= 3 * math.log(2) + 1e-12
    assert all(colour_distance(first[[plane]], second[[plane]]) <= math.log(2) + 1e-12 for plane in range(3))


def test_distances_are_taken_within_a_class_alone() -> None:
    histograms = np.stack([colour_histograms(tile) for tile in (ONE, OTHER, ONE)])
    distances = distance_matrix(histograms, ["a", "a", "b"])
    near = colour_distance(histograms[0], histograms[1])
    assert distances == pytest.approx(np.array([[0, near, np.inf], [near, 0, np.inf], [np.inf, np.inf, 0]]))
    with pytest.raises(ValueError, match="2 classes"):
        distance_matrix(histograms, ["a", "b"])


@pytest.mark.parametrize(
    ("k", "pairs"), [(1, {1: 0}), (2, {1: 0, 2: 0}), (3, {1: 0, 2: 0}), (4, {1: 0, 2: 0, 3: 0, 4: 0})]
)
def test_an_unlabelled_region_comes_in_when_one_of_its_neighbours_is_annotated(k: int, pairs: dict[int, int]) -> None:
    classes = ["gland"] * 5
    assert nearest_annotated(DISTANCES, classes, [0], k=k) == pairs


def test_neighbours_are_those_of_the_unlabelled_not_of_the_annotated() -> None:
    assert list(nearest_annotated(DISTANCES, ["gland"] * 5, [0], k=3)) != [1, 2, 3]  # the other variant of Fig. 2


def test_another_class_is_never_a_neighbour_whatever_its_distance() -> None:
    classes = ["a", "b", "a", "b", "b"]
    assert list(nearest_annotated(np.zeros((5, 5)), classes, [0])) == [2]
    assert list(nearest_annotated(DISTANCES, classes, [0], k={"a": 1, "b": 4})) == [2]


def test_the_nearest_annotated_region_is_named() -> None:
    assert nearest_annotated(DISTANCES, ["a"] * 5, [0, 4], k=4) == {1: 0, 2: 0, 3: 4}


@given(seed=st.integers(0, 99), k=st.integers(1, 9))
@settings(deadline=None, max_examples=25)
def test_more_neighbours_never_take_in_less_and_no_annotated_region_comes_in(seed: int, k: int) -> None:
    draw = np.random.default_rng(seed)
    half = draw.random((9, 9))
    distances, classes = half + half.T, [str(name) for name in draw.integers(0, 2, 9)]
    annotated = {0, 1}
    fewer, more = (set(nearest_annotated(distances, classes, annotated, k=reach)) for reach in (k, k + 1))
    assert fewer <= more
    assert not more & annotated
    assert {classes[index] for index in more} <= {classes[index] for index in annotated}


def test_two_identical_regions_bring_each_other_in() -> None:
    assert list(nearest_annotated(np.zeros((2, 2)), ["a", "a"], [1], k=1)) == [0]


def test_without_annotations_or_regions_nothing_comes_in() -> None:
    assert list(nearest_annotated(DISTANCES, ["a"] * 5, [])) == []
    assert list(nearest_annotated(np.zeros((0, 0)), [], [])) == []
    assert list(nearest_annotated(DISTANCES, ["a"] * 5, range(5))) == []


def test_distances_that_do_not_fit_and_no_neighbours_are_refused() -> None:
    with pytest.raises(ValueError, match="4 regions"):
        nearest_annotated(DISTANCES, ["a"] * 4, [])
    with pytest.raises(ValueError, match="k must be at least 1"):
        nearest_annotated(DISTANCES, ["a"] * 5, [], k=0)


# --- P over the rounds ------------------------------------------------------------------------------------------------


def test_the_pool_keeps_what_earlier_rounds_took_in_and_loses_what_is_annotated() -> None:
    near = np.zeros((4, 3, 256))
    for index, place in enumerate((0, 1, 100, 101)):
        near[index, :, place : place + 8] = 1 / 8
    classes = ["a"] * 4
    assert grown(near, classes, [0], [], k=1) == {1: 0}
    assert grown(near, classes, [0], [3], k=1) == {1: 0, 3: None}
    assert grown(near, classes, [0, 1], [1, 3], k=1) == {3: None}


# --- the cap on k -----------------------------------------------------------------------------------------------------


@given(size=st.integers(2, 200), annotated=st.integers(1, 30), k=st.integers(1, 60))
@settings(deadline=None, max_examples=50)
def test_by_chance_at_most_half_would_come_in_and_one_neighbour_more_would_break_that(
    size: int, annotated: int, k: int
) -> None:
    annotated = min(annotated, size - 1)
    capped = capped_k({"a": size}, {"a": annotated}, k=k)["a"]

    def chance(neighbours: int) -> float:
        return 1 - float(hypergeom.pmf(0, size - 1, annotated, neighbours))

    assert 1 <= capped <= k
    assert capped == 1 or chance(capped) <= 0.5 + 1e-9
    assert capped in (k, size - 1) or chance(capped + 1) > 0.5 - 1e-9


def test_the_papers_forty_is_cut_to_a_few_on_a_class_the_size_of_glas() -> None:
    assert capped_k({"benign": 29, "malignant": 38, "empty": 1}, {"benign": 4, "malignant": 1}) == {
        "benign": 4,
        "malignant": 18,
        "empty": 1,
    }


def test_a_share_of_one_leaves_k_and_the_number_of_neighbours_as_the_only_limits() -> None:
    assert capped_k({"a": 100, "b": 10}, {"a": 5, "b": 5}, share=1) == {"a": 40, "b": 9}
    with pytest.raises(ValueError, match="share"):
        capped_k({}, {}, share=1.5)
    with pytest.raises(ValueError, match="k is at least 1"):
        capped_k({}, {}, k=0)


# --- the protected pool -----------------------------------------------------------------------------------------------


def test_the_pseudo_labelled_are_not_asked_about_while_enough_others_are_left() -> None:
    assert queryable([5, 1, 3], [2, 4], 3) == [5, 1, 3]
    assert queryable([5, 1, 3], [2, 4], 4) == [5, 1, 3, 2, 4]
    assert queryable([], [2, 4], 1) == [2, 4]
    with pytest.raises(ValueError, match=r"\[2\] are both"):
        queryable([1, 2], [2], 1)


@given(
    counts=arrays(np.int64, st.tuples(st.integers(1, 12), st.just(3), st.just(4)), elements=st.integers(0, 3)),
    data=st.data(),
)
@settings(deadline=None, max_examples=80)
def test_without_the_matrix_of_distances_the_same_regions_come_in(
    counts: NDArray[np.int64], data: st.DataObject
) -> None:
    counts[:, :, 0] += 1
    histograms = counts / counts.sum(axis=2, keepdims=True)
    classes = data.draw(st.lists(st.sampled_from("ab"), min_size=len(counts), max_size=len(counts)))
    annotated = data.draw(st.sets(st.integers(0, len(counts) - 1)))
    k = data.draw(st.integers(1, 12))
    expected = nearest_annotated(distance_matrix(histograms, classes), classes, annotated, k=k)
    assert nearest_annotated_by_colour(histograms, classes, annotated, k=k) == expected


def test_many_regions_of_several_blocks_come_in_as_by_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histoloop.acquisition.propagation.ROWS", 64)
    monkeypatch.setattr("histoloop.acquisition.propagation.EXACT_ROWS", 16)
    rng = np.random.default_rng(0)
    kinds = rng.dirichlet(np.full(256, 0.3), (9, 3))
    histograms = np.stack([rng.multinomial(400, kinds[number % 9]) / 400 for number in range(500)])
    classes = ["a" if number % 9 < 6 else "b" for number in range(500)]
    expected = nearest_annotated(distance_matrix(histograms, classes), classes, range(40), k=7)
    assert nearest_annotated_by_colour(histograms, classes, range(40), k=7) == expected
    assert 0 < len(expected) < 460


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_the_divergence_lies_between_its_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.dirichlet(np.full(256, 10.0 ** rng.uniform(-3, 1)), (2, 3))
    hellinger = 3 - np.sqrt(one * other).sum()
    assert np.log(2) * hellinger - 1e-12 <= colour_distance(one, other) <= hellinger + 1e-12


def test_what_does_not_fit_together_is_refused_without_the_matrix_too() -> None:
    histograms = np.full((3, 3, 4), 0.25)
    with pytest.raises(ValueError, match="3 histograms and 2 classes"):
        nearest_annotated_by_colour(histograms, ["a", "b"], [])
    with pytest.raises(ValueError, match="k must be at least 1"):
        nearest_annotated_by_colour(histograms, ["a"] * 3, [0], k=0)
