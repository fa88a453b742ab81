"""Distances and areas on a slide: from places in level-0 pixels to words in micrometres."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from histoloop.language import tr

Place = tuple[float, float]
"""x, y in level-0 pixels."""

ELLIPSE_CORNERS = 72


class Shape(StrEnum):
    """What is measured with."""

    LINE = "line"
    POLYGON = "polygon"
    ELLIPSE = "ellipse"


@dataclass(frozen=True, slots=True)
class Measure:
    """A line by its two ends, a polygon by its corners, an ellipse by two opposite corners of the box around it."""

    shape: Shape
    places: tuple[Place, ...]

    @property
    def length_px(self) -> float:
        """Length of a line, or of the border of a polygon, in level-0 pixels."""
        ring = self.places if self.shape is Shape.LINE else (*self.places, self.places[0])
        return sum(math.dist(one, other) for one, other in pairwise(ring))

    @property
    def area_px(self) -> float:
        """Area in square level-0 pixels; of a polygon by Gauss's formula."""
        if self.shape is Shape.ELLIPSE:
            (left, top), (right, bottom) = self.places[0], self.places[-1]
            return math.pi / 4 * abs(right - left) * abs(bottom - top)
        ring = (*self.places, self.places[0])
        return abs(sum(x * below - right * y for (x, y), (right, below) in pairwise(ring))) / 2

    @property
    def outline(self) -> tuple[Place, ...]:
        """Places to draw it through; the last is joined with the first, but for a line."""
        if self.shape is not Shape.ELLIPSE:
            return self.places
        (left, top), (right, bottom) = self.places[0], self.places[-1]
        turns = [2 * math.pi * step / ELLIPSE_CORNERS for step in range(ELLIPSE_CORNERS)]
        return tuple(
            ((left + right + (right - left) * math.cos(turn)) / 2, (top + bottom + (bottom - top) * math.sin(turn)) / 2)
            for turn in turns
        )


def value_in_words(measure: Measure, mpp: float | None) -> str:
    """The length of a line or the area of a shape, by the um per pixel of the slide; in pixels where it is unknown."""
    if measure.shape is Shape.LINE:
        return _length(measure.length_px, mpp)
    return _area(measure.area_px, mpp)


def _length(length_px: float, mpp: float | None) -> str:
    if mpp is None:
        return tr("{length:,.0f} px", length=length_px)
    length = length_px * mpp
    if length < 1000:
        return tr("{length:.1f} µm", length=length)
    return tr("{length:.3f} mm", length=length / 1000)


def _area(area_px: float, mpp: float | None) -> str:
    if mpp is None:
        return tr("{area:,.0f} px²", area=area_px)
    area = area_px * mpp**2
    if area < 100_000:
        return tr("{area:,.0f} µm²", area=area)
    return tr("{area:,.4f} mm²", area=area / 1e6)
