"""Measuring with the mouse on a canvas: a line or an ellipse is dragged, the corners of a polygon are clicked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QHBoxLayout, QWidget

from histoloop.gui.canvas.tools.measuring import Measure, Shape, value_in_words
from histoloop.gui.kit.one_line import OneLine
from histoloop.gui.kit.widgets import button
from histoloop.language import tr

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent

    from histoloop.gui.canvas.tools.measuring import Place
    from histoloop.gui.canvas.viewer import SlideViewer

LEAST_PX = 3
"""A drag of less, in screen pixels, measures nothing."""
_TOP_PX = 14


class MeasureTool(QObject):
    """Takes the left mouse button of a canvas from `begin` until Esc, or until something else is to be done with it.

    What was measured stays in sight until Esc or the next one. `begun` is emitted when another measure is drawn.
    """

    begun = Signal()

    def __init__(self, viewer: SlideViewer) -> None:
        super().__init__(viewer)
        self._viewer = viewer
        self.shape = Shape.LINE
        self._places: list[Place] = []
        """Of what is being drawn; the last one follows the pointer."""
        self.is_on = False
        self.measure: Measure | None = None
        self._drawing = _Drawing(self, viewer)
        self.bar = MeasureBar(self, viewer)
        viewer.overview_came.connect(lambda view: self.end() if view is None else None)
        viewer.tool_changed.connect(lambda _tool: self._let_go())

    @property
    def words(self) -> str:
        """What was measured; empty: nothing."""
        return "" if self.measure is None else value_in_words(self.measure, self.mpp)

    @property
    def mpp(self) -> float | None:
        """Um per pixel of the slide, where that is known."""
        scene = self._viewer.scene
        return None if scene is None else scene.slide.mpp

    def begin(self, shape: Shape) -> None:
        """Measure with a shape."""
        self.end()
        self.shape, self.is_on = shape, True
        canvas = self._viewer.canvas
        canvas.installEventFilter(self)
        canvas.setCursor(Qt.CursorShape.CrossCursor)
        canvas.setFocus()
        self._show()

    def end(self) -> None:
        """Measure nothing more, and let nothing of it be seen."""
        self._let_go()
        if self._viewer.has_canvas:
            self._viewer.canvas.removeEventFilter(self)
        self.clear()

    def clear(self) -> None:
        """Let nothing that was measured be seen; measuring goes on."""
        self._places, self.measure = [], None
        self._show()

    def copy(self) -> None:
        """Put what was measured on the clipboard."""
        if self.measure is not None:
            QGuiApplication.clipboard().setText(self.words)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Take the left button and undo while measuring, and Esc and Ctrl+C as long as a measure is seen."""
        if isinstance(event, QMouseEvent):
            return self.is_on and self._on_mouse(event)
        if not isinstance(event, QKeyEvent):
            return False
        is_escape = event.key() == Qt.Key.Key_Escape
        closes = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.shape is Shape.POLYGON and self._places
        copies = event.matches(QKeySequence.StandardKey.Copy) and self.measure is not None
        undoes = event.matches(QKeySequence.StandardKey.Undo) and self.shape is Shape.POLYGON and self._places
        if not (is_escape or closes or copies or undoes):
            return False
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
        elif event.type() == QEvent.Type.KeyPress:
            self._on_key(escapes=is_escape, copies=copies, undoes=bool(undoes))
        return True

    def _on_key(self, *, escapes: bool, copies: bool, undoes: bool) -> None:
        if copies:
            self.copy()
        elif undoes:
            self._take_back_corner()
        elif not escapes:
            self._finish()
        elif self._places:
            self.clear()
        else:
            self.end()

    def _on_mouse(self, event: QMouseEvent) -> bool:
        kind, left = event.type(), Qt.MouseButton.LeftButton
        place = self._viewer.to_slide(event.position())
        if kind == QEvent.Type.MouseMove:
            if self._places:
                self._places[-1] = place
                self._show()
            return bool(self._places)
        if event.button() != left:
            return False
        if self.shape is Shape.POLYGON:
            self._on_corner(kind, place)
        elif kind == QEvent.Type.MouseButtonPress:
            self._start(place)
        elif kind == QEvent.Type.MouseButtonRelease and self._places:
            self._places[-1] = place
            self._finish()
        return True

    def _on_corner(self, kind: QEvent.Type, place: Place) -> None:
        if kind == QEvent.Type.MouseButtonPress and not self._places:
            self._start(place)
        elif kind == QEvent.Type.MouseButtonPress:
            self._places[-1] = place
            self._places.append(place)
            self._show()
        elif kind == QEvent.Type.MouseButtonDblClick and self._places:
            self._places[-1] = place
            self._finish()

    def _take_back_corner(self) -> None:
        """Drop the last corner of an area that was begun; the place under the mouse follows it."""
        *corners, _last, pointer = self._places
        self._places = [*corners, pointer] if corners else []
        self._show()

    def _start(self, place: Place) -> None:
        self.measure = None
        self.begun.emit()
        self._places = [place, place]
        self._show()

    def _finish(self) -> None:
        """What is being drawn is the measure, where it is more than a click."""
        zoom, places = self._viewer.camera().zoom, self._places
        distinct = [each for each, before in zip(places, [None, *places], strict=False) if each != before]
        self._places = []
        enough = len(distinct) >= (3 if self.shape is Shape.POLYGON else 2)
        if enough and max(math.dist(distinct[0], each) for each in distinct) * zoom >= LEAST_PX:
            self.measure = Measure(self.shape, tuple(distinct))
        self._show()

    @property
    def drawn(self) -> Measure | None:
        """What is being drawn, or was."""
        return Measure(self.shape, tuple(self._places)) if self._places else self.measure

    def _let_go(self) -> None:
        """Leave the mouse to others; what was measured stays."""
        if self.is_on:
            self.is_on, self._places = False, []
            self._viewer.canvas.unsetCursor()
            self._show()

    def _show(self) -> None:
        self._drawing.follow()
        self.bar.follow()


