"""An area becomes the points of its outline and, filled again, itself; points are moved, added and taken away."""

import numpy as np
import pytest

from histoloop.localisation.outline_points import OutlinePoints, outline_at


def square_with_hole() -> np.ndarray:
    mask = np.zeros((60, 80), np.uint8)
    mask[10:40, 20:60] = 2
    mask[20:30, 30:40] = 0
    mask[45:50, 5:10] = 2
    mask[45:50, 60:70] = 1
    return mask


@pytest.fixture
def outline() -> OutlinePoints:
    found = outline_at(square_with_hole(), 25, 15, simplify_px=1.0, classes=2)
    assert found is not None
    return found


def test_an_area_has_the_corners_of_its_outline_and_filled_again_it_is_as_it_was(outline: OutlinePoints) -> None:
    exterior, hole = outline.rings
    assert {tuple(point) for point in exterior.tolist()} == {(20, 10), (60, 10), (60, 40), (20, 40)}
    assert {tuple(point) for point in hole.tolist()} == {(30, 20), (40, 20), (40, 30), (30, 30)}
    assert outline.value == 2
    assert np.array_equal(outline.filled(), square_with_hole())
    assert np.count_nonzero(outline.beneath == 2) == 25


@pytest.mark.parametrize(("x", "y"), [(0, 0), (35, 25), (-1, 3), (80, 3)])
def test_where_no_class_is_there_is_no_outline(x: int, y: int) -> None:
    assert outline_at(square_with_hole(), x, y, simplify_px=1.0, classes=2) is None


def test_what_was_left_out_has_no_outline() -> None:
    mask = np.full((20, 20), 255, np.uint8)
    assert outline_at(mask, 5, 5, simplify_px=1.0, classes=2) is None


def test_a_point_that_is_moved_takes_the_area_with_it(outline: OutlinePoints) -> None:
    ring, point, away = outline.nearest_point(61, 41)
    assert (ring, away) == (0, pytest.approx(np.sqrt(2)))
    filled = outline.moved(ring, point, 75, 50).filled()
    assert filled[44, 64] == 2
    assert filled[45:50, 5:10].all()


def test_a_point_is_added_on_the_nearest_edge_and_taken_away_again(outline: OutlinePoints) -> None:
    ring, after, away = outline.nearest_edge(40, 8)
    assert (ring, away) == (0, pytest.approx(2))
    more = outline.with_point(ring, after, 40, 0)
    assert len(more.rings[0]) == 5
    assert more.filled()[5, 40] == 2
    again = more.without_point(*more.nearest_point(40, 0)[:2])
    assert np.array_equal(again.filled(), square_with_hole())


def test_an_area_keeps_three_points_and_a_hole_goes_with_its_last(outline: OutlinePoints) -> None:
    for _time in range(5):
        outline = outline.without_point(0, 0)
    assert len(outline.rings[0]) == 3
    for _time in range(2):
        outline = outline.without_point(1, 0)
    assert len(outline.rings) == 1
