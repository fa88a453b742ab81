"""Offers, beside the choice of a model, the one that suits the slide on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from histoloop.gui.kit.widgets import button, label, row, visible_text
from histoloop.language import mark, tr

if TYPE_CHECKING:
    from histoloop.gui.work.slide_models import Suited

FIND = mark("Which model suits which slide?")
FIND_TIP = mark(
    "Compares the models of this project on every slide, without any annotation: the less the output of a model "
    "changed late in its training, the likelier it is right there. A round that was trained on few regions may change "
    "little without being better. We measured this with labels of small tiles, not with masks. Takes minutes; nothing "
    "is switched. (Huang et al. 2022, section V)"
)


class SuitedModel(QWidget):
    """Asks for a comparison (`find_requested`) and emits the model that the user takes from it (`chosen`)."""

    find_requested = Signal()
    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._model_id: int | None = None
        self.ask = button(tr(FIND), tip=f"<p>{tr(FIND_TIP)}</p>")
        self.text = label(role="muted", wrap=True)
        self.text.setToolTip(f"<p>{tr(FIND_TIP)}</p>")
        self.take = button(tr("Show its masks"))
        self.ask.clicked.connect(self.find_requested)
        self.take.clicked.connect(lambda: self.chosen.emit(self._model_id))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(row(self.ask))
        column.addWidget(self.text)
        column.addLayout(row(self.take))
        self.offer(None, name="", shown=False, can_find=False)

    def offer(self, suited: Suited | None, *, name: str, shown: bool, can_find: bool) -> None:
        """What is known of the slide on the screen.

        `name` is of the model that suits it, `shown` whether its masks are on the screen. Without anything known, a
        comparison is offered if there `can_find` be one.
        """
        self._model_id = None if suited is None else suited.model_id
        self.ask.setVisible(suited is None and can_find)
        self.text.setVisible(suited is not None)
        self.take.setVisible(self._model_id is not None and not shown)
        self.setVisible(suited is not None or can_find)
        if suited is None:
            return
        if suited.model_id is None:
            text = tr("The models were not compared on this slide: no region of it is left, or it failed.")
        elif shown:
            text = tr("Of {count} models this one changed least on this slide.", count=suited.compared)
        else:
            text = tr("Of {count} models {model} changed least on this slide.", count=suited.compared, model=name)
        self.text.setText(visible_text(text))
