from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histoloop.annotations.raster import (
    apply_patch,
    difference_patch,
    fill_polygon,
)
from histoloop.annotations.records import Patch
from histoloop.localisation.contours import polygons_of_mask

masks = arrays(np.uint8, (7, 9), elements=st.integers(0, 2))


@given(st.lists(masks, min_size=1, max_size=6))
def test_replaying_the_differences_gives_the_last_mask(states):
    patches = [difference_patch(before, after) for before, after in itertools.pairwise(states)]

    mask = states[0].copy()
    for patch in patches:
        if patch is not None:
            apply_patch(mask, patch)
    assert np.array_equal(mask, states[-1])


@given(masks, masks)
def test_a_difference_is_no_larger_than_what_changed(before, after):
    patch = difference_patch(before, after)

    rows, columns = np.nonzero(before != after)
    if patch is None:
        assert rows.size == 0
    else:
        assert (patch.x, patch.y) == (columns.min(), rows.min())
        assert patch.values.shape == (np.ptp(rows) + 1, np.ptp(columns) + 1)


def test_a_patch_does_not_change_with_the_mask_it_was_taken_from():
    before, after = np.zeros((3, 3), np.uint8), np.ones((3, 3), np.uint8)
    patch = difference_patch(before, after)
    after[:] = 2

    assert patch is not None
    assert patch.values.max() == 1


def test_masks_of_different_sizes_have_no_difference():
    with pytest.raises(ValueError, match="different sizes"):
        difference_patch(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))


@pytest.mark.parametrize(("x", "y"), [(-1, 0), (0, -1), (3, 0), (0, 3)])
def test_a_patch_that_reaches_past_the_mask_is_refused(x, y):
    with pytest.raises(ValueError, match="reaches past"):
        apply_patch(np.zeros((4, 4), np.uint8), Patch(x, y, np.ones((2, 2), np.uint8)))


@given(masks)
def test_the_outlines_of_a_mask_fill_to_the_same_mask(mask):
    filled = np.zeros_like(mask)
    for polygon in polygons_of_mask(mask):
        fill_polygon(filled, [polygon.exterior, *polygon.holes], polygon.value)

    assert np.array_equal(filled, mask)


@given(st.lists(st.tuples(st.floats(-5, 15), st.floats(-5, 12)), min_size=3, max_size=7))
def test_a_polygon_fills_the_pixels_whose_centres_it_encloses(points):
    mask = np.zeros((7, 9), np.uint8)
    fill_polygon(mask, [np.array(points)], 1)

    for y, x in np.ndindex(mask.shape):
        assert mask[y, x] == _encloses(points, x + 0.5, y + 0.5)


def _encloses(points, x, y):
    """Even-odd rule by a ray to the left, edge by edge."""
    crossed = 0
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
        if min(y0, y1) <= y < max(y0, y1):
            crossed += x0 + (y - y0) * ((x1 - x0) / (y1 - y0)) <= x
    return crossed % 2 == 1


@pytest.mark.parametrize("rings", [[], [np.empty((0, 2))], [np.array([[1, 1], [4, 4]])], [np.full((3, 2), 99)]])
def test_a_polygon_without_area_in_the_mask_fills_nothing(rings):
    mask = np.zeros((7, 9), np.uint8)
    fill_polygon(mask, rings, 1)

    assert not mask.any()
