"""The switch of the live loop, and what it is doing."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from histoloop.gui.kit.widgets import label
from histoloop.gui.kit.wrapping_check import WrappingCheck
from histoloop.language import mark, tr

LEARN_LIVE = mark("Learn while I paint")
LEARN_LIVE_TIP = mark(
    "Each finished region trains a light decoder in the background, and the live masks on the slide change. "
    "They are not measured and not exported; Retrain makes a model that is."
)
OFF = mark("Off: your painting changes the masks only once you retrain.")


class LiveSwitch(QWidget):
    """On or off, and a line about what goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.box = WrappingCheck(tr(LEARN_LIVE))
        self.box.setToolTip(tr(LEARN_LIVE_TIP))
        self.line = label(role="muted", wrap=True)
        self.tell("")
        self.box.toggled.connect(lambda _on: self.tell(self._sentence))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.box)
        column.addWidget(self.line)

    def tell(self, sentence: str) -> None:
        """What the live loop does; empty: nothing."""
        self._sentence = sentence
        shown = sentence if self.box.isChecked() else tr(OFF)
        self.line.setText(shown)
        self.line.setVisible(bool(shown))
