"""Menus made from a table: a row is an action with its text, its shortcut and what it does, or a menu in the menu."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu

from histoloop.gui.kit.key_presets import key_in
from histoloop.gui.kit.theme import icon
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from PySide6.QtWidgets import QMainWindow

Targets = TypeVar("Targets")
"""What the actions of a window act on; the window hands it over once all of it is there."""


@dataclass(frozen=True, slots=True)
class ActionSpec(Generic[Targets]):
    """A row of a menu. `needs` names what must be there for it to be enabled.

    It has either `does`, called when it is triggered, or `switches`, called with on or off. Rows with one `group` are
    choices of which one is taken.
    """

    name: str
    text: str
    shortcut: str = ""
    does: Callable[[Targets], object] | None = None
    switches: Callable[[Targets, bool], object] | None = None
    icon: str = ""
    needs: frozenset[str] = frozenset()
    group: str = ""
    tip: str = ""
    brief: str = ""
    """For the toolbar, where the text is long."""

    @property
    def checkable(self) -> bool:
        """Whether it is switched, or one of several choices."""
        return self.switches is not None or bool(self.group)

    @property
    def plain(self) -> str:
        """The text in the language spoken, without the marks of a menu."""
        return tr(self.text).replace("&", "").rstrip("…")

    @property
    def keys(self) -> str:
        """The shortcut as the system writes it in the language spoken; empty without one."""
        return QKeySequence(self.shortcut).toString(QKeySequence.SequenceFormat.NativeText)

    @property
    def full_tip(self) -> str:
        """What it does in the language spoken, with its shortcut."""
        tip = tr(self.tip) or self.plain
        return f"{tip} ({self.keys})" if self.shortcut else tip


@dataclass(frozen=True, slots=True)
class SubmenuSpec(Generic[Targets]):
    """A menu within a menu: of `rows`, or of what the window fills it with."""

    name: str
    text: str
    rows: tuple[ActionSpec[Targets], ...] = ()


SEPARATOR = None
CLASS_KEYS = 9
"""So many classes, the first ones, have a key of their own while one paints: 1 to 9."""
Row = ActionSpec[Targets] | SubmenuSpec[Targets] | None


def actions_in(rows: Sequence[Row[Targets]]) -> Iterator[ActionSpec[Targets]]:
    """The actions of a menu and of the menus in it, in their order."""
    for row in rows:
        if isinstance(row, ActionSpec):
            yield row
        elif isinstance(row, SubmenuSpec):
            yield from row.rows


class Actions:
    """The actions of a window, by name."""

    def __init__(self, window: QMainWindow, menus: Mapping[str, Sequence[Row[Any]]]) -> None:
        self._rows = [row for rows in menus.values() for row in actions_in(rows)]
        self._specs = self._rows
        self._by_name: dict[str, QAction] = {}
        self._groups: dict[str, QActionGroup] = {}
        self.submenus: dict[str, QMenu] = {}
        for title, rows in menus.items():
            menu = window.menuBar().addMenu(tr(title))
            menu.setToolTipsVisible(True)
            for row in rows:
                self._add(row, menu, window)

    def __getitem__(self, name: str) -> QAction:
        return self._by_name[name]

    def connect_all(self, targets: Any) -> None:
        """Let the actions do what their rows hold, to the targets that the table was written for."""
        for spec in self._specs:
            if spec.switches is not None:
                self[spec.name].toggled.connect(functools.partial(spec.switches, targets))
            elif spec.does is not None:
                self[spec.name].triggered.connect(_without_checked(functools.partial(spec.does, targets)))

    def use_keys(self, preset: str) -> None:
        """Let the actions have the keys of a preset, of `KEY_PRESETS`."""
        self._specs = [
            dataclasses.replace(spec, shortcut=key_in(preset, spec.name, spec.shortcut)) for spec in self._rows
        ]
        for spec in self._specs:  # all are free before any is taken
            self[spec.name].setShortcut(QKeySequence())
        for spec in self._specs:
            self[spec.name].setShortcut(QKeySequence(spec.shortcut))
            self[spec.name].setToolTip(spec.full_tip)

    def update(self, there: set[str], *, reasons: Mapping[str, str] | None = None) -> None:
        """Enable what can be done with what is there; `reasons` say of needs why they are not there, in the tip."""
        for spec in self._specs:
            self[spec.name].setEnabled(spec.needs <= there)
            missing = [reason for need, reason in (reasons or {}).items() if need in spec.needs - there]
            tip = "\n".join((spec.full_tip, *missing))
            if self[spec.name].toolTip() != tip:
                self[spec.name].setToolTip(tip)

    def set_icons(self, *, dark: bool) -> None:
        """Icons in the colours of the theme."""
        for spec in self._specs:
            if spec.icon:
                self[spec.name].setIcon(icon(spec.icon, dark=dark))

    def set_checked(self, name: str, checked: bool) -> None:
        """Show a switch as it is, without doing what it does."""
        action = self[name]
        action.blockSignals(True)
        action.setChecked(checked)
        action.blockSignals(False)

    def _add(self, row: Row[Any], menu: QMenu, window: QMainWindow) -> None:
        if row is None:
            menu.addSeparator()
        elif isinstance(row, SubmenuSpec):
            self.submenus[row.name] = QMenu(tr(row.text), window)
            menu.addMenu(self.submenus[row.name])
            for each in row.rows:
                self._add(each, self.submenus[row.name], window)
        else:
            menu.addAction(self._make(row, window))

    def _make(self, spec: ActionSpec[Any], window: QMainWindow) -> QAction:
        action = QAction(tr(spec.text), window, checkable=spec.checkable)
        if spec.shortcut:
            action.setShortcut(QKeySequence(spec.shortcut))
        if spec.brief:
            action.setIconText(tr(spec.brief))
        action.setToolTip(spec.full_tip)
        if spec.group:
            group = self._groups.setdefault(spec.group, QActionGroup(window))
            group.addAction(action)
        self._by_name[spec.name] = action
        return action


def _without_checked(deed: Callable[[], object]) -> Callable[[bool], None]:
    """A slot for `triggered`, which also passes whether the action is checked."""

    def slot(_checked: bool) -> None:
        deed()

    return slot
