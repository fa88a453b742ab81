"""The classes of a running project: add, rename, recolour, reorder, merge, remove, take back."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QMenu, QVBoxLayout, QWidget

from histoloop.annotations.class_names import spoken_class
from histoloop.annotations.palette import unused_colour
from histoloop.annotations.records import MaskClass
from histoloop.errors import ClassError
from histoloop.gui.dialogs.choice_dialog import ChoiceDialog
from histoloop.gui.dialogs.class_table import ClassTable
from histoloop.gui.kit.beside import open_at
from histoloop.gui.kit.widgets import button, label, menu_text, set_role, swatch, visible_name
from histoloop.language import tr, tr_plural
from histoloop.workflows.classes import checked_name, use_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histoloop.workflows.classes import ClassUse

SIZE_PX = (620, 460)


class ClassesDialog(QDialog):
    """Emits what the user wants, with the names of classes, and shows what came of it; the window goes on behind it.

    `removal_wanted` and `merge_wanted` (with the other class) come before anybody was asked: `ask_to_remove` and
    `ask_to_merge` do that, once it is known what of the project is of the class, and call what was given them.
    """

    added = Signal(str, str)
    renamed = Signal(str, str)
    recoloured = Signal(str, str)
    reordered = Signal(object)
    removal_wanted = Signal(str)
    merge_wanted = Signal(str, str)
    undo_wanted = Signal()

    def __init__(self, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Classes"))
        open_at(self, *SIZE_PX)
        self._classes: tuple[MaskClass, ...] = ()
        self.merge = button(tr("Merge into…"), tip=tr("Everything of this class becomes another class"))
        self.table = ClassTable(self.merge)
        self.state = label(wrap=True)
        self.state.setMinimumHeight(2 * self.state.fontMetrics().lineSpacing())
        self.undo = button(tr("Undo the last change"))
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.buttons.addButton(self.undo, QDialogButtonBox.ButtonRole.ActionRole)
        close = self.buttons.button(QDialogButtonBox.StandardButton.Close)
        close.setAutoDefault(False)
        self.undo.setAutoDefault(False)
        self.buttons.rejected.connect(self.table.finish)
        self.buttons.rejected.connect(self.reject)
        self.undo.clicked.connect(self.undo_wanted)
        self.merge.clicked.connect(self._choose_target)
        table = self.table
        table.row_wanted.connect(self._add_row)
        table.typed.connect(lambda _row, _text: self._check())
        table.renamed.connect(self._on_renamed)
        table.recoloured.connect(self._on_recoloured)
        table.moved.connect(self._on_moved)
        table.removal_wanted.connect(self._on_removal)
        column = QVBoxLayout(self)
        column.addWidget(label(tr("What do you want to find?"), role="heading", wrap=True))
        column.addWidget(
            label(
                tr("Changes take effect at once, in earlier annotations and predictions too."), role="muted", wrap=True
            )
        )
        column.addWidget(table, 1)
        column.addWidget(self.state)
        column.addWidget(self.buttons)

    # --- what is shown ------------------------------------------------------------------------------------------------

    def show_classes(self, classes: Sequence[MaskClass], *, can_undo: bool) -> None:
        """The classes of the project as they are now; rows that have no name yet stay."""
        pending = self.table.classes()[len(self._classes) :]
        new = {mask_class.name for mask_class in classes}
        self._classes = tuple(classes)
        self.table.known = len(self._classes)
        self.table.show_classes([*classes, *(one for one in pending if one.name not in new)])
        self.undo.setEnabled(can_undo)
        self._check()

    def show_state(self, text: str, *, bad: bool = False) -> None:
        """What came of the last change."""
        self.state.setText(text)
        set_role(self.state, "bad" if bad else "muted")

    def _check(self) -> bool:
        """Show what is wrong with a name that is being typed; whether all is well."""
        names = [one.name for one in self.table.classes()]
        for number, name in enumerate(names):
            if problem := _problem(name, [*names[:number], *names[number + 1 :]]):
                self.show_state(problem, bad=True)
                return False
        self.show_state("")
        return True

    # --- what the user wants ------------------------------------------------------------------------------------------

    def _add_row(self) -> None:
        now = self.table.classes()
        self.table.show_classes([*now, MaskClass("", unused_colour([one.colour for one in now]))])
        self.table.edit(len(now))
        self._check()

    def _on_renamed(self, number: int, name: str) -> None:
        if not self._check():
            self.table.rows[number].keep_for_later()
            return
        if number < len(self._classes):
            self.renamed.emit(self._classes[number].name, name)
        else:
            self.added.emit(name, self.table.classes()[number].colour)

    def _on_recoloured(self, number: int, colour: str) -> None:
        if number < len(self._classes):
            self.recoloured.emit(self._classes[number].name, colour)
            return
        now = list(self.table.classes())
        now[number] = MaskClass(now[number].name, colour)
        self.table.show_classes(now)

    def _on_moved(self, number: int, to: int) -> None:
        names = [one.name for one in self._classes]
        if max(number, to) < len(names):
            names.insert(to, names.pop(number))
            self.reordered.emit(tuple(names))
            self.table.choose(to)

    def _on_removal(self, number: int) -> None:
        if number < len(self._classes):
            self.removal_wanted.emit(self._classes[number].name)
            return
        now = list(self.table.classes())
        del now[number]
        self.table.show_classes(now)
        self._check()

    def _choose_target(self) -> None:
        """Offer the other classes to merge the current one into."""
        if not 0 <= self.table.current < len(self._classes):
            return
        own = self._classes[self.table.current].name
        self.targets = QMenu(self)
        for other in self._classes:
            if other.name != own:
                self.targets.addAction(
                    QIcon(swatch(other.colour)),
                    menu_text(spoken_class(other.name)),
                    functools.partial(self.merge_wanted.emit, own, other.name),
                )
        self.targets.popup(self.merge.mapToGlobal(QPoint(0, self.merge.height())))

    # --- before something is merged or removed ------------------------------------------------------------------------

    def ask_to_remove(self, name: str, use: ClassUse, deed: Callable[[], object]) -> None:
        """Say what a removal does to what there is, and ask."""
        spoken = visible_name(spoken_class(name))
        parts = [use_in_words(use)]
        if use.finished or use.drafts:
            parts.append(tr("Areas painted with it are ignored: they are not used for training."))
        parts.append(tr("Masks no longer show it."))
        self._ask(
            title=tr("Remove a class"),
            text=tr("Remove {name}?", name=spoken),
            detail=_joined(parts, use),
            answer=tr("Remove it"),
            deed=deed,
        )

    def ask_to_merge(self, name: str, into: str, use: ClassUse, deed: Callable[[], object]) -> None:
        """Say what a merge does to what there is, and ask."""
        spoken, other = visible_name(spoken_class(name)), visible_name(spoken_class(into))
        parts = [use_in_words(use), tr("All of it becomes {other}, in masks too.", other=other)]
        self._ask(
            title=tr("Merge classes"),
            text=tr("Merge {name} into {other}?", name=spoken, other=other),
            detail=_joined(parts, use),
            answer=tr("Merge them"),
            deed=deed,
        )

    def _ask(self, *, title: str, text: str, detail: str, answer: str, deed: Callable[[], object]) -> None:
        ChoiceDialog(self, title=title, text=text, detail=detail, choices=[(answer, deed)]).open()


def _joined(parts: Sequence[str], use: ClassUse) -> str:
    """The sentences about a change of a class, those about questions and undo last."""
    questions = tr_plural(
        "{count} open question is about it; it stays.", "{count} open questions are about it; they stay.", use.queries
    )
    return " ".join((*parts, *([questions] if use.queries else []), tr("'Undo the last change' brings it back.")))


def _problem(name: str, others: Sequence[str]) -> str:
    """Why a name cannot be, beside the others as they are kept and as they are shown; empty where it can."""
    try:
        checked_name(name, [*others, *map(spoken_class, others)])
    except ClassError as error:
        return f"{error.message} {error.advice}"
    return ""
