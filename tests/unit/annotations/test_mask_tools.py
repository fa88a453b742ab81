"""Tools on all of a class: what they change, and that they change nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histoloop.annotations.mask_tools import (
    copy_inside,
    fill_holes,
    grow,
    keep_locked,
    paint_where,
    shrink,
    smooth,
)
from histoloop.annotations.painting import PAINTED_BACKGROUND
from histoloop.annotations.records import LEFT_OUT_VALUE, Counts

VALUES = (0, 1, 2, PAINTED_BACKGROUND, LEFT_OUT_VALUE)


def mask(*rows: str) -> np.ndarray:
    """A digit a pixel."""
    return np.array([[int(sign) for sign in row] for row in rows], np.uint8)


def test_a_hole_is_filled_and_what_is_open_to_the_edge_is_not() -> None:
    before = mask("111000", "101010", "111010", "000000")
    assert fill_holes(before, 1).tolist() == mask("111000", "111010", "111010", "000000").tolist()


def test_a_hole_keeps_the_other_class_that_lies_in_it() -> None:
    before = mask("11111", "10001", "10201", "10001", "11111")
    assert fill_holes(before, 1).tolist() == mask("11111", "11111", "11211", "11111", "11111").tolist()


def test_growing_takes_what_is_near_and_free() -> None:
    before = mask("00000", "00120", "00000")
    assert grow(before, 1, radius_px=1).tolist() == mask("00100", "01120", "00100").tolist()


def test_shrinking_takes_the_rim_but_not_along_the_edge_of_the_mask() -> None:
    before = mask("11110", "11110", "11110", "00000")
    assert shrink(before, 1, radius_px=1).tolist() == mask("11100", "11100", "00000", "00000").tolist()


def test_shrinking_what_covers_all_of_the_mask_changes_nothing() -> None:
    assert shrink(mask("11", "11"), 1, radius_px=3).tolist() == mask("11", "11").tolist()


def test_smoothing_takes_a_thread_and_closes_a_scratch() -> None:
    before = np.zeros((60, 60), np.uint8)
    before[20:40, 20:40] = 1
    before[30, 40:55] = 1  # a thread
    before[28, 24:36] = 0  # a scratch
    after = smooth(before, 1, radius_px=2)
    assert not after[30, 45:].any()
    assert (after[28, 24:36] == 1).all()
    assert abs(int(after.sum()) - 400) < 30


def test_smoothing_leaves_a_straight_border_along_the_edge_of_the_mask() -> None:
    before = np.zeros((40, 40), np.uint8)
    before[:, 20:] = 1
    assert np.array_equal(smooth(before, 1, radius_px=3), before)


def test_what_is_locked_stays() -> None:
    assert keep_locked(mask("0123"), mask("1111"), {2, 3}).tolist() == mask("1123").tolist()
    assert keep_locked(mask("0123"), mask("1111"), set()).tolist() == mask("1111").tolist()


SQUARE = np.array([(1, 1), (3, 1), (3, 3), (1, 3)], np.float64)


def test_the_prediction_is_copied_inside_the_outline_alone() -> None:
    before, predicted = mask("2222", "2222", "2222", "2222"), mask("0000", "0100", "0010", "1111")
    assert (
        copy_inside(before, predicted, SQUARE, Counts.REGION).tolist() == mask("2222", "2102", "2012", "2222").tolist()
    )


def test_copied_background_is_painted_where_strokes_count_and_what_was_left_out_stays() -> None:
    before = np.zeros((4, 4), np.uint8)
    before[1, 1] = LEFT_OUT_VALUE
    copied = copy_inside(before, mask("1111", "1100", "1010", "1111"), SQUARE, Counts.STROKES)
    assert copied[1:3, 1:3].tolist() == [[LEFT_OUT_VALUE, PAINTED_BACKGROUND], [PAINTED_BACKGROUND, 1]]
    assert np.count_nonzero(copied) == 4


def test_a_part_is_painted_at_its_place() -> None:
    part = np.array([[True, False], [True, True]])
    assert (
        paint_where(mask("0000", "0000", "0000"), part, 3, x=2, y=1).tolist() == mask("0000", "0030", "0033").tolist()
    )


TOOLS = {
    "fill holes": lambda one: fill_holes(one, 1),
    "smooth": lambda one: smooth(one, 1, radius_px=1.5),
    "grow": lambda one: grow(one, 1, radius_px=1.5),
    "shrink": lambda one: shrink(one, 1, radius_px=1.5),
}


@pytest.mark.parametrize("name", TOOLS)
@given(before=arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.sampled_from(VALUES)))
def test_only_the_class_and_what_is_free_change_and_the_mask_that_came_in_does_not(name: str, before) -> None:
    kept = before.copy()
    after = TOOLS[name](before)
    assert np.array_equal(before, kept)
    changed = after != before
    assert set(np.unique(before[changed])) <= {0, 1}
    assert set(np.unique(after[changed])) <= {0, 1}


@given(before=arrays(np.uint8, (9, 9), elements=st.sampled_from((0, 1))), radius=st.sampled_from((1.0, 1.5, 2.0)))
def test_the_box_around_the_class_hides_nothing(before, radius: float) -> None:
    """The same as on a mask with much room around it, but for the edge."""
    wide = np.pad(before, 40)
    inside = slice(40, 49), slice(40, 49)
    assert np.array_equal(grow(wide, 1, radius_px=radius)[inside], grow(before, 1, radius_px=radius))
