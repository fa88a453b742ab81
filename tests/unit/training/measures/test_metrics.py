from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histoloop.training.measures.metrics import (
    AveragePrecisions,
    accuracy,
    average_precision,
    average_precisions,
    balanced_accuracy,
    class_dice,
    class_figures,
    classification_error,
    dice,
    judged,
    mean_dice,
    pooled_dice,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

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


def test_error_is_what_accuracy_leaves() -> None:
    assert classification_error([0, 1, 1, 2], [0, 1, 2, 2]) == pytest.approx(0.25)


@pytest.mark.parametrize("measure", [accuracy, classification_error, balanced_accuracy])
@pytest.mark.parametrize(("predicted", "truth"), [([], []), ([0], [0, 1])])
def test_labels_that_do_not_fit_are_refused(
    measure: Callable[[list[int], list[int]], float], predicted: list[int], truth: list[int]
) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        measure(predicted, truth)


# --- average precision ------------------------------------------------------------------------------------------------

# so coarse that equal scores are common, and that a monotone change keeps different ones different
rankings = (
    st.integers(1, 12)
    .flatmap(
        lambda count: st.tuples(
            arrays(np.float64, count, elements=st.integers(0, 5).map(lambda step: step / 5)), arrays(bool, count)
        )
    )
    .filter(lambda ranking: bool(ranking[1].any()))
)
Ranking = tuple[np.ndarray, np.ndarray]


def test_average_precision_sums_precision_where_recall_grows() -> None:
    scores, positive = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False])
    assert average_precision(scores, positive) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_tiles_of_equal_score_enter_together() -> None:
    # recall 1/2 at precision 1/2 (both tiles of 0.8), then 1 at 2/3
    scores, positive = np.array([0.8, 0.8, 0.3]), np.array([True, False, True])
    assert average_precision(scores, positive) == pytest.approx(0.5 * 1 / 2 + 0.5 * 2 / 3)


@settings(deadline=None, max_examples=40)
@given(arrays(bool, st.integers(1, 12)).filter(lambda positive: bool(positive.any())))
def test_a_perfect_ranking_has_average_precision_1_and_a_constant_one_the_share_of_positives(
    positive: np.ndarray,
) -> None:
    assert average_precision(np.where(positive, 0.9, 0.1), positive) == pytest.approx(1.0)
    assert average_precision(np.full(len(positive), 0.3), positive) == pytest.approx(positive.mean())


@settings(deadline=None, max_examples=60)
@given(rankings, st.randoms(use_true_random=False))
def test_average_precision_does_not_depend_on_the_order_of_the_tiles(ranking: Ranking, random: Random) -> None:
    scores, positive = ranking
    order = list(range(len(scores)))
    random.shuffle(order)
    assert average_precision(scores[order], positive[order]) == pytest.approx(average_precision(scores, positive))


@settings(deadline=None, max_examples=60)
@given(rankings)
def test_average_precision_depends_on_the_ranking_alone(ranking: Ranking) -> None:
    scores, positive = ranking
    expected = average_precision(scores, positive)
    assert 0 < expected <= 1
    assert average_precision(np.exp(3 * scores) - 7, positive) == pytest.approx(expected)
    assert average_precision(np.log(scores + 1).astype(np.float32), positive) == pytest.approx(expected)


@settings(deadline=None, max_examples=60)
@given(rankings)
def test_equal_scores_are_no_worse_than_ties_broken_against_the_positives(ranking: Ranking) -> None:
    scores, positive = ranking
    assert average_precision(scores - 0.01 * positive, positive) <= average_precision(scores, positive) + 1e-12


def test_the_mean_leaves_out_a_class_without_a_tile_and_says_so() -> None:
    scores = np.array([[0.9, 0.0, 0.1], [0.2, 0.0, 0.8]])
    found = average_precisions(scores, np.array([[True, False, False], [True, False, True]]))
    assert found.per_class == (1.0, None, 1.0)
    assert found.left_out == (1,)
    assert found.mean == 1.0


def test_the_mean_is_over_classes_not_tiles() -> None:
    assert AveragePrecisions((0.5, 1.0, None, 0.75)).mean == pytest.approx(0.75)
    assert AveragePrecisions((None, None)).mean is None


def test_average_precision_without_a_positive_or_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one positive"):
        average_precision(np.array([0.5]), np.array([False]))
    with pytest.raises(ValueError, match="not NaN"):
        average_precision(np.array([0.5, np.nan]), np.array([True, False]))
    with pytest.raises(ValueError, match=r"\(tiles, classes\)"):
        average_precisions(np.zeros((2, 3)), np.zeros((3, 2), bool))


def test_dice_of_classes_is_pooled_and_leaves_out_what_is_not_there() -> None:
    predicted = [np.array([[1, 1, 2, 0]], np.uint8), np.array([2, 2], np.uint8)]
    truth = [np.array([[1, 2, 2, 0]], np.uint8), np.array([2, 0], np.uint8)]
    found = class_dice(zip(predicted, truth, strict=True), mask_classes=3)
    # gland: 1 right of 2 found and 1 there; tumour: 2 right of 3 found and 3 there; the third class is nowhere
    assert found.per_class == (pytest.approx(2 / 3), pytest.approx(2 / 3), None)
    assert found.macro == pytest.approx(2 / 3)


def test_figures_of_classes_have_the_foreground_too() -> None:
    predicted, truth = np.array([[1, 0, 2]], np.uint8), np.array([[2, 0, 2]], np.uint8)
    found = class_figures([(predicted, truth)], mask_classes=2)
    assert found == {"dice": 1.0, "pooled_dice": 1.0, "class_dice": pytest.approx(2 / 3)}
    empty = np.zeros((1, 4), np.uint8)
    assert class_figures([(empty, empty)], mask_classes=2)["class_dice"] == 1.0


def test_only_pixels_whose_truth_is_known_are_judged() -> None:
    predicted = np.array([[True, True], [False, True]])
    truth = np.array([[True, False], [True, False]])
    known = np.array([[True, False], [True, False]])
    assert dice(*judged(predicted, truth, known)) == 2 / 3
    assert dice(*judged(predicted, truth, None)) == 2 / 5
