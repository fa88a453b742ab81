"""A table of mask classes: key, colour and name, renamed in place. It emits what the user wants, shows the result."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QKeyEvent
from PySide6.QtWidgets import (
    QColorDialog,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from histoloop.annotations.class_names import spoken_class
from histoloop.annotations.palette import MAX_CLASSES
from histoloop.annotations.records import MaskClass
from histoloop.gui.kit.actions import CLASS_KEYS
from histoloop.gui.kit.widgets import button, label, plain_tip, scrolling, set_role, swatch
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS_SHOWN = 5
NAME_PX = 260


class ClassTable(QWidget):
    """One row is the current one: the one that was last clicked or typed in, which the buttons are about.

    `typed` comes with a row and its name at each change, `renamed` once the user is done with it; `recoloured` with a
    colour, `moved` with a row and where it goes, `removal_wanted` with a row; `row_wanted` when one more is to come.
    """

    typed = Signal(int, str)
    renamed = Signal(int, str)
    recoloured = Signal(int, str)
    moved = Signal(int, int)
    removal_wanted = Signal(int)
    row_wanted = Signal()

    def __init__(self, *extra: QPushButton) -> None:
        """`extra` buttons stand between moving and removing."""
        super().__init__()
        self.rows: list[ClassRow] = []
        self._current = -1
        self.may_change = True
        self.known = 0
        """So many rows were classes before: Return in one of them renames it, and does not ask for another one."""
        self.add = button(tr("Add a class"))
        self.up = button(tr("Move up"), tip=tr("The class gets the key of the one above it"))
        self.down = button(tr("Move down"), tip=tr("The class gets the key of the one below it"))
        self.remove = button(tr("Remove"))
        self.extra = extra
        self.add.clicked.connect(self.row_wanted)
        self.up.clicked.connect(lambda: self.moved.emit(self._current, self._current - 1))
        self.down.clicked.connect(lambda: self.moved.emit(self._current, self._current + 1))
        self.remove.clicked.connect(lambda: self.removal_wanted.emit(self._current))
        inside = QWidget()
        inside.setObjectName("panel")
        inside.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(6)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(2, 1)
        column = QVBoxLayout(inside)
        column.setContentsMargins(6, 6, 6, 6)
        column.addLayout(self._grid)
        column.addStretch(1)
        self.area = scrolling(inside)
        self.area.setObjectName("framed")
        self.area.setMinimumWidth(NAME_PX)
        self.area.setMinimumHeight(ROWS_SHOWN * (QLineEdit().sizeHint().height() + 4) + 16)
        buttons = QVBoxLayout()
        for each in (self.add, self.up, self.down, *extra, self.remove):
            buttons.addWidget(each)
        buttons.addStretch(1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.area, 1)
        layout.addLayout(buttons)
        self._show_current()

    # --- what is shown ------------------------------------------------------------------------------------------------

    def show_classes(self, classes: Sequence[MaskClass]) -> None:
        """Show classes in their order; what is typed in a row that stays stays where it says the same."""
        while len(self.rows) > len(classes):
            self.rows.pop().delete()
        while len(self.rows) < len(classes):
            self.rows.append(ClassRow(self, len(self.rows), self._grid))
        for shown, mask_class in zip(self.rows, classes, strict=True):
            shown.show_class(mask_class)
        self._set_tab_order()
        self.choose(min(self._current, len(classes) - 1))

    def classes(self) -> tuple[MaskClass, ...]:
        """The classes as they stand in the table now."""
        return tuple(shown.mask_class() for shown in self.rows)

    def set_may_change(self, may: bool) -> None:
        """Whether anything can be changed here."""
        self.may_change = may
        for shown in self.rows:
            shown.set_may_change(may)
        self._show_current()

    @property
    def current(self) -> int:
        """The row that the buttons are about; -1 where there is none."""
        return self._current

    def choose(self, number: int) -> None:
        """Make a row the current one."""
        self._current = number
        self._show_current()

    def finish(self) -> None:
        """Emit the names that were typed and not emitted yet."""
        for shown in self.rows:
            shown.finish()

    def edit(self, number: int) -> None:
        """Put the cursor into the name of a row, all of it selected."""
        self.choose(number)
        name = self.rows[number].name
        name.setFocus(Qt.FocusReason.OtherFocusReason)
        name.selectAll()
        self.area.ensureWidgetVisible(name)

    def _show_current(self) -> None:
        for number, shown in enumerate(self.rows):
            shown.set_current(number == self._current)
        there = 0 <= self._current < len(self.rows) and self.may_change
        self.add.setEnabled(self.may_change and len(self.rows) < MAX_CLASSES)
        self.add.setToolTip("" if len(self.rows) < MAX_CLASSES else _too_many())
        self.up.setEnabled(there and self._current > 0)
        self.down.setEnabled(there and self._current < len(self.rows) - 1)
        for each in (self.remove, *self.extra):
            each.setEnabled(there and len(self.rows) > 1)

    def _set_tab_order(self) -> None:
        order = [each for shown in self.rows for each in (shown.colour, shown.name)] + [self.add]
        for before, after in itertools.pairwise(order):
            QWidget.setTabOrder(before, after)

    # --- the keyboard in a name ---------------------------------------------------------------------------------------

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A name that is entered makes its row current; arrows go to other rows, Return to the next or a new one."""
        number = next((number for number, shown in enumerate(self.rows) if watched is shown.name), None)
        if number is None:
            return False
        if event.type() == QEvent.Type.FocusIn and number != self._current:
            self.choose(number)
        if event.type() != QEvent.Type.KeyPress:
            return False
        assert isinstance(event, QKeyEvent)
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_Return: 1, Qt.Key.Key_Enter: 1}.get(
            Qt.Key(event.key()), 0
        )
        if not step:
            return False
        self._go(number, step, adds=event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter))
        return True

    def _go(self, number: int, step: int, *, adds: bool) -> None:
        self.rows[number].finish()
        if 0 <= number + step < len(self.rows):
            self.edit(number + step)
        elif adds and number >= self.known and self.rows[number].name.text().strip() and self.add.isEnabled():
            self.row_wanted.emit()