class MeasureBar(QWidget):
    """What was measured, with a way to copy it and one to remove it."""

    def __init__(self, tool: MeasureTool, viewer: SlideViewer) -> None:
        super().__init__(viewer)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._tool, self._viewer = tool, viewer
        self.text = OneLine()
        self.copy = button(tr("Copy"), tip=tr("Copy the value (Ctrl+C on the slide)"))
        self.remove = button("\N{MULTIPLICATION SIGN}", tip=tr("Remove the measurement (Esc)"))
        self.remove.setAccessibleName(tr("Remove the measurement"))
        self.copy.clicked.connect(tool.copy)
        self.remove.clicked.connect(tool.end)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 5, 6, 5)
        layout.addWidget(self.text)
        for made in (self.copy, self.remove):
            made.setObjectName("small")
            layout.addWidget(made)
        viewer.resized.connect(self.follow)
        self.setVisible(False)

    def follow(self) -> None:
        """Say what is measured now, above the slide in the middle."""
        tool, drawn = self._tool, self._tool.drawn
        self.setVisible(tool.is_on or drawn is not None)
        self.copy.setEnabled(tool.measure is not None)
        words = _how(tool) if drawn is None else value_in_words(drawn, tool.mpp)
        if drawn is not None and tool.mpp is None:
            words = tr("{value}: the resolution of this slide is unknown", value=words)
        self.text.setText(words)
        canvas = self._viewer.canvas_rect
        self.adjustSize()
        self.resize(min(self.width(), canvas.width()), self.height())
        self.move(canvas.center().x() - self.width() // 2, canvas.top() + _TOP_PX)
        self.raise_()


def _how(tool: MeasureTool) -> str:
    """How to measure with a shape."""
    return {
        Shape.LINE: tr("Drag from one end to the other"),
        Shape.POLYGON: tr("Click the corners, double-click the last one"),
        Shape.ELLIPSE: tr("Drag from corner to corner of the ellipse"),
    }[tool.shape]


class _Drawing(QWidget):
    """The measure on the canvas; transparent for the mouse."""

    def __init__(self, tool: MeasureTool, viewer: SlideViewer) -> None:
        super().__init__(viewer)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._tool, self._viewer = tool, viewer
        viewer.camera_changed.connect(self.update)
        viewer.resized.connect(self.follow)
        self.setVisible(False)

    def follow(self) -> None:
        """Lie over the canvas while there is something to draw."""
        self.setGeometry(self._viewer.canvas_rect)
        self.setVisible(self._tool.drawn is not None)
        self.raise_()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """A light line on a dark one, which is seen on any tissue, and the value beside it."""
        drawn = self._tool.drawn
        if drawn is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        corners = [self._viewer.to_canvas(*place) for place in drawn.outline]
        places = QPolygonF(corners)
        for colour, width in (("#101014", 4.5), ("#ffe14d", 2.0)):
            painter.setPen(QPen(QColor(colour), width))
            if drawn.shape is Shape.LINE:
                painter.drawPolyline(places)
                self._draw_ends(painter, corners[0], corners[-1])
            else:
                painter.drawPolygon(places)
        self._draw_value(painter, places, value_in_words(drawn, self._tool.mpp))
        painter.end()

    @staticmethod
    def _draw_ends(painter: QPainter, first: QPointF, last: QPointF) -> None:
        """A short line across each end."""
        way = last - first
        length = math.hypot(way.x(), way.y())
        if length:
            across = QPointF(-way.y(), way.x()) * (7 / length)
            for end in (first, last):
                painter.drawLine(end - across, end + across)

    def _draw_value(self, painter: QPainter, places: QPolygonF, words: str) -> None:
        font = QFont(self.font())
        font.setPixelSize(13)
        font.setBold(True)
        painter.setFont(font)
        box = places.boundingRect()
        wide = painter.fontMetrics().horizontalAdvance(words) + 16
        plate = QRectF(box.center().x() - wide / 2, box.bottom() + 10, wide, 22)
        plate.moveLeft(min(max(plate.left(), 4), max(self.width() - wide - 4, 4)))
        plate.moveTop(min(max(plate.top(), 4), max(self.height() - 26, 4)))
        painter.setPen(QPen(QColor(0, 0, 0, 50), 1))
        painter.setBrush(QColor(255, 255, 255, 225))
        painter.drawRoundedRect(plate, 4, 4)
        painter.setPen(QColor("#14202b"))
        painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, words)
