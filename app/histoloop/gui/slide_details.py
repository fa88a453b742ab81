"""The selected slides: what the model predicts of them, and apart from it what people said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from histoloop.gui.widgets import label, leave_wheel_to_panel, line, row
from histoloop.store.records import predicted_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histoloop.store.records import SlideLabel, SlideRecord

NOT_SAID = "Not said"
SEVERAL = "Different labels"


class SlideDetails(QWidget):
    """Tells the label that the user picks for the selected slides (None: taken back)."""

    label_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.predicted = label(wrap=True)
        self.predicted.setToolTip("What the model makes of the whole slide, and its probability")
        self.who = label()
        self.picker = QComboBox()
        self.picker.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        leave_wheel_to_panel(self.picker)
        self.picker.activated.connect(lambda index: self.label_chosen.emit(self.picker.itemData(index)))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(line())
        column.addWidget(self.predicted)
        column.addLayout(row(self.who, self.picker, stretch=1))

    def set_labels(self, labels: Sequence[str]) -> None:
        """The labels a slide can have."""
        self.picker.clear()
        self.picker.addItem(NOT_SAID, None)
        for name in labels:
            self.picker.addItem(name, name)

    def show_slides(self, slides: Sequence[SlideRecord], said: Mapping[int, SlideLabel], *, you: str) -> None:
        """Show the selected slides; `said` is by slide id, `you` the name of who sits here."""
        self.setVisible(bool(slides))
        if not slides:
            return
        self.predicted.setText(_predicted(slides))
        labels = {slide.label for slide in slides}
        self.picker.setPlaceholderText(SEVERAL)
        self.picker.setCurrentIndex(-1 if len(labels) > 1 else self.picker.findData(slides[0].label))
        only = said.get(slides[0].id) if len(slides) == 1 else None
        self.who.setText(f"{_who(only, you)}:")
        self.picker.setToolTip(_tip(only))


def _predicted(slides: Sequence[SlideRecord]) -> str:
    if len(slides) > 1:
        return f"{len(slides)} slides are selected."
    shares = slides[0].predicted
    if not shares:
        return "Predicted: nothing yet" if shares is None else "Predicted: no tissue found"
    return f"Predicted: {', '.join(f'{name} ({shares[name]:.2f})' for name in predicted_names(shares))}"


def _who(said: SlideLabel | None, you: str) -> str:
    if said is None:
        return "You say"
    return "You said" if said.person == you else f"{said.person or 'Someone'} said"


def _tip(said: SlideLabel | None) -> str:
    tip = "What the slide is as a whole, if you can say; training learns from it"
    if said is None:
        return tip
    return f"{tip}.\nSaid by {said.person or 'someone'} on {said.created[:10]}."
