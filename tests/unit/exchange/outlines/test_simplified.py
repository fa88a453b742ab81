"""Outlines are simplified so far that they can be drawn at once, and stay where they are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histoloop.exchange.outlines.simplified import kept_points, simplified


def circle(points: int, *, radius: float = 100.0, noise: float = 0.0) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    radii = radius + np.random.default_rng(0).normal(0, 1, points) * noise
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1) + 500


def test_a_few_points_stay_as_they_are() -> None:
    square = np.array([(0, 0), (10, 0), (10, 10), (0, 10)], float)
    hole = square / 2 + 2
    found = simplified([(square, hole), (square + 100,)], [3, 1])
    assert np.array_equal(found.points_N2, np.concatenate([square, hole, square + 100]))
    assert found.starts_R.tolist() == [0, 4, 8, 12]
    assert found.shapes_R.tolist() == [0, 0, 1]
    assert found.classes_S.tolist() == [3, 1]


def test_a_million_points_become_few_that_lie_on_the_outline() -> None:
    found = simplified([(circle(1_000_000, noise=0.1),)], [0])
    assert len(found.points_N2) <= 1_300
    assert np.abs(np.linalg.norm(found.points_N2 - 500, axis=1) - 100).max() < 1


def test_there_are_never_more_points_than_can_be_drawn() -> None:
    shapes = [(circle(100) + 10 * number,) for number in range(50)]
    found = simplified(shapes, [0] * 50, most_points=1_000)
    assert len(found.points_N2) <= 1_000
    assert len(found.classes_S) == 50


def test_the_smallest_outlines_are_left_out_where_there_are_too_many() -> None:
    found = simplified([(circle(8, radius=radius),) for radius in (1, 50, 2, 60)], [0, 1, 2, 3], most_shapes=2)
    assert found.classes_S.tolist() == [3, 1]
    assert found.left_out == 2


@given(arrays(np.float64, st.tuples(st.integers(1, 60), st.just(2)), elements=st.floats(-50, 50)), st.integers(1, 5))
def test_points_that_are_left_are_apart_and_each_ring_keeps_its_first(points: np.ndarray, rings: int) -> None:
    ring_of_point = np.sort(np.arange(len(points)) % rings)
    kept = kept_points(points, ring_of_point, nearer_than=4.0)
    assert set(np.flatnonzero(np.diff(ring_of_point, prepend=-1))) <= set(kept.tolist())
    same = ring_of_point[kept[1:]] == ring_of_point[kept[:-1]]
    apart = np.abs(points[kept][1:] - points[kept][:-1]).max(axis=1) >= 4.0
    assert apart[same].all()
