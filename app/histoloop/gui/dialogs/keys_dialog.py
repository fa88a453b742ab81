"""All keys of the program on one page, with a line to search in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
)

from histoloop.gui.kit.actions import ActionSpec
from histoloop.gui.kit.widgets import label
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PySide6.QtWidgets import QWidget

    from histoloop.gui.kit.actions import Row

SIZE_PX = (620, 640)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What keys do, in the language spoken: `where` is a menu or a part of the window, `tip` more about it."""

    where: str
    what: str
    keys: str
    tip: str = ""

    def has(self, words: Sequence[str]) -> bool:
        """Whether all words are in it, in any case."""
        text = f"{self.where} {self.what} {self.keys} {self.tip}".casefold()
        return all(word.casefold() in text for word in words)


def key_rows(menus: Mapping[str, Sequence[Row[Any]]]) -> list[KeyRow]:
    """What the keys do: those of the menus in their order, then those that are in no menu."""
    found = [
        KeyRow(tr(title).replace("&", ""), spec.plain, spec.keys, tr(spec.tip))
        for title, rows in menus.items()
        for spec in rows
        if isinstance(spec, ActionSpec) and spec.shortcut
    ]
    slide, region = tr("On the slide"), tr("While painting")
    arrows = " ".join(map(_native, ("Left", "Up", "Right", "Down")))
    shift = _native("Shift+Left").replace(_native("Left"), "")
    return [
        *found,
        KeyRow(slide, tr("Move the slide"), arrows),
        KeyRow(slide, tr("Move the slide by half the view"), " ".join(shift + one for one in arrows.split())),
        KeyRow(slide, tr("Go to the next part of the window, or back"), f"{_native('Tab')} {_native('Shift+Tab')}"),
        KeyRow(region, tr("Choose the class to paint with"), "1 … 9"),
        KeyRow(region, tr("Move the slide with the mouse, while held"), _native("Space")),
        KeyRow(region, tr("Drop the polygon, lasso or wand that was begun"), _native("Esc")),
        KeyRow(tr("List of slides"), tr("Set the label of the selected slides; 0 clears it"), "Alt+1 … 9, Alt+0"),
    ]


class KeysDialog(QDialog):
    """The keys in a list; what is typed leaves those that have all its words in them."""

    def __init__(self, parent: QWidget | None, menus: Mapping[str, Sequence[Row[Any]]]) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Keyboard shortcuts"))
        self.resize(*SIZE_PX)
        self._rows = key_rows(menus)
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Search for an action or a key"))
        self.search.setAccessibleName(tr("Search"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._filter)
        self.list = QTreeWidget()
        self.list.setAccessibleName(tr("Keyboard shortcuts"))
        self.list.setHeaderLabels([tr("What it does"), tr("Keys")])
        self.list.setRootIsDecorated(False)
        self.list.setAlternatingRowColors(True)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._fill()
        self.none = label(tr("No key matches."), role="muted")
        self.none.setVisible(False)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        for part in (self.search, self.list, self.none, buttons):
            column.addWidget(part)
        self.search.setFocus()

    def shown(self) -> list[str]:
        """What the keys do that are shown."""
        return [row.what for row, item in self._items if not item.isHidden()]

    def _fill(self) -> None:
        groups: dict[str, QTreeWidgetItem] = {}
        self._items: list[tuple[KeyRow, QTreeWidgetItem]] = []
        for row in self._rows:
            if row.where not in groups:
                groups[row.where] = QTreeWidgetItem(self.list, [row.where])
                groups[row.where].setFlags(Qt.ItemFlag.ItemIsEnabled)
                font = groups[row.where].font(0)
                font.setBold(True)
                groups[row.where].setFont(0, font)
            item = QTreeWidgetItem(groups[row.where], [row.what, row.keys])
            item.setToolTip(0, row.tip or row.what)
            self._items.append((row, item))
        self._groups = groups
        self.list.expandAll()
        self.list.resizeColumnToContents(1)
        self.list.header().setStretchLastSection(False)
        self.list.setColumnWidth(0, SIZE_PX[0] - 210)
        self.list.header().setStretchLastSection(True)

    def _filter(self, text: str) -> None:
        words = text.split()
        for row, item in self._items:
            item.setHidden(not row.has(words))
        there = {row.where for row, item in self._items if not item.isHidden()}
        for where, group in self._groups.items():
            group.setHidden(where not in there)
        self.none.setVisible(not self.shown())


def _native(keys: str) -> str:
    """Keys as the system writes them in the language spoken."""
    return QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)
