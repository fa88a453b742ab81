"""The rows of the list of slides: which are shown, in which order, and what each says; made as they are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt

from histoloop.annotations.class_names import spoken_class
from histoloop.gui.kit.widgets import plain_tip, visible_name
from histoloop.gui.panels.slide_details import WHY_UNLIKE, resolution_in_words
from histoloop.language import mark, tr, tr_plural
from histoloop.store.records import MppFrom, SlideFile, SlideRecord, predicted_names
from histoloop.store.slide_names import natural_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from PySide6.QtGui import QPixmap
    from PySide6.QtWidgets import QWidget

    from histoloop.gui.work.thumbnails import Thumbnails

FILE_NOT_FOUND = mark("File not found")
UNLIKE = mark("Unlike the training data")
ANOTHER_FILE = mark("Another file is in its place")
_GONE = {SlideFile.MISSING: FILE_NOT_FOUND, SlideFile.REPLACED: ANOTHER_FILE}

SLIDE_ID = Qt.ItemDataRole.UserRole
SLIDE_STATE = Qt.ItemDataRole.UserRole + 1
_Index = QModelIndex | QPersistentModelIndex


class State(StrEnum):
    """Where a slide stands, the first of these that holds."""

    GONE = "gone"
    BEGUN = "begun"
    ANNOTATED = "annotated"
    UNLIKE = "unlike"
    PREDICTED = "predicted"
    NEW = "new"


IN_WORDS = {
    State.GONE: FILE_NOT_FOUND,
    State.BEGUN: mark("Begun"),
    State.ANNOTATED: mark("Annotated"),
    State.UNLIKE: UNLIKE,
    State.PREDICTED: mark("Predicted"),
    State.NEW: mark("Not predicted"),
}


class Order(StrEnum):
    """How the rows are sorted; rows that are alike stay in the order in which the slides were added."""

    ADDED = "added"
    NAME = "name"
    FOLDER = "folder"
    STATE = "state"
    LABEL = "label"


ORDERS = {
    Order.ADDED: mark("As added"),
    Order.NAME: mark("By name"),
    Order.FOLDER: mark("By folder"),
    Order.STATE: mark("By state"),
    Order.LABEL: mark("By label"),
}

WITHOUT_LABEL = "without-label"


@dataclass(frozen=True, slots=True)
class Row:
    """A slide with what is at its path, how many of its annotations count, and in how many regions work was begun."""

    slide: SlideRecord
    file: SlideFile
    annotated: int
    begun: int = 0

    @property
    def state(self) -> State:
        """Where it stands."""
        if self.file is not SlideFile.IN_PLACE:
            return State.GONE
        if self.begun:
            return State.BEGUN
        if self.annotated:
            return State.ANNOTATED
        if self.slide.is_unlike:
            return State.UNLIKE
        return State.NEW if self.slide.predicted is None else State.PREDICTED


@dataclass(frozen=True, slots=True)
class Choice:
    """Which slides are shown, in which order.

    `text` is looked for in names and labels, whatever the case; `state` is a `State`, WITHOUT_LABEL, or '' for all.
    """

    text: str = ""
    state: str = ""
    order: Order = Order.ADDED

    def takes(self, row: Row) -> bool:
        """Whether a slide is shown."""
        if self.state == WITHOUT_LABEL:
            fits = row.slide.label is None
        else:
            fits = self.state in ("", row.state) or (self.state == State.ANNOTATED and row.annotated > 0)
        return fits and (not self.text or self.text.casefold() in _said(row.slide))


def _said(slide: SlideRecord) -> str:
    """What is searched: name and label, as kept and as shown."""
    label = slide.label or ""
    return "\n".join((slide.name, label, spoken_class(label) if label else "")).casefold()


def _key_of(order: Order) -> Callable[[Row], object]:
    if order is Order.NAME:
        return lambda row: natural_key(row.slide.name)
    if order is Order.FOLDER:
        return lambda row: (natural_key(str(row.slide.path.parent)), natural_key(row.slide.name))
    if order is Order.STATE:
        place = {state: number for number, state in enumerate(State)}
        return lambda row: place[row.state]
    return lambda row: (row.slide.label is None, natural_key(row.slide.label or ""))


class SlideRows(QAbstractListModel):
    """The rows as the list asks for them: text, picture and tip of a slide are made when it is in sight."""

    def __init__(self, thumbnails: Thumbnails, parent: QWidget) -> None:
        super().__init__(parent)
        self._thumbnails = thumbnails
        self._folder: Path | None = None
        self._predicts = True
        self._slides: Sequence[SlideRecord] = ()
        self._files: Mapping[int, SlideFile] = {}
        self._annotated: Mapping[int, int] = {}
        self._begun: Mapping[int, int] = {}
        self._choice = Choice()
        self._rows: list[Row] = []
        self._places: dict[int, int] = {}
        thumbnails.came.connect(self._on_thumbnails)

    # --- what there is ------------------------------------------------------------------------------------------------

    def take(
        self,
        slides: Sequence[SlideRecord],
        *,
        folder: Path,
        files: Mapping[int, SlideFile],
        annotated: Mapping[int, int],
        begun: Mapping[int, int],
        predicts: bool,
    ) -> None:
        """The slides of a project, with what is at their paths (in place where nobody looked), and their thumbnails."""
        if folder != self._folder:
            self._thumbnails.forget()
        self._thumbnails.look_again()
        self._folder, self._slides, self._files = folder, slides, files
        self._annotated, self._begun = annotated, begun
        words_changed = predicts != self._predicts
        self._predicts = predicts
        self._arrange(all_changed=words_changed)

    def choose(self, choice: Choice) -> None:
        """Show other slides, or in another order."""
        self._choice = choice
        self._arrange()

    def _arrange(self, *, all_changed: bool = False) -> None:
        """Show the rows that fit, in order; those that stay where they are change alone."""
        rows = [
            Row(
                slide,
                self._files.get(slide.id, SlideFile.IN_PLACE),
                self._annotated.get(slide.id, 0),
                self._begun.get(slide.id, 0),
            )
            for slide in self._slides
        ]
        if self._choice != Choice():
            rows = [row for row in rows if self._choice.takes(row)]
            if self._choice.order is not Order.ADDED:
                rows.sort(key=_key_of(self._choice.order))  # type: ignore[arg-type]
        before = self._rows
        if [row.slide.id for row in rows] == [row.slide.id for row in before]:
            changed = range(len(rows)) if all_changed else [i for i, row in enumerate(rows) if row != before[i]]
            self._rows = rows
            self._tell(changed)
            return
        self.layoutAboutToBeChanged.emit()
        kept = self.persistentIndexList()
        ids = [before[index.row()].slide.id for index in kept]
        self._rows = rows
        self._places = {row.slide.id: place for place, row in enumerate(rows)}
        places = (self._places.get(slide_id) for slide_id in ids)
        self.changePersistentIndexList(kept, [QModelIndex() if at is None else self.index(at, 0) for at in places])
        self.layoutChanged.emit()

    # --- what is asked ------------------------------------------------------------------------------------------------

    @property
    def total(self) -> int:
        """How many slides there are, shown or not."""
        return len(self._slides)

    def slides(self) -> Sequence[SlideRecord]:
        """All slides, shown or not, in the order they were added."""
        return self._slides

    def id_at(self, place: int) -> int:
        """The slide of a row."""
        return self._rows[place].slide.id

    def place_of(self, slide_id: int) -> int | None:
        """The row of a slide; None where it is not shown."""
        return self._places.get(slide_id)

    def text_at(self, place: int) -> str:
        """The lines of a row."""
        row = self._rows[place]
        text = describe(row.slide, file=row.file, predicts=self._predicts)
        if self._choice.order is not Order.FOLDER:
            return text
        name, *others = text.split("\n")
        return "\n".join((name, tr("in {folder}", folder=visible_name(row.slide.path.parent.name)), *others))

    def rowCount(self, parent: _Index | None = None) -> int:
        """How many slides are shown."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Id, text, state, tip and thumbnail of a slide."""
        row = self._rows[index.row()]
        if role == SLIDE_ID:
            return row.slide.id
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self.text_at(index.row())
        if role == SLIDE_STATE:
            return row
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip("\n".join((*_details(row.slide), *_state_in_words(row))))
        return None

    def picture_at(self, place: int) -> QPixmap | None:
        """The thumbnail of a row; None until it is read, which this asks for."""
        slide_id = self._rows[place].slide.id
        return None if self._folder is None else self._thumbnails.of(slide_id, self._folder / f"slide-{slide_id}.png")

    def _on_thumbnails(self, ids: Sequence[int]) -> None:
        self._tell(sorted(place for each in ids if (place := self._places.get(each)) is not None))

    def _tell(self, places: Iterable[int]) -> None:
        """These rows are to be looked at again."""
        wanted = list(places)
        if wanted:
            self.dataChanged.emit(self.index(wanted[0], 0), self.index(wanted[-1], 0))


