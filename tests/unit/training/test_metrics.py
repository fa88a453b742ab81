from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histoloop.training.metrics import accuracy, balanced_accuracy, dice, mean_dice, pooled_dice

PREDICTED = np.array([[[1, 1, 0], [0, 1, 0], [0, 0, 0]], [[1, 1, 1], [1, 1, 1], [1, 1, 1]]], bool)
TRUTH = np.array([[[1, 0, 0], [0, 1, 1], [0, 0, 0]], [[1, 0, 0], [0, 0, 0], [0, 0, 0]]], bool)


def test_dice_per_tile_and_pooled_are_different_things() -> None:
    pairs = list(zip(PREDICTED, TRUTH, strict=True))
    assert [dice(*pair) for pair in pairs] == pytest.approx([0.666666666667, 0.2])
    assert mean_dice(pairs) == pytest.approx(0.433333333333)
    assert pooled_dice(pairs) == pytest.approx(0.375)


def test_two_empty_masks_agree() -> None:
    assert dice(np.zeros((2, 2), bool), np.zeros((2, 2), bool)) == 1.0


@given(arrays(bool, (3, 4)), arrays(bool, (3, 4)))
def test_dice_is_symmetric_and_within_bounds(first: np.ndarray, second: np.ndarray) -> None:
    assert 0 <= dice(first, second) == dice(second, first) <= 1


@given(st.integers(1, 5))
def test_pooling_tiles_of_different_sizes_counts_pixels(size: int) -> None:
    full, empty = np.ones((size, 1), bool), np.zeros((1, 1), bool)
    assert pooled_dice([(full, full), (~empty, empty)]) == pytest.approx(2 * size / (2 * size + 1))


def test_dice_of_no_pairs_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one pair"):
        mean_dice([])


def test_balanced_accuracy_counts_every_class_alike() -> None:
    predicted, truth = [0, 0, 0, 0], [0, 0, 0, 1]
    assert accuracy(predicted, truth) == pytest.approx(0.75)
    assert balanced_accuracy(predicted, truth) == pytest.approx(0.5)
