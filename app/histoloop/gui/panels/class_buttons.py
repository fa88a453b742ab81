"""The classes to paint with: a button each, with its colour and its key; as many as there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPalette, QPen
from PySide6.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QStyleOptionButton,
    QStylePainter,
    QVBoxLayout,
    QWidget,
)

from histoloop.annotations.class_names import spoken_class, spoken_title
from histoloop.gui.kit.actions import CLASS_KEYS
from histoloop.gui.kit.widgets import menu_text, plain_tip, scrolling, swatch, visible_name
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from PySide6.QtGui import QPaintEvent

    from histoloop.annotations.records import MaskClass

COLUMNS = 2
ROWS_SHOWN = 6
"""More rows scroll."""
SPACING_PX = 6
_PADDING_PX, _KEY_PX, _MIN_PX = 12, 12, 72


class ClassButtons(QWidget):
    """`chosen` emits the mask value of the class that the user takes to paint with."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._group = QButtonGroup(self)
        self._group.idClicked.connect(self.chosen)
        inside = QWidget()
        inside.setObjectName("panel")
        inside.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._grid = QGridLayout(inside)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(SPACING_PX)
        for place in range(COLUMNS):
            self._grid.setColumnStretch(place, 1)
        self.area: QScrollArea = scrolling(inside)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.area)

    def show_classes(self, classes: Sequence[MaskClass]) -> None:
        """One button for each class; the i-th has the mask value i + 1."""
        for old in self._group.buttons():
            self._group.removeButton(old)
            self._grid.removeWidget(old)
            old.hide()  # at once: the deletion waits for the event loop
            old.deleteLater()
        for value, mask_class in enumerate(classes, start=1):
            made = ClassButton(mask_class, key=str(value) if value <= CLASS_KEYS else "")
            self._group.addButton(made, value)
            self._grid.addWidget(made, (value - 1) // COLUMNS, (value - 1) % COLUMNS)
        rows = -(-len(classes) // COLUMNS)
        height = max((made.sizeHint().height() for made in self._group.buttons()), default=0)
        shown = min(rows, ROWS_SHOWN) * (height + SPACING_PX) - SPACING_PX
        self.area.setFixedHeight(shown + (height // 2 if rows > ROWS_SHOWN else 0))

    @property
    def value(self) -> int:
        """The mask value of the class in hand; 0 while there is none."""
        return max(0, self._group.checkedId())

    @property
    def count(self) -> int:
        """How many classes there are."""
        return len(self._group.buttons())

    def button(self, value: int) -> ClassButton | None:
        """The button of a mask value."""
        found = self._group.button(value)
        return found if isinstance(found, ClassButton) else None

    def show_locked(self, values: Collection[int]) -> None:
        """Mark the classes that nothing overpaints."""
        for value in range(1, self.count + 1):
            if (found := self.button(value)) is not None:
                found.show_locked(value in values)

    def choose_none(self) -> None:
        """Let no class be the one in hand."""
        self._group.setExclusive(False)
        for each in self._group.buttons():
            each.setChecked(False)
        self._group.setExclusive(True)

    def choose(self, value: int) -> bool:
        """Take a class to paint with, and bring its button into sight; whether there is such a class."""
        found = self.button(value)
        if found is None:
            return False
        found.setChecked(True)
        self.area.ensureWidgetVisible(found, 0, SPACING_PX)
        return True


class ClassButton(QPushButton):
    """Colour and name of a class from the left, shortened in the middle where room is lacking; its key at the right."""

    def __init__(self, mask_class: MaskClass, *, key: str) -> None:
        super().__init__()
        self._name, self.key = visible_name(spoken_title(mask_class.name)), key
        self._is_locked = False
        self.setText(menu_text(spoken_title(mask_class.name)))
        self.setAccessibleName(self._name)
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setIcon(QIcon(swatch(mask_class.colour)))
        name = spoken_class(mask_class.name)
        tip = tr("Paint {name} (key {key}, next class: C)", name=name, key=key)
        self.setToolTip(plain_tip(tip if key else tr("Paint {name} (next class: C)", name=name)))

    def show_locked(self, locked: bool) -> None:
        """Whether nothing overpaints the class: a padlock lies on its colour, and a screen reader says so."""
        self._is_locked = locked
        self.setAccessibleName(tr("{name}, locked", name=self._name) if locked else self._name)
        self.update()

    def sizeHint(self) -> QSize:
        """As wide as the name wants, however little there is room for."""
        self.ensurePolished()
        return QSize(self.fontMetrics().horizontalAdvance(self._name) + 60, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """Wide enough for the colour and a few letters."""
        return QSize(_MIN_PX, super().minimumSizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        """The frame as the style draws it, then colour, name and key."""
        option = QStyleOptionButton()
        self.initStyleOption(option)
        painter = QStylePainter(self)
        painter.drawControl(QStyle.ControlElement.CE_PushButtonBevel, option)
        inside = self.rect().adjusted(_PADDING_PX, 0, -_PADDING_PX, 0)
        side = swatch_side(self)
        square = inside.adjusted(0, (inside.height() - side) // 2, 0, 0)
        square.setSize(QSize(side, side))
        self.icon().paint(painter, square)
        if self._is_locked:
            _draw_padlock(painter, square)
        text = inside.adjusted(side + 7, 0, -_KEY_PX if self.key else 0, 0)
        shown = self.fontMetrics().elidedText(self._name, Qt.TextElideMode.ElideMiddle, text.width())
        painter.setPen(self.palette().color(QPalette.ColorRole.ButtonText))
        painter.drawText(text, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, shown)
        painter.setPen(self.palette().color(QPalette.ColorRole.PlaceholderText))
        painter.drawText(inside, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, self.key)
        painter.end()


def _draw_padlock(painter: QPainter, square: QRect) -> None:
    """A padlock that is seen on every colour."""
    unit = square.width() / 14
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(square.topLeft())
    painter.scale(unit, unit)
    painter.setPen(QPen(QColor("#ffffff"), 3.4))
    painter.drawArc(QRectF(4.5, 2.5, 5, 7), 0, 180 * 16)
    painter.setPen(QPen(QColor("#17242e"), 1.6))
    painter.drawArc(QRectF(4.5, 2.5, 5, 7), 0, 180 * 16)
    painter.setPen(QPen(QColor("#ffffff"), 1))
    painter.setBrush(QColor("#17242e"))
    painter.drawRect(QRectF(3, 6, 8, 6))
    painter.restore()


def swatch_side(widget: QWidget) -> int:
    """The side of a square of colour beside the text of a widget."""
    return min(14, widget.fontMetrics().height())
