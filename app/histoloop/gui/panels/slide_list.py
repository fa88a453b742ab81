"""How the list of slides looks and is narrowed down: rows of one height with a column of signs, a filter, an order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPalette, QPen
from PySide6.QtWidgets import (
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from histoloop.gui.kit.theme import colours_of
from histoloop.gui.kit.widgets import NarrowBox, label, row
from histoloop.gui.panels.slide_rows import IN_WORDS, ORDERS, SLIDE_STATE, WITHOUT_LABEL, Choice, Order, Row, State
from histoloop.language import tr, tr_plural
from histoloop.store.records import SlideFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histoloop.gui.panels.slide_rows import SlideRows

THUMBNAIL_PX = 64
MARGIN_PX = 4
SIGN_PX = 14
COLUMN_PX = 26
LINES = 4
LOWEST_PX = 160
FEWEST_FILTERED = 8
"""Fewer slides are seen at a glance: there is nothing to narrow down."""

_COLOURS = {
    State.GONE: "bad",
    State.BEGUN: "accent",
    State.ANNOTATED: "good",
    State.UNLIKE: "muted",
    State.PREDICTED: "accent",
}
_FADED = 0.3
_Index = QModelIndex | QPersistentModelIndex


class SlideList(QListView):
    """Asks its model for the rows in sight alone."""

    def __init__(self, rows: SlideRows) -> None:
        super().__init__()
        self.setModel(rows)
        self.setItemDelegate(_RowPainter(rows, self))
        self.setUniformItemSizes(True)
        self.setSelectionMode(QListView.SelectionMode.ExtendedSelection)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setSpacing(2)
        self._rows = rows

    def minimumSizeHint(self) -> QSize:
        """Two rows are always seen, whatever else the panel shows."""
        return QSize(0, LOWEST_PX)

    def count(self) -> int:
        """How many slides are listed now."""
        return self._rows.rowCount()

    def texts(self) -> list[str]:
        """The lines of each row, from the top."""
        return [self._rows.text_at(place) for place in range(self.count())]


class _RowPainter(QStyledItemDelegate):
    """Thumbnail, lines, and at the end of the row a sign for where the slide stands."""

    def __init__(self, rows: SlideRows, parent: QWidget) -> None:
        super().__init__(parent)
        self._rows = rows

    def sizeHint(self, option: QStyleOptionViewItem, _index: _Index) -> QSize:
        """All rows are alike, so that none has to be made to know where another is."""
        height = max(THUMBNAIL_PX, LINES * option.fontMetrics.lineSpacing())
        return QSize(THUMBNAIL_PX + COLUMN_PX, height + MARGIN_PX)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        """Draw a row."""
        self.initStyleOption(option, index)
        style, lines = option.widget.style(), self._rows.text_at(index.row()).split("\n")
        option.text = ""
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, option.widget)
        listed: Row = index.data(SLIDE_STATE)
        painter.save()
        self._draw_picture(painter, option.rect, index.row(), faded=listed.file is not SlideFile.IN_PLACE)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        role = QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Text
        painter.setPen(option.palette.color(role))
        painter.setFont(option.font)
        place = option.rect.adjusted(THUMBNAIL_PX + 3 * MARGIN_PX, 0, -COLUMN_PX, 0)
        _draw_lines(painter, place, lines)
        column = QRect(option.rect.right() - COLUMN_PX, option.rect.top(), COLUMN_PX, option.rect.height())
        colours = dict(colours_of(option.palette))
        if selected:
            ink, beneath = option.palette.color(role).name(), option.palette.color(QPalette.ColorRole.Highlight).name()
            colours |= {**dict.fromkeys(("faint", "bad", "good", "muted", "accent", "text"), ink), "base": beneath}
        _draw_sign(painter, column, listed, colours)
        painter.restore()

    def _draw_picture(self, painter: QPainter, place: QRect, number: int, *, faded: bool) -> None:
        """The thumbnail on a white square, so that all names start at one place."""
        square = QRect(place.left() + MARGIN_PX, 0, THUMBNAIL_PX, THUMBNAIL_PX)
        square.moveTop(place.top() + (place.height() - THUMBNAIL_PX) // 2)
        painter.fillRect(square, QColor("#ffffff"))
        picture = self._rows.picture_at(number)
        if picture is not None:
            fitted = picture.size().scaled(square.size(), Qt.AspectRatioMode.KeepAspectRatio)
            target = QRect(square.topLeft(), fitted)
            target.moveCenter(square.center())
            painter.setOpacity(_FADED if faded else 1.0)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawPixmap(target, picture)
            painter.setOpacity(1.0)


def _draw_lines(painter: QPainter, place: QRect, texts: Sequence[str]) -> None:
    """The lines in the middle of the row, the first on two lines where it is long, each shortened where it must be."""
    metrics, width = painter.fontMetrics(), place.width()
    first, *others = texts
    lines = [first]
    if metrics.horizontalAdvance(first) > width:
        end = next((n for n in range(len(first), 0, -1) if metrics.horizontalAdvance(first[:n]) <= width), 1)
        lines = [first[:end], metrics.elidedText(first[end:], Qt.TextElideMode.ElideMiddle, width)]
    lines += [metrics.elidedText(line, Qt.TextElideMode.ElideRight, width) for line in others]
    height = metrics.lineSpacing()
    top = place.top() + (place.height() - height * len(lines)) // 2
    for number, line in enumerate(lines):
        painter.drawText(QRect(place.left(), top + number * height, width, height), Qt.AlignmentFlag.AlignVCenter, line)


def _draw_sign(painter: QPainter, column: QRect, listed: Row, colours: Mapping[str, str]) -> None:
    """A ring: not predicted; a disc: predicted; a tick or three dots, with a number: annotated, begun; '?', '!'.

    '?' is a slide unlike those that were learned from, '!' one whose file is gone.
    """
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    circle = QRectF(0, 0, SIGN_PX, SIGN_PX)
    circle.moveCenter(QRectF(column).center())
    state = listed.state
    if state is State.NEW:
        painter.setPen(QPen(QColor(colours["faint"]), 1.6))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(circle.adjusted(2, 2, -2, -2))
        return
    if state in (State.ANNOTATED, State.BEGUN):
        circle.translate(0, -SIGN_PX / 2)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colours[_COLOURS[state]]))
    painter.drawEllipse(circle.adjusted(3, 3, -3, -3) if state is State.PREDICTED else circle)
    painter.setPen(QPen(QColor(colours["base"]), 1.8))
    if state is State.ANNOTATED:
        x, y = circle.left(), circle.top()
        painter.drawPolyline([QPointF(x + 3.5, y + 7.2), QPointF(x + 6, y + 9.8), QPointF(x + 10.5, y + 4.4)])
        _draw_count(painter, column, circle, listed.annotated, colours["text"])
    elif state is State.BEGUN:
        for step in (-3.6, 0.0, 3.6):
            painter.drawPoint(circle.center() + QPointF(step, 0))
        _draw_count(painter, column, circle, listed.begun, colours["text"])
    elif state is not State.PREDICTED:
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        painter.drawText(circle, Qt.AlignmentFlag.AlignCenter, "!" if state is State.GONE else "?")


def _draw_count(painter: QPainter, column: QRect, sign: QRectF, count: int, colour: str) -> None:
    painter.setPen(QColor(colour))
    below = QRectF(column.left(), sign.bottom(), column.width(), SIGN_PX + 4)
    painter.drawText(below, Qt.AlignmentFlag.AlignCenter, str(count))


class SlideFilters(QWidget):
    """What the list is narrowed down to, and its order; `chosen` is emitted with the `Choice`."""

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.text = QLineEdit()
        self.text.setPlaceholderText(tr("Find: slide, label"))
        self.text.setClearButtonEnabled(True)
        self.state, self.order = NarrowBox(), NarrowBox()
        self.state.setAccessibleName(tr("Which slides are listed"))
        self.order.setAccessibleName(tr("Order of the slides"))
        self.state.addItem(tr("All slides"), "")
        for state, words in IN_WORDS.items():
            self.state.addItem(tr(words), state)
        self.state.addItem(tr("Without a label"), WITHOUT_LABEL)
        for order, words in ORDERS.items():
            self.order.addItem(tr(words), order)
        self.summary = label(role="muted", wrap=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.text)
        column.addLayout(row(self.state, self.order))
        column.addWidget(self.summary)
        self.text.textChanged.connect(self._on_changed)
        self.state.currentIndexChanged.connect(self._on_changed)
        self.order.currentIndexChanged.connect(self._on_changed)
        self.summary.setVisible(False)

    def choice(self) -> Choice:
        """What is chosen."""
        state, order = self.state.currentData(), self.order.currentData()
        return Choice(self.text.text().strip(), state or "", Order(order))

    def clear(self) -> None:
        """Show all slides again, in the order they were added."""
        self.text.clear()
        self.state.setCurrentIndex(0)
        self.order.setCurrentIndex(0)

    def show_counts(self, shown: int, total: int) -> None:
        """Say how many of all slides are listed, where not all are."""
        is_narrowed = bool(self.choice().text or self.choice().state)
        self.summary.setVisible(is_narrowed)
        if shown:
            words = tr_plural("{shown} of {count} slide", "{shown} of {count} slides", total, shown=shown)
        else:
            words = tr("No slide matches these filters.")
        self.summary.setText(words)
        self.setVisible(is_narrowed or total >= FEWEST_FILTERED)

    def _on_changed(self) -> None:
        self.chosen.emit(self.choice())
