from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from histoloop.localisation import bands
from histoloop.localisation.bands import values_of_mask
from histoloop.localisation.contours import Outliner, Polygon, polygons_of_mask, signed_area

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
        patch.setattr(bands, "BAND_ROWS", rows)
        assert [facts(polygon) for polygon in polygons_of_mask(mask, min_area_px=least)] == whole


def facts(polygon: Polygon) -> tuple[int, list[list[float]], list[list[list[float]]]]:
    return polygon.value, polygon.exterior.tolist(), [hole.tolist() for hole in polygon.holes]


def test_a_part_over_several_bands_is_one_polygon_with_its_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "BAND_ROWS", 2)
    mask = np.ones((9, 5), np.uint8)
    mask[1:8, 1:4] = 0
    mask[3:6, 2] = 1
    outer, inner = polygons_of_mask(mask)
    assert (outer.area_px, inner.area_px) == (9 * 5 - 7 * 3, 3)
    assert outer.exterior.tolist() == [[0, 0], [5, 0], [5, 9], [0, 9], [0, 0]]
    assert [hole.tolist() for hole in outer.holes] == [[[1, 1], [1, 8], [4, 8], [4, 1], [1, 1]]]


def test_a_u_whose_arms_meet_in_the_last_band_is_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "BAND_ROWS", 1)
    mask = np.array([[1, 0, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
    assert [polygon.area_px for polygon in polygons_of_mask(mask, min_area_px=7)] == [7]


def test_the_values_of_a_mask_are_counted_without_background() -> None:
    assert values_of_mask(np.array([[0, 7, 7], [2, 0, 255]], np.uint8)) == {2: 1, 7: 2, 255: 1}


# --- bands and validity -----------------------------------------------------------------------------------------------


def tissue(side: int = 700, *, seed: int = 5) -> np.ndarray:
    """Three classes of blobs with ragged edges and holes, which touch each other: (side, side)."""
    rng = np.random.default_rng(seed)
    coarse, fine, which = (
        ndimage.gaussian_filter(rng.standard_normal((side, side)), sigma, mode="wrap") for sigma in (14, 3, 40)
    )
    blobs = coarse / coarse.std() + 0.35 * fine / fine.std() > 0.2
    return np.where(blobs, 1 + np.digitize(which / which.std(), (-0.4, 0.5)), 0).astype(np.uint8)


def streamed(mask: np.ndarray, rows: int, **options: float) -> list[Polygon]:
    outliner = Outliner(mask.shape[1], **options)
    found = [one for top in range(0, len(mask), rows) for one in outliner.add(mask[top : top + rows])]
    return found + outliner.close()


def shape_of(polygon: Polygon) -> shapely.Polygon:
    return shapely.Polygon(polygon.exterior, polygon.holes)


@settings(deadline=None, max_examples=60)
@given(masks, st.integers(1, 13), st.sampled_from([0.0, 0.7, 1.5]))
def test_polygons_are_valid_and_come_in_the_same_order_whatever_the_bands(
    mask: np.ndarray, rows: int, simplify: float
) -> None:
    polygons = streamed(mask, rows, simplify_px=simplify)
    assert all(shape_of(polygon).is_valid for polygon in polygons)
    whole = streamed(mask, len(mask), simplify_px=simplify)
    assert [facts(polygon) for polygon in polygons] == [facts(polygon) for polygon in whole]


SIMPLIFIED_BY_SKIMAGE = {1: (54102.0, 0.99186), 2: (79632.0, 0.99187), 3: (78420.5, 0.99364)}
"""Of `tissue()` per class, outlines simplified by `skimage.measure.approximate_polygon` at 0.7 pixels, of parts of at
least 150 pixels: the area of their polygons, and their Dice with those that are not simplified."""


def test_simplified_outlines_of_ragged_tissue_are_valid_and_as_near_to_the_mask_as_those_of_skimage() -> None:
    mask = tissue()
    exact, simple = (streamed(mask, 64, simplify_px=by, min_area_px=150) for by in (0.0, 0.7))
    shapes = np.array([shape_of(polygon) for polygon in simple])
    assert any(polygon.holes for polygon in simple)
    assert shapely.is_valid(shapes).all()
    assert shapely.get_num_coordinates(shapes).sum() < 0.6 * sum(map(corners, exact))
    for value, (area, dice) in SIMPLIFIED_BY_SKIMAGE.items():
        of = [one.value == value for one in simple]
        found = shapely.union_all(shapes[of])
        pixels = shapely.union_all([shape_of(polygon) for polygon in exact if polygon.value == value])
        assert found.area == pytest.approx(area, rel=2e-4)
        assert 2 * found.intersection(pixels).area / (found.area + pixels.area) > dice - 2e-4


def corners(polygon: Polygon) -> int:
    return sum(map(len, (polygon.exterior, *polygon.holes)))


def test_a_part_is_cut_nowhere_at_the_edge_of_a_band() -> None:
    mask = tissue()
    bands = streamed(mask, 37, simplify_px=0.7)
    whole = streamed(mask, len(mask), simplify_px=0.7)
    assert [facts(polygon) for polygon in bands] == [facts(polygon) for polygon in whole]
    assert len(bands) == sum(ndimage.label(mask == value)[1] for value in (1, 2, 3))


def test_a_polygon_comes_with_the_band_after_its_last_row() -> None:
    outliner = Outliner(6)
    first = np.array([[1, 0, 2, 2, 0, 1], [1, 0, 0, 2, 0, 1]], np.uint8)
    assert outliner.add(first) == []
    second = np.array([[0, 0, 0, 2, 0, 1], [0, 0, 0, 0, 0, 1]], np.uint8)
    assert [(one.value, one.area_px) for one in outliner.add(second)] == [(1, 2), (2, 4)]
    assert [(one.value, one.area_px) for one in outliner.close()] == [(1, 4)]


def test_an_island_in_a_hole_keeps_its_own_hole() -> None:
    mask = np.ones((13, 13), np.uint8)
    mask[1:12, 1:12] = 0
    mask[3:10, 3:10] = 1
    mask[5:8, 5:8] = 0
    for rows in (1, 4, 13):
        inner, outer = streamed(mask, rows)
        assert (inner.area_px, len(inner.holes)) == (7 * 7 - 9, 1)
        assert (outer.area_px, len(outer.holes)) == (13 * 13 - 11 * 11, 1)


def test_holes_of_a_speck_that_is_left_out_do_not_become_those_of_what_is_around_it() -> None:
    mask = np.ones((13, 13), np.uint8)
    mask[1:12, 1:12] = 0
    mask[5:8, 5:8] = 1
    mask[6, 6] = 0
    (outer,) = streamed(mask, 5, min_area_px=20)
    assert [signed_area(hole) for hole in outer.holes] == [-121]
