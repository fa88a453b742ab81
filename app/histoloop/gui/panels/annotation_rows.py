"""The rows of the list of annotations: what each says, which are let through, and in which order they come."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel, Qt
from PySide6.QtGui import QImage, QPixmap

from histoloop.annotations.class_names import spoken_class
from histoloop.gui.kit.widgets import plain_tip, visible_name
from histoloop.gui.panels.counts_choice import COUNTS_TEXTS
from histoloop.language import mark, number, tr
from histoloop.store.slide_names import natural_key
from histoloop.workflows.annotations import BACKGROUND, STATES, areas_in_words
from histoloop.workflows.contents.readings import STATES as REVIEW_STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from histoloop.gui.work.annotation_details import AnnotationDetails
    from histoloop.workflows.annotations import ListedAnnotation
    from histoloop.workflows.contents.readings import RegionAgreement, ReviewState

THUMBNAIL_PX = 64
ANNOTATION_ID = Qt.ItemDataRole.UserRole
READ_TWICE = "read-twice"
"""The state of any region that two readers painted, whether they agree or not."""
_Index = QModelIndex | QPersistentModelIndex


class AnnotationOrder(StrEnum):
    """How the rows are sorted; those that are alike stay the newest first."""

    NEWEST = "newest"
    SLIDE = "slide"
    PERSON = "person"
    STATE = "state"


ANNOTATION_ORDERS = {
    AnnotationOrder.NEWEST: mark("Newest first"),
    AnnotationOrder.SLIDE: mark("By slide"),
    AnnotationOrder.PERSON: mark("By person"),
    AnnotationOrder.STATE: mark("By state"),
}


def review_state_of(listed: ListedAnnotation, read_twice: Mapping[int, RegionAgreement]) -> ReviewState | None:
    """Where the region of an annotation stands between two readers; None where one alone painted it."""
    found = read_twice.get(listed.record.id)
    return None if found is None else found.state


def in_order(
    listed: Sequence[ListedAnnotation], order: AnnotationOrder, read_twice: Mapping[int, RegionAgreement]
) -> list[ListedAnnotation]:
    """Annotations, the newest first, in another order."""
    states = [*STATES, *REVIEW_STATES]

    def of_state(each: ListedAnnotation) -> int:
        return states.index(review_state_of(each, read_twice) or each.state)

    keys: Mapping[AnnotationOrder, Callable[[ListedAnnotation], Any]] = {
        AnnotationOrder.NEWEST: lambda _each: 0,
        AnnotationOrder.SLIDE: lambda each: natural_key(each.slide.name),
        AnnotationOrder.PERSON: lambda each: natural_key(each.record.person),
        AnnotationOrder.STATE: of_state,
    }
    return sorted(listed, key=keys[order])


class AnnotationRows(QAbstractListModel):
    """Rows of annotations; texts and pictures are made when they are shown."""

    def __init__(self, details: AnnotationDetails, parent: QObject) -> None:
        super().__init__(parent)
        self._details = details
        self._listed: Sequence[ListedAnnotation] = ()
        self._pictures: dict[tuple[int, str], QPixmap] = {}
        self._read_twice: Mapping[int, RegionAgreement] = {}
        self._nothing = QPixmap(THUMBNAIL_PX, THUMBNAIL_PX)
        self._nothing.fill(Qt.GlobalColor.transparent)

    def take(self, listed: Sequence[ListedAnnotation], read_twice: Mapping[int, RegionAgreement]) -> None:
        """List annotations, in this order; `read_twice` are those (by id) whose region two readers painted."""
        self.beginResetModel()
        self._listed, self._read_twice = listed, read_twice
        self._pictures.clear()
        self.endResetModel()

    def listed(self, number: int) -> ListedAnnotation:
        """The annotation of a row."""
        return self._listed[number]

    def review(self, number: int) -> ReviewState | None:
        """Where the region of a row stands between two readers; None where one alone painted it."""
        return review_state_of(self._listed[number], self._read_twice)

    def classes(self, number: int) -> frozenset[str]:
        """The classes of an annotation, as far as it was read."""
        known = self._details.of(self._listed[number])
        return frozenset() if known is None else frozenset(known.areas)

    def show_details(self) -> None:
        """More is known of some rows."""
        if self._listed:
            self.dataChanged.emit(self.index(0), self.index(len(self._listed) - 1))

    def rowCount(self, parent: _Index | None = None) -> int:
        """How many annotations there are."""
        return 0 if parent is not None and parent.isValid() else len(self._listed)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Id, text and picture of an annotation."""
        listed = self._listed[index.row()]
        if role == ANNOTATION_ID:
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
            said.append(number(record.size, ".0%"))
        if known is None:
            said.append("…")
        else:
            areas = areas_in_words(known.areas, mpp=listed.slide.mpp)
            said += [f"{spoken_name(name)} {area}" for name, area in areas]
        state = [tr(STATES[listed.state])]
        readers = [record.person]
        if record.id in self._read_twice:
            state.append(tr(REVIEW_STATES[self._read_twice[record.id].state]))
            readers = list(dict.fromkeys((*self._read_twice[record.id].readers, record.person)))
        if known is None or known.areas:
            state.append(tr(COUNTS_TEXTS[record.counts][0]))
        when = record.updated[:16].replace("T", " ")
        lines = (
            listed.slide.name,
            _joined(state),
            _joined(said) or tr("no mask"),
            _joined([", ".join(name or tr("Someone") for name in readers), when]),
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


class AnnotationFilter(QSortFilterProxyModel):
    """The rows that fit what was chosen."""

    def __init__(self, model: AnnotationRows) -> None:
        super().__init__(model)
        self._model = model
        self._text = ""
        self._class: str | None = None
        self._person: str | None = None
        self._state: str | None = None
        self.setSourceModel(model)

    def choose(self, *, text: str, mask_class: str | None, person: str | None, state: str | None) -> None:
        """Let those through that fit all of it (None: any); `state` is one of `STATES`, a review's or `READ_TWICE`."""
        self._text, self._class, self._person, self._state = text.casefold().strip(), mask_class, person, state
        self.invalidate()

    def listed(self, number: int) -> ListedAnnotation:
        """The annotation of a row that is let through."""
        return self._model.listed(self.mapToSource(self.index(number, 0)).row())

    def filterAcceptsRow(self, number: int, _parent: _Index) -> bool:
        """Whether a row is let through."""
        listed = self._model.listed(number)
        record = listed.record
        return (
            self._person in (None, record.person)
            and self._fits_state(number, listed)
            and (self._class is None or self._class in self._model.classes(number))
            and (not self._text or self._text in self._said(number, listed))
        )

    def _fits_state(self, number: int, listed: ListedAnnotation) -> bool:
        review = self._model.review(number)
        return self._state in (None, listed.state, review) or (self._state == READ_TWICE and review is not None)

    def _said(self, number: int, listed: ListedAnnotation) -> str:
        label_name = listed.record.label or ""
        names = (*self._model.classes(number), label_name)
        return " ".join(
            (listed.slide.name, listed.record.person, *names, *(spoken_name(name) for name in names if name))
        ).casefold()


def spoken_name(name: str) -> str:
    """A class, or background, in the language of the window."""
    return tr(BACKGROUND) if name == BACKGROUND else spoken_class(name)


def _joined(parts: Sequence[str]) -> str:
    return " \N{MIDDLE DOT} ".join(parts)
