"""What a file of annotations would bring, drawn over the slide before it is imported; nothing of it is kept.

Outlines are drawn by a worker thread into a picture of what is visible and a margin around it; the GUI thread lays that
picture over the canvas, moved and scaled with the camera until the next one is there.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shiboken6
from PySide6.QtCore import QRectF, Qt, QTimer
from PySide6.QtGui import QColor, QImage, QPainter, QPainterPath, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from histoloop.annotations.records import rgb
from histoloop.exchange.outlines.simplified import SimplifiedOutlines, kept_points
from histoloop.geometry import Region
from histoloop.gui.canvas.camera import rectangle
from histoloop.gui.work.background import Worker
from histoloop.workflows.contents.import_preview import PreviewPicture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from histoloop.gui.canvas.viewer import SlideViewer

SETTLE_MS = 40
MARGIN = 0.2
"""Share of the visible width and height that is drawn around it."""

_FILL_ALPHA, _PICTURE_ALPHA = 70, 150
_DOT_PX = 2.0
_SMALL_PX = 1.5
_POINT_PX = 1.0
_PIECE, _MOST_FILLED = 500, 1500


@dataclass(frozen=True, slots=True)
class ClassLook:
    """How a class of a file is drawn: in its colour, filled; as a dotted line where its outlines are left out."""

    colour: str
    is_left_out: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Previewed:
    """What is drawn over a slide: outlines or a picture, in the looks of their classes.

    `regions` are those that would be annotated, `taken` those where there is finished work already; level-0 pixels.
    """

    slide_id: int
    outlines: SimplifiedOutlines | None
    picture: PreviewPicture | None
    looks: tuple[ClassLook, ...]
    regions: tuple[Region, ...]
    taken: tuple[Region, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """A picture of the outlines in a level-0 rectangle."""

    image: QImage
    place: QRectF
    of: Previewed


class OutlinePreview(QWidget):
    """Lies over the canvas of a viewer, transparent for the mouse; invisible until something is shown."""

    def __init__(self, viewer: SlideViewer) -> None:
        super().__init__(viewer)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self._viewer = viewer
        self._worker = Worker(self)
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._request)
        self._shown: Previewed | None = None
        self._drawn: _Drawn | None = None
        self._picture: QImage | None = None
        viewer.camera_changed.connect(self._on_camera)
        viewer.resized.connect(self._on_resized)
        self.hide()

    @property
    def shown(self) -> Previewed | None:
        """What is drawn."""
        return self._shown

    @property
    def is_sharp(self) -> bool:
        """Whether what is visible is drawn as it is."""
        return self._worker.idle and not self._settle.isActive()

    def show_previewed(self, previewed: Previewed | None) -> None:
        """Draw something over the slide, or nothing."""
        before, self._shown = self._shown, previewed
        if previewed is None or before is None or previewed.outlines is not before.outlines:
            self._drawn = None
        self._picture = None
        if previewed is not None and previewed.picture is not None:
            self._picture = _indexed(previewed.picture.classes_HW, previewed.looks)
        self.setVisible(previewed is not None)
        if previewed is not None:
            self.setGeometry(self._viewer.canvas_rect)
            self.raise_()
            self._request()
        self.update()

    def shut_down(self) -> None:
        """End the worker thread; it cannot be used afterwards."""
        self._settle.stop()
        self._viewer.resized.disconnect(self._on_resized)
        self._worker.stop()

    def _on_resized(self) -> None:
        """Stay where the canvas is."""
        if self._shown is not None:
            self.setGeometry(self._viewer.canvas_rect)
            self._settle.start()

    def _on_camera(self) -> None:
        if self._shown is not None:
            self.update()
            self._settle.start()

    def _request(self) -> None:
        shown = self._shown
        if shown is None or shown.outlines is None:
            return
        visible = self._viewer.visible_region()
        place = visible.grown(math.ceil(MARGIN * max(visible.width, visible.height)))
        zoom = self._viewer.camera().zoom * self.devicePixelRatioF()
        self._worker.request(
            functools.partial(_draw, shown, shown.outlines, place, zoom), on_done=self._take, topic="outlines"
        )

    def _take(self, drawn: _Drawn) -> None:
        if drawn.of is self._shown:
            self._drawn = drawn
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Lay the pictures over the slide, then the regions."""
        shown = self._shown
        if shown is None:
            return
        painter = QPainter(self)
        camera, canvas = self._viewer.camera(), self.size()
        if self._picture is not None and shown.picture is not None:
            camera.draw(painter, rectangle(shown.picture.region), self._picture, canvas)
        if self._drawn is not None:
            wide = self._drawn.place.width() * camera.zoom * self.devicePixelRatioF()
            is_scaled = abs(wide - self._drawn.image.width()) > 1
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, is_scaled or camera.degrees % 90 != 0)
            camera.draw(painter, self._drawn.place, self._drawn.image, canvas)
        self._draw_regions(painter, shown.regions, QColor("#ffffff"), Qt.PenStyle.DashLine)
        self._draw_regions(painter, shown.taken, QColor("#f4a300"), Qt.PenStyle.SolidLine)
        painter.end()

    def _draw_regions(self, painter: QPainter, regions: Sequence[Region], colour: QColor, style: Qt.PenStyle) -> None:
        camera, seen = self._viewer.camera(), QRectF(self.rect())
        places = [camera.outline(rectangle(region), self.size()) for region in regions]
        places = [place for place in places if place.boundingRect().intersects(seen)]
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for pen in (QPen(QColor(0, 0, 0, 150), 3.0), QPen(colour, 1.5, style)):
            painter.setPen(pen)
            for place in places:
                painter.drawPolygon(place)


