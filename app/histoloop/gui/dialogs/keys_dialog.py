"""All keys of the program on one page, with a line to search in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
)

from histoloop.gui.kit.actions import ActionSpec, actions_in
from histoloop.gui.kit.key_presets import KEY_PRESETS, PRESET_NAMES, QUPATH, key_in
from histoloop.gui.kit.widgets import label, row
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PySide6.QtWidgets import QWidget

    from histoloop.gui.kit.actions import Row

SIZE_PX = (720, 640)
KEYS_PX = 170


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What keys do, in the language spoken: `where` is a menu or a part of the window, `tip` more about it."""

    where: str
    what: str
    keys: str
    tip: str = ""
    others: tuple[str, ...] = ()
    """The keys in each of `KEY_PRESETS`; empty where all have the same."""

    def in_preset(self, preset: str) -> str:
        """The keys in a preset."""
        return self.others[list(KEY_PRESETS).index(preset)] if self.others else self.keys

    def has(self, words: Sequence[str]) -> bool:
        """Whether all words are in it, in any case."""
        text = " ".join((self.where, self.what, self.keys, self.tip, *self.others)).casefold()
        return all(word.casefold() in text for word in words)


def key_rows(menus: Mapping[str, Sequence[Row[Any]]]) -> list[KeyRow]:
    """What the keys do: those of the menus in their order, then those that are in no menu."""
    found = [
        KeyRow(tr(title).replace("&", ""), spec.plain, spec.keys, tr(spec.tip), _in_presets(spec))
        for title, rows in menus.items()
        for spec in actions_in(rows)
        if spec.shortcut
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
    """The keys in a list, those of each preset in a column; what is typed leaves those that have all its words in them.

    `preset_chosen` is emitted with the preset whose keys are wanted.
    """

    preset_chosen = Signal(str)

    def __init__(
        self, parent: QWidget | None, menus: Mapping[str, Sequence[Row[Any]]], *, preset: str = QUPATH
    ) -> None:
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
        names = [tr("Keys of {program}", program=PRESET_NAMES[each]) for each in KEY_PRESETS]
        self.list.setHeaderLabels([tr("What it does"), *names])
        self.list.setRootIsDecorated(False)
        self.list.setAlternatingRowColors(True)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.preset = QComboBox()
        self.preset.setAccessibleName(tr("Keys in use"))
        for each, name in zip(KEY_PRESETS, names, strict=True):
            self.preset.addItem(name, each)
        self.preset.setCurrentIndex(self.preset.findData(preset))
        self.preset.currentIndexChanged.connect(self._choose)
        self._fill()
        self._choose()
        self.none = label(tr("No key matches."), role="muted")
        self.none.setVisible(False)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addLayout(row(label(tr("Keys in use"), role="muted"), self.preset))
        for part in (self.search, self.list, self.none, buttons):
            column.addWidget(part)
        self.search.setFocus()

    def shown(self) -> list[str]:
        """What the keys do that are shown."""
        return [each.what for each, item in self._items if not item.isHidden()]

    def _fill(self) -> None:
        groups: dict[str, QTreeWidgetItem] = {}
        self._items: list[tuple[KeyRow, QTreeWidgetItem]] = []
        for each in self._rows:
            if each.where not in groups:
                groups[each.where] = QTreeWidgetItem(self.list, [each.where])
                groups[each.where].setFlags(Qt.ItemFlag.ItemIsEnabled)
                groups[each.where].setFont(0, self._bold)
            keys = [each.in_preset(preset) for preset in KEY_PRESETS]
            item = QTreeWidgetItem(groups[each.where], [each.what, *keys])
            item.setToolTip(0, each.tip or each.what)
            self._items.append((each, item))
        self._groups = groups
        self.list.expandAll()
        self.list.header().setStretchLastSection(False)
        self.list.setColumnWidth(0, SIZE_PX[0] - 2 * KEYS_PX - 60)
        self.list.setColumnWidth(1, KEYS_PX)
        self.list.header().setStretchLastSection(True)

    @property
    def _bold(self) -> QFont:
        font = self.list.font()
        font.setBold(True)
        return font

    def _choose(self) -> None:
        """Show which keys are in use, and have them used."""
        chosen = self.preset.currentIndex()
        for _row, item in self._items:
            for number in range(len(KEY_PRESETS)):
                item.setFont(number + 1, self._bold if number == chosen else self.list.font())
        self.preset_chosen.emit(self.preset.currentData())

    def _filter(self, text: str) -> None:
        words = text.split()
        for each, item in self._items:
            item.setHidden(not each.has(words))
        there = {each.where for each, item in self._items if not item.isHidden()}
        for where, group in self._groups.items():
            group.setHidden(where not in there)
        self.none.setVisible(not self.shown())


def _in_presets(spec: ActionSpec[Any]) -> tuple[str, ...]:
    keys = [key_in(preset, spec.name, spec.shortcut) for preset in KEY_PRESETS]
    return tuple(map(_native, keys)) if len(set(keys)) > 1 else ()


def _native(keys: str) -> str:
    """Keys as the system writes them in the language spoken."""
    return QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)
