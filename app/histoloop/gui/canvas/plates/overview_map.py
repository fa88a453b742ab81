"""The whole slide, small, in a corner of the canvas: where the view is, and what is annotated; a click goes there."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QWidget

from histoloop.gui.canvas.region_marks import ANNOTATED, BEGUN
from histoloop.language import tr

if TYPE_CHECKING:
    from PySide6.QtGui import QMouseEvent

    from histoloop.geometry import Region
    from histoloop.gui.canvas.rendering import View
    from histoloop.gui.canvas.viewer import SlideViewer

LONGEST_PX = 180
MARGIN_PX = 14
ROOM_PX = 420
"""A canvas that is narrower or lower has no room for the map."""

FRAME = "#d00000"
_TINT = 70
_LEAST_PX = 5.0


class OverviewMap(QWidget):
    """A press or drag on it moves the view there.

    It is hidden while the whole slide is on the screen, and while a region is painted, some of which it would cover.
    """

    def __init__(self, viewer: SlideViewer) -> None:
        super().__init__(viewer)
        self._viewer = viewer
        self._picture: QPixmap | None = None
        self.setAccessibleName(tr("Overview map"))
        self.setToolTip(tr("Click or drag to go to another place of the slide"))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        viewer.overview_came.connect(self._take)
        viewer.camera_changed.connect(self._follow)
        viewer.resized.connect(self._follow)
        viewer.rendered.connect(self._follow)
        self.setVisible(False)

    def to_map(self, region: Region) -> QRectF:
        """Where a level-0 region is on the map."""
        scene = self._viewer.scene
        if scene is None:
            return QRectF()
        scale = self.width() / scene.slide.width
        return QRectF(region.x * scale, region.y * scale, region.width * scale, region.height * scale)

    def frame(self) -> QPolygonF:
        """The four corners of what is seen on the map, turned as the slide is on the screen."""
        scene = self._viewer.scene
        if scene is None:
            return QPolygonF()
        scale, camera, canvas = self.width() / scene.slide.width, self._viewer.camera(), self._viewer.canvas_rect
        shortest = min(canvas.width(), canvas.height()) * scale / camera.zoom
        if shortest < _LEAST_PX:
            camera = dataclasses.replace(camera, zoom=camera.zoom * shortest / _LEAST_PX)
        return QPolygonF([QPointF(x * scale, y * scale) for x, y in camera.frame(canvas.size())])

    def _take(self, view: View | None) -> None:
        """Another slide, or none."""
        if view is None:
            self._picture = None
        else:
            height, width = view.pixels.shape[:2]
            image = QImage(view.pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
            size = image.size().scaled(QSize(LONGEST_PX, LONGEST_PX), Qt.AspectRatioMode.KeepAspectRatio)
            self._picture = QPixmap.fromImage(image.scaled(size, mode=Qt.TransformationMode.SmoothTransformation))
            self.setFixedSize(size.expandedTo(QSize(24, 24)))
        self._follow()

    def _follow(self, _view: View | None = None) -> None:
        scene, canvas = self._viewer.scene, self._viewer.canvas_rect
        has_room = min(canvas.width(), canvas.height()) >= ROOM_PX
        if scene is None or self._picture is None or not has_room or self._viewer.annotating is not None:
            self.setVisible(False)
            return
        self.setVisible(not self._viewer.sees_whole_slide)
        self.move(canvas.right() - self.width() - MARGIN_PX + 1, canvas.bottom() - self.height() - MARGIN_PX + 1)
        self.raise_()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The slide, what is annotated, and the frame of the view."""
        scene = self._viewer.scene
        if scene is None or self._picture is None:
            return
        painter = QPainter(self)
        painter.drawPixmap(self.rect(), self._picture)
        for colour, regions in ((ANNOTATED.colour, scene.annotated), (BEGUN.colour, scene.begun)):
            inside = QColor(colour)
            painter.setPen(inside)
            inside.setAlpha(_TINT)  # what lies in a large region stays in sight
            painter.setBrush(inside)
            for region, _mask in regions:
                painter.drawRect(_at_least(self.to_map(region), _LEAST_PX))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        frame = self.frame()
        for colour, width in (("#ffffff", 3.6), (FRAME, 1.8)):
            painter.setPen(QPen(QColor(colour), width))
            painter.drawPolygon(frame)
        painter.setPen(QPen(QColor(0, 0, 0, 120), 1))
        painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go there."""
        self._go(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go along while a button is held."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._go(event.position())

    def _go(self, place: QPointF) -> None:
        scene = self._viewer.scene
        if scene is not None:
            x = min(max(place.x() / self.width(), 0.0), 1.0) * scene.slide.width
            y = min(max(place.y() / self.height(), 0.0), 1.0) * scene.slide.height
            self._viewer.look_at(x, y)


def _at_least(box: QRectF, side: float) -> QRectF:
    middle = box.center()
    found = QRectF(0, 0, max(box.width(), side), max(box.height(), side))
    found.moveCenter(middle)
    return found
