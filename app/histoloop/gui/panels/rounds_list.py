"""The rounds of a project as a line, from what it began with: figures, who, what, when; and a model used again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QDateTime, QLocale, QRect, QSize, Qt, Signal
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from histoloop.gui.kit.widgets import Fold, button, plain_tip, visible_name
from histoloop.language import mark, tr, tr_plural
from histoloop.store.records import ModelStatus
from histoloop.workflows.contents.verdict import crossed_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QResizeEvent

    from histoloop.workflows.contents.history import PastModel

MIDDLE_DOT = " \N{MIDDLE DOT} "
MOST_ROWS, AROUND_PX = 5, 8
STATES = {
    ModelStatus.CURRENT: mark("in use"),
    ModelStatus.CANDIDATE: mark("waits for a decision"),
    ModelStatus.KEPT: mark("used before"),
    ModelStatus.ROLLED_BACK: mark("rolled back"),
}
_ID = Qt.ItemDataRole.UserRole


class RoundsList(QWidget):
    """Folded at first; `use_requested` is emitted with the model that is to be used again."""

    use_requested = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.list = _Rows()
        self.list.setAccessibleName(tr("Rounds so far"))
        self.list.setWordWrap(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.currentItemChanged.connect(lambda *_items: self._show_button())
        self.use = button(tr("Use this model again"), tip=tr("It predicts and asks from now on; nothing is deleted"))
        self.use.clicked.connect(self._on_use)
        content = QWidget()
        inner = QVBoxLayout(content)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self.list)
        inner.addWidget(self.use)
        self.fold = Fold(content, title=tr("Rounds so far"))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.fold)
        self._models: Sequence[PastModel] = ()
        self._why_not = ""
        self.setVisible(False)

    def show_models(self, models: Sequence[PastModel], *, why_not: str = "") -> None:
        """The models in their order, shown the newest first; `why_not` is why none can be taken now (empty: it can)."""
        if (models, why_not) == (self._models, self._why_not):
            return
        chosen = self.list.currentItem().data(_ID) if self.list.currentItem() is not None else None
        self._models, self._why_not = models, why_not
        self.setVisible(any(model.round for model in models))
        self.list.clear()
        for model in reversed(models):
            item = QListWidgetItem(described(model))
            item.setData(_ID, model.model_id)
            item.setToolTip(plain_tip(in_full(model)))
            self.list.addItem(item)
            if model.model_id == chosen:
                self.list.setCurrentItem(item)
        self.list.fit()
        self._show_button()

    def _chosen(self) -> PastModel | None:
        item = self.list.currentItem()
        return None if item is None else next(one for one in self._models if one.model_id == item.data(_ID))

    def _show_button(self) -> None:
        chosen = self._chosen()
        self.use.setEnabled(chosen is not None and chosen.can_be_used and not self._why_not)
        self.use.setToolTip(self._why_not or tr("It predicts and asks from now on; nothing is deleted"))

    def _on_use(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self.use_requested.emit(chosen.model_id)


class _Rows(QListWidget):
    """Rows as high as their words need at the width there is; no more of them in sight than `MOST_ROWS`."""

    def fit(self) -> None:
        """Give each row its height, and the list that of the first ones."""
        room = QRect(0, 0, max(1, self.viewport().width() - AROUND_PX), 1)
        heights = []
        for number in range(self.count()):
            item = self.item(number)
            words = self.fontMetrics().boundingRect(room, Qt.TextFlag.TextWordWrap, item.text())
            item.setSizeHint(QSize(0, words.height() + AROUND_PX))
            heights.append(words.height() + AROUND_PX)
        self.setFixedHeight(sum(heights[:MOST_ROWS]) + 2 * self.frameWidth() + 2)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another width is another height of the rows."""
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self.fit()


def described(model: PastModel) -> str:
    """A model in two lines: which, where it stands and its Dice; then when, by whom, from how much and how."""
    if not model.round:
        first = [tr("Start: {model}", model=visible_name(model.name)), tr(STATES[model.status])]
        return f"{MIDDLE_DOT.join(first)}\n{_when(model.created)}"
    first = [tr("Round {number}", number=model.round), tr(STATES[model.status]), _dice(model)]
    made = tr_plural("from {count} annotation", "from {count} annotations", model.annotations)
    second = [_when(model.created), visible_name(model.person), made, visible_name(model.recipe)]
    return f"{MIDDLE_DOT.join(filter(None, first))}\n{MIDDLE_DOT.join(filter(None, second))}"


def in_full(model: PastModel) -> str:
    """The same with what it was compared with."""
    lines = [described(model)]
    if model.dice is not None and model.before is not None:
        lines.append(
            tr_plural(
                "Dice {old:.3f} → {new:.3f} on {count} held-out region",
                "Dice {old:.3f} → {new:.3f} on {count} held-out regions",
                model.held_out,
                old=model.before,
                new=model.dice,
            )
        )
    if model.crossed is not None:
        lines.append(crossed_in_words(model.crossed))
    return "\n".join(lines)


def _dice(model: PastModel) -> str:
    return tr("Dice {dice:.3f}", dice=model.dice) if model.dice is not None else tr("not measured")


def _when(created: str) -> str:
    """An ISO time as the clock here shows it; as it is where it cannot be read."""
    local = QDateTime.fromString(created, Qt.DateFormat.ISODateWithMs).toLocalTime()
    return QLocale().toString(local, QLocale.FormatType.ShortFormat) if local.isValid() else created
