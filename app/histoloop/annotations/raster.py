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

    `rings` are (N, 2) x and y in mask pixels (pixel i covers i to i + 1), closed or not, by the even-odd rule: an
    exterior and its holes. A polygon along pixel edges covers exactly the pixels it encloses.
    """
    rings = [np.asarray(ring, dtype=np.float64) for ring in rings if len(ring) > 0]
    corners = np.concatenate([*rings, np.empty((0, 2))])
    box = _box(mask, corners)
    if box is None:
        return
    rows, columns = box
    local = [ring - (columns.start, rows.start) for ring in rings]
    inside = _inside(local, height=rows.stop - rows.start, width=columns.stop - columns.start)
    mask[rows, columns][inside] = value


def _box(mask: Mask, points: NDArray[np.float64]) -> tuple[slice, slice] | None:
    """(rows, columns) of the mask in the points' bounding box; None when there are none."""
    if len(points) == 0:
        return None
    height, width = mask.shape
    left, top = np.clip(np.floor(points.min(axis=0)), 0, (width, height)).astype(int).tolist()
    right, bottom = np.clip(np.ceil(points.max(axis=0)), 0, (width, height)).astype(int).tolist()
    return (slice(top, bottom), slice(left, right)) if right > left and bottom > top else None


def _inside(rings: Sequence[NDArray[np.float64]], *, height: int, width: int) -> NDArray[np.bool_]:
    """(height, width): whether an odd number of edges lies to the left of each pixel centre, row by row at once."""
    starts = np.concatenate(rings)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    # An edge crosses the centre lines of rows first <= row < last; a horizontal one crosses none.
    first = np.clip(np.ceil(low - 0.5), 0, height).astype(int)
    last = np.clip(np.ceil(high - 0.5), 0, height).astype(int)
    crossings = last - first
    edge = np.repeat(np.arange(len(starts)), crossings)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(crossings) - crossings, crossings) + first[edge]
    slope = (ends[edge, 0] - starts[edge, 0]) / (ends[edge, 1] - starts[edge, 1])
    x = starts[edge, 0] + (row + 0.5 - starts[edge, 1]) * slope
    column = np.clip(np.ceil(x - 0.5), 0, width).astype(int)
    entered = np.bincount(row * (width + 1) + column, minlength=height * (width + 1)).reshape(height, width + 1)
    odd: NDArray[np.bool_] = np.cumsum(entered, axis=1)[:, :width] % 2 == 1
    return odd
