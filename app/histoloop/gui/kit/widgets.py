"""Small pieces that several panels are made of."""

from __future__ import annotations

import html
import unicodedata
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QAction, QIcon, QImage, QImageReader, QPixmap
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from histoloop.gui.kit.long_words import NARROWEST_PX, with_fitting_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PySide6.QtGui import QPaintEvent, QResizeEvent

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_HARMLESS = frozenset("\n\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}")
_STAND_IN = "\N{REPLACEMENT CHARACTER}"
MARGIN_PX = 12
MAX_PICTURE_PX = 4096
WIDEST_PX = 270
"""No panel asks for more width, so that three of them fit into 800 pixels."""
NARROW_CHARACTERS = 6


class Panel(QWidget):
    """A column with the margins all panels share."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(MARGIN_PX, MARGIN_PX, MARGIN_PX, MARGIN_PX)
        self.column.setSpacing(8)


def label(text: str = "", *, role: str = "", wrap: bool = False) -> QLabel:
    """A text, never read as markup; `role` is a name of the style sheet: heading, title, muted, figure, good, bad."""
    made = _Text()
    made.setText(text)
    made.setObjectName(role)
    made.setWordWrap(wrap)
    return made


class _Text(QLabel):
    """A label that shows what it is given, as it is.

    Where it wraps, a word that is wider than the label is shortened, and does not make the panel wider; `text` and the
    tip have it whole.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self._whole, self._own_tip = "", ""

    def setText(self, text: str) -> None:
        self._whole = visible_text(text) if self.textFormat() is Qt.TextFormat.PlainText else text
        super().setText(self._whole)
        self._shorten()

    def text(self) -> str:
        return self._whole

    def minimumSizeHint(self) -> QSize:
        hint = super().minimumSizeHint()
        return QSize(min(hint.width(), NARROWEST_PX), hint.height()) if self.wordWrap() else hint

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._shorten()

    def _shorten(self) -> None:
        if not self.wordWrap() or self.textFormat() is not Qt.TextFormat.PlainText:
            return
        shown = with_fitting_words(self._whole, self.fontMetrics(), self.contentsRect().width())
        if shown != super().text():
            super().setText(shown)
        tip = plain_tip(self._whole) if shown != self._whole else ""
        if self.toolTip() == self._own_tip != tip:
            self._own_tip = tip
            self.setToolTip(tip)


def visible_text(text: str) -> str:
    """A text with a sign in place of each control character and mark of direction, which would change what is read."""
    return "".join(_STAND_IN if _is_hidden(sign) else sign for sign in text)


def visible_name(name: str) -> str:
    """A name on one line, as `visible_text`."""
    return visible_text(name.replace("\n", _STAND_IN))


def menu_text(name: str) -> str:
    """A name as the text of a menu entry or button: its & is no key, and its tab separates no shortcut."""
    return visible_name(name).replace("&", "&&")


def plain_tip(text: str) -> str:
    """A text as a tip: what looks like markup in it is shown as it is."""
    shown = visible_text(text)
    if "<" not in shown and "&" not in shown:
        return shown
    return f"<qt>{html.escape(shown).replace(chr(10), '<br>')}</qt>"


def _is_hidden(sign: str) -> bool:
    return sign not in _HARMLESS and unicodedata.category(sign) in _HIDDEN


def set_role(widget: QWidget, role: str) -> None:
    """Change how a widget is styled."""
    widget.setObjectName(role)
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def button(text: str, *, primary: bool = False, tip: str = "") -> QPushButton:
    """A push button; the primary one is what the user most likely wants next."""
    made = QPushButton(text)
    made.setObjectName("primary" if primary else "")
    made.setToolTip(tip)
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return made


def action_button(action: QAction, *, text: str = "", primary: bool = False, icon_only: bool = False) -> QPushButton:
    """A push button that follows an action: enabled, checked, icon, tip."""
    made = button(text or action.text().replace("&", "").rstrip("…"), primary=primary)
    made.setCheckable(action.isCheckable())

    def follow() -> None:
        made.setEnabled(action.isEnabled())
        made.setToolTip(action.toolTip())
        if action.isCheckable():
            made.setChecked(action.isChecked())
        if icon_only:
            made.setText("")
            made.setAccessibleName(action.text().replace("&", "").rstrip("…"))
            made.setIcon(action.icon())

    def press() -> None:
        action.trigger()
        follow()

    action.changed.connect(follow)
    made.clicked.connect(press)
    follow()
    return made


