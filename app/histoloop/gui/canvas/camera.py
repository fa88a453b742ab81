"""Where a canvas looks: places of the slide on the screen and back, the slide turned or upright."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize
from PySide6.QtGui import QImage, QPainter, QPolygonF, QTransform

from histoloop.geometry import Region

if TYPE_CHECKING:
    from collections.abc import Iterable

_EXACT = {0: (1.0, 0.0), 90: (0.0, 1.0), 180: (-1.0, 0.0), 270: (0.0, -1.0)}
FULL_TURN = 360


def cosine_and_sine(degrees: int) -> tuple[float, float]:
    """Cosine and sine of an angle, exact for right angles."""
    radians = math.radians(degrees)
    return _EXACT.get(degrees % FULL_TURN, (math.cos(radians), math.sin(radians)))


@dataclass(frozen=True, slots=True)
class CameraState:
    """Where the camera looks: the middle of the canvas in level-0 pixels, and screen pixels per level-0 pixel.

    The slide is turned clockwise by `degrees` (0 to 359) on the screen. Sizes of canvases and places on them are in
    screen pixels, places on the slide in level-0 pixels.
    """

    x: float
    y: float
    zoom: float
    degrees: int = 0

    def to_canvas(self, x: float, y: float, canvas: QSize) -> QPointF:
        """Where on a canvas a place of the slide is."""
        cosine, sine = cosine_and_sine(self.degrees)
        right, down = x - self.x, y - self.y
        return QPointF(
            (cosine * right - sine * down) * self.zoom + canvas.width() / 2,
            (sine * right + cosine * down) * self.zoom + canvas.height() / 2,
        )

    def to_slide(self, place: QPointF, canvas: QSize) -> tuple[float, float]:
        """Which place of the slide (x, y) is at a place of a canvas."""
        cosine, sine = cosine_and_sine(self.degrees)
        right = (place.x() - canvas.width() / 2) / self.zoom
        down = (place.y() - canvas.height() / 2) / self.zoom
        return self.x + cosine * right + sine * down, self.y - sine * right + cosine * down

    def outline(self, place: QRectF, canvas: QSize) -> QPolygonF:
        """The four corners, on a canvas, of a rectangle of the slide."""
        return QPolygonF([self.to_canvas(x, y, canvas) for x, y in _corners(place)])

    def frame(self, canvas: QSize) -> list[tuple[float, float]]:
        """The four corners of a canvas on the slide."""
        whole = QRectF(0, 0, canvas.width(), canvas.height())
        return [self.to_slide(QPointF(x, y), canvas) for x, y in _corners(whole)]

    def visible(self, canvas: QSize) -> Region:
        """The least rectangle of the slide that has all in it that is seen, which may reach past the slide.

        At least a pixel, also of a canvas that has no room yet.
        """
        across, down = self._around(canvas.width() / self.zoom, canvas.height() / self.zoom)
        left, top = math.floor(self.x - across / 2), math.floor(self.y - down / 2)
        right, bottom = math.ceil(self.x + across / 2), math.ceil(self.y + down / 2)
        return Region(left, top, max(1, right - left), max(1, bottom - top))

    def sees(self, region: Region, canvas: QSize) -> bool:
        """Whether all of a region is on a canvas; a screen pixel may be missing."""
        whole = QRectF(-1, -1, canvas.width() + 2, canvas.height() + 2)
        return all(whole.contains(corner) for corner in self.outline(rectangle(region), canvas).toList())

    def fitting(self, region: Region, canvas: QSize) -> float:
        """The zoom at which a region just fills a canvas, turned as it is."""
        across, down = self._around(region.width, region.height)
        return min(canvas.width() / across, canvas.height() / down)

    def draw(self, painter: QPainter, place: QRectF, image: QImage, canvas: QSize) -> None:
        """Lay a picture over a rectangle of the slide."""
        if not self.degrees:
            painter.drawImage(self.outline(place, canvas).boundingRect(), image)
            return
        cosine, sine = (self.zoom * part for part in cosine_and_sine(self.degrees))
        corner = self.to_canvas(0.0, 0.0, canvas)
        painter.save()
        painter.setTransform(QTransform(cosine, sine, -sine, cosine, corner.x(), corner.y()), combine=True)
        painter.drawImage(place, image)
        painter.restore()

    def _around(self, width: float, height: float) -> tuple[float, float]:
        """Width and height of the least upright rectangle around one that is turned."""
        cosine, sine = map(abs, cosine_and_sine(self.degrees))
        return cosine * width + sine * height, sine * width + cosine * height


def rectangle(region: Region) -> QRectF:
    """A region as Qt has it."""
    return QRectF(region.x, region.y, region.width, region.height)


def _corners(place: QRectF) -> Iterable[tuple[float, float]]:
    return (
        (place.left(), place.top()),
        (place.right(), place.top()),
        (place.right(), place.bottom()),
        (place.left(), place.bottom()),
    )
