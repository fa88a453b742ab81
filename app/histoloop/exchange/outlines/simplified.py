"""Outlines with so few points that they can be drawn at once: for looking at, never for measuring."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoloop.exchange.outlines.filling import ring_area

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.exchange.outlines.records import Ring

MOST_POINTS = 200_000
MOST_SHAPES = 60_000
FIRST_TOLERANCE_PX = 0.5
"""Of simplification, in level-0 pixels; it is doubled until the outlines have few enough points."""


@dataclass(frozen=True, slots=True, eq=False)
class SimplifiedOutlines:
    """Rings one after the other, those of a shape together, larger shapes first.

    `points_N2` are level-0 x and y, `starts_R` where each ring begins, with the end of the last one behind, `shapes_R`
    the number of the shape that each ring is of, `classes_S` the number of each shape's class. Points differ from the
    exact ones by `tolerance_px` at most; `left_out` of the smallest shapes are not there.
    """

    points_N2: NDArray[np.float32]
    starts_R: NDArray[np.int64]
    shapes_R: NDArray[np.int64]
    classes_S: NDArray[np.int32]
    tolerance_px: float
    left_out: int


def simplified(
    shapes: Sequence[tuple[Ring, ...]],
    classes: Sequence[int],
    *,
    most_points: int = MOST_POINTS,
    most_shapes: int = MOST_SHAPES,
) -> SimplifiedOutlines:
    """Shapes (exterior and holes, level-0 pixels) with the number of the class of each."""
    order = np.argsort([-ring_area(rings[0]) for rings in shapes], kind="stable")[:most_shapes]
    rings = [ring for index in order for ring in shapes[index]]
    lengths = np.array([len(ring) for ring in rings], np.int64)
    shape_of_ring = np.repeat(np.arange(len(order)), [len(shapes[index]) for index in order])
    points = np.concatenate(rings) if rings else np.empty((0, 2))
    ring_of_point = np.repeat(np.arange(len(rings)), lengths)
    tolerance = FIRST_TOLERANCE_PX
    kept = kept_points(points, ring_of_point, side=tolerance / math.sqrt(2))
    while np.count_nonzero(kept) > max(most_points, len(rings)):
        tolerance *= 2
        kept = kept_points(points, ring_of_point, side=tolerance / math.sqrt(2))
    counts = np.bincount(ring_of_point[kept], minlength=len(rings))
    return SimplifiedOutlines(
        points[kept].astype(np.float32),
        np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        shape_of_ring.astype(np.int64),
        np.array(classes, np.int32)[order],
        tolerance,
        len(shapes) - len(order),
    )


def kept_points(points: NDArray[np.float64], ring_of_point: NDArray[np.int64], *, side: float) -> NDArray[np.bool_]:
    """(N,) the points that lie in another square of a side than the one before in their ring, and each ring's first."""
    squares = np.floor(points / side)
    kept: NDArray[np.bool_] = np.ones(len(points), np.bool_)
    kept[1:] = (squares[1:] != squares[:-1]).any(axis=1) | (ring_of_point[1:] != ring_of_point[:-1])
    return kept
