"""Outlines as they are in a file, before anybody asks what their classes mean here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoloop.annotations.raster import crosses_itself
from histoloop.language import mark

if TYPE_CHECKING:
    from collections.abc import Sequence

Ring = NDArray[np.float64]
"""(N, 2) x and y in the pixels of the file's frame, closed or not."""

POINTS = mark("points, which have no area")
LINES = mark("lines and arrows, which have no area")
SHAPELESS = mark("objects without a shape, or of an unknown shape")
TOO_SMALL = mark("outlines with fewer than three points")
UNCLASSIFIED = mark("outlines without a class")
NO_CLASS = mark("outlines of classes with a star (Region*), which are not tissue classes")
LEFT_OUT = mark("outlines of classes that are mapped to nothing")
"""What is left out, in words."""

MAX_SHAPES = 500_000
MAX_POINTS = 20_000_000
MAX_CHECKED_POINTS = 3_000_000
"""It is looked for rings that cross themselves, which are filled alike, in so much of a file."""

_FARTHEST = 1e8


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """An area: what its class is called, the most telling name first (empty: unclassified), its exterior and holes."""

    names: tuple[str, ...]
    rings: tuple[Ring, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Outlines:
    """What a file holds.

    `skipped` counts what was left out by its reason, `repaired` the shapes with a ring that crosses itself (of the
    first `MAX_CHECKED_POINTS` points). `origin` is where (0, 0) of the file lies on the slide, level-0 x and y, None
    where the file does not say. `cropped` says whether the program that writes such files shows slides without what
    lies outside of their bounds, as QuPath does. `colours` are those that the file gives classes (by their names),
    '#rrggbb'.
    """

    shapes: tuple[Shape, ...]
    skipped: Mapping[str, int]
    repaired: int
    origin: tuple[float, float] | None
    cropped: bool
    colours: Mapping[tuple[str, ...], str] = field(default_factory=dict)


@dataclass(slots=True)
class Collector:
    """Gathers the shapes of a file."""

    shapes: list[Shape] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    colours: dict[tuple[str, ...], str] = field(default_factory=dict)
    _points: int = 0
    _repaired: int = 0

    def skip(self, reason: str) -> None:
        """Leave one object out."""
        self.skipped[reason] += 1

    def add(self, names: Sequence[str], rings: Sequence[Ring], *, colour: str = "") -> None:
        """Take a polygon; ValueError when a coordinate is no plausible pixel, or there is more than can be held.

        `colour` is that of its class in the file, '#rrggbb' or empty.
        """
        rings = [_checked(ring) for ring in rings]
        if not rings or len(rings[0]) < 3:
            self.skip(TOO_SMALL)
            return
        self._points += sum(map(len, rings))
        if len(self.shapes) == MAX_SHAPES or self._points > MAX_POINTS:
            raise ValueError(f"more than {MAX_SHAPES:,} outlines or {MAX_POINTS:,} points")
        kept = tuple(ring for ring in rings if len(ring) >= 3)
        if self._points <= MAX_CHECKED_POINTS:
            self._repaired += any(map(crosses_itself, kept))
        given = tuple(name for name in names if name)
        if colour:
            self.colours.setdefault(given, colour)
        self.shapes.append(Shape(given, kept))

    def outlines(self, *, cropped: bool, origin: tuple[float, float] | None = None) -> Outlines:
        """All of it."""
        return Outlines(tuple(self.shapes), dict(self.skipped), self._repaired, origin, cropped, dict(self.colours))


def colour_of(red: float, green: float, blue: float) -> str:
    """'#rrggbb' of three numbers from 0 to 255, cut off where they are beyond."""
    return "#" + "".join(f"{min(255, max(0, round(part))):02x}" for part in (red, green, blue))


def ellipse(corners: Ring) -> Ring:
    """The polygon of the ellipse in the box around `corners`, a point for about every two pixels of its edge."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    radii = (high - low) / 2
    angles = np.linspace(0, 2 * np.pi, int(np.clip(np.pi * radii.max(), 16, 4096)), endpoint=False)
    points: Ring = (low + high) / 2 + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return points


def rectangle(corners: Ring) -> Ring:
    """The box around `corners`."""
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def _checked(ring: Ring) -> Ring:
    if not np.isfinite(ring).all():
        raise ValueError("a coordinate is not a number")
    if ring.size and float(np.abs(ring).max()) > _FARTHEST:
        raise ValueError("a coordinate lies farther away than any slide reaches")
    return ring
