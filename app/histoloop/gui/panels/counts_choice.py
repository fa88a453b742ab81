"""What of a region's mask counts, all of it or the strokes alone; and background, which is painted only then."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QButtonGroup, QVBoxLayout, QWidget

from histoloop.annotations.painting import PAINTED_BACKGROUND
from histoloop.annotations.records import Counts
from histoloop.gui.kit.widgets import button, label, row, swatch
from histoloop.language import mark, tr

BACKGROUND_COLOUR = "#ffffff"
COUNTS_TEXTS = {
    Counts.REGION: (
        mark("Whole region"),
        mark("All of the region is right when you press Done: what is painted, and the rest as background."),
    ),
    Counts.STROKES: (
        mark("Only my strokes"),
        mark("Only what you paint is used, background too; unpainted areas are ignored. Any outlines are the model's."),
    ),
}


class CountsChoice(QWidget):
    """`counts_chosen` emits a `Counts` that the user chose, `background_chosen` that background is to be painted."""

    counts_chosen = Signal(object)
    background_chosen = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.buttons: dict[Counts, QWidget] = {}
        self._group = QButtonGroup(self)
        for number, (counts, (text, tip)) in enumerate(COUNTS_TEXTS.items()):
            made = button(tr(text), tip=f"{tr(tip)} (T)")
            made.setCheckable(True)
            self._group.addButton(made, number)
            self.buttons[counts] = made
        self._group.idClicked.connect(lambda number: self.counts_chosen.emit(list(COUNTS_TEXTS)[number]))
        self.hint = label(role="muted", wrap=True)
        self.background = button(f" {tr('Background')}", tip=f"{tr('Paint what belongs to no class')} (0)")
        self.background.setIcon(QIcon(swatch(BACKGROUND_COLOUR)))
        self.background.setCheckable(True)
        self.background.clicked.connect(self.background_chosen)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.background)
        column.addLayout(row(*self.buttons.values()))
        column.addWidget(self.hint)
        self.show_counts(Counts.REGION)

    def show_counts(self, counts: Counts) -> None:
        """Show what counts, without emitting it."""
        self._group.button(list(COUNTS_TEXTS).index(counts)).setChecked(True)
        self.hint.setText(tr(COUNTS_TEXTS[counts][1]))
        self.background.setVisible(counts is Counts.STROKES)

    def show_class(self, value: int) -> None:
        """Show which mask value is painted with."""
        self.background.setChecked(value == PAINTED_BACKGROUND)
