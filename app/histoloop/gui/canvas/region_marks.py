"""Outlines of the regions that people worked in: each state has its own line and its own word, not a colour alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from histoloop.language import mark, tr
from histoloop.workflows.contents.readings import STATES, ReviewState

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Mark:
    """How an outline is drawn: `word` stands in it where there is room, `inner` is a second line inside it, or none."""

    colour: str
    line: Qt.PenStyle = Qt.PenStyle.SolidLine
    inner: Qt.PenStyle = Qt.PenStyle.NoPen
    word: str = ""


ANNOTATED = Mark("#007f5f")
"""Of regions that people finished: dark enough to be seen on H&E, as the others are."""

BEGUN = Mark("#b5179e", Qt.PenStyle.DashLine, word=mark("Begun"))

REVIEW_MARKS: Mapping[ReviewState, Mark] = {
    ReviewState.ANNOTATED: ANNOTATED,
    ReviewState.AGREED: Mark("#007f5f", inner=Qt.PenStyle.SolidLine, word=STATES[ReviewState.AGREED]),
    ReviewState.DIFFERS: Mark("#a33600", Qt.PenStyle.DashDotLine, word=STATES[ReviewState.DIFFERS]),
    ReviewState.DECIDED: Mark("#004e89", inner=Qt.PenStyle.DotLine, word=STATES[ReviewState.DECIDED]),
}

_APART_PX = 5
_PLATE_PX = 20


def draw_mark(painter: QPainter, outline: QPolygonF, look: Mark) -> None:
    """The outline of a region by its corners in screen pixels, on a light ground, with its word where there is room."""
    if not outline.boundingRect().intersects(QRectF(painter.viewport())):
        return
    painter.setBrush(Qt.BrushStyle.NoBrush)
    _draw_line(painter, outline, look.colour, look.line)
    if look.inner is not Qt.PenStyle.NoPen and min(_sides(outline)) > 4 * _APART_PX:
        _draw_line(painter, _inside(outline, _APART_PX), look.colour, look.inner)
    if look.word:
        _draw_word(painter, outline, look)


def _draw_line(painter: QPainter, outline: QPolygonF, colour: str, line: Qt.PenStyle) -> None:
    painter.setPen(QPen(QColor(255, 255, 255, 190), 4))
    painter.drawPolygon(outline)
    painter.setPen(QPen(QColor(colour), 1.8, line))
    painter.drawPolygon(outline)


def _draw_word(painter: QPainter, outline: QPolygonF, look: Mark) -> None:
    """In the corner of a region, in the middle of one that is askew."""
    text, gap = tr(look.word), 4 if look.inner is Qt.PenStyle.NoPen else 4 + _APART_PX
    wide, around = painter.fontMetrics().horizontalAdvance(text) + 14, outline.boundingRect()
    plate = QRectF(around.left() + gap, around.top() + gap, wide, _PLATE_PX)
    along, _down = _edges(outline)
    if min(abs(along.x()), abs(along.y())) > 1:
        plate.moveCenter(around.center())
    if wide + 2 * gap < around.width() and _PLATE_PX + 2 * gap < around.height():
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(255, 255, 255, 215))
        painter.drawRoundedRect(plate, 4, 4)
        painter.setPen(QColor(look.colour))
        painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, text)


def _edges(outline: QPolygonF) -> tuple[QPointF, QPointF]:
    """From the first corner of a rectangle to the second, and to the last."""
    first, second, _third, last = outline.toList()[:4]
    return second - first, last - first


def _sides(outline: QPolygonF) -> tuple[float, float]:
    along, down = _edges(outline)
    return math.hypot(along.x(), along.y()), math.hypot(down.x(), down.y())


def _inside(outline: QPolygonF, px: float) -> QPolygonF:
    """A rectangle whose sides lie so far inside of another's."""
    (along, down), (width, height) = _edges(outline), _sides(outline)
    right, below = along * (px / width), down * (px / height)
    first, second, third, last = outline.toList()[:4]
    return QPolygonF([first + right + below, second - right + below, third - right - below, last + right - below])
