"""Pixels at any scale, each with one value whichever window it is read through.

Pillow places its filter by single-precision numbers, counted from the window that it is given: the same place would be
weighed a little differently through each window. Here places are counted from the slide. Along an axis, every
`BLOCK_PX` pixels of the result begin at a fixed fraction of a source pixel, the nearest to where they should, and
whatever Pillow computes from there, counted from any whole pixel, is exact in its numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.slides.sources.protocol import Pixels

BLOCK_PX = 32
"""Pixels of the result that are placed together."""

_SINGLE_BITS = 24
"""Of the significand of a single-precision number."""

_FILTER = Image.Resampling.BILINEAR


@dataclass(frozen=True, slots=True)
class Span:
    """Pixels `first` to `first + count` of the result along an axis, and where they come from.

    They need the source pixels `begin` to `end`, and cover `low` to `high`, counted from the source's first pixel.
    """

    first: int
    count: int
    begin: int
    end: int
    low: float
    high: float


def spans(first: int, count: int, *, ratio: float) -> list[Span]:
    """Pixels `first` to `first + count` of a result whose pixels are `ratio` source pixels wide."""
    margin = math.ceil(max(ratio, 1.0)) + 2
    widest = math.ceil(BLOCK_PX * ratio) + 2 * margin + 4
    steps = 2.0 ** (_SINGLE_BITS - widest.bit_length()) / BLOCK_PX  # in a source pixel: a block begins at a whole one
    found = []
    for block in range(first // BLOCK_PX, -(-(first + count) // BLOCK_PX)):
        start = block * BLOCK_PX
        begin, end = (round(edge * ratio * steps) for edge in (start, start + BLOCK_PX))
        own = max(first, start), min(first + count, start + BLOCK_PX)
        low, high = ((begin * BLOCK_PX + (at - start) * (end - begin)) / (BLOCK_PX * steps) for at in own)
        found.append(Span(own[0], own[1] - own[0], math.floor(low) - margin, math.ceil(high) + margin, low, high))
    return found


def resample(source_HW3: Pixels, columns: Sequence[Span], rows: Sequence[Span]) -> Pixels:
    """The pixels of spans of columns and rows, by a triangle two pixels wide, of the source at least: antialiased.

    `source_HW3` is all that they need: it begins where the first spans do and ends where the last ones do.
    """
    width, height = (sum(span.count for span in axis) for axis in (columns, rows))
    narrow = Image.new("RGB", (width, source_HW3.shape[0]))
    for span in columns:
        part = Image.fromarray(source_HW3[:, span.begin - columns[0].begin : span.end - columns[0].begin])
        across = (span.low - span.begin, 0.0, span.high - span.begin, float(part.height))
        narrow.paste(part.resize((span.count, part.height), _FILTER, box=across), (span.first - columns[0].first, 0))
    result = np.empty((height, width, 3), np.uint8)
    for span in rows:
        part = narrow.crop((0, span.begin - rows[0].begin, width, span.end - rows[0].begin))
        down = (0.0, span.low - span.begin, float(width), span.high - span.begin)
        at = span.first - rows[0].first
        result[at : at + span.count] = np.asarray(part.resize((width, span.count), _FILTER, box=down))
    return result
