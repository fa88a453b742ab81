"""What the list of slides is narrowed down to, and its order."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from histoloop.gui.kit.widgets import NarrowBox, label, row
from histoloop.gui.panels.slides.slide_row import IN_WORDS
from histoloop.gui.panels.slides.slide_rows import ORDERS, TO_REVIEW, WITHOUT_LABEL, Choice, Order
from histoloop.language import tr, tr_plural

FEWEST_FILTERED = 8
"""Fewer slides are seen at a glance: there is nothing to narrow down."""


class SlideFilters(QWidget):
    """What the list is narrowed down to, and its order; `chosen` is emitted with the `Choice`."""

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.text = QLineEdit()
        self.text.setAccessibleName(tr("Search"))
        self.text.setPlaceholderText(tr("Find: slide, label"))
        self.text.setClearButtonEnabled(True)
        self.state, self.order = NarrowBox(), NarrowBox()
        self.state.setAccessibleName(tr("Which slides are listed"))
        self.order.setAccessibleName(tr("Order of the slides"))
        self.state.addItem(tr("All slides"), "")
        for state, words in IN_WORDS.items():
            self.state.addItem(tr(words), state)
        self.state.addItem(tr("To review"), TO_REVIEW)
        self.state.addItem(tr("Without a label"), WITHOUT_LABEL)
        for order, words in ORDERS.items():
            self.order.addItem(tr(words), order)
        self.summary = label(role="muted", wrap=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.text)
        column.addLayout(row(self.state, self.order))
        column.addWidget(self.summary)
        self.text.textChanged.connect(self._on_changed)
        self.state.currentIndexChanged.connect(self._on_changed)
        self.order.currentIndexChanged.connect(self._on_changed)
        self.summary.setVisible(False)

    def choice(self) -> Choice:
        """What is chosen."""
        state, order = self.state.currentData(), self.order.currentData()
        return Choice(self.text.text().strip(), state or "", Order(order))

    def clear(self) -> None:
        """Show all slides again, in the order they were added."""
        self.text.clear()
        self.state.setCurrentIndex(0)
        self.order.setCurrentIndex(0)

    def show_counts(self, shown: int, total: int) -> None:
        """Say how many of all slides are listed, where not all are."""
        is_narrowed = bool(self.choice().text or self.choice().state)
        self.summary.setVisible(is_narrowed)
        if shown:
            words = tr_plural("{shown} of {count} slide", "{shown} of {count} slides", total, shown=shown)
        else:
            words = tr("No slide matches these filters.")
        self.summary.setText(words)
        self.setVisible(is_narrowed or total >= FEWEST_FILTERED)

    def _on_changed(self) -> None:
        self.chosen.emit(self.choice())
