from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from histoloop.localisation.contours import polygons_of_mask, signed_area

masks = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 2))


@settings(deadline=None)
@given(masks)
def test_areas_of_polygons_are_the_pixels_of_their_parts(mask: np.ndarray) -> None:
    polygons = polygons_of_mask(mask)
    for value in (1, 2):
        labels, count = ndimage.label(mask == value)
        sizes = sorted(np.bincount(labels.ravel())[1:])
        assert sorted(polygon.area_px for polygon in polygons if polygon.value == value) == sizes
        assert len(sizes) == count


@settings(deadline=None)
@given(masks)
def test_rings_are_closed_exteriors_clockwise_and_holes_counterclockwise(mask: np.ndarray) -> None:
    for polygon in polygons_of_mask(mask):
        for ring in (polygon.exterior, *polygon.holes):
            assert np.array_equal(ring[0], ring[-1])
            steps = np.abs(np.diff(ring, axis=0))
            assert ((steps > 0).sum(axis=1) == 1).all()
        assert signed_area(polygon.exterior) > 0
        assert all(signed_area(hole) < 0 for hole in polygon.holes)


def test_pixels_that_touch_by_a_corner_are_two_polygons() -> None:
    assert len(polygons_of_mask(np.array([[1, 0], [0, 1]], np.uint8))) == 2


def test_a_hole_that_touches_the_outside_by_a_corner_stays_a_hole() -> None:
    mask = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
    (polygon,) = polygons_of_mask(mask)
    assert polygon.area_px == 7
    assert len(polygon.holes) == 1


def test_polygons_lie_in_level_0_pixels() -> None:
    mask = np.zeros((4, 4), np.uint8)
    mask[1:3, 2:4] = 1
    (polygon,) = polygons_of_mask(mask, downsample=2.5, origin=(100, 10))
    assert polygon.exterior.min(axis=0).tolist() == [105, 12.5]
    assert polygon.exterior.max(axis=0).tolist() == [110, 17.5]
    assert polygon.area_px == pytest.approx(4 * 2.5**2)
    assert polygon.area_um2(0.5) == pytest.approx(4 * 2.5**2 * 0.25)


def test_simplified_outlines_have_fewer_corners_and_nearly_the_same_area() -> None:
    rows, columns = np.mgrid[:200, :200]
    disc = ((rows - 100) ** 2 + (columns - 100) ** 2 < 80**2).astype(np.uint8)
    (exact,), (simple,) = polygons_of_mask(disc), polygons_of_mask(disc, simplify_px=1.0)
    assert len(simple.exterior) < len(exact.exterior) / 3
    assert simple.area_px == pytest.approx(exact.area_px, rel=0.02)


def test_specks_below_the_smallest_area_are_left_out() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[0, 0] = 1
    mask[4:8, 4:8] = 1
    assert [polygon.area_px for polygon in polygons_of_mask(mask, min_area_px=2)] == [16]


def test_an_empty_mask_has_no_polygons() -> None:
    assert polygons_of_mask(np.zeros((3, 3), np.uint8)) == []
