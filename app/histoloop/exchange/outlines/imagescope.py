"""Aperio ImageScope's XML: layers of regions in level-0 pixels; negative regions are holes in those of their layer."""

from __future__ import annotations

import numpy as np

from histoloop.exchange.outlines.records import (
    LINES,
    TOO_SMALL,
    Collector,
    Outlines,
    Ring,
    colour_of,
    ellipse,
    rectangle,
)
from histoloop.exchange.outlines.xml import number, parse

ROOT = "Annotations"

_POLYGON, _RECTANGLE, _ELLIPSE = "0", "1", "2"


def read_imagescope(content: bytes) -> Outlines:
    """The areas in the text of a file; ValueError for broken ones.

    A region's class is the name of its layer, its own text, or an attribute of the layer, the first that is known.
    """
    reader = _Reader()
    parse(content, reader.start, reader.end)
    return reader.found.outlines(cropped=False)


class _Reader:
    def __init__(self) -> None:
        self.found = Collector()
        self._layer: list[str] = []
        self._colour = ""
        self._positive: list[tuple[str, Ring]] = []
        self._negative: list[Ring] = []
        self._region: dict[str, str] = {}
        self._points: list[tuple[float, float]] = []

    def start(self, name: str, given: dict[str, str]) -> None:
        if name == "Annotation":
            self._layer = [given.get("Name", "")]
            self._colour = _colour(given.get("LineColor", ""))
            self._positive, self._negative = [], []
        elif name == "Attribute" and not self._region:
            self._layer += [given.get("Value", ""), given.get("Name", "")]
        elif name == "Region":
            self._region, self._points = {"Type": _POLYGON, **given}, []
        elif name == "Vertex":
            self._points.append((number(given.get("X")), number(given.get("Y"))))

    def end(self, name: str) -> None:
        if name == "Region":
            self._end_region()
            self._region = {}
        elif name == "Annotation":
            for text, ring in self._positive:
                holes = [hole for hole in self._negative if _near(hole, ring)]
                self.found.add([self._layer[0], text, *self._layer[1:]], [ring, *holes], colour=self._colour)
            self._positive = []

    def _end_region(self) -> None:
        ring = np.array(self._points, dtype=np.float64).reshape(-1, 2)
        kind = self._region["Type"]
        if kind not in (_POLYGON, _RECTANGLE, _ELLIPSE):
            self.found.skip(LINES)
            return
        if len(ring) < (3 if kind == _POLYGON else 2):
            self.found.skip(TOO_SMALL)
            return
        if not np.isfinite(ring).all():
            raise ValueError("a coordinate is not a number")
        if kind == _ELLIPSE and len(ring) <= 4:
            ring = ellipse(ring)
        elif kind == _RECTANGLE and len(ring) == 2:
            ring = rectangle(ring)
        if self._region.get("NegativeROA") == "1":
            self._negative.append(ring)
        else:
            self._positive.append((self._region.get("Text", ""), ring))


def _colour(text: str) -> str:
    """'#rrggbb' of a number with red in its lowest byte; empty for what is none."""
    if not (text.isascii() and text.isdigit()):
        return ""
    number = int(text)
    return colour_of(number & 255, number >> 8 & 255, number >> 16 & 255)


def _near(one: Ring, other: Ring) -> bool:
    """Whether the boxes around two rings share a point."""
    return bool((one.min(axis=0) <= other.max(axis=0)).all() and (one.max(axis=0) >= other.min(axis=0)).all())
