"""Dice of the rounds over their annotations, and what the next annotations may be worth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from histoloop.acquisition.learning_curve import expected_gain
from histoloop.gui.kit.widgets import label
from histoloop.gui.panels.training_curve import COLOURS
from histoloop.language import tr, tr_plural
from histoloop.workflows.contents.rounds import ENOUGH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.acquisition.learning_curve import Gain
    from histoloop.workflows.contents.rounds import Measured

FEWEST = 2
HEIGHT_PX = 132
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 14, 22, 20
_STEPS = (0.05, 0.1, 0.2, 0.5)
_DOT_PX = 3.5


class RoundsCurve(QWidget):
    """The learning curve with what it lets one expect; hidden below two measured rounds."""

    def __init__(self) -> None:
        super().__init__()
        self.heading = label(tr("Dice on held-out regions, by annotations"), role="muted", wrap=True)
        self.plot = _Plot()
        self.expected = label(wrap=True)
        how = tr(
            "A straight line of Dice over the logarithm of the number of annotations, through the last six "
            "rounds at most, with its 80% interval: a rough guess, and the wider the fewer rounds there are."
        )
        self.expected.setToolTip(f"<p>{how}</p>")
        self.hint = label(role="good", wrap=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for widget in (self.heading, self.plot, self.expected, self.hint):
            column.addWidget(widget)
        self.setVisible(False)

    def show_rounds(self, rounds: Sequence[Measured]) -> None:
        """Show the measured rounds, in their order; whether it is to be seen, the panel decides."""
        gain = expected_gain(
            [one.dice for one in rounds],
            [one.annotations for one in rounds],
            held_out_per_round=[one.held_out for one in rounds],
        )
        self.plot.take([(one.annotations, one.dice) for one in rounds], gain)
        self.expected.setVisible(gain is not None)
        self.hint.setVisible(gain is not None and gain.flat and rounds[-1].held_out >= ENOUGH)
        if gain is not None:
            self.expected.setText(gain_in_words(gain, held_out=rounds[-1].held_out))
            self.hint.setText(tr("The curve is flat: more annotations hardly help now. It is time to stop."))

    def has_enough(self) -> bool:
        """Whether there is a curve to see."""
        return len(self.plot.points) >= FEWEST


def gain_in_words(gain: Gain, *, held_out: int) -> str:
    """What to expect of the next annotations, and on how many regions that rests."""
    return tr_plural(
        "The next annotation may change Dice by {low} to {high}, {as_measured}.",
        "The next {count} annotations may change Dice by {low} to {high}, {as_measured}.",
        gain.annotations,
        low=_signed(gain.low),
        high=_signed(gain.high),
        as_measured=tr_plural(
            "as measured on {count} held-out region", "as measured on {count} held-out regions", held_out
        ),
    )


def _signed(value: float) -> str:
    rounded = round(value, 2)
    return "0" if rounded == 0 else tr("{change:+.2f}", change=rounded).replace("-", "\N{MINUS SIGN}")


class _Plot(QWidget):
    """Dots joined by a line; from the last one on the range that is to be expected, shaded."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.points: Sequence[tuple[int, float]] = ()
        self._gain: Gain | None = None

    def take(self, points: Sequence[tuple[int, float]], gain: Gain | None) -> None:
        """Show other rounds: (annotations, Dice) each."""
        self.points, self._gain = tuple(points), gain
        self.update()

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(240, HEIGHT_PX)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw axes, expectation, curve and the newest value."""
        if not self.points:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = QFont(self.font())
        font.setPixelSize(11)
        painter.setFont(font)
        axes = _Axes(self.points, self._gain, width=self.width())
        self._draw_axes(painter, axes)
        colour = QColor(COLOURS["dice"])
        if self._gain is not None:
            _draw_expected(painter, axes, self.points[-1], self._gain, colour)
        painter.setPen(QPen(colour, 2))
        painter.drawPolyline([axes.place(*point) for point in sorted(self.points)])
        painter.setBrush(colour)
        for point in self.points:
            painter.drawEllipse(axes.place(*point), _DOT_PX, _DOT_PX)
        annotations, dice = self.points[-1]
        newest = tr("Dice {dice:.3f} with {annotations}", dice=dice, annotations=annotations)
        painter.drawText(QRectF(axes.plot.left(), 0, axes.plot.width(), 16), Qt.AlignmentFlag.AlignRight, newest)
        painter.end()

    def _draw_axes(self, painter: QPainter, axes: _Axes) -> None:
        faint = self.palette().placeholderText().color()
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for dice in axes.ticks():
            y = axes.place(axes.first, dice).y()
            painter.setPen(QPen(faint, 0.6))
            painter.drawLine(QPointF(axes.plot.left(), y), QPointF(axes.plot.right(), y))
            painter.setPen(QColor(COLOURS["dice"]))
            painter.drawText(QRectF(0, y - 8, _LEFT - 6, 16), right, tr("{dice:.2f}", dice=dice))
        painter.setPen(faint)
        below = axes.plot.bottom() + 4
        painter.drawText(QPointF(axes.plot.left(), below + 12), f"{axes.first}")
        end = QRectF(axes.plot.left(), below, axes.plot.width(), 16)
        painter.drawText(
            end, Qt.AlignmentFlag.AlignRight, tr_plural("{count} annotation", "{count} annotations", axes.last)
        )


class _Axes:
    """Where annotations and Dice are in the widget; the range of Dice is what occurs, in round steps."""

    def __init__(self, points: Sequence[tuple[int, float]], gain: Gain | None, *, width: int) -> None:
        self.plot = QRectF(_LEFT, _TOP, max(1, width - _LEFT - _RIGHT), HEIGHT_PX - _TOP - _BOTTOM)
        dice = [value for _annotations, value in points]
        self.first = min(annotations for annotations, _dice in points)
        self.last = max(annotations for annotations, _dice in points)
        if gain is not None:
            self.last = max(self.last, points[-1][0] + gain.annotations)
            dice += [dice[-1] + gain.low, dice[-1] + gain.high]
        spread = max(dice) - min(dice)
        self._step = next((step for step in _STEPS if 3 * step >= spread), _STEPS[-1])
        self._lowest = max(0, math.floor(min(dice) / self._step + 1e-9))
        self._highest = max(self._lowest + 1, math.ceil(max(dice) / self._step - 1e-9))

    def ticks(self) -> list[float]:
        """The round values of Dice at which there is a line."""
        return [number * self._step for number in range(self._lowest, self._highest + 1)]

    def place(self, annotations: float, dice: float) -> QPointF:
        """Where so many annotations and this Dice are, in pixels."""
        across = (annotations - self.first) / max(1, self.last - self.first)
        up = (dice / self._step - self._lowest) / (self._highest - self._lowest)
        return QPointF(self.plot.left() + across * self.plot.width(), self.plot.bottom() - up * self.plot.height())


def _draw_expected(painter: QPainter, axes: _Axes, newest: tuple[int, float], gain: Gain, colour: QColor) -> None:
    annotations, dice = newest
    soft = QColor(colour)
    soft.setAlpha(60)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(soft)
    end = annotations + gain.annotations
    painter.drawPolygon(
        [axes.place(annotations, dice), axes.place(end, dice + gain.low), axes.place(end, dice + gain.high)]
    )
    painter.setBrush(Qt.BrushStyle.NoBrush)
