"""Outlines along the edges of pixels, of a mask that comes in bands of rows: no band but the last row is kept.

Corners of outlines are found by comparing each pixel with its neighbours. On a row of corners the first and the second
are the ends of an edge, the third and the fourth of the next, and so they are on a column: that joins the corners to
outlines. What a band leaves open goes on in the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from histoloop.annotations.records import Mask

Points = NDArray[np.int32]
"""(N, 2) x and y of the corners of an outline, pixels; not closed: the first does not come again."""


@dataclass(frozen=True, slots=True, eq=False)
class Rings:
    """Outlines one after the other: `points` (N, 2) x and y, ring r from `starts[r]` to `starts[r + 1]`, not closed.

    The inside lies to the right: exteriors run clockwise on the screen, holes counterclockwise. Each begins at its
    uppermost corner, of these the leftmost. `values` (R,) are the mask values inside.
    """

    points: Points
    starts: NDArray[np.intp]
    values: NDArray[np.uint8]

    def areas(self) -> NDArray[np.float64]:
        """Pixels inside each ring (R,), those of holes below 0 (shoelace formula)."""
        return _sums(self.points[self.following()], self.points, self.starts)

    def following(self) -> NDArray[np.intp]:
        """For each point the index of the next one of its ring."""
        following = np.arange(1, len(self.points) + 1)
        following[self.starts[1:] - 1] = self.starts[:-1]
        return following

    def ring(self, number: int) -> Points:
        """The points of one ring."""
        return self.points[self.starts[number] : self.starts[number + 1]]


def _sums(after: Points, points: Points, starts: NDArray[np.intp]) -> NDArray[np.float64]:
    if len(points) == 0:
        return np.zeros(0)
    x, y, next_x, next_y = (part.astype(np.int64) for part in (*points.T, *after.T))
    return np.add.reduceat(x * next_y - next_x * y, starts[:-1]) / 2


# Which of the four pixels around a corner are inside is a sum of: 1 upper left, 2 upper right, 4 lower left, 8 lower
# right. Of a corner an edge goes to the left or to the right (`_EAST`), another up or down (`_SOUTH`), and on one of
# them the outline leaves it (`_OUT_ALONG_ROW`). Where two pixels touch by the corner only there are two corners, the
# left one first, and each outline stays at its pixel.

_CORNERS = np.zeros(16, np.intp)
_CORNERS[[1, 2, 4, 8, 7, 11, 13, 14]] = 1
_CORNERS[[6, 9]] = 2
_EAST, _SOUTH, _OUT_ALONG_ROW = (np.zeros((16, 2), np.bool_) for _ in range(3))
_EAST[[2, 8, 7, 13], 0] = True
_SOUTH[[4, 8, 7, 11], 0] = True
_OUT_ALONG_ROW[[1, 8, 11, 13], 0] = True
_EAST[[6, 9]] = _SOUTH[9] = (False, True)
_SOUTH[6] = (True, False)
_OUT_ALONG_ROW[9] = True


@dataclass(frozen=True, slots=True, eq=False)
class _Corners:
    """Corners (N) of a band by value, row and column; `double`: of a place where two pixels touch by the corner."""

    points: Points
    values: NDArray[np.uint8]
    south: NDArray[np.bool_]
    out_along_row: NDArray[np.bool_]
    double: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Open:
    """Part of an outline that goes on below the band, from an edge at column `head` to one at column `tail`."""

    value: int
    head: int
    tail: int
    parts: tuple[Points, ...]
    double: bool


class Tracer:
    """Finds the outlines of all values but 0 in a mask of `width` pixels a row; for one mask.

    Where two pixels of one 4-connected part touch by a corner only, outlines touch there but never cross. In memory are
    a row of the mask and the outlines that are not closed yet.
    """

    def __init__(self, width: int) -> None:
        self._above = np.zeros(width, np.uint8)
        self._top = 0
        self._open: list[_Open] = []

    def add(self, band: Mask) -> Rings:
        """Take the next rows (H, width); the outlines that end above the last of them."""
        height = len(band)
        around = np.zeros((height + 1, band.shape[1] + 2), np.uint8)
        around[0, 1:-1], around[1:, 1:-1] = self._above, band
        corners = _corners(around, self._top)
        self._above = np.array(band[-1]) if height else self._above
        rings = self._joined(corners)
        self._top += height
        return rings

    def close(self) -> Rings:
        """The outlines that end with the last row."""
        rings = self.add(np.zeros((1, len(self._above)), np.uint8))
        assert not self._open
        return rings

    def _joined(self, corners: _Corners) -> Rings:
        count, waiting = len(corners.points), self._open
        following = self._following(corners)
        order, ends, closed_from = _walks(following)
        double = np.concatenate([corners.double, np.zeros(2 * len(waiting), np.bool_)])
        rings: list[tuple[Points, int]] = []
        still_open: list[_Open] = []
        start = 0
        plain: list[tuple[int, int]] = []
        has_double = np.logical_or.reduceat(double[order], [0, *ends[:-1]]) if ends else double[:0]
        goes_on = np.logical_or.reduceat(order >= count, [0, *ends[:-1]]) if ends else double[:0]
        for number, end in enumerate(ends):
            walk, is_closed = order[start:end], number >= closed_from
            if is_closed and not goes_on[number] and not has_double[number]:
                plain.append((start, end))
                start = end
                continue
            start = end
            parts, earlier_double = self._parts(walk, corners) if goes_on[number] else ((corners.points[walk],), False)
            touches = bool(has_double[number]) or earlier_double
            if is_closed:
                points = np.concatenate(parts)
                value = self._value(walk[0], corners)
                rings += [(ring, value) for ring in (_divided(points) if touches else [points])]
                continue
            still_open.append(
                _Open(
                    self._value(walk[0], corners),
                    waiting[(walk[0] - count) // 2].head if walk[0] >= count else int(corners.points[walk[0], 0]),
                    waiting[(walk[-1] - count) // 2].tail if walk[-1] >= count else int(corners.points[walk[-1], 0]),
                    parts,
                    touches,
                )
            )
        self._open = still_open
        return _rings(corners, order, plain, rings)

    def _value(self, index: int, corners: _Corners) -> int:
        count = len(corners.points)
        return self._open[(index - count) // 2].value if index >= count else int(corners.values[index])

    def _parts(self, walk: NDArray[np.intp], corners: _Corners) -> tuple[tuple[Points, ...], bool]:
        """The points of a walk that goes through open outlines of earlier bands, and whether these touch any."""
        count = len(corners.points)
        parts: list[Points] = []
        double = False
        start = 0
        for place in np.flatnonzero(walk >= count).tolist():
            if place > start:
                parts.append(corners.points[walk[start:place]])
            start = place + 1
            if (walk[place] - count) % 2 == 0:
                earlier = self._open[(walk[place] - count) // 2]
                parts += earlier.parts
                double |= earlier.double
        if start < len(walk):
            parts.append(corners.points[walk[start:]])
        return tuple(parts), double

    def _following(self, corners: _Corners) -> NDArray[np.intp]:
        """For each corner the next of its outline, -1 where that lies below the band.

        After the corners come a head and a tail for each outline that was open, the tail following the head.
        """
        count, waiting = len(corners.points), len(self._open)
        following = np.full(count + 2 * waiting, -1)
        left = np.arange(0, count, 2)
        onwards = corners.out_along_row[left]
        following[left[onwards]] = left[onwards] + 1
        following[left[~onwards] + 1] = left[~onwards]
        heads = np.arange(count, count + 2 * waiting, 2)
        following[heads] = heads + 1
        columns = np.array([place for one in self._open for place in (one.head, one.tail)], np.int64)
        values = np.repeat(np.array([one.value for one in self._open], np.int64), 2)
        x = np.concatenate([corners.points[:, 0].astype(np.int64), columns])
        row = np.concatenate([corners.points[:, 1].astype(np.int64) - self._top + 1, np.zeros(2 * waiting, np.int64)])
        value = np.concatenate([corners.values.astype(np.int64), values])
        south = np.concatenate([corners.south, np.ones(2 * waiting, np.bool_)])
        leaves = np.concatenate([~corners.out_along_row, np.tile([False, True], waiting)])
        column = value * (len(self._above) + 2) + x
        order = np.argsort((column * (int(row.max(initial=0)) + 1) + row) * 2 + south)
        upper, lower = order[:-1], order[1:]
        joined = (column[upper] == column[lower]) & south[upper]
        upper, lower = upper[joined], lower[joined]
        down = leaves[upper]
        following[upper[down]] = lower[down]
        following[lower[~down]] = upper[~down]
        return following


def _corners(around: Mask, top: int) -> _Corners:
    """The corners between the rows of a band that is padded: a row above, a column on either side."""
    beside, below = around[:, 1:] != around[:, :-1], around[1:] != around[:-1]
    places = np.flatnonzero((beside[:-1] | beside[1:]) & (below[:, :-1] | below[:, 1:]))
    y, x = np.divmod(places, beside.shape[1])
    pixels = [around[y + row, x + column] for row, column in ((0, 0), (0, 1), (1, 0), (1, 1))]
    found: list[_Corners] = []
    present = sum(np.bincount(part, minlength=256) for part in pixels)
    for value in np.flatnonzero(present):
        if value:
            sums = sum(np.left_shift(part == value, bit, dtype=np.uint8) for bit, part in enumerate(pixels))
            found.append(_corners_of(sums, x, y + top, int(value)))
    return _Corners(
        *(
            np.concatenate([getattr(one, name) for one in (_NONE, *found)])
            for name in ("points", "values", "south", "out_along_row", "double")
        )
    )


def _corners_of(sums: NDArray[np.uint8], x: NDArray[np.intp], y: NDArray[np.intp], value: int) -> _Corners:
    at = np.flatnonzero(_CORNERS[sums])
    number = _CORNERS[sums[at]]
    where = np.repeat(at, number)
    second = np.zeros(len(where), np.intp)
    second[np.cumsum(number)[number == 2] - 1] = 1
    kind = sums[where]
    return _Corners(
        np.stack([x[where], y[where]], axis=1).astype(np.int32),
        np.full(len(where), value, np.uint8),
        _SOUTH[kind, second],
        _OUT_ALONG_ROW[kind, second],
        np.repeat(number == 2, number),
    )


_NONE = _Corners(
    np.zeros((0, 2), np.int32),
    np.zeros(0, np.uint8),
    np.zeros(0, np.bool_),
    np.zeros(0, np.bool_),
    np.zeros(0, np.bool_),
)


def _walks(following: NDArray[np.intp]) -> tuple[NDArray[np.intp], list[int], int]:
    """Indices walk by walk, where each walk ends, and how many of them are open; these come first."""
    has_one_before = np.zeros(len(following), np.bool_)
    has_one_before[following[following >= 0]] = True
    after: list[int] = following.tolist()
    seen = bytearray(len(after))
    order: list[int] = []
    ends: list[int] = []
    starts = np.flatnonzero(~has_one_before).tolist()
    for first in starts:
        index = first
        while index >= 0:
            seen[index] = 1
            order.append(index)
            index = after[index]
        ends.append(len(order))
    first = seen.find(0)
    while first >= 0:
        index = first
        while not seen[index]:
            seen[index] = 1
            order.append(index)
            index = after[index]
        ends.append(len(order))
        first = seen.find(0, first)
    return np.array(order, np.intp), ends, len(starts)


def _divided(points: Points) -> Iterator[Points]:
    """The rings of an outline that comes to some of its points twice: each of them to none."""
    keys = points[:, 1].astype(np.int64) << 32 | points[:, 0]
    _, of, times = np.unique(keys, return_inverse=True, return_counts=True)
    twice = np.flatnonzero(times[of] > 1)
    if len(twice) == 0:
        yield points
        return
    pieces = np.split(np.roll(points, -int(twice[0]), axis=0), (twice - twice[0])[1:])
    waiting: list[Points] = []
    place: dict[int, int] = {}
    for key, piece in zip(keys[twice].tolist(), pieces, strict=True):
        if (begun := place.get(key)) is not None:
            yield np.concatenate(waiting[begun:])
            del waiting[begun:]
            place = {one: number for one, number in place.items() if number < begun}
        place[key] = len(waiting)
        waiting.append(piece)
    yield np.concatenate(waiting)


def _rings(
    corners: _Corners, order: NDArray[np.intp], plain: Sequence[tuple[int, int]], others: Sequence[tuple[Points, int]]
) -> Rings:
    """Of walks within the band, which begin at their first corner, and of others, which are turned to theirs."""
    lengths = np.array([end - start for start, end in plain], np.intp)
    firsts = np.array([start for start, _end in plain], np.intp)
    shift = np.repeat(firsts - np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.intp)[: len(firsts)], lengths)
    within = order[np.arange(len(shift)) + shift]
    turned = [_turned(points) for points, _value in others]
    starts = np.cumsum([0, *lengths.tolist(), *map(len, turned)])
    values = np.concatenate(
        [corners.values[order[firsts]], np.array([value for _points, value in others], np.uint8)]
    ).astype(np.uint8)
    return Rings(np.concatenate([corners.points[within], *turned]), starts, values)


def _turned(points: Points) -> Points:
    first = int(np.argmin(points[:, 1].astype(np.int64) << 32 | points[:, 0]))
    return np.roll(points, -first, axis=0)
