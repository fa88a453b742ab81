"""The eight orientations of TIFF and EXIF (tag 274): where the pixels of the upright picture are stored.

Orientation n stores the upright picture mirrored, turned or both; 1 is upright, 5 to 8 have rows and columns exchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BY_TAG = {
    1: (False, False, False),
    2: (False, True, False),
    3: (True, True, False),
    4: (True, False, False),
    5: (False, False, True),
    6: (True, False, True),
    7: (True, True, True),
    8: (False, True, True),
}
"""Tag: whether the stored rows, the stored columns are reversed, and whether rows are then exchanged with columns."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored picture is brought upright: rows and columns reversed first, then exchanged."""

    rows_reversed: bool = False
    columns_reversed: bool = False
    exchanged: bool = False

    @staticmethod
    def of_tag(value: object) -> Orientation:
        """Of a tag's value; upright where it is none of the eight."""
        return Orientation(*_BY_TAG.get(value if isinstance(value, int) else 1, _BY_TAG[1]))

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Upright (width, height) of a stored picture, or stored of an upright one."""
        return (height, width) if self.exchanged else (width, height)

    def stored(
        self, x: int, y: int, width: int, height: int, *, stored_size: tuple[int, int]
    ) -> tuple[int, int, int, int]:
        """The window (x, y, width, height) of the stored picture that shows a window of the upright one."""
        if self.exchanged:
            x, y, width, height = y, x, height, width
        if self.columns_reversed:
            x = stored_size[0] - x - width
        if self.rows_reversed:
            y = stored_size[1] - y - height
        return x, y, width, height

    def upright(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Pixels (H, W, ...) of a stored window, upright."""
        if self.rows_reversed:
            stored = stored[::-1]
        if self.columns_reversed:
            stored = stored[:, ::-1]
        if self.exchanged:
            stored = stored.swapaxes(0, 1)
        return np.ascontiguousarray(stored)
