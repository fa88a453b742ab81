"""Finished work in the place of an import: which of it stays, and which the file replaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidgetItem, QVBoxLayout, QWidget

from histoloop.gui.kit.tables import fit_height, plain_table
from histoloop.gui.kit.widgets import button, label, plain_tip, row, visible_name
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histoloop.store.records import AnnotationRecord

_REGION, _BY, _COUNTS = range(3)
_IN_SIGHT = 4


class EarlierWork(QWidget):
    """A row for each finished annotation; all stay until somebody says otherwise. `settled` when somebody does."""

    settled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[int, bool] = {}  # by the id of the annotation
        self._records: list[AnnotationRecord] = []
        self.table = plain_table([tr("Region"), tr("Finished"), tr("What to keep")])
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.horizontalHeader().setSectionResizeMode(_REGION, QHeaderView.ResizeMode.Stretch)
        self.table.horizontalHeader().setSectionResizeMode(_BY, QHeaderView.ResizeMode.ResizeToContents)
        self.table.setColumnWidth(_COUNTS, 180)
        self.table.itemChanged.connect(self._on_settled)
        self.keep_all, self.replace_all = button(tr("Keep all existing")), button(tr("Replace all"))
        self.keep_all.clicked.connect(lambda: self._settle_all(keep=True))
        self.replace_all.clicked.connect(lambda: self._settle_all(keep=False))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(label(tr("There is work here already"), role="heading"))
        column.addWidget(self.table)
        column.addLayout(row(self.keep_all, self.replace_all, QWidget(), stretch=2))
        column.addWidget(
            label(
                tr("Replaced annotations stay in the project as earlier versions, and Undo brings them back."),
                role="muted",
                wrap=True,
            )
        )
        self.setVisible(False)

    def keeps(self, annotation_id: int) -> bool:
        """Whether a finished annotation stays as it is."""
        return self._kept.get(annotation_id, True)

    def show_records(self, records: Sequence[AnnotationRecord], slide_names: Mapping[int, str]) -> None:
        """The finished annotations that an import would touch, with the names of their slides by id."""
        if [record.id for record in records] == [record.id for record in self._records]:
            return
        self._records = list(records)
        self.setVisible(bool(records))
        self.table.blockSignals(True)
        self.table.setRowCount(len(records))
        for number, record in enumerate(records):
            region = record.region
            place = f"{region.x}, {region.y}, {region.width} \N{MULTIPLICATION SIGN} {region.height}"
            by = tr("{person}, {day}", person=record.person or tr("someone"), day=record.updated[:10])
            for column, text in ((_REGION, f"{slide_names[record.slide_id]}: {place}"), (_BY, by)):
                item = QTableWidgetItem(visible_name(text))
                item.setFlags(Qt.ItemFlag.ItemIsEnabled)
                item.setToolTip(plain_tip(text))
                self.table.setItem(number, column, item)
            counts = QTableWidgetItem()
            counts.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            _show_kept(counts, kept=self.keeps(record.id))
            self.table.setItem(number, _COUNTS, counts)
        self.table.blockSignals(False)
        fit_height(self.table, len(records), most=_IN_SIGHT)

    def _on_settled(self, item: QTableWidgetItem) -> None:
        """A person said of a region whether it stays."""
        if item.column() == _COUNTS:
            kept = item.checkState() is Qt.CheckState.Checked
            self._kept[self._records[item.row()].id] = kept
            self.table.blockSignals(True)
            _show_kept(item, kept=kept)
            self.table.blockSignals(False)
            self.settled.emit()

    def _settle_all(self, *, keep: bool) -> None:
        self._kept.update((record.id, keep) for record in self._records)
        self.table.blockSignals(True)
        for number in range(self.table.rowCount()):
            if (item := self.table.item(number, _COUNTS)) is not None:
                _show_kept(item, kept=keep)
        self.table.blockSignals(False)
        self.settled.emit()


def _show_kept(item: QTableWidgetItem, *, kept: bool) -> None:
    item.setText(tr("Keep the existing one") if kept else tr("Replace it with the file"))
    item.setCheckState(Qt.CheckState.Checked if kept else Qt.CheckState.Unchecked)