def _indexed(classes_HW: NDArray[np.int8], looks: Sequence[ClassLook]) -> QImage:
    """A picture of the classes of pixels in their colours, nothing where there is none or it is left out."""
    values = np.ascontiguousarray(classes_HW + np.int8(1)).astype(np.uint8)
    height, width = values.shape
    image = QImage(values.tobytes(), width, height, width, QImage.Format.Format_Indexed8).copy()
    shown = [QColor(*rgb(look.colour), 0 if look.is_left_out else _PICTURE_ALPHA).rgba() for look in looks]
    image.setColorTable([QColor(0, 0, 0, 0).rgba(), *shown])
    return image


# --- on the worker's thread -------------------------------------------------------------------------------------------


def _draw(shown: Previewed, outlines: SimplifiedOutlines, place: Region, zoom: float) -> _Drawn:
    """The outlines in a level-0 place at `zoom` pixels of the picture per level-0 pixel."""
    image = QImage(
        max(1, round(place.width * zoom)), max(1, round(place.height * zoom)), QImage.Format.Format_ARGB32_Premultiplied
    )
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    points, rings, dots = _visible(outlines, place, zoom)
    for number, look in enumerate(shown.looks):
        colour = QColor(*rgb(look.colour))
        painter.setBrush(colour)
        painter.setPen(Qt.PenStyle.NoPen)
        of_class = dots[dots[:, 2] == number]
        for x, y, _class in of_class.tolist():
            painter.drawRect(QRectF(x - _DOT_PX / 2, y - _DOT_PX / 2, _DOT_PX, _DOT_PX))
    for number, ends in rings:
        look = shown.looks[number]
        colour = QColor(*rgb(look.colour))
        if not look.is_left_out:
            _fill(painter, [points[start:end] for start, end in ends], colour)
        painter.setPen(QPen(colour, 1.6, Qt.PenStyle.DotLine if look.is_left_out else Qt.PenStyle.SolidLine))
        for start, end in ends:
            for first in range(start, end, _PIECE):  # in pieces: the GUI thread has its turn between them
                painter.drawPolyline(_polygon(points[first : min(first + _PIECE + 1, end)]))
            painter.drawPolyline(_polygon(points[[end - 1, start]]))
    painter.end()
    return _Drawn(image, rectangle(place), shown)


def _fill(painter: QPainter, rings: Sequence[NDArray[np.float64]], colour: QColor) -> None:
    """Fill a shape, coarsely where it has so many points that it would take long."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour.red(), colour.green(), colour.blue(), _FILL_ALPHA))
    path = QPainterPath()
    for ring in rings:
        path.addPolygon(_polygon(ring[:: math.ceil(len(ring) / _MOST_FILLED)]))
        path.closeSubpath()
    painter.drawPath(path)
    painter.setBrush(Qt.BrushStyle.NoBrush)


_Ring = tuple[int, int]


def _visible(
    outlines: SimplifiedOutlines, place: Region, zoom: float
) -> tuple[NDArray[np.float64], list[tuple[int, list[_Ring]]], NDArray[np.float64]]:
    """What lies in a place, in pixels of its picture: points, the rings of each shape in them, and those too small.

    The shapes are (number of the class, where its rings begin and end), larger ones first; those smaller than a pixel
    are (x, y, number of the class).
    """
    starts = outlines.starts_R[:-1]
    if not len(starts):
        return np.empty((0, 2)), [], np.empty((0, 3))
    low, high = (edge.reduceat(outlines.points_N2, starts, axis=0) for edge in (np.minimum, np.maximum))
    firsts = np.searchsorted(outlines.shapes_R, np.arange(len(outlines.classes_S)))  # a shape's exterior
    low, high = low[firsts], high[firsts]
    corner = np.array((place.x, place.y))
    inside = (high >= corner).all(axis=1) & (low <= (place.right, place.bottom)).all(axis=1)
    is_small = (high - low).max(axis=1) * zoom < _SMALL_PX
    tiny = inside & is_small
    dots = np.column_stack(((low[tiny] - corner) * zoom, outlines.classes_S[tiny]))
    in_sight = np.flatnonzero((inside & ~is_small)[outlines.shapes_R])
    lengths = outlines.starts_R[in_sight + 1] - starts[in_sight]
    points = _gathered(outlines.points_N2, starts[in_sight], lengths)
    ring_of_point = np.repeat(np.arange(len(in_sight)), lengths)
    points = (points - corner) * zoom
    kept = kept_points(points, ring_of_point, nearer_than=_POINT_PX)
    ends = np.concatenate(([0], np.cumsum(np.bincount(ring_of_point[kept], minlength=len(in_sight))))).tolist()
    shapes: list[tuple[int, list[_Ring]]] = []
    last = -1
    for number, shape in enumerate(outlines.shapes_R[in_sight].tolist()):
        if shape != last:
            shapes.append((int(outlines.classes_S[shape]), []))
            last = shape
        shapes[-1][1].append((ends[number], ends[number + 1]))
    return points[kept], shapes, dots


def _gathered(
    points_N2: NDArray[np.float32], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The points of some rings, one after the other."""
    before = np.cumsum(lengths) - lengths
    index = np.arange(int(lengths.sum())) - np.repeat(before - starts, lengths)
    return points_N2[index].astype(np.float64)


def _polygon(points_N2: NDArray[np.float64]) -> QPolygonF:
    """The points as Qt has them, copied at once."""
    polygon = QPolygonF()
    polygon.resize(len(points_N2))
    if len(points_N2):
        pointer: Any = shiboken6.VoidPtr  # its stub knows another constructor
        memory = pointer(polygon.data(), 16 * len(points_N2), True)
        np.frombuffer(memory, dtype=np.float64).reshape(-1, 2)[:] = points_N2
    return polygon
