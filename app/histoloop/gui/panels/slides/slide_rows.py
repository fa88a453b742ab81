"""The rows of the list of slides: which are shown, in which order, and what each says; made as they are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt

from histoloop.annotations.class_names import spoken_class
from histoloop.gui.kit.widgets import plain_tip
from histoloop.gui.panels.slides.slide_row import Heading, Row, State, by_case, by_folder, describe, tip_of
from histoloop.language import mark
from histoloop.store.records import SlideFile, SlideRecord
from histoloop.store.slide_names import natural_key
from histoloop.workflows.contents.review import NOT_REVIEWED, SlideReview

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from PySide6.QtGui import QPixmap
    from PySide6.QtWidgets import QWidget

    from histoloop.gui.work.thumbnails import Thumbnails

SLIDE_ID = Qt.ItemDataRole.UserRole
SLIDE_STATE = Qt.ItemDataRole.UserRole + 1
_Index = QModelIndex | QPersistentModelIndex


class Order(StrEnum):
    """How the rows are sorted; rows that are alike stay in the order in which the slides were added."""

    ADDED = "added"
    NAME = "name"
    CASE = "case"
    FOLDER = "folder"
    STATE = "state"
    LABEL = "label"


ORDERS = {
    Order.ADDED: mark("As added"),
    Order.NAME: mark("By name"),
    Order.CASE: mark("By case"),
    Order.FOLDER: mark("By folder"),
    Order.STATE: mark("By state"),
    Order.LABEL: mark("By label"),
}

GROUPED = {Order.CASE: by_case, Order.FOLDER: by_folder}
"""Orders that put headings above the slides, and what makes them."""

WITHOUT_LABEL, TO_REVIEW = "without-label", "to-review"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which slides are shown, in which order.

    `text` is looked for in names and labels, whatever the case; `state` is a `State`, WITHOUT_LABEL, TO_REVIEW, or ''
    for all.
    """

    text: str = ""
    state: str = ""
    order: Order = Order.ADDED

    def takes(self, row: Row) -> bool:
        """Whether a slide is shown."""
        holds = {
            WITHOUT_LABEL: row.slide.label is None,
            TO_REVIEW: row.review.waiting > 0,
            State.ANNOTATED: row.annotated > 0,
            State.REVIEWED: row.review.reviewed > 0,
        }
        fits = holds.get(self.state, False) or self.state in ("", row.state)
        return fits and (not self.text or self.text.casefold() in _said(row.slide))


def _said(slide: SlideRecord) -> str:
    """What is searched: name and label, as kept and as shown."""
    label = slide.label or ""
    return "\n".join((slide.name, label, spoken_class(label) if label else "")).casefold()


def _key_of(order: Order) -> Callable[[Row], object]:
    if order is Order.NAME:
        return lambda row: natural_key(row.slide.name)
    if order is Order.STATE:
        place = {state: number for number, state in enumerate(State)}
        return lambda row: place[row.state]
    return lambda row: (row.slide.label is None, natural_key(row.slide.label or ""))