class Switch(QWidget):
    """Buttons beside each other of which at most one is down; `chosen` emits the one the user pressed."""

    chosen = Signal(int)

    def __init__(self, entries: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self.buttons = []
        for index, (text, tip) in enumerate(entries):
            made = button(text, tip=tip)
            made.setObjectName("segment")
            made.setCheckable(True)
            made.clicked.connect(lambda _on=False, index=index: self._press(index))
            layout.addWidget(made, 8 + len(text))
            self.buttons.append(made)

    def take(self, chosen: int | None) -> None:
        """Put one button down, the others up."""
        for index, made in enumerate(self.buttons):
            made.setChecked(index == chosen)

    def _press(self, index: int) -> None:
        self.take(index)
        self.chosen.emit(index)


class Fold(QWidget):
    """A title that shows and hides what is below it; folded at first."""

    def __init__(self, content: QWidget, *, title: str = "") -> None:
        super().__init__()
        self.head = QToolButton()
        self.head.setObjectName("fold")
        self.head.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.head.setCheckable(True)
        self.head.toggled.connect(self._on_toggled)
        self.content = content
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.head)
        column.addWidget(content)
        self.set_title(title)
        self._on_toggled(False)

    def set_title(self, title: str) -> None:
        """The text of the head."""
        self.head.setText(title)

    def _on_toggled(self, on: bool) -> None:
        self.content.setVisible(on)
        self.head.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow)


class NarrowBox(QComboBox):
    """A box that may be narrower than its longest entry, which its list shows in full."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(NARROW_CHARACTERS)
        self.view().setTextElideMode(Qt.TextElideMode.ElideRight)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Shorten the text where it does not fit; a style sheet alone would cut it off."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        part = QStyle.SubControl.SC_ComboBoxEditField
        room = self.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, part, self)
        option.currentText = self.fontMetrics().elidedText(
            self.currentText(), Qt.TextElideMode.ElideRight, room.width() - 4
        )
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.end()


class NarrowCheck(QCheckBox):
    """A box with a name that is shortened where there is no room for it; its tip then has it whole."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = visible_name(name)
        self.setAccessibleName(self._name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setText(menu_text(self._name))

    def minimumSizeHint(self) -> QSize:
        """Wide enough for the box and a few letters."""
        return QSize(NARROW_CHARACTERS * self.fontMetrics().averageCharWidth() + 24, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        """As wide as there is room, no more than the name needs."""
        return QSize(self.fontMetrics().horizontalAdvance(self._name) + 28, super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Shorten the name to the room there is."""
        super().resizeEvent(event)
        shown = self.fontMetrics().elidedText(self._name, Qt.TextElideMode.ElideRight, self.width() - 26)
        self.setText(menu_text(shown))
        self.setToolTip(plain_tip(self._name) if shown != self._name else "")


def row(*widgets: QWidget, stretch: int | None = None) -> QHBoxLayout:
    """Widgets beside each other; `stretch` is the index of the one that takes the room."""
    made = QHBoxLayout()
    made.setSpacing(6)
    for index, widget in enumerate(widgets):
        made.addWidget(widget, 1 if index == stretch else 0)
    return made


def slider(minimum: int, maximum: int, value: int) -> QSlider:
    """A horizontal slider."""
    made = QSlider(Qt.Orientation.Horizontal)
    made.setRange(minimum, maximum)
    made.setValue(value)
    return made


def leave_wheel_to_panel(widget: QWidget) -> None:
    """Let the wheel scroll the panel around a widget instead of changing the widget's value unasked."""
    widget.installEventFilter(_WheelPasser(widget))


class _WheelPasser(QObject):
    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Wheel:
            event.ignore()
            return True
        return False


def line() -> QFrame:
    """A thin line between parts."""
    made = QFrame()
    made.setObjectName("line")
    made.setFixedHeight(1)
    return made


class UpAndDown(QScrollArea):
    """Scrolls up and down, and sideways where what is in it wants more than `WIDEST_PX`."""

    def minimumSizeHint(self) -> QSize:
        """As wide as what is in it with the bar beside it."""
        hint, inside = super().minimumSizeHint(), self.widget()
        bar = self.verticalScrollBar().sizeHint().width()
        return hint if inside is None else QSize(min(WIDEST_PX, inside.minimumSizeHint().width()) + bar, hint.height())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """What is in it may want another width."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)


def scrolling(widget: QWidget) -> QScrollArea:
    """A panel that scrolls when the window is low, and is as wide as what is in it, where that is not very wide."""
    made = UpAndDown()
    made.setWidgetResizable(True)
    made.setWidget(widget)
    return made


def picture_of(file: Path) -> QPixmap:
    """A picture that the program made (PNG); empty where it is missing, too large, or anything else."""
    return QPixmap.fromImage(image_of(file))


def image_of(file: Path) -> QImage:
    """As `picture_of`, on any thread."""
    if not file.is_file():
        return QImage()
    reader = QImageReader(str(file), QByteArray(b"png"))
    reader.setAutoDetectImageFormat(False)
    size = reader.size()
    if not size.isValid() or max(size.width(), size.height()) > MAX_PICTURE_PX:
        return QImage()
    return reader.read()


def plain_icon(picture: QPixmap) -> QIcon:
    """A picture that is not tinted when its entry is selected."""
    made = QIcon(picture)
    made.addPixmap(picture, QIcon.Mode.Selected)
    return made


def swatch(colour: str, side_px: int = 14) -> QPixmap:
    """A square of a class's colour."""
    made = QPixmap(side_px, side_px)
    made.fill(colour)
    return made
