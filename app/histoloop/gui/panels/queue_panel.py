"""The questions: regions whose annotation helps most, with score, reason and thumbnail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QComboBox, QListWidget, QListWidgetItem

from histoloop.acquisition.strategies import reason_of, shows_score
from histoloop.annotations.class_names import spoken_class
from histoloop.gui.kit.fitting_scroll import GivingWay
from histoloop.gui.kit.widgets import (
    MARGIN_PX,
    NarrowBox,
    Panel,
    button,
    label,
    picture_of,
    plain_icon,
    plain_tip,
    row,
    visible_name,
)
from histoloop.gui.panels.ask_options import AskOptions
from histoloop.gui.panels.evidence import EvidenceView
from histoloop.language import mark, tr, tr_plural

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from histoloop.store.records import QueryRecord

THUMBNAIL_PX = 52
LIST_PX = 108
LOWEST_PX = 60
ALL = mark("All classes")
OPEN_TIP = mark("Paint this region (double-click does the same)")
SKIP_TIP = mark("Leave this one out; it will not be asked again")
MIDDLE_DOT = "\N{MIDDLE DOT}"
_ID = Qt.ItemDataRole.UserRole


class QueuePanel(Panel):
    """Emits what the user wants to be asked and which question is opened or skipped."""

    questions_requested = Signal(str, int)
    query_selected = Signal(int)
    query_opened = Signal(int)
    query_skipped = Signal(int)

    def __init__(self, *, ask_tip: str) -> None:
        super().__init__()
        self.options = AskOptions(ask_tip=ask_tip)
        self.options.questions_requested.connect(self.questions_requested)
        self.class_filter = NarrowBox()
        self.class_filter.addItem(tr(ALL))
        self.slide_filter = NarrowBox()
        self.slide_filter.addItem(tr("All slides"), None)
        self.class_filter.currentIndexChanged.connect(self._fill)
        self.slide_filter.currentIndexChanged.connect(self._fill)
        self.summary = label(role="muted", wrap=True)
        self.list = _List()
        self.list.setAccessibleName(tr("Questions"))
        self.list.setIconSize(QSize(THUMBNAIL_PX, THUMBNAIL_PX))
        self.list.setWordWrap(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.list.setSpacing(1)
        self.list.currentItemChanged.connect(self._on_current)
        self.list.itemActivated.connect(self._on_opened)
        self.list.itemDoubleClicked.connect(self._on_opened)
        self.evidence = EvidenceView()
        self.open = button(tr("Annotate"), primary=True, tip=tr(OPEN_TIP))
        self.open.clicked.connect(lambda: self._on_opened(self.list.currentItem()))
        self.skip = button(tr("Skip"), tip=tr(SKIP_TIP))
        self.skip.clicked.connect(self._on_skipped)
        self.column.addWidget(GivingWay(self.options))
        filters = row(self.slide_filter, self.class_filter, stretch=0)
        filters.setStretch(1, 1)
        self.column.addLayout(filters)
        self.column.addWidget(self.summary)
        self.column.addWidget(self.list, 6)
        self.column.addWidget(self.evidence, 1)
        self.foot = Panel()
        """What is done with a question, which is to stay in sight."""
        self.foot.column.setContentsMargins(MARGIN_PX, 0, MARGIN_PX, MARGIN_PX)
        self.foot.column.addLayout(row(self.open, self.skip, stretch=0))
        self.column.addStretch()
        self._read_only = ""
        self._is_trained = True
        self._queries: Mapping[int, QueryRecord] = {}
        self._names: Mapping[int, str] = {}
        self._thumbnail: Callable[[int], Path] | None = None
        self._evidence: Callable[[int], Path] | None = None
        self._fill()

    def ask_now(self) -> None:
        """Ask with what is chosen here."""
        self.options.ask_now()

    def set_can_ask(self, can: bool) -> None:
        """Whether there is anything to ask about, and nobody busy choosing already."""
        self.options.ask.setEnabled(can)

    def set_read_only(self, reason: str) -> None:
        """Let no question be opened or skipped, and say why; empty: it can be."""
        self._read_only = reason
        self._fill()

    def set_trained(self, is_trained: bool) -> None:
        """Whether a model has learned anything yet."""
        self._is_trained = is_trained
        self._fill()

    def show_queries(
        self,
        queries: Sequence[QueryRecord],
        names: Mapping[int, str],
        *,
        thumbnail: Callable[[int], Path],
        evidence: Callable[[int], Path],
    ) -> None:
        """List open queries; `names` are slide names by id, `thumbnail` and `evidence` the pictures by query id."""
        self._queries, self._names = {query.id: query for query in queries}, names
        self._thumbnail, self._evidence = thumbnail, evidence
        slides = {names[query.slide_id]: query.slide_id for query in queries}
        classes = sorted({query.class_name for query in queries})
        _refill(self.class_filter, [(tr(ALL), None), *((spoken_class(name), name) for name in classes)])
        _refill(self.slide_filter, [(tr("All slides"), None), *sorted(slides.items())])
        self._fill()

    def select(self, query_id: int) -> None:
        """Make a query the current one."""
        for index in range(self.list.count()):
            if self.list.item(index).data(_ID) == query_id:
                if index == self.list.currentRow():
                    self.query_selected.emit(query_id)
                self.list.setCurrentRow(index)
                return

    def current_id(self) -> int | None:
        """The query that is selected."""
        item = self.list.currentItem()
        return None if item is None else int(item.data(_ID))

    def current_slide_id(self) -> int | None:
        """The slide of the query that is selected."""
        chosen = self.current_id()
        return None if chosen is None else self._queries[chosen].slide_id

    def shown_ids(self) -> list[int]:
        """The queries in the list, in its order."""
        return [int(self.list.item(index).data(_ID)) for index in range(self.list.count())]

    def _fill(self) -> None:
        chosen = self.current_id()
        wanted_class, wanted_slide = self.class_filter.currentData(), self.slide_filter.currentData()
        self.list.blockSignals(True)
        self.list.clear()
        for query in self._queries.values():
            if wanted_class in (None, query.class_name) and wanted_slide in (None, query.slide_id):
                self._add(query)
                if query.id == chosen:
                    self.list.setCurrentRow(self.list.count() - 1)
        if self.list.currentItem() is None and self.list.count():
            self.list.setCurrentRow(0)
        self.list.blockSignals(False)
        for widget in (self.slide_filter, self.class_filter, self.list, self.foot):
            widget.setVisible(bool(self._queries))
        some = self.list.count() > 0
        for each, tip in ((self.open, tr(OPEN_TIP)), (self.skip, tr(SKIP_TIP))):
            each.setEnabled(some and not self._read_only)
            each.setToolTip(self._read_only or tip)
        self.summary.setText(_summary(self.list.count(), len(self._queries), is_trained=self._is_trained))
        self._show_evidence()

    def _add(self, query: QueryRecord) -> None:
        name = visible_name(self._names.get(query.slide_id, ""))
        known = [name, visible_name(spoken_class(query.class_name))] if query.class_name else [name]
        text = f"{f' {MIDDLE_DOT} '.join(known)}\n{reason_of(query)}"
        score = tr("score {score:.2f}", score=query.score) if shows_score(query) else ""
        picture = QPixmap() if self._thumbnail is None else picture_of(self._thumbnail(query.id))
        item = QListWidgetItem(plain_icon(picture), text)
        item.setData(_ID, query.id)
        item.setToolTip(plain_tip("\n".join(filter(None, (text, score)))))
        self.list.addItem(item)

    def _show_evidence(self) -> None:
        chosen = self.current_id()
        if chosen is None or self._evidence is None:
            self.evidence.show_evidence(None, "")
        else:
            self.evidence.show_evidence(self._evidence(chosen), self._queries[chosen].strategy)

    def _on_current(self, item: QListWidgetItem | None) -> None:
        self._show_evidence()
        if item is not None:
            self.query_selected.emit(int(item.data(_ID)))

    def _on_opened(self, item: QListWidgetItem | None) -> None:
        if item is not None and not self._read_only:
            self.query_opened.emit(int(item.data(_ID)))

    def _on_skipped(self) -> None:
        chosen = self.current_id()
        if chosen is not None:
            self.query_skipped.emit(chosen)


class _List(QListWidget):
    """As high as there is room; in a low window one question is seen at a time."""

    def sizeHint(self) -> QSize:
        return QSize(240, LIST_PX)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, LOWEST_PX)


def _summary(shown: int, total: int, *, is_trained: bool) -> str:
    if total == 0 and not is_trained:
        return tr(
            "No model has been trained yet. 'Ask me' chooses regions that cover the tissue; with 'Annotate "
            "here' you can paint anywhere. Then retrain."
        )
    if total == 0:
        return tr("No open questions. 'Ask me' chooses regions on the predicted slides.")
    if shown == total:
        return tr_plural("{count} question", "{count} questions", total)
    return tr_plural("{shown} of {count} question", "{shown} of {count} questions", total, shown=shown)


def _refill(box: QComboBox, entries: Sequence[tuple[str, object]]) -> None:
    """New entries; what was chosen stays chosen where it can."""
    chosen = box.currentData()
    box.blockSignals(True)
    box.clear()
    for text, value in entries:
        box.addItem(visible_name(text) or tr("No class"), value)
    box.setCurrentIndex(max(0, box.findData(chosen)))
    box.blockSignals(False)
