"""How far two readers agree, region by region and over all, and who of them counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from histoloop.annotations.class_names import spoken_title
from histoloop.gui.kit.beside import open_at
from histoloop.gui.kit.widgets import button, label, plain_tip, visible_name
from histoloop.language import tr, tr_plural
from histoloop.workflows.contents.readings import STATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.workflows.contents.readings import Agreement, RegionAgreement

SIZE_PX = (960, 460)
WIDEST_PX = 150
"""Of a column: longer names lose their middle, and the tip has them whole."""
NONE = "\N{EN DASH}"


class AgreementDialog(QDialog):
    """A row for each region.

    `chosen` is emitted with the annotation that is to count, `taken_back` with the one that was chosen by mistake,
    `go_requested` and `anew_requested` with the region (`RegionAgreement`) that is to be seen, or painted a third time.
    """

    chosen = Signal(int)
    taken_back = Signal(int)
    go_requested = Signal(object)
    anew_requested = Signal(object)

    def __init__(self, parent: QWidget | None, *, classes: Sequence[str]) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Agreement of two readers"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
        open_at(self, *SIZE_PX)
        self._classes = tuple(classes)
        self._found: list[RegionAgreement] = []
        self._read_only = False
        self.over_all = label(role="heading", wrap=True)
        headings = [tr("Slide"), tr("First reader"), tr("Second reader"), tr("State"), tr("Counts")]
        figures = [tr("Dice of {name}", name=visible_name(spoken_title(one))) for one in self._classes]
        self.table = QTableWidget(0, len(headings) + len(figures) + 1)
        self.table.setAccessibleName(tr("Agreement of two readers"))
        self.table.setHorizontalHeaderLabels([*headings, *figures, tr("Kappa")])
        self.table.verticalHeader().setVisible(False)
        self.table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.table.setTabKeyNavigation(False)
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.table.itemSelectionChanged.connect(self._show_buttons)
        self.table.itemDoubleClicked.connect(lambda _item: self._emit(self.go_requested))
        self.first = button(tr("Let the first count"))
        self.second = button(tr("Let the second count"))
        self.undo = button(tr("Undo the choice"), tip=tr("What counted before it was chosen counts again"))
        self.anew = button(tr("Paint it anew…"), tip=tr("A third painting, which counts once it is done"))
        self.go = button(tr("Show it on the slide"))
        self.first.clicked.connect(lambda: self._choose(second=False))
        self.second.clicked.connect(lambda: self._choose(second=True))
        self.undo.clicked.connect(self._take_back)
        self.anew.clicked.connect(lambda: self._emit(self.anew_requested))
        self.go.clicked.connect(lambda: self._emit(self.go_requested))
        self._arrange()

    def set_read_only(self, read_only: bool) -> None:
        """Whether the project can only be looked at: nobody is chosen then."""
        self._read_only = read_only
        self._show_buttons()

    def show_agreement(self, found: Sequence[RegionAgreement], over_all: Agreement) -> None:
        """Fill the table; the row in hand stays."""
        row = max(0, self.table.currentRow())
        self._found = list(found)
        self.table.setRowCount(len(found))
        for number, one in enumerate(found):
            for column, text in enumerate(self._cells(one)):
                item = QTableWidgetItem(text)
                item.setToolTip(plain_tip(text))
                self.table.setItem(number, column, item)
        for column in range(1, self.table.columnCount()):
            self.table.resizeColumnToContents(column)
            self.table.setColumnWidth(column, min(self.table.columnWidth(column), WIDEST_PX))
        self.over_all.setText(self._in_words(over_all))
        self.table.selectRow(min(row, len(found) - 1))
        self._show_buttons()

    def _cells(self, one: RegionAgreement) -> list[str]:
        who = {one.first.id: tr("the first"), one.second.id: tr("the second")}.get(one.counts.id, tr("a third"))
        place = f"{visible_name(one.slide.name)} ({one.first.region.x}, {one.first.region.y})"
        dice = [_figure(one.agreement.dice.get(name)) for name in self._classes]
        readers = [visible_name(one.first.person) or NONE, visible_name(one.second.person)]
        return [place, *readers, tr(STATES[one.state]), who, *dice, _figure(one.agreement.kappa)]

    def _in_words(self, over_all: Agreement) -> str:
        return tr_plural(
            "{count} region: mean Dice {dice}, Cohen's kappa {kappa} over all pixels",
            "{count} regions: mean Dice {dice}, Cohen's kappa {kappa} over all pixels",
            len(self._found),
            dice=_figure(over_all.mean_dice),
            kappa=_figure(over_all.kappa),
        )

    def _chosen_row(self) -> RegionAgreement | None:
        row = self.table.currentRow()
        return self._found[row] if 0 <= row < len(self._found) else None

    def _show_buttons(self) -> None:
        one = self._chosen_row()
        may = one is not None and not self._read_only
        self.go.setEnabled(one is not None)
        self.anew.setEnabled(may)
        decided = one.counts.id if one is not None and one.is_chosen else None
        self.undo.setEnabled(may and decided is not None)
        self.first.setEnabled(may and one is not None and decided != one.first.id)
        self.second.setEnabled(may and one is not None and decided != one.second.id)

    def _choose(self, *, second: bool) -> None:
        one = self._chosen_row()
        if one is not None:
            self.chosen.emit(one.second.id if second else one.first.id)

    def _take_back(self) -> None:
        one = self._chosen_row()
        if one is not None and one.is_chosen:
            self.taken_back.emit(one.counts.id)

    def _emit(self, signal: object) -> None:
        one = self._chosen_row()
        if one is not None:
            signal.emit(one)  # type: ignore[attr-defined]

    def _arrange(self) -> None:
        about = tr(
            "Dice and Cohen's kappa count pixels that both readers painted or left as background. Readers differ "
            "while the mean Dice is below 0.8 and nobody has decided; only what counts trains and measures."
        )
        buttons = QHBoxLayout()
        for one in (self.first, self.second, self.undo, self.anew, self.go):
            buttons.addWidget(one)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.addWidget(self.over_all)
        column.addWidget(self.table, 1)
        column.addWidget(label(about, role="muted", wrap=True))
        column.addLayout(buttons)


def _figure(value: float | None) -> str:
    return NONE if value is None else tr("{value:.3f}", value=value)
