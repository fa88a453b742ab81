"""What is drawn over the canvas in screen pixels: queried regions, the annotated one, scale bar and magnification."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPainterPath, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from histoloop.geometry import Region
from histoloop.gui.canvas.camera import CameraState, rectangle
from histoloop.gui.canvas.magnification import magnification_in_words
from histoloop.gui.canvas.region_marks import ANNOTATED, BEGUN, REVIEW_MARKS, draw_mark
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PySide6.QtGui import QImage, QPaintEvent

    from histoloop.gui.canvas.rendering import SlideScene
    from histoloop.workflows.contents.readings import ReviewState

SCALE_BAR_PX = 160
_MARGIN_PX = 16
_DIM = QColor(0, 0, 0, 110)
_PLATE_PX = 38
SCALE_BAR_ROOM_PX = _PLATE_PX + _MARGIN_PX + 8
"""So much of the bottom of a canvas is the scale bar's, with the room around it."""


@dataclass(frozen=True, slots=True)
class QueryBox:
    """A queried region on the canvas."""

    query_id: int
    region: Region
    selected: bool = False


def scale_bar(zoom: float, mpp: float | None, *, longest_px: int = SCALE_BAR_PX) -> tuple[float, str]:
    """Length on screen (pixels) and text of a scale bar of a round length; in pixels where mpp is unknown."""
    per_px = 1 / zoom if mpp is None else mpp / zoom
    most = longest_px * per_px
    power = 10 ** math.floor(math.log10(most))
    length = next(step * power for step in (5, 2, 1) if step * power <= most)
    if mpp is None:
        return length / per_px, tr("{length:g} px", length=length)
    if length >= 1000:
        return length / per_px, tr("{length:g} mm", length=length / 1000)
    return length / per_px, tr("{length:g} \N{MICRO SIGN}m", length=length)


class CanvasOverlay(QWidget):
    """Transparent for the mouse; lies exactly over the canvas."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.camera = CameraState(0, 0, 1)
        self.mpp: float | None = None
        self.boxes: Sequence[QueryBox] = ()
        self.annotated: Sequence[Region] = ()
        self.begun: Sequence[Region] = ()
        self.reviewed: Mapping[Region, ReviewState] = {}
        self.shows_review = True
        self.spotlight: Region | None = None
        self.rubber_band: QPolygonF | None = None
        self.lasso: Sequence[QPointF] = ()
        self.preview: tuple[Region, QImage] | None = None
        self.has_slide = False

    def take(self, scene: SlideScene | None) -> None:
        """The regions of another slide, or of none, where people worked."""
        self.mpp = None if scene is None else scene.slide.mpp
        self.annotated = () if scene is None else [region for region, _mask in scene.annotated]
        self.begun = () if scene is None else [region for region, _mask in scene.begun]
        self.reviewed = {} if scene is None else scene.reviewed
        self.update()

    def to_screen(self, region: Region) -> QPolygonF:
        """The corners of a level-0 region in the canvas's own pixels."""
        return self.camera.outline(rectangle(region), self.size())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw everything anew."""
        if not self.has_slide:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.spotlight is not None:
            self._draw_spotlight(painter, self.to_screen(self.spotlight))
        else:
            for region in self.annotated:
                state = self.reviewed.get(region) if self.shows_review else None
                draw_mark(painter, self.to_screen(region), ANNOTATED if state is None else REVIEW_MARKS[state])
            for region in self.begun:
                draw_mark(painter, self.to_screen(region), BEGUN)
            for box in self.boxes:
                self._draw_box(painter, box)
        if self.preview is not None:
            place, image = self.preview
            self.camera.draw(painter, rectangle(place), image, self.size())
        if self.rubber_band is not None:
            self._draw_dragged(painter, self.rubber_band)
        if self.lasso:
            self._draw_dragged(painter, QPolygonF(self.lasso))
        self._draw_scale_bar(painter)
        painter.end()

    def _draw_spotlight(self, painter: QPainter, region: QPolygonF) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)  # slow, and a line lies over these edges
        if self.camera.degrees % 90:
            self._dim_around_askew(painter, region)
        else:
            self._dim_around(painter, region.boundingRect())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor("#ffffff"), 1.5))
        painter.drawPolygon(region)

    def _dim_around(self, painter: QPainter, region: QRectF) -> None:
        whole = QRectF(self.rect())
        lit = region.intersected(whole)
        for band in (
            QRectF(whole.topLeft(), QPointF(whole.right(), lit.top())),
            QRectF(QPointF(whole.left(), lit.top()), lit.bottomLeft()),
            QRectF(lit.topRight(), QPointF(whole.right(), lit.bottom())),
            QRectF(QPointF(whole.left(), lit.bottom()), whole.bottomRight()),
        ):
            painter.fillRect(band, _DIM)

    def _dim_around_askew(self, painter: QPainter, region: QPolygonF) -> None:
        path = QPainterPath()
        path.addRect(QRectF(self.rect()))
        path.addPolygon(region)
        path.closeSubpath()
        painter.fillPath(path, _DIM)

    def _draw_dragged(self, painter: QPainter, outline: QPolygonF) -> None:
        painter.setBrush(QColor(255, 255, 255, 40))
        painter.setPen(QPen(QColor(0, 0, 0, 160), 3))
        painter.drawPolygon(outline)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor("#ffffff"), 1.5, Qt.PenStyle.DashLine))
        painter.drawPolygon(outline)

    def _draw_box(self, painter: QPainter, box: QueryBox) -> None:
        outline = self.to_screen(box.region)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(0, 0, 0, 150), 5 if box.selected else 3.5))
        painter.drawPolygon(outline)
        painter.setPen(QPen(QColor("#f4a300" if box.selected else "#ffd97a"), 3 if box.selected else 1.6))
        painter.drawPolygon(outline)

    def _draw_scale_bar(self, painter: QPainter) -> None:
        length, text = scale_bar(self.camera.zoom, self.mpp)
        power = magnification_in_words(self.camera.zoom, self.mpp)
        font = QFont(self.font())
        font.setPixelSize(13)
        font.setBold(True)
        painter.setFont(font)
        wide = max(length, painter.fontMetrics().horizontalAdvance(text)) + 20
        plate = QRectF(_MARGIN_PX, self.height() - _MARGIN_PX - _PLATE_PX, wide, _PLATE_PX)
        painter.setPen(QPen(QColor(0, 0, 0, 50), 1))
        painter.setBrush(QColor(255, 255, 255, 215))
        painter.drawRoundedRect(plate, 4, 4)
        painter.setPen(QColor("#14202b"))
        painter.drawText(plate.adjusted(10, 3, -10, -14), Qt.AlignmentFlag.AlignCenter, text)
        beside = QRectF(plate.right() + 8, plate.top(), painter.fontMetrics().horizontalAdvance(power) + 20, _PLATE_PX)
        bar = QRectF(plate.center().x() - length / 2, plate.bottom() - 11, length, 4)
        painter.fillRect(bar, QColor("#14202b"))
        painter.setPen(QPen(QColor(0, 0, 0, 50), 1))
        painter.setBrush(QColor(255, 255, 255, 215))
        painter.drawRoundedRect(beside, 4, 4)
        painter.setPen(QColor("#14202b"))
        painter.drawText(beside, Qt.AlignmentFlag.AlignCenter, power)
