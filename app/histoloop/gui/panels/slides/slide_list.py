"""How the list of slides looks: rows of one height with a column of signs, below headings that fold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import (
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPalette, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from histoloop.gui.kit.theme import colours_of
from histoloop.gui.panels.slides.slide_row import Heading, Row, State
from histoloop.store.records import SlideFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histoloop.gui.panels.slides.slide_rows import SlideRows

THUMBNAIL_PX = 64
MARGIN_PX = 4
SIGN_PX = 14
COLUMN_PX = 26
LINES = 4
LOWEST_PX = 144

_COLOURS = {
    State.GONE: "bad",
    State.DIFFERS: "bad",
    State.BEGUN: "accent",
    State.REVIEWED: "good",
    State.ANNOTATED: "good",
    State.UNLIKE: "muted",
    State.PREDICTED: "accent",
}
_SIGN_LINES: Mapping[State, Sequence[Sequence[tuple[float, float]]]] = {
    State.DIFFERS: (((4, 5.2), (10, 5.2)), ((4, 8.8), (10, 8.8)), ((9, 3.4), (5, 10.6))),
    State.REVIEWED: (((2, 7.4), (4, 9.6), (8, 4.6)), ((6, 8.6), (7, 9.6), (11.4, 4.6))),
    State.ANNOTATED: (((3.5, 7.2), (6, 9.8), (10.5, 4.4)),),
}
"""Lines of signs, in pixels from the corner of the disc."""
_FADED = 0.3
_AT_END = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
_FOLDING = (Qt.Key.Key_Left, Qt.Key.Key_Right)
_TOGGLING = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)
_Index = QModelIndex | QPersistentModelIndex


class SlideList(QListView):
    """Asks its model for the rows in sight alone.

    A click on a heading, or Return or Space, folds it or shows its slides again, as Left and Right do; Left goes from a
    slide to its heading. With Ctrl all headings do. `fold_requested` is emitted with the key of the heading (None: all)
    and whether its slides are to be hidden.
    """

    fold_requested = Signal(object, bool)

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
        self._on_heading = False
        """Whether the mouse was pressed on one."""

    def minimumSizeHint(self) -> QSize:
        """Two rows are always seen, whatever else the panel shows."""
        return QSize(0, LOWEST_PX)

    def sizeHint(self) -> QSize:
        """No more than that, so that what stands below is seen whole first."""
        return QSize(super().sizeHint().width(), LOWEST_PX)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The slide in hand stays in sight."""
        super().resizeEvent(event)
        if self.currentIndex().isValid():
            self.scrollTo(self.currentIndex())

    def set_grouped(self, grouped: bool) -> None:
        """Whether there are headings, which are lower than slides."""
        self.setUniformItemSizes(not grouped)

    def count(self) -> int:
        """How many rows there are now, headings too."""
        return self._rows.rowCount()

    def texts(self) -> list[str]:
        """The lines of each row, from the top."""
        return [self._rows.text_at(place) for place in range(self.count())]

    def selectionCommand(self, index: _Index, event: QEvent | None = None) -> QItemSelectionModel.SelectionFlag:
        """A heading leaves what is selected as it is."""
        if index.isValid() and self._heading(index) is not None:
            return QItemSelectionModel.SelectionFlag.NoUpdate
        return super().selectionCommand(index, event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Fold a heading that is clicked."""
        index = self.indexAt(event.position().toPoint())
        heading = self._heading(index) if index.isValid() else None
        self._on_heading = heading is not None
        if heading is None:
            super().mousePressEvent(event)
        elif event.button() is Qt.MouseButton.LeftButton:
            self._go(index.row(), QItemSelectionModel.SelectionFlag.NoUpdate)
            self._ask_to_fold(heading, not heading.folded, event.modifiers())

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Two clicks on a heading are two."""
        index = self.indexAt(event.position().toPoint())
        if index.isValid() and self._heading(index) is not None:
            self.mousePressEvent(event)
        else:
            super().mouseDoubleClickEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """A drag that began on a heading selects nothing."""
        if not self._on_heading:
            super().mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Nor does letting go."""
        if not self._on_heading:
            super().mouseReleaseEvent(event)
        self._on_heading = False

    def event(self, event: QEvent) -> bool:
        """What a heading does with a key comes before what the window's menus do with it."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            heading = self._heading(self.currentIndex()) if self.currentIndex().isValid() else None
            if heading is not None and event.key() in (*_FOLDING, *_TOGGLING):
                event.accept()
                return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Fold and unfold, and go between a heading and its slides."""
        index = self.currentIndex()
        above = self._rows.heading_of(index.row()) if index.isValid() else None
        if above is None or event.key() not in (*_FOLDING, *_TOGGLING):
            super().keyPressEvent(event)
            return
        heading, key = self._heading(index), event.key()
        if heading is None:
            if key == Qt.Key.Key_Left:
                self._go(above, QItemSelectionModel.SelectionFlag.NoUpdate)
            elif key in _TOGGLING:
                super().keyPressEvent(event)
        elif key in _TOGGLING:
            self._ask_to_fold(heading, not heading.folded, event.modifiers())
        elif (key == Qt.Key.Key_Left) != heading.folded:
            self._ask_to_fold(heading, key == Qt.Key.Key_Left, event.modifiers())
        elif key == Qt.Key.Key_Right:
            self._go(above + 1, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def _go(self, place: int, how: QItemSelectionModel.SelectionFlag) -> None:
        self.selectionModel().setCurrentIndex(self._rows.index(place, 0), how)

    def _ask_to_fold(self, heading: Heading, folded: bool, modifiers: Qt.KeyboardModifier) -> None:
        of_all = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
        self.fold_requested.emit(None if of_all else heading.key, folded)

    def _heading(self, index: _Index) -> Heading | None:
        entry = self._rows.entry_at(index.row())
        return entry if isinstance(entry, Heading) else None


class _RowPainter(QStyledItemDelegate):
    """Thumbnail, lines, and at the end of the row a sign for where the slide stands."""

    def __init__(self, rows: SlideRows, parent: QWidget) -> None:
        super().__init__(parent)
        self._rows = rows

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        """All slides are alike, so that none has to be made to know where another is; headings are lower."""
        line = option.fontMetrics.lineSpacing()
        if isinstance(self._rows.entry_at(index.row()), Heading):
            return QSize(THUMBNAIL_PX + COLUMN_PX, line + 2 * MARGIN_PX)
        return QSize(THUMBNAIL_PX + COLUMN_PX, max(THUMBNAIL_PX, LINES * line) + MARGIN_PX)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        """Draw a row."""
        listed = self._rows.entry_at(index.row())
        if isinstance(listed, Heading):
            _draw_heading(painter, option, listed)
            return
        self.initStyleOption(option, index)
        style, lines = option.widget.style(), self._rows.text_at(index.row()).split("\n")
        option.text = ""
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, option.widget)
        painter.save()
        self._draw_picture(painter, option.rect, listed)
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

    def _draw_picture(self, painter: QPainter, place: QRect, listed: Row) -> None:
        """The thumbnail on a white square, so that all names start at one place."""
        square = QRect(place.left() + MARGIN_PX, 0, THUMBNAIL_PX, THUMBNAIL_PX)
        square.moveTop(place.top() + (place.height() - THUMBNAIL_PX) // 2)
        painter.fillRect(square, QColor("#ffffff"))
        picture = self._rows.picture_of(listed.slide.id)
        if picture is not None:
            fitted = picture.size().scaled(square.size(), Qt.AspectRatioMode.KeepAspectRatio)
            target = QRect(square.topLeft(), fitted)
            target.moveCenter(square.center())
            painter.setOpacity(1.0 if listed.file is SlideFile.IN_PLACE else _FADED)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawPixmap(target, picture)
            painter.setOpacity(1.0)


def _draw_heading(painter: QPainter, option: QStyleOptionViewItem, heading: Heading) -> None:
    """A band with a triangle, which points down while the slides are shown, the title, and how many slides it has."""
    painter.save()
    place, colours = option.rect, colours_of(option.palette)
    painter.fillRect(place, option.palette.color(QPalette.ColorRole.AlternateBase))
    middle = QPointF(place.left() + 10, place.center().y() + 0.5)
    corners = ((-3, -4.5), (4, 0), (-3, 4.5)) if heading.folded else ((-4.5, -3), (4.5, -3), (0, 4))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colours["muted"]))
    painter.drawPolygon([middle + QPointF(x, y) for x, y in corners])
    font = option.font
    font.setBold(True)
    painter.setFont(font)
    painter.setPen(QColor(colours["muted"]))
    count = str(heading.count)
    painter.drawText(place.adjusted(0, 0, -8, 0), _AT_END, count)
    painter.setPen(option.palette.color(QPalette.ColorRole.Text))
    title = place.adjusted(22, 0, -16 - painter.fontMetrics().horizontalAdvance(count), 0)
    text = painter.fontMetrics().elidedText(heading.title, Qt.TextElideMode.ElideMiddle, title.width())
    painter.drawText(title, Qt.AlignmentFlag.AlignVCenter, text)
    if option.state & QStyle.StateFlag.State_HasFocus:
        painter.setPen(QPen(QColor(colours["accent"]), 1.6))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(QRectF(place).adjusted(1, 1, -1, -1))
    painter.restore()


def _draw_lines(painter: QPainter, place: QRect, texts: Sequence[str]) -> None:
    """The lines in the middle of the row, the first on two lines where it is long; a percentage at an end stays."""
    metrics, width = painter.fontMetrics(), place.width()
    first, *others = texts
    lines = [first]
    if metrics.horizontalAdvance(first) > width:
        end = next((n for n in range(len(first), 0, -1) if metrics.horizontalAdvance(first[:n]) <= width), 1)
        lines = [first[:end], metrics.elidedText(first[end:], Qt.TextElideMode.ElideMiddle, width)]
    for line in others:
        mode = Qt.TextElideMode.ElideMiddle if line.endswith("%") else Qt.TextElideMode.ElideRight
        lines.append(metrics.elidedText(line, mode, width))
    height = metrics.lineSpacing()
    top = place.top() + (place.height() - height * len(lines)) // 2
    for number, line in enumerate(lines):
        painter.drawText(QRect(place.left(), top + number * height, width, height), Qt.AlignmentFlag.AlignVCenter, line)


def _draw_sign(painter: QPainter, column: QRect, listed: Row, colours: Mapping[str, str]) -> None:
    """A ring: not predicted; a disc: predicted; with a number below: a tick, two, dots, an unequal sign; '?', '!'.

    A tick is annotated, two are reviewed, three dots begun; at the unequal sign two readers differ. '?' is a slide
    unlike those that were learned from, '!' one whose file is gone.
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
    count = _counted(listed)
    if count:
        circle.translate(0, -SIGN_PX / 2)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colours[_COLOURS[state]]))
    painter.drawEllipse(circle.adjusted(3, 3, -3, -3) if state is State.PREDICTED else circle)
    painter.setPen(QPen(QColor(colours["base"]), 1.8))
    for line in _SIGN_LINES.get(state, ()):
        painter.drawPolyline([circle.topLeft() + QPointF(x, y) for x, y in line])
    if state is State.BEGUN:
        for step in (-3.6, 0.0, 3.6):
            painter.drawPoint(circle.center() + QPointF(step, 0))
    elif state in (State.GONE, State.UNLIKE):
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        painter.drawText(circle, Qt.AlignmentFlag.AlignCenter, "!" if state is State.GONE else "?")
    if count:
        _draw_count(painter, column, circle, count, colours["text"])


def _counted(listed: Row) -> int:
    """The number below the sign; 0: none."""
    counts = {
        State.DIFFERS: listed.review.differs,
        State.BEGUN: listed.begun,
        State.REVIEWED: listed.annotated,
        State.ANNOTATED: listed.annotated,
    }
    return counts.get(listed.state, 0)


def _draw_count(painter: QPainter, column: QRect, sign: QRectF, count: int, colour: str) -> None:
    painter.setPen(QColor(colour))
    below = QRectF(column.left(), sign.bottom(), column.width(), SIGN_PX + 4)
    painter.drawText(below, Qt.AlignmentFlag.AlignCenter, str(count))