def describe(slide: SlideRecord, *, file: SlideFile = SlideFile.IN_PLACE, predicts: bool = True) -> str:
    """Up to three lines for the list: name, prediction (or how its file is gone) and label."""
    lines = [visible_name(slide.name), *filter(None, [_state(slide, file=file, predicts=predicts)])]
    if slide.label:
        lines.append(tr("Labelled: {label}", label=visible_name(spoken_class(slide.label))))
    return "\n".join(lines)


def _state(slide: SlideRecord, *, file: SlideFile, predicts: bool) -> str:
    if file in _GONE:
        return tr(_GONE[file])
    known = [tr(UNLIKE)] if slide.is_unlike else [_prediction(slide.predicted)] if predicts else []
    if slide.mpp is None:
        known.append(tr("resolution unknown"))
    elif slide.mpp_from is MppFrom.OBJECTIVE:
        known.append(tr("resolution estimated"))
    return " \N{MIDDLE DOT} ".join(known)


def _prediction(predicted: Mapping[str, float] | None) -> str:
    if not predicted:
        return tr("Not predicted") if predicted is None else tr("No tissue found")
    return ", ".join(
        tr("{label} {percent:.0f}%", label=visible_name(spoken_class(name)), percent=100 * predicted[name])
        for name in predicted_names(predicted)
    )


def _details(slide: SlideRecord) -> list[str]:
    size = tr("{width} x {height} pixels", width=slide.width, height=slide.height)
    ranked = sorted((slide.predicted or {}).items(), key=lambda entry: -entry[1])
    shares = [
        tr("{label}: {percent:.1f}%", label=spoken_class(name), percent=100 * probability)
        for name, probability in ranked
    ]
    lines = [str(slide.path), ", ".join((size, resolution_in_words(slide), tr(slide.vendor)))]
    if slide.is_unlike:
        lines.append(tr(WHY_UNLIKE))
    return [*lines, *shares]


def _state_in_words(row: Row) -> list[str]:
    """What the sign at the end of the row means, where nothing else in the tip says it."""
    if row.annotated or row.begun:
        words = []
        if row.annotated:
            words.append(tr_plural("{count} annotated region", "{count} annotated regions", row.annotated))
        if row.begun:
            words.append(tr_plural("{count} region begun", "{count} regions begun", row.begun))
        return words
    return [] if row.state is State.UNLIKE else [tr(_GONE.get(row.file, IN_WORDS[row.state]))]