class SlideRows(QAbstractListModel):
    """The rows as the list asks for them: text, picture and tip of a slide are made when it is in sight.

    Where slides are grouped a heading is a row, too, which cannot be selected. Slides that are folded away are listed
    as others are, but have no row.
    """

    def __init__(self, thumbnails: Thumbnails, parent: QWidget) -> None:
        super().__init__(parent)
        self._thumbnails = thumbnails
        self._folder: Path | None = None
        self._predicts = True
        self._slides: Sequence[SlideRecord] = ()
        self._files: Mapping[int, SlideFile] = {}
        self._annotated: Mapping[int, int] = {}
        self._begun: Mapping[int, int] = {}
        self._review: Mapping[int, SlideReview] = {}
        self._choice = Choice()
        self._rows: Sequence[Row | Heading] = []
        self._places: dict[int, int] = {}
        self._listed: list[int] = []
        self._folded: dict[Order, set[str]] = {order: set() for order in GROUPED}
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
        review: Mapping[int, SlideReview],
        predicts: bool,
    ) -> None:
        """The slides of a project, with what is at their paths (in place where nobody looked), and their thumbnails."""
        if folder != self._folder:
            self._thumbnails.forget()
        self._thumbnails.look_again()
        self._folder, self._slides, self._files = folder, slides, files
        self._annotated, self._begun, self._review = annotated, begun, review
        words_changed = predicts != self._predicts
        self._predicts = predicts
        self._arrange(all_changed=words_changed)

    def choose(self, choice: Choice) -> None:
        """Show other slides, or in another order."""
        self._choice = choice
        self._arrange()

    def fold(self, key: str, *, folded: bool) -> None:
        """Hide the slides below a heading, or show them again."""
        self._fold({key}, folded=folded)

    def fold_all(self, *, folded: bool) -> None:
        """Hide the slides below all headings, or show them again."""
        self._fold({row.key for row in self._rows if isinstance(row, Heading)}, folded=folded)

    def unfold_to(self, slide_id: int) -> None:
        """Show the slides of the group that a slide is in, where it is folded away."""
        if self._choice.order in GROUPED and slide_id in self._listed:
            entries, _rows = GROUPED[self._choice.order]([row for row in self._all() if row.slide.id == slide_id], ())
            self._fold({row.key for row in entries if isinstance(row, Heading)}, folded=False)

    def _fold(self, keys: set[str], *, folded: bool) -> None:
        now = self._folded[self._choice.order]
        self._folded[self._choice.order] = now | keys if folded else now - keys
        self._arrange()

    def _all(self) -> list[Row]:
        return [
            Row(
                slide,
                self._files.get(slide.id, SlideFile.IN_PLACE),
                self._annotated.get(slide.id, 0),
                self._begun.get(slide.id, 0),
                self._review.get(slide.id, NOT_REVIEWED),
            )
            for slide in self._slides
        ]

    def _arrange(self, *, all_changed: bool = False) -> None:
        """Show the rows that fit, in order; those that stay where they are change alone."""
        listed, order = self._all(), self._choice.order
        rows: Sequence[Row | Heading] = listed
        if self._choice != Choice():
            listed = [row for row in listed if self._choice.takes(row)]
            if order in GROUPED:
                rows, listed = GROUPED[order](listed, self._folded[order])
            else:
                if order is not Order.ADDED:
                    listed.sort(key=_key_of(order))  # type: ignore[arg-type]
                rows = listed
        before, self._listed = self._rows, [row.slide.id for row in listed]
        if [_known_by(row) for row in rows] == [_known_by(row) for row in before]:
            changed = range(len(rows)) if all_changed else [i for i, row in enumerate(rows) if row != before[i]]
            self._rows = rows
            self._tell(changed)
            return
        self.layoutAboutToBeChanged.emit()
        kept = self.persistentIndexList()
        known = [_known_by(before[index.row()]) for index in kept]
        self._rows = rows
        places = {_known_by(row): place for place, row in enumerate(rows)}
        self._places = {key: place for key, place in places.items() if isinstance(key, int)}
        now = (places.get(key) for key in known)
        self.changePersistentIndexList(kept, [QModelIndex() if at is None else self.index(at, 0) for at in now])
        self.layoutChanged.emit()

    # --- what is asked ------------------------------------------------------------------------------------------------

    @property
    def total(self) -> int:
        """How many slides there are, shown or not."""
        return len(self._slides)

    def slides(self) -> Sequence[SlideRecord]:
        """All slides, shown or not, in the order they were added."""
        return self._slides

    def listed(self) -> Sequence[int]:
        """The slides (ids) that fit, in order; those that are folded away, too."""
        return self._listed

    def place_of(self, slide_id: int) -> int | None:
        """The row of a slide; None where it is not shown."""
        return self._places.get(slide_id)

    def heading_of(self, place: int) -> int | None:
        """The row of the heading above a row, or of it itself where it is one; None where slides are not grouped."""
        return next((at for at in range(place, -1, -1) if isinstance(self._rows[at], Heading)), None)

    def entry_at(self, place: int) -> Row | Heading:
        """What a row is."""
        return self._rows[place]

    def text_at(self, place: int) -> str:
        """The lines of a row."""
        row = self._rows[place]
        if isinstance(row, Heading):
            return row.title
        return describe(row.slide, file=row.file, predicts=self._predicts)

    def rowCount(self, parent: _Index | None = None) -> int:
        """How many rows are shown."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def flags(self, index: _Index) -> Qt.ItemFlag:
        """A heading cannot be selected."""
        if index.isValid() and isinstance(self._rows[index.row()], Heading):
            return Qt.ItemFlag.ItemIsEnabled
        return super().flags(index)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Id, text, state and tip of a slide, the same but an id of a heading."""
        row = self._rows[index.row()]
        if role == SLIDE_STATE:
            return row
        if isinstance(row, Heading):
            words = {Qt.ItemDataRole.DisplayRole: row.title, Qt.ItemDataRole.AccessibleTextRole: row.spoken}
            words[Qt.ItemDataRole.ToolTipRole] = plain_tip(row.whole)
            return next((text for known, text in words.items() if known == role), None)
        if role == SLIDE_ID:
            return row.slide.id
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self.text_at(index.row())
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(tip_of(row))
        return None

    def picture_of(self, slide_id: int) -> QPixmap | None:
        """The thumbnail of a slide; None until it is read, which this asks for."""
        return None if self._folder is None else self._thumbnails.of(slide_id, self._folder / f"slide-{slide_id}.png")

    def _on_thumbnails(self, ids: Sequence[int]) -> None:
        self._tell(sorted(place for each in ids if (place := self._places.get(each)) is not None))

    def _tell(self, places: Iterable[int]) -> None:
        """These rows are to be looked at again."""
        wanted = list(places)
        if wanted:
            self.dataChanged.emit(self.index(wanted[0], 0), self.index(wanted[-1], 0))


def _known_by(row: Row | Heading) -> int | str:
    """What stays the same of a row: the id of a slide, the key of a heading."""
    return row.key if isinstance(row, Heading) else row.slide.id
