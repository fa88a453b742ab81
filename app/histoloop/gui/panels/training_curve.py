"""Loss and Dice over the epochs of a training, drawn as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEIGHT_PX = 138
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 34, 20, 20
COLOURS = {"loss": "#c8743c", "dice": "#2f8f9d"}


class TrainingCurve(QWidget):
    """Loss on the left axis (from 0), Dice on the right one (0 to 1), epochs below."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._points: dict[str, list[tuple[float, float]]] = {"loss": [], "dice": []}
        self._epoch = self._before = 0.0

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(240, HEIGHT_PX)

    def clear(self) -> None:
        """Begin a new training."""
        for points in self._points.values():
            points.clear()
        self._epoch = self._before = 0.0
        self.update()

    def add(self, figures: Mapping[str, float]) -> None:
        """The figures of an epoch; what is not among them was not measured.

        A training that counts its epochs from one again, for another pass, goes on where it was.
        """
        if "epoch" not in figures:
            return
        if figures["epoch"] < self._epoch:
            self._before += self._epoch
        self._epoch = figures["epoch"]
        for name, points in self._points.items():
            if name in figures:
                points.append((self._before + self._epoch, figures[name]))
        self.update()

    def epochs(self, name: str) -> list[float]:
        """Where the values of 'loss' or 'dice' are drawn."""
        return [epoch for epoch, _value in self._points[name]]

    def values(self, name: str) -> list[float]:
        """What is drawn as 'loss' or 'dice'."""
        return [value for _epoch, value in self._points[name]]

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw axes, curves and the newest values."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = QFont(self.font())
        font.setPixelSize(11)
        painter.setFont(font)
        plot = QRectF(_LEFT, _TOP, max(1, self.width() - _LEFT - _RIGHT), HEIGHT_PX - _TOP - _BOTTOM)
        last = max((points[-1][0] for points in self._points.values() if points), default=1.0)
        top_loss = max((value for _epoch, value in self._points["loss"]), default=1.0) * 1.05
        self._draw_axes(painter, plot, last=last, top_loss=top_loss)
        for name, top in (("loss", top_loss), ("dice", 1.0)):
            _draw_curve(painter, plot, self._points[name], last=last, top=top, colour=COLOURS[name])
        painter.end()

    def _draw_axes(self, painter: QPainter, plot: QRectF, *, last: float, top_loss: float) -> None:
        faint = self.palette().placeholderText().color()
        painter.setPen(QPen(faint, 0.6))
        for share in (0.0, 0.5, 1.0):
            y = plot.bottom() - share * plot.height()
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
        centre = Qt.AlignmentFlag.AlignVCenter
        for share in (0.0, 0.5, 1.0):
            y = plot.bottom() - share * plot.height()
            painter.setPen(QColor(COLOURS["loss"]))
            left = QRectF(0, y - 8, _LEFT - 4, 16)
            painter.drawText(left, Qt.AlignmentFlag.AlignRight | centre, tr("{loss:.2f}", loss=share * top_loss))
            painter.setPen(QColor(COLOURS["dice"]))
            right = QRectF(plot.right() + 7, y - 8, _RIGHT - 7, 16)
            painter.drawText(right, Qt.AlignmentFlag.AlignLeft | centre, tr("{dice:g}", dice=share))
        painter.setPen(faint)
        below = QRectF(plot.left(), plot.bottom() + 4, plot.width(), 16)
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, tr("epoch {epoch:g}", epoch=last))
        above = QRectF(plot.left(), 0, plot.width(), 16)
        for name, side in (("loss", Qt.AlignmentFlag.AlignLeft), ("dice", Qt.AlignmentFlag.AlignRight)):
            painter.setPen(QColor(COLOURS[name]))
            painter.drawText(above, side, _newest(name, self._points[name]))


def _newest(name: str, points: Sequence[tuple[float, float]]) -> str:
    if name == "loss":
        return tr("Loss {loss:.3f}", loss=points[-1][1]) if points else tr("Loss")
    return tr("Dice {dice:.3f}", dice=points[-1][1]) if points else "Dice"


def _draw_curve(
    painter: QPainter, plot: QRectF, points: Sequence[tuple[float, float]], *, last: float, top: float, colour: str
) -> None:
    first = 1.0
    span = max(1.0, last - first)
    places = [
        QPointF(plot.left() + (epoch - first) / span * plot.width(), plot.bottom() - value / top * plot.height())
        for epoch, value in points
    ]
    painter.setPen(QPen(QColor(colour), 2))
    painter.drawPolyline(places)
    painter.setBrush(QColor(colour))
    for place in places[-1:]:
        painter.drawEllipse(place, 3, 3)
