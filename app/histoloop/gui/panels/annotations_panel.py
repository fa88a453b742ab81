"""All that people annotated: a list with filters, to go to, to reopen, to delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, QItemSelectionModel, QObject, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QComboBox, QLineEdit, QListView

from histoloop.gui.kit.widgets import NarrowBox, Panel, action_button, button, label, row, visible_name
from histoloop.gui.panels.annotation_rows import (
    ANNOTATION_ID,
    ANNOTATION_ORDERS,
    READ_TWICE,
    THUMBNAIL_PX,
    AnnotationFilter,
    AnnotationOrder,
    AnnotationRows,
    in_order,
    review_state_of,
    spoken_name,
)
from histoloop.language import tr, tr_plural
from histoloop.workflows.annotations import BACKGROUND, STATES
from histoloop.workflows.contents.readings import STATES as REVIEW_STATES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PySide6.QtGui import QAction

    from histoloop.gui.work.annotation_details import AnnotationDetails
    from histoloop.workflows.annotations import ListedAnnotation
    from histoloop.workflows.contents.readings import RegionAgreement

LINES = 4
SHOWN_MS = 60
LOWEST_PX = 96
"""One annotation is always seen, whatever else the panel shows."""


class AnnotationsPanel(Panel):
    """Emits ids of annotations: what the user wants to go to, to reopen, and (a list) to delete."""

    go_to_requested = Signal(int)
    reopen_requested = Signal(int)
    delete_requested = Signal(list)
    shown = Signal()

    def __init__(self, details: AnnotationDetails, annotate_here: QAction) -> None:
        super().__init__()
        self._model = AnnotationRows(details, self)
        self._filter = AnnotationFilter(self._model)
        self._details = details
        self.text_filter = QLineEdit()
        self.text_filter.setAccessibleName(tr("Search"))
        self.text_filter.setPlaceholderText(tr("Find: slide, label, person"))
        self.text_filter.setClearButtonEnabled(True)
        self.class_filter, self.person_filter, self.state_filter = NarrowBox(), NarrowBox(), NarrowBox()
        self.order = NarrowBox()
        self.order.setAccessibleName(tr("Order of the annotations"))
        for order, words in ANNOTATION_ORDERS.items():
            self.order.addItem(tr(words), order)
        self.order.currentIndexChanged.connect(self._on_ordered)
        self.text_filter.textChanged.connect(self._on_filtered)
        for box in (self.class_filter, self.person_filter, self.state_filter):
            box.currentIndexChanged.connect(self._on_filtered)
        self.summary = label(role="muted", wrap=True)
        self.list = _List()
        self.list.setAccessibleName(tr("Annotations"))
        self.list.setModel(self._filter)
        self.list.selectionModel().selectionChanged.connect(self._show_buttons)
        self.list.activated.connect(lambda _index: self._emit_one(self.go_to_requested))
        self.list.installEventFilter(self)
        self.go_to = button(tr("Go to"), tip=tr("Show the region on its slide (Return)"))
        self.reopen = button(
            tr("Reopen"), tip=tr("Continue painting; until it is done again, the finished version is used")
        )
        self.delete = button(tr("Delete…"), tip=tr("It is no longer used for training (Del)"))
        self.go_to.clicked.connect(lambda: self._emit_one(self.go_to_requested))
        self.reopen.clicked.connect(lambda: self._emit_one(self.reopen_requested))
        self.delete.clicked.connect(self._on_delete)
        self.column.addWidget(self.text_filter)
        self.column.addLayout(row(self.state_filter, self.person_filter))
        self.column.addLayout(row(self.class_filter, self.order))
        self.column.addWidget(self.summary)
        self.here = action_button(annotate_here)
        self.column.addWidget(self.here)
        self.column.addWidget(self.list, 1)
        self.column.addLayout(row(self.go_to, self.reopen, self.delete))
        self._read_only = ""
        self._given: Sequence[ListedAnnotation] = ()
        self._read_twice: Mapping[int, RegionAgreement] = {}
        self._visible_timer = QTimer(self, singleShot=True, interval=SHOWN_MS)
        self._visible_timer.timeout.connect(self._want_visible)
        self.list.verticalScrollBar().valueChanged.connect(self._visible_timer.start)
        details.read.connect(self._on_read)
        self.show_annotations([], (), {})

    def show_annotations(
        self,
        annotations: Sequence[ListedAnnotation],
        classes: Sequence[str],
        read_twice: Mapping[int, RegionAgreement],
    ) -> None:
        """List annotations, given the newest first; `classes` are the names of the mask classes.

        `read_twice` are those (by id) whose region two readers painted. What was selected stays so.
        """
        self._given, self._read_twice = annotations, read_twice
        chosen = set(self.selected_ids())
        self._model.take(in_order(annotations, AnnotationOrder(self.order.currentData()), read_twice), read_twice)
        persons = sorted({each.record.person for each in annotations})
        states = [state for state in STATES if any(each.state == state for each in annotations)]
        reviews = {review_state_of(each, read_twice) for each in annotations}
        named_states: list[tuple[str, str]] = [(tr(STATES[state]), state) for state in states]
        if read_twice:
            named_states.append((tr("Read twice"), READ_TWICE))
        named_states += [(tr(words), str(state)) for state, words in REVIEW_STATES.items() if state in reviews]
        _refill(self.state_filter, tr("All states"), named_states)
        _refill(self.person_filter, tr("Everyone"), [(name or tr("Someone"), name) for name in persons])
        named = [(spoken_name(name), name) for name in (*classes, BACKGROUND)]
        _refill(self.class_filter, tr("All classes"), named)
        self._select(chosen)
        self._on_filtered()
        self._details.want(annotations, pictures=False)
        self._visible_timer.start()

    def set_read_only(self, reason: str) -> None:
        """Let nothing be reopened or deleted, and say why; empty: it can be."""
        self._read_only = reason
        self._show_buttons()

    def selected_ids(self) -> list[int]:
        """The annotations that are selected, in the order of the list."""
        rows = sorted(index.row() for index in self.list.selectionModel().selectedIndexes())
        return [int(self._filter.index(number, 0).data(ANNOTATION_ID)) for number in rows]

    def shown_ids(self) -> list[int]:
        """The annotations that are listed, in order."""
        return [int(self._filter.index(number, 0).data(ANNOTATION_ID)) for number in range(self._filter.rowCount())]

    def select(self, annotation_id: int) -> None:
        """Select one annotation alone."""
        self._select({annotation_id})

    def showEvent(self, event: Any) -> None:
        """Whoever fills the list is told that it is looked at."""
        super().showEvent(event)
        self.shown.emit()

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Del deletes, Return goes there."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride:
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Delete):
                event.accept()
        elif isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() == Qt.Key.Key_Delete and self.delete.isEnabled():
                self._on_delete()
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._emit_one(self.go_to_requested)
                return True
        return False

    def _select(self, ids: set[int]) -> None:
        selection = self.list.selectionModel()
        selection.clearSelection()
        for number in range(self._filter.rowCount()):
            index = self._filter.index(number, 0)
            if index.data(ANNOTATION_ID) in ids:
                selection.select(index, QItemSelectionModel.SelectionFlag.Select)
                selection.setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)
        self._show_buttons()

    def _on_ordered(self) -> None:
        chosen = set(self.selected_ids())
        order = AnnotationOrder(self.order.currentData())
        self._model.take(in_order(self._given, order, self._read_twice), self._read_twice)
        self._select(chosen)
        self._visible_timer.start()

    def _on_filtered(self) -> None:
        self._filter.choose(
            text=self.text_filter.text(),
            mask_class=self.class_filter.currentData(),
            person=self.person_filter.currentData(),
            state=self.state_filter.currentData(),
        )
        self._show_summary()
        self._show_buttons()
        self._visible_timer.start()

    def _show_summary(self) -> None:
        total, shown = self._model.rowCount(), self._filter.rowCount()
        for widget in (
            self.text_filter,
            self.class_filter,
            self.person_filter,
            self.state_filter,
            self.order,
            self.list,
        ):
            widget.setVisible(total > 0)
        for each in (self.go_to, self.reopen, self.delete):
            each.setVisible(total > 0)
        self.here.setVisible(total == 0)
        if total == 0:
            text = tr("Nothing is annotated yet. Answer a question, or choose 'Annotate here' and drag on the slide.")
        elif shown == 0:
            text = tr("No annotation matches these filters.")
        elif shown == total:
            text = tr_plural("{count} annotation", "{count} annotations", total)
        else:
            text = tr_plural("{shown} of {count} annotation", "{shown} of {count} annotations", total, shown=shown)
        self.summary.setText(text)

    def _show_buttons(self) -> None:
        count = len(self.list.selectionModel().selectedIndexes())
        self.go_to.setEnabled(count == 1)
        self.reopen.setEnabled(count == 1 and not self._read_only)
        self.delete.setEnabled(count > 0 and not self._read_only)

    def _emit_one(self, signal: Any) -> None:
        chosen = self.selected_ids()
        if len(chosen) == 1:
            signal.emit(chosen[0])

    def _on_delete(self) -> None:
        chosen = self.selected_ids()
        if chosen:
            self.delete_requested.emit(chosen)

    def _want_visible(self) -> None:
        """Read the pictures of what is in sight first."""
        if not self.list.isVisible() or not self._filter.rowCount():
            return
        height = self.list.visualRect(self._filter.index(0, 0)).height() + 2 * self.list.spacing()
        top = self.list.verticalScrollBar().value()
        first, last = top // height, (top + self.list.viewport().height()) // height
        numbers = range(first, min(last + 1, self._filter.rowCount()))
        self._details.want([self._filter.listed(number) for number in numbers], pictures=True)

    def _on_read(self) -> None:
        self._model.show_details()
        if self.class_filter.currentData() is not None:
            self._filter.invalidate()
            self._show_summary()
        self._visible_timer.start()


class _List(QListView):
    """As high as there is room."""

    def __init__(self) -> None:
        super().__init__()
        self.setIconSize(QSize(THUMBNAIL_PX, THUMBNAIL_PX))
        self.setSelectionMode(QListView.SelectionMode.ExtendedSelection)
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setSpacing(2)

    def sizeHint(self) -> QSize:
        return QSize(240, 240)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, LOWEST_PX)


def _refill(box: QComboBox, everything: str, entries: Sequence[tuple[str, object]]) -> None:
    """New entries; what was chosen stays chosen where it can."""
    chosen = box.currentData()
    box.blockSignals(True)
    box.clear()
    box.addItem(everything, None)
    for text, value in entries:
        box.addItem(visible_name(text), value)
    box.setCurrentIndex(max(0, box.findData(chosen)))
    box.blockSignals(False)
