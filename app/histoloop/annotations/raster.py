"""Drawing on masks, and the difference that a drawing makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoloop.annotations.records import Mask, Patch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def difference_patch(before: Mask, after: Mask) -> Patch | None:
    """The smallest patch that turns `before` into `after` (both (H, W)); None when they are equal."""
    if before.shape != after.shape:
        raise ValueError(f"masks of different sizes, {before.shape} and {after.shape}")
    changed = before != after
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if rows.size == 0:
        return None
    top, left = int(rows[0]), int(columns[0])
    return Patch(x=left, y=top, values=after[top : rows[-1] + 1, left : columns[-1] + 1].copy())


def apply_patch(mask: Mask, patch: Patch) -> None:
    """Write the patch's values into the mask, in place; ValueError when it reaches past the mask."""
    height, width = patch.values.shape
    if min(patch.x, patch.y) < 0 or patch.x + width > mask.shape[1] or patch.y + height > mask.shape[0]:
        raise ValueError(f"a patch of {width} x {height} at ({patch.x}, {patch.y}) reaches past a mask {mask.shape}")
    mask[patch.y : patch.y + height, patch.x : patch.x + width] = patch.values


def fill_polygon(mask: Mask, rings: Sequence[NDArray[np.float64]], value: int) -> None:
    """Give `value` to the pixels whose centres lie inside a polygon, in place.

    `rings` are (N, 2) x and y in mask pixels (pixel i covers i to i + 1), closed or not: an exterior and its holes.
    Each is filled by the even-odd rule, which also repairs a ring that crosses itself. A polygon along pixel edges
    covers exactly the pixels it encloses.
    """
    rings = [np.asarray(ring, dtype=np.float64) for ring in rings]
    box = _box(mask, rings[0]) if rings else None
    if box is None:
        return
    rows, columns = box
    height, width = rows.stop - rows.start, columns.stop - columns.start
    exterior, *holes = (ring - (columns.start, rows.start) for ring in rings)
    inside = _inside(exterior, height=height, width=width)
    for hole in holes:
        if _box(mask[rows, columns], hole) is not None:
            inside &= ~_inside(hole, height=height, width=width)
    mask[rows, columns][inside] = value


def _box(mask: Mask, points: NDArray[np.float64]) -> tuple[slice, slice] | None:
    """(rows, columns) of the mask in the points' bounding box; None when there are none."""
    if len(points) == 0:
        return None
    height, width = mask.shape
    left, top = np.clip(np.floor(points.min(axis=0)), 0, (width, height)).astype(int).tolist()
    right, bottom = np.clip(np.ceil(points.max(axis=0)), 0, (width, height)).astype(int).tolist()
    return (slice(top, bottom), slice(left, right)) if right > left and bottom > top else None


def _inside(ring: NDArray[np.float64], *, height: int, width: int) -> NDArray[np.bool_]:
    """(height, width): whether an odd number of edges lies to the left of each pixel centre, row by row at once."""
    starts, ends = ring, np.roll(ring, -1, axis=0)
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    near = (high > 0) & (low < height) & (np.minimum(starts[:, 0], ends[:, 0]) < width)
    starts, ends, low, high = starts[near], ends[near], low[near], high[near]
    # An edge crosses the centre lines of rows first <= row < last; a horizontal one crosses none.
    first = np.clip(np.ceil(low - 0.5), 0, height).astype(int)
    last = np.clip(np.ceil(high - 0.5), 0, height).astype(int)
    crossings = last - first
    edge = np.repeat(np.arange(len(starts)), crossings)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(crossings) - crossings, crossings) + first[edge]
    slope = (ends[edge, 0] - starts[edge, 0]) / (ends[edge, 1] - starts[edge, 1])
    x = starts[edge, 0] + (row + 0.5 - starts[edge, 1]) * slope
    column = np.clip(np.ceil(x - 0.5), 0, width).astype(int)
    odd = np.zeros((height, width + 1), np.bool_)
    twice = np.bincount(row * (width + 1) + column, minlength=odd.size)
    odd.ravel()[:] = twice % 2 == 1
    inside: NDArray[np.bool_] = np.logical_xor.accumulate(odd, axis=1)[:, :width]
    return inside


_PAIRS_AT_ONCE = 500_000
_PAIRS_AT_MOST = 2_000_000


def crosses_itself(ring: NDArray[np.float64]) -> bool:
    """Whether two edges of a ring (N, 2), closed or not, cross; touching is no crossing.

    Pairs of edges that share a y are compared; a ring with more than 2 million of them counts as one that does not.
    """
    points = ring[:-1] if len(ring) > 1 and (ring[0] == ring[-1]).all() else ring
    if len(points) < 4:
        return False
    starts, ends = points, np.roll(points, -1, axis=0)
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    order = np.argsort(low, kind="stable")
    starts, ends, low, high = starts[order], ends[order], low[order], high[order]
    first = np.arange(1, len(low) + 1)
    count = np.maximum(np.searchsorted(low, high, side="left") - first, 0)
    total = np.cumsum(count)
    if total[-1] > _PAIRS_AT_MOST:
        return False
    for pair in range(0, int(total[-1]), _PAIRS_AT_ONCE):
        number = np.arange(pair, min(pair + _PAIRS_AT_ONCE, int(total[-1])))
        one = np.searchsorted(total, number, side="right")
        other = first[one] + number - (total[one] - count[one])
        if bool(_cross(starts[one], ends[one], starts[other], ends[other]).any()):
            return True
    return False


def _cross(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], d: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether segments a-b and c-d, (N, 2) each, have a point inside both in common."""
    crossing: NDArray[np.bool_] = (_side(a, b, c) * _side(a, b, d) < 0) & (_side(c, d, a) * _side(c, d, b) < 0)
    return crossing


def _side(a: NDArray[np.float64], b: NDArray[np.float64], point: NDArray[np.float64]) -> NDArray[np.float64]:
    """On which side of a-b a point lies: -1, 0 or 1."""
    left, right = b - a, point - a
    sign: NDArray[np.float64] = np.sign(left[:, 0] * right[:, 1] - left[:, 1] * right[:, 0])
    return sign
