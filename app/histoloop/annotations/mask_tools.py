"""What can be done to all of a class in a mask at once, and to what lies inside an outline.

A mask here is a canvas plane of annotations/painting.py, (H, W) uint8; all functions give a new one. They change the
class itself and what is 0: other classes, painted background and what was left out stay as they are. The edge of the
mask is no border of a class: what goes on beyond it is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from histoloop.annotations.painting import PAINTED_BACKGROUND
from histoloop.annotations.raster import fill_polygon
from histoloop.annotations.records import LEFT_OUT_VALUE, Counts, Mask

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

_Where = tuple[slice, slice]


def fill_holes(mask: Mask, value: int) -> Mask:
    """Give a class what it encloses: areas of 0 that reach the edge of the mask only through the class."""
    changed, where = mask.copy(), _box(mask == value, 0)
    if where is not None:
        part = changed[where]
        part[(part == 0) & ndimage.binary_fill_holes(part == value)] = value
    return changed


def smooth(mask: Mask, value: int, *, radius_px: float) -> Mask:
    """Round the border of a class: details narrower than about `radius_px` go, the area stays nearly as it is.

    The class is where more than half of a Gaussian of standard deviation `radius_px` lies in it.
    """
    changed, where = mask.copy(), _box(mask == value, radius_px)
    if where is not None:
        part = changed[where]
        share = ndimage.gaussian_filter((part == value).astype(np.float32), radius_px, mode="nearest", truncate=3)
        part[(part == value) & (share < 0.5)] = 0
        part[(part == 0) & (share > 0.5)] = value
    return changed


def grow(mask: Mask, value: int, *, radius_px: float) -> Mask:
    """Give a class what is 0 and no further than `radius_px` from it."""
    changed, where = mask.copy(), _box(mask == value, radius_px)
    if where is not None:
        part = changed[where]
        near = ndimage.distance_transform_edt(part != value) <= radius_px
        part[(part == 0) & near] = value
    return changed


def shrink(mask: Mask, value: int, *, radius_px: float) -> Mask:
    """Take from a class what is no further than `radius_px` from what is not of it."""
    changed, where = mask.copy(), _box(mask == value, radius_px)
    if where is not None:
        part = changed[where]
        inside = part == value
        if not inside.all():
            part[inside & (ndimage.distance_transform_edt(inside) <= radius_px)] = 0
    return changed


def keep_locked(before: Mask, after: Mask, locked: Collection[int]) -> Mask:
    """`after`, with what has one of the `locked` values in `before` as it was."""
    return np.where(np.isin(before, list(locked)), before, after) if locked else after


def copy_inside(mask: Mask, predicted: Mask, outline: NDArray[np.float64], counts: Counts) -> Mask:
    """The mask with the model's (`predicted`, mask values) inside an outline, (N, 2) x and y in pixels of the mask.

    Where the strokes alone count, the model's background is painted background. What was left out stays so.
    """
    inside = np.zeros(mask.shape, np.uint8)
    fill_polygon(inside, [outline], 1)
    values = predicted
    if counts is Counts.STROKES:
        values = np.where(predicted == 0, np.uint8(PAINTED_BACKGROUND), predicted)
    changed: Mask = np.where((inside == 1) & (mask != LEFT_OUT_VALUE), values, mask)
    return changed


def paint_where(mask: Mask, part: NDArray[np.bool_], value: int, *, x: int = 0, y: int = 0) -> Mask:
    """The mask with a class wherever `part` is, whose first pixel lies at `x`, `y`; what was left out stays so."""
    changed = mask.copy()
    place = changed[y : y + part.shape[0], x : x + part.shape[1]]
    place[part & (place != LEFT_OUT_VALUE)] = value
    return changed


def _box(inside: NDArray[np.bool_], margin_px: float) -> _Where | None:
    """The rows and columns of what is inside, with a margin that its change cannot reach past; None for nothing."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not rows.size:
        return None
    margin = 4 * int(np.ceil(margin_px)) + 1
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + margin + 1),
    )
