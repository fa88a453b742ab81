"""Tables of a few rows that a form is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractItemView, QTableWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

ROW_PX = 34


def plain_table(headings: Sequence[str]) -> QTableWidget:
    """A table without a grid whose texts cannot be edited."""
    made = QTableWidget(0, len(headings))
    made.setHorizontalHeaderLabels(list(headings))
    made.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    made.verticalHeader().setVisible(False)
    made.verticalHeader().setDefaultSectionSize(ROW_PX)
    made.setShowGrid(False)
    made.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return made


def fit_height(table: QTableWidget, rows: int, *, most: int) -> None:
    """Make a table as high as its `rows`, or `most` of them, beyond which it scrolls."""
    shown = min(max(rows, 1), most)
    table.setFixedHeight(shown * ROW_PX + table.horizontalHeader().sizeHint().height() + 4)
