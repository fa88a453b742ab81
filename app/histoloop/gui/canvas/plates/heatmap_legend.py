"""What the colours of the heatmap mean, on the canvas: a bar with its values, and what they are values of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from histoloop.annotations.class_names import spoken_class
from histoloop.exchange.heat import STOPS
from histoloop.gui.kit.widgets import visible_name
from histoloop.language import number, tr
from histoloop.localisation.methods import DECODER, takes_label, title, weighs_both_sides

if TYPE_CHECKING:
    from histoloop.gui.canvas.composing import OverlayStyle
    from histoloop.gui.canvas.rendering import View
    from histoloop.gui.canvas.viewer import SlideViewer

MARGIN_PX, BAR_PX, BAR_HEIGHT_PX = 14, 170, 12
_INSET_PX, _LINE_PX = 12, 18
BESIDE_PX = 560
"""A canvas that is narrower has the legend below what stands in its other corner."""
BELOW_PX = 46


def meaning(style: OverlayStyle) -> str:
    """What the heatmap of a style shows."""
    method = style.method or DECODER
    if method == DECODER:
        if style.heat_of is None:
            return tr("Probability of the classes")
        return tr("Probability of {class_name}", class_name=visible_name(spoken_class(style.heat_of)))
    if weighs_both_sides(method) and style.against:
        return tr("{method}: against the classes", method=tr(title(method)))
    if not takes_label(method):
        return tr("{method}: for the classes", method=tr(title(method)))
    if style.label is None:
        return tr("{method}: for the most likely class", method=tr(title(method)))
    return tr("{method}: for {label}", method=tr(title(method)), label=visible_name(spoken_class(style.label)))


class HeatmapLegend(QWidget):
    """Seen while the heatmap is, and only then; `words` are what it says."""

    def __init__(self, viewer: SlideViewer) -> None:
        super().__init__(viewer)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._viewer = viewer
        self.words = ""
        self.threshold: float | None = None
        """Where masks begin on the bar; None: they are not cut from what it shows."""
        viewer.rendered.connect(self._follow)
        viewer.resized.connect(self._place)
        viewer.overview_came.connect(lambda view: self.hide() if view is None else None)
        self.setVisible(False)

    def _follow(self, view: View) -> None:
        style = self._viewer.seen_style
        self.setVisible(style.heatmap and view.overlay is not None and view.overlay.foreground is not None)
        self.words = meaning(style)
        self.threshold = style.threshold if style.masks and style.heat_of is None and not style.against else None
        self.setAccessibleName(tr("Legend of the heatmap: {meaning}", meaning=self.words))
        self._place()

    def _place(self) -> None:
        wide = max(BAR_PX, self.fontMetrics().horizontalAdvance(self.words)) + 2 * _INSET_PX
        canvas = self._viewer.canvas_rect
        self.resize(min(wide, max(canvas.width() - 2 * MARGIN_PX, 60)), 2 * _LINE_PX + BAR_HEIGHT_PX + 14)
        top = canvas.top() + MARGIN_PX + (0 if canvas.width() >= BESIDE_PX else BELOW_PX)
        self.move(canvas.right() + 1 - MARGIN_PX - self.width(), top)
        self.raise_()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The bar between its meaning and its values."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(0, 0, 0, 50), 1))
        painter.setBrush(QColor(255, 255, 255, 225))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        ink = QColor("#14202b")
        painter.setPen(ink)
        wide = self.width() - 2 * _INSET_PX
        text = painter.fontMetrics().elidedText(self.words, Qt.TextElideMode.ElideRight, wide)
        painter.drawText(QRectF(_INSET_PX, 5, wide, _LINE_PX), Qt.AlignmentFlag.AlignLeft, text)
        bar = QRectF(_INSET_PX, 5 + _LINE_PX, wide, BAR_HEIGHT_PX)
        gradient = QLinearGradient(bar.topLeft(), bar.topRight())
        for stop, colour in enumerate(STOPS):
            gradient.setColorAt(stop / (len(STOPS) - 1), QColor(*colour))
        painter.fillRect(bar, gradient)
        below = QRectF(bar.left(), bar.bottom() + 4, bar.width(), _LINE_PX)
        for value, side in ((0.0, Qt.AlignmentFlag.AlignLeft), (1.0, Qt.AlignmentFlag.AlignRight)):
            painter.drawText(below, side, number(value, "g"))
        if self.threshold is None:
            painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, number(0.5, "g"))
        else:
            self._draw_threshold(painter, bar, below, ink)
        painter.end()

    def _draw_threshold(self, painter: QPainter, bar: QRectF, below: QRectF, ink: QColor) -> None:
        """Where masks begin."""
        assert self.threshold is not None  # by the caller
        place = bar.left() + self.threshold * bar.width()
        for colour, width in ((QColor("#ffffff"), 3.6), (ink, 1.6)):
            painter.setPen(QPen(colour, width))
            painter.drawLine(round(place), round(bar.top() - 1), round(place), round(bar.bottom() + 3))
        painter.setPen(ink)
        text = tr("mask from {threshold:.2f}", threshold=self.threshold)
        half = painter.fontMetrics().horizontalAdvance(text) / 2
        middle = min(max(place, below.left() + half + 14), below.right() - half - 14)
        painter.drawText(QRectF(middle - half - 2, below.top(), 2 * half + 4, _LINE_PX), 0, text)
