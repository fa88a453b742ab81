"""ASAP's XML, as the CAMELYON data have it: polygons in level-0 pixels, in groups that are their classes."""

from __future__ import annotations

import re

import numpy as np

from histoloop.exchange.outlines.records import LINES, POINTS, Collector, Outlines
from histoloop.exchange.outlines.xml import number, parse

ROOT = "ASAP_Annotations"

_AREAS = frozenset({"Polygon", "Spline", "Rectangle"})
_POINTS = frozenset({"Dot", "PointSet"})
_COLOUR = re.compile("#[0-9a-fA-F]{6}")


def read_asap(content: bytes) -> Outlines:
    """The areas in the text of a file; ValueError for broken ones. A group in another one is known by both names."""
    reader = _Reader()
    parse(content, reader.start, reader.end)
    found = Collector()
    for kind, group, points in reader.annotations:
        if kind in _AREAS:
            ring = np.array([place for _, place in sorted(points)]).reshape(-1, 2)
            found.add(reader.names(group), [ring], colour=reader.colours.get(group, ""))
        else:
            found.skip(POINTS if kind in _POINTS else LINES)
    return found.outlines(cropped=False)


class _Reader:
    def __init__(self) -> None:
        self.annotations: list[tuple[str, str, list[tuple[float, tuple[float, float]]]]] = []
        self.colours: dict[str, str] = {}
        self._parents: dict[str, str] = {}

    def start(self, name: str, given: dict[str, str]) -> None:
        if name == "Annotation":
            self.annotations.append((given.get("Type", ""), given.get("PartOfGroup", ""), []))
        elif name == "Coordinate" and self.annotations:
            points = self.annotations[-1][2]
            place = (number(given.get("X")), number(given.get("Y")))
            points.append((number(given.get("Order", str(len(points)))), place))
        elif name == "Group":
            self._parents[given.get("Name", "")] = given.get("PartOfGroup", "")
            if _COLOUR.fullmatch(given.get("Color", "")):
                self.colours[given.get("Name", "")] = given["Color"].lower()

    def end(self, name: str) -> None:
        """Nothing ends that matters."""

    def names(self, group: str) -> tuple[str, ...]:
        """The group and those it is part of."""
        names: list[str] = []
        while group and group != "None" and group not in names:
            names.append(group)
            group = self._parents.get(group, "")
        return tuple(names)
