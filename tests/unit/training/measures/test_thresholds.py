"""The best threshold from counts alone is the one that a search over whole maps finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histoloop.training.measures.metrics import mean_dice
from histoloop.training.measures.thresholds import ThresholdSearch

GRID = [step / 256 for step in range(1, 256)]

maps = arrays(np.float32, (4, 5), elements=st.floats(0, 1, width=32) | st.sampled_from([0.25, 0.5, 129 / 256, 1.0]))
tiles = st.lists(st.tuples(maps, arrays(bool, (4, 5))), min_size=1, max_size=4)


def searched(*pairs: tuple[np.ndarray, np.ndarray]) -> ThresholdSearch:
    search = ThresholdSearch()
    for value, truth in pairs:
        search.add(value, truth)
    return search


@settings(deadline=None, max_examples=40)
@given(tiles)
def test_no_threshold_of_the_grid_gives_a_better_mean_dice_than_the_one_chosen(
    pairs: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    best = searched(*pairs).best()
    everywhere = [mean_dice([(value > threshold, truth) for value, truth in pairs]) for threshold in GRID]
    assert best.dice == pytest.approx(max(everywhere))
    assert best.dice == pytest.approx(mean_dice([(value > best.threshold, truth) for value, truth in pairs]))
    assert best.threshold in GRID
    assert best.tiles == len(pairs)


def test_of_the_thresholds_that_do_equally_well_the_one_nearest_to_a_half_is_chosen() -> None:
    truth = np.array([[True, False, False, True]])
    assert searched((np.where(truth, 0.9, 0.1), truth)).best().threshold == 0.5
    assert searched((np.where(truth, 0.375, 0.25), truth)).best().threshold == 0.375 - 1 / 256
    assert searched((np.where(truth, 0.75, 0.625), truth)).best().threshold == 0.625


def test_a_value_on_the_threshold_is_background_as_in_the_predictor() -> None:
    best = searched((np.array([[0.5, 0.50390625]]), np.array([[False, True]]))).best()
    assert (best.threshold, best.dice) == (0.5, 1.0)


def test_each_tile_counts_alike_however_large_it_is() -> None:
    # the large tile alone wants a threshold below 0.3, the two small ones one above it
    large = np.full((50, 50), 0.3), np.ones((50, 50), bool)
    small = np.array([[0.3, 0.9]]), np.array([[False, True]])
    assert searched(large).best().threshold < 0.3
    best = searched(large, *[small] * 4).best()
    assert best.threshold == 0.5
    assert best.dice == pytest.approx(4 / 5)


def test_two_empty_masks_agree() -> None:
    empty = np.zeros((2, 3), bool)
    best = searched((np.full((2, 3), 0.4), empty)).best()
    assert (best.threshold, best.dice) == (0.5, 1.0)


def test_half_precision_maps_are_searched_like_their_exact_values() -> None:
    value = np.random.default_rng(0).random((16, 16)).astype(np.float16)
    truth = value > 0.3
    assert searched((value, truth)).best() == searched((value.astype(np.float64), truth)).best()


@pytest.mark.parametrize("value", [-0.01, 1.01, np.nan, np.inf])
def test_a_value_that_is_no_probability_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        ThresholdSearch().add(np.array([[value, 0.5]]), np.array([[True, False]]))


def test_a_map_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 2\) cannot be compared with a truth \(3, 2\)"):
        ThresholdSearch().add(np.zeros((2, 2)), np.zeros((3, 2), bool))


def test_no_tiles_give_no_threshold() -> None:
    with pytest.raises(ValueError, match="without tiles"):
        ThresholdSearch().best()
