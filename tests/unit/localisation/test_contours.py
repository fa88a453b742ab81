from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from histoloop.localisation import contours
from histoloop.localisation.contours import Polygon, polygons_of_mask, signed_area, values_of_mask

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


@settings(deadline=None)
@given(
    arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.sampled_from([0, 1, 2, 255])),
    st.integers(1, 15),
    st.sampled_from([0.0, 4.0]),
)
def test_polygons_made_band_by_band_are_those_of_the_whole_mask(mask: np.ndarray, rows: int, least: float) -> None:
    whole = [facts(polygon) for polygon in polygons_of_mask(mask, min_area_px=least)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contours, "BAND_ROWS", rows)
        assert [facts(polygon) for polygon in polygons_of_mask(mask, min_area_px=least)] == whole


def facts(polygon: Polygon) -> tuple[int, list[list[float]], list[list[list[float]]]]:
    return polygon.value, polygon.exterior.tolist(), [hole.tolist() for hole in polygon.holes]


def test_a_part_over_several_bands_is_one_polygon_with_its_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contours, "BAND_ROWS", 2)
    mask = np.ones((9, 5), np.uint8)
    mask[1:8, 1:4] = 0
    mask[3:6, 2] = 1
    outer, inner = polygons_of_mask(mask)
    assert (outer.area_px, inner.area_px) == (9 * 5 - 7 * 3, 3)
    assert outer.exterior.tolist() == [[0, 0], [5, 0], [5, 9], [0, 9], [0, 0]]
    assert [hole.tolist() for hole in outer.holes] == [[[1, 8], [4, 8], [4, 1], [1, 1], [1, 8]]]


def test_a_u_whose_arms_meet_in_the_last_band_is_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contours, "BAND_ROWS", 1)
    mask = np.array([[1, 0, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
    assert [polygon.area_px for polygon in polygons_of_mask(mask, min_area_px=7)] == [7]


def test_the_values_of_a_mask_are_counted_without_background() -> None:
    assert values_of_mask(np.array([[0, 7, 7], [2, 0, 255]], np.uint8)) == {2: 1, 7: 2, 255: 1}
