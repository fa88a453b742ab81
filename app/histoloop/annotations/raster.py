"""Drawing on masks, and the difference that a drawing makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoloop.annotations.records import Mask, Patch

if TYPE_CHECKING:
    from collections.abc import Iterable


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


def replay(mask: Mask, patches: Iterable[Patch]) -> Mask:
    """A copy of the mask with the patches applied in order."""
    result = mask.copy()
    for patch in patches:
        apply_patch(result, patch)
    return result
