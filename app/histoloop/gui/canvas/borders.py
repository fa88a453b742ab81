"""Where the borders of classes run, and in which colours they stand out from stained tissue.

An outline is a line in the colour of the class with a hairline outside it, dark or light, whichever of the two stands
out where the class colour does not; colours that are neither dark nor light have the other one on the inside.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from histoloop.annotations.records import rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.annotations.records import Mask

DARK, LIGHT = "#101014", "#ffffff"
"""Of hairlines."""

TISSUE = ("#f6f3f6", "#e6a8c8", "#c98ab5", "#5f3c8c", "#371e5f")
"""What outlines lie on in sections stained with haematoxylin and eosin: glass, pale and strong eosin, nuclei."""

ENOUGH = 3.0
"""Contrast of lines that are to be seen, by WCAG 2.1, criterion 1.4.11."""


@dataclass(frozen=True, slots=True)
class Outline:
    """Colours ('#rrggbb') of a line, of the hairline outside it, and of the one inside, where it needs one."""

    line: str
    outside: str
    inside: str | None


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.1, relative luminance of sRGB)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@functools.cache
def outline_of(colour: str) -> Outline:
    """The outline of a class colour: on all of `TISSUE` one of its parts has `ENOUGH` contrast."""

    def least(hairline: str) -> float:
        return min(max(contrast(colour, ground), contrast(hairline, ground)) for ground in TISSUE)

    outside, other = sorted((DARK, LIGHT), key=least, reverse=True)
    return Outline(colour, outside, None if least(outside) >= ENOUGH else other)


class Border(IntEnum):
    """What a pixel is of an outline."""

    NONE = 0
    LINE = 1
    OUTSIDE = 2
    INSIDE = 3


def borders(mask: Mask, *, line_px: int, hairline_px: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """What each pixel of a mask (H, W; 0: no class) is of an outline (values of `Border`), and of which class's.

    A line is inside its class, along everything else; the hairline outside it lies on no class. The border of the mask
    is none. `line_px`, at least 1, and `hairline_px` go by rows and columns, whichever is more.
    """
    is_class = mask > 0
    if not is_class.any():
        return np.zeros(mask.shape, np.uint8), mask
    along = _most(_edges(mask), line_px - 1)
    near = _most(mask, hairline_px)
    outside = ~is_class & (near > 0)
    kind = _most(along, hairline_px) * np.uint8(Border.INSIDE)
    kind -= along * np.uint8(Border.INSIDE - Border.LINE)
    kind *= is_class
    kind += outside * np.uint8(Border.OUTSIDE)
    return kind, mask + near * outside


def numbered(numbers: NDArray[np.uint8], mask: Mask, kind: NDArray[np.uint8], owner: Mask) -> NDArray[np.uint8]:
    """`numbers` (a row for each `Border`, a column for each mask value) at each pixel of a mask and its `borders`."""
    found = looked_up(mask, numbers[Border.NONE])
    place = np.flatnonzero(kind)
    found.reshape(-1)[place] = numbers[kind.reshape(-1)[place], owner.reshape(-1)[place]]
    return found


def looked_up(values: Mask, table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A table (256) at each value (H, W); an index array would be eight times as large as the values."""
    return np.frombuffer(bytearray(values.tobytes().translate(table.tobytes())), np.uint8).reshape(values.shape)


def _edges(mask: Mask) -> NDArray[np.uint8]:
    """1 at pixels that have another value than one of the four beside them."""
    edges = np.zeros(mask.shape, np.bool_)
    down, right = mask[1:] != mask[:-1], mask[:, 1:] != mask[:, :-1]
    edges[1:] |= down
    edges[:-1] |= down
    edges[:, 1:] |= right
    edges[:, :-1] |= right
    return edges.view(np.uint8)


def _most(values: NDArray[np.uint8], reach: int) -> NDArray[np.uint8]:
    """The largest value (H, W) in the square around each pixel that reaches so far."""
    span, wanted = 1, 2 * reach + 1
    height, width = values.shape
    found = np.zeros((height + 2 * reach, width + 2 * reach), np.uint8)
    found[reach : reach + height, reach : reach + width] = values
    while span < wanted:  # each pass doubles what is known
        step = min(span, wanted - span)
        found = np.maximum(found[:-step], found[step:])
        found = np.maximum(found[:, :-step], found[:, step:])
        span += step
    return found


def _luminance(colour: str) -> float:
    parts = np.array(rgb(colour)) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
