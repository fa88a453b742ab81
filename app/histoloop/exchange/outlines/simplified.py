"""Outlines with so few points that they can be drawn at once: for looking at, never for measuring."""

from __future__ import annotations

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
    the number of the shape that each ring is of, `classes_S` the number of each shape's class. Points of a
    ring are `tolerance_px` apart, in x or y; `left_out` of the smallest shapes are not there.
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
    kept = kept_points(points, ring_of_point, nearer_than=tolerance)
    while len(kept) > max(most_points, len(rings)):
        tolerance *= 2
        kept = kept_points(points, ring_of_point, nearer_than=tolerance)
    counts = np.bincount(ring_of_point[kept], minlength=len(rings))
    return SimplifiedOutlines(
        points[kept].astype(np.float32),
        np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        shape_of_ring.astype(np.int64),
        np.array(classes, np.int32)[order],
        tolerance,
        len(shapes) - len(order),
    )


def kept_points(
    points: NDArray[np.float64], ring_of_point: NDArray[np.int64], *, nearer_than: float
) -> NDArray[np.intp]:
    """The numbers of the points that are left when those near to the one before in their ring are taken out.

    Every other point is looked at, then the others between them, until none is so near any more; a ring's first stays.
    """
    kept = np.arange(len(points))
    idle = 0
    turn = 1
    while idle < 2:
        here = points[kept]
        near = np.zeros(len(kept), np.bool_)
        near[1:] = np.abs(here[1:] - here[:-1]).max(axis=1) < nearer_than
        near[1:] &= ring_of_point[kept[1:]] == ring_of_point[kept[:-1]]
        near[1 - turn :: 2] = False
        idle = 0 if near.any() else idle + 1
        kept = kept[~near]
        turn = 1 - turn
    return kept