class ClassRow:
    """The widgets of one class."""

    def __init__(self, table: ClassTable, number: int, grid: QGridLayout) -> None:
        self._table, self._number = table, number
        self._shown = MaskClass("", "#000000")
        self._emitted = ""  # until what comes of it is shown
        self.key = label(role="muted")
        self.key.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.key.setMinimumWidth(18)
        if number < CLASS_KEYS:
            self.key.setText(str(number + 1))
            self.key.setToolTip(tr("The key that selects this class while you paint"))
        self.colour = button("")
        self.colour.setObjectName("small")
        self.name = QLineEdit()
        self.name.setPlaceholderText(tr("Name of the class"))
        self.name.setAccessibleName(tr("Name of the class"))
        self.name.installEventFilter(table)
        self.name.textEdited.connect(self._on_typed)
        self.name.editingFinished.connect(self.finish)
        self.colour.clicked.connect(self._choose_colour)
        for place, widget in enumerate((self.key, self.colour, self.name)):
            grid.addWidget(widget, number, place)
            widget.show()  # at once, so that the cursor can be put into a new name
        self.set_may_change(table.may_change)

    def show_class(self, mask_class: MaskClass) -> None:
        """Show a class, its name in the language spoken."""
        self._shown, self._emitted = mask_class, ""
        if self.name.text() != spoken_class(mask_class.name):
            self.name.setText(spoken_class(mask_class.name))
            self.name.setCursorPosition(0)
        self.colour.setIcon(QIcon(swatch(mask_class.colour, 18)))
        self._show_tips()

    def mask_class(self) -> MaskClass:
        """The class as it stands here: a name that nobody changed is as it was, whatever language it is shown in."""
        typed = self.name.text().strip()
        name = self._shown.name if typed == spoken_class(self._shown.name) else typed
        return MaskClass(name, self._shown.colour)

    def finish(self) -> None:
        """Emit the name, where it was changed."""
        name = self.mask_class().name
        if name not in (self._shown.name, self._emitted):
            self._emitted = name
            self._table.renamed.emit(self._number, name)

    def keep_for_later(self) -> None:
        """The name that was emitted was not taken: emit it again when the user is done once more."""
        self._emitted = ""

    def set_current(self, current: bool) -> None:
        """Whether the buttons beside the table are about this row."""
        set_role(self.key, "chosen" if current else "muted")

    def set_may_change(self, may: bool) -> None:
        """Whether name and colour can be changed."""
        self.name.setReadOnly(not may)
        self.colour.setEnabled(may)

    def delete(self) -> None:
        """Take the row away."""
        for widget in (self.key, self.colour, self.name):
            widget.removeEventFilter(self._table)
            widget.blockSignals(True)
            widget.hide()  # at once: the deletion waits for the event loop
            widget.deleteLater()

    def _on_typed(self, text: str) -> None:
        self._show_tips()
        self._table.typed.emit(self._number, text)

    def _show_tips(self) -> None:
        name = self.name.text()
        self.name.setToolTip(plain_tip(name) if len(name) > 20 else "")
        self.colour.setToolTip(plain_tip(tr("Colour of {class_name}", class_name=name)))

    def _choose_colour(self) -> None:
        self._table.choose(self._number)
        title = tr("Colour of {class_name}", class_name=self.name.text())
        chosen = QColorDialog.getColor(QColor(self._shown.colour), self._table, title)
        if chosen.isValid():
            self._table.recoloured.emit(self._number, chosen.name())


def _too_many() -> str:
    return tr("A project has at most {count} classes.", count=MAX_CLASSES)
