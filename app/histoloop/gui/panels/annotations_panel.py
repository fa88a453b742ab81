"""All that people annotated: a list with filters, to go to, to reopen, to delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSize,
    QSortFilterProxyModel,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QImage, QKeyEvent, QPixmap
from PySide6.QtWidgets import QComboBox, QLineEdit, QListView

from histoloop.annotations.class_names import spoken_class
from histoloop.gui.kit.widgets import NarrowBox, Panel, action_button, button, label, plain_tip, row, visible_name
from histoloop.gui.panels.counts_choice import COUNTS_TEXTS
from histoloop.language import tr, tr_plural, written
from histoloop.workflows.annotations import BACKGROUND, STATES, areas_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QAction

    from histoloop.gui.work.annotation_details import AnnotationDetails
    from histoloop.workflows.annotations import ListedAnnotation

THUMBNAIL_PX = 64
LINES = 4
SHOWN_MS = 60
_ID = Qt.ItemDataRole.UserRole
_Index = QModelIndex | QPersistentModelIndex


class AnnotationsPanel(Panel):
    """Emits ids of annotations: what the user wants to go to, to reopen, and (a list) to delete."""

    go_to_requested = Signal(int)
    reopen_requested = Signal(int)
    delete_requested = Signal(list)
    shown = Signal()

    def __init__(self, details: AnnotationDetails, annotate_here: QAction) -> None:
        super().__init__()
        self._model = _Annotations(details, self)
        self._filter = _Filter(self._model)
        self._details = details
        self.text_filter = QLineEdit()
        self.text_filter.setAccessibleName(tr("Search"))
        self.text_filter.setPlaceholderText(tr("Find: slide, label, person"))
        self.text_filter.setClearButtonEnabled(True)
        self.class_filter, self.person_filter, self.state_filter = NarrowBox(), NarrowBox(), NarrowBox()
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
        self.column.addWidget(self.class_filter)
        self.column.addWidget(self.summary)
        self.here = action_button(annotate_here)
        self.column.addWidget(self.here)
        self.column.addWidget(self.list, 1)
        self.column.addLayout(row(self.go_to, self.reopen, self.delete))
        self._read_only = ""
        self._visible_timer = QTimer(self, singleShot=True, interval=SHOWN_MS)
        self._visible_timer.timeout.connect(self._want_visible)
        self.list.verticalScrollBar().valueChanged.connect(self._visible_timer.start)
        details.read.connect(self._on_read)
        self.show_annotations([], ())

    def show_annotations(self, annotations: Sequence[ListedAnnotation], classes: Sequence[str]) -> None:
        """List annotations; `classes` are the names of the mask classes. What was selected stays so."""
        chosen = set(self.selected_ids())
        self._model.take(annotations)
        persons = sorted({each.record.person for each in annotations})
        states = [state for state in STATES if any(each.state == state for each in annotations)]
        _refill(self.state_filter, tr("All states"), [(tr(STATES[state]), state) for state in states])
        _refill(self.person_filter, tr("Everyone"), [(name or tr("Someone"), name) for name in persons])
        named = [(_spoken(name), name) for name in (*classes, BACKGROUND)]
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
        return [int(self._filter.index(number, 0).data(_ID)) for number in rows]

    def shown_ids(self) -> list[int]:
        """The annotations that are listed, in order."""
        return [int(self._filter.index(number, 0).data(_ID)) for number in range(self._filter.rowCount())]

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
            if index.data(_ID) in ids:
                selection.select(index, QItemSelectionModel.SelectionFlag.Select)
                selection.setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)
        self._show_buttons()

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
        for widget in (self.text_filter, self.class_filter, self.person_filter, self.state_filter, self.list):
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


class _Annotations(QAbstractListModel):
    """Rows of annotations; texts and pictures are made when they are shown."""

    def __init__(self, details: AnnotationDetails, parent: QObject) -> None:
        super().__init__(parent)
        self._details = details
        self._listed: Sequence[ListedAnnotation] = ()
        self._pictures: dict[tuple[int, str], QPixmap] = {}
        self._nothing = QPixmap(THUMBNAIL_PX, THUMBNAIL_PX)
        self._nothing.fill(Qt.GlobalColor.transparent)

    def take(self, listed: Sequence[ListedAnnotation]) -> None:
        self.beginResetModel()
        self._listed = listed
        self._pictures.clear()
        self.endResetModel()

    def listed(self, number: int) -> ListedAnnotation:
        return self._listed[number]

    def classes(self, number: int) -> frozenset[str]:
        """The classes of an annotation, as far as it was read."""
        known = self._details.of(self._listed[number])
        return frozenset() if known is None else frozenset(known.areas)

    def show_details(self) -> None:
        """More is known of some rows."""
        if self._listed:
            self.dataChanged.emit(self.index(0), self.index(len(self._listed) - 1))

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._listed)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        listed = self._listed[index.row()]
        if role == _ID:
            return listed.record.id
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(listed)
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            text = self._text(listed)
            return plain_tip(text) if role == Qt.ItemDataRole.ToolTipRole else text
        if role == Qt.ItemDataRole.DecorationRole:
            return self._picture(listed)
        return None

    def _text(self, listed: ListedAnnotation) -> str:
        record = listed.record
        known = self._details.of(listed)
        said = [spoken_class(record.label)] if record.label is not None else []
        if record.size is not None:
            said.append(written(record.size, ".0%"))
        if known is None:
            said.append("…")
        else:
            areas = areas_in_words(known.areas, mpp=listed.slide.mpp)
            said += [f"{_spoken(name)} {area}" for name, area in areas]
        state = [tr(STATES[listed.state])]
        if known is None or known.areas:
            state.append(tr(COUNTS_TEXTS[record.counts][0]))
        when = record.updated[:16].replace("T", " ")
        lines = (
            listed.slide.name,
            _joined(state),
            _joined(said) or tr("no mask"),
            _joined([record.person or tr("Someone"), when]),
        )
        return "\n".join(visible_name(line) for line in lines)

    def _picture(self, listed: ListedAnnotation) -> QPixmap:
        key = listed.record.id, listed.record.updated
        known = self._details.of(listed)
        if key not in self._pictures and known is not None and known.picture is not None:
            height, width = known.picture.shape[:2]
            image = QImage(known.picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
            aspect, smooth = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
            self._pictures[key] = QPixmap.fromImage(image).scaled(THUMBNAIL_PX, THUMBNAIL_PX, aspect, smooth)
        return self._pictures.get(key, self._nothing)


class _Filter(QSortFilterProxyModel):
    """The rows that fit what was chosen."""

    def __init__(self, model: _Annotations) -> None:
        super().__init__(model)
        self._model = model
        self._text = ""
        self._class: str | None = None
        self._person: str | None = None
        self._state: str | None = None
        self.setSourceModel(model)

    def choose(self, *, text: str, mask_class: str | None, person: str | None, state: str | None) -> None:
        self._text, self._class, self._person, self._state = text.casefold().strip(), mask_class, person, state
        self.invalidate()

    def listed(self, number: int) -> ListedAnnotation:
        return self._model.listed(self.mapToSource(self.index(number, 0)).row())

    def filterAcceptsRow(self, number: int, _parent: _Index) -> bool:
        listed = self._model.listed(number)
        record = listed.record
        return (
            self._person in (None, record.person)
            and self._state in (None, listed.state)
            and (self._class is None or self._class in self._model.classes(number))
            and (not self._text or self._text in self._said(number, listed))
        )

    def _said(self, number: int, listed: ListedAnnotation) -> str:
        label_name = listed.record.label or ""
        names = (*self._model.classes(number), label_name)
        return " ".join(
            (listed.slide.name, listed.record.person, *names, *(_spoken(name) for name in names if name))
        ).casefold()


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
        return QSize(0, 160)


def _spoken(name: str) -> str:
    return tr(BACKGROUND) if name == BACKGROUND else spoken_class(name)


def _joined(parts: Sequence[str]) -> str:
    return " \N{MIDDLE DOT} ".join(parts)


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
