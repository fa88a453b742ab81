"""Figures of masks come from counts, tile by tile, and are those of the papers' formulas."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from histoloop.training.measures.figures import (
    MaskCounts,
    MaskFigures,
    MaskTally,
    count_mask,
    label_figures,
    multi_label_figures,
)
from histoloop.training.measures.metrics import dice, mean_dice, pooled_dice

if TYPE_CHECKING:
    from collections.abc import Iterable

# oracle dice_per_image_vs_pooled
PREDICTED = np.array([[[1, 1, 0], [0, 1, 0], [0, 0, 0]], [[1, 1, 1], [1, 1, 1], [1, 1, 1]]], bool)
TRUTH = np.array([[[1, 0, 0], [0, 1, 1], [0, 0, 0]], [[1, 0, 0], [0, 0, 0], [0, 0, 0]]], bool)

pairs_of_classes = st.lists(
    array_shapes(min_dims=2, max_dims=2, max_side=6).flatmap(
        lambda shape: st.tuples(*[arrays(np.uint8, shape, elements=st.integers(0, 2))] * 2)
    ),
    min_size=1,
    max_size=4,
)
Pairs = list[tuple[np.ndarray, np.ndarray]]


def mask_figures(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> MaskFigures:
    tally = MaskTally()
    for predicted, truth in pairs:
        tally.add(predicted, truth)
    return tally.figures()


def test_f1_is_averaged_over_tiles_and_dice_pooled_over_pixels() -> None:
    figures = mask_figures(zip(PREDICTED, TRUTH, strict=True))
    assert figures.f1_foreground == pytest.approx(0.433333333333)
    assert figures.f1_background == pytest.approx((0.833333333333 + 0.0) / 2)
    assert figures.dice_pooled == pytest.approx(0.375)
    assert figures.dice_classes == pytest.approx(0.375)
    assert figures.tiles == 2


def test_a_tile_counted_alone_has_its_own_dice() -> None:
    counts = [count_mask(*pair) for pair in zip(PREDICTED, TRUTH, strict=True)]
    assert [one.dice_foreground for one in counts] == pytest.approx([0.666666666667, 0.2])
    assert [one.dice_background for one in counts] == pytest.approx([0.833333333333, 0.0])


def test_a_gland_of_the_wrong_class_is_a_miss_of_one_class_and_a_false_alarm_of_the_other() -> None:
    benign, malignant = np.full((2, 5), 1, np.uint8), np.full((2, 5), 2, np.uint8)
    # eq 4.14 with TP_1 = 10, FP_1 = 10 (the second tile), FN_2 = 10
    figures = mask_figures([(benign, benign), (benign, malignant)])
    assert figures.dice_classes == pytest.approx(2 * 10 / (2 * 10 + 10 + 10))
    assert figures.dice_pooled == 1.0


@settings(deadline=None, max_examples=60)
@given(pairs_of_classes)
def test_dice_of_classes_is_equation_4_14_class_by_class(pairs: Pairs) -> None:
    found = false = missed = 0
    for predicted, truth in pairs:
        for value in (1, 2):
            found += int(((predicted == value) & (truth == value)).sum())
            false += int(((predicted == value) & (truth != value)).sum())
            missed += int(((predicted != value) & (truth == value)).sum())
    expected = 2 * found / (2 * found + false + missed) if found + false + missed else 1.0
    figures = mask_figures(pairs)
    assert figures.dice_classes == pytest.approx(expected)
    assert figures.dice_classes <= figures.dice_pooled


@settings(deadline=None, max_examples=60)
@given(pairs_of_classes)
def test_tile_after_tile_the_figures_are_those_of_whole_masks(pairs: Pairs) -> None:
    foreground = [(predicted > 0, truth > 0) for predicted, truth in pairs]
    figures = mask_figures(iter(pairs))
    assert figures.f1_foreground == pytest.approx(mean_dice(foreground))
    assert figures.f1_background == pytest.approx(mean_dice([(~predicted, ~truth) for predicted, truth in foreground]))
    assert figures.dice_pooled == pytest.approx(pooled_dice(foreground))


@settings(deadline=None, max_examples=30)
@given(pairs_of_classes)
def test_of_one_tile_per_tile_and_pooled_are_the_same(pairs: Pairs) -> None:
    figures = mask_figures(pairs[:1])
    assert figures.f1_foreground == figures.dice_pooled


@settings(deadline=None, max_examples=30)
@given(pairs_of_classes)
def test_foreground_and_background_change_places_with_the_masks(pairs: Pairs) -> None:
    figures = mask_figures((predicted > 0, truth > 0) for predicted, truth in pairs)
    swapped = mask_figures((predicted == 0, truth == 0) for predicted, truth in pairs)
    assert (swapped.f1_foreground, swapped.f1_background) == (figures.f1_background, figures.f1_foreground)


def test_where_nothing_is_to_be_found_an_empty_mask_is_right_and_any_other_wrong() -> None:
    empty, full = np.zeros((2, 2), bool), np.ones((2, 2), bool)
    assert astuple(mask_figures([(empty, empty)])) == (1.0, 1.0, 1.0, 1.0, 1)
    assert astuple(mask_figures([(full, full)])) == (1.0, 1.0, 1.0, 1.0, 1)
    assert astuple(mask_figures([(full, empty)])) == (0.0, 0.0, 0.0, 0.0, 1)


def test_all_foreground_scores_well_in_f1_plus_and_nothing_in_f1_minus() -> None:
    truth = np.array([[True, True, False]])
    figures = mask_figures([(np.ones((1, 3), bool), truth)])
    assert (figures.f1_foreground, figures.f1_background) == (0.8, 0.0)


def test_a_tally_returns_the_counts_of_the_tile_just_added() -> None:
    tally = MaskTally()
    tally.add(TRUTH[1], TRUTH[1])
    counts = tally.add(PREDICTED[0], TRUTH[0])
    assert counts == MaskCounts(pixels=9, predicted=3, truth=3, agreed=2, agreed_class=2)
    assert counts.dice_foreground == dice(PREDICTED[0], TRUTH[0])
    assert tally.figures().tiles == 2


def test_masks_of_different_sizes_are_refused_even_where_they_would_broadcast() -> None:
    with pytest.raises(ValueError, match=r"\(1, 3\) cannot be compared with a truth \(2, 3\)"):
        count_mask(np.ones((1, 3), bool), np.ones((2, 3), bool))


def test_figures_of_no_tiles_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one tile"):
        mask_figures([])


# --- labels -----------------------------------------------------------------------------------------------------------


def test_labels_have_error_balanced_accuracy_and_average_precision() -> None:
    scores = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.4, 0.5, 0.1]])
    figures = label_figures(scores, [0, 0, 1, 1])
    assert figures.error == 0.25
    assert figures.balanced_accuracy == 0.75
    assert figures.average_precision.per_class == (1.0, 1.0, None)
    assert figures.average_precision.left_out == (2,)
    assert figures.tiles == 4


def test_at_equal_scores_the_lowest_class_is_predicted() -> None:
    assert label_figures(np.full((2, 3), 1 / 3), [0, 1]).error == 0.5


@pytest.mark.parametrize("labels", [[0, 2], [-1, 0]])
def test_a_label_that_is_no_class_is_refused(labels: list[int]) -> None:
    with pytest.raises(ValueError, match=r"0 \.\. 1"):
        label_figures(np.full((2, 2), 0.5), labels)


def test_labels_of_other_tiles_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        label_figures(np.full((3, 2), 0.5), [0, 1])


def test_each_of_several_labels_has_an_error_and_an_average_precision() -> None:
    scores = np.array([[2.0, -1.0, -3.0], [0.5, 0.1, -2.0], [-1.0, 0.2, -1.0], [-0.1, -2.0, 0.0]])
    truth = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]], bool)
    figures = multi_label_figures(scores, truth)
    assert figures.errors == (0.25, 0.25, 0.0)  # a score of 0 is a sigmoid of 0.5, which is not above it
    assert figures.error == pytest.approx(1 / 6)
    assert figures.average_precision.per_class == (1.0, 0.5, None)
    assert figures.average_precision.mean == 0.75
    assert figures.tiles == 4


def test_several_labels_of_no_tiles_or_other_tiles_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one tile"):
        multi_label_figures(np.zeros((0, 2)), np.zeros((0, 2), bool))
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        multi_label_figures(np.zeros((3, 2)), np.zeros((2, 2), bool))
