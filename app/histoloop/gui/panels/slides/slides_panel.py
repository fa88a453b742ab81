"""The slides of the project: thumbnail, predicted class with confidence, and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QItemSelectionModel, QPoint, Qt, Signal
from PySide6.QtWidgets import QMenu, QVBoxLayout, QWidget

from histoloop.gui.kit.fitting_scroll import GivingWay
from histoloop.gui.kit.widgets import Panel, button, label, row
from histoloop.gui.panels.slides.slide_details import SlideDetails
from histoloop.gui.panels.slides.slide_filters import SlideFilters
from histoloop.gui.panels.slides.slide_list import THUMBNAIL_PX, SlideList
from histoloop.gui.panels.slides.slide_row import Heading
from histoloop.gui.panels.slides.slide_rows import GROUPED, SLIDE_ID, SLIDE_STATE, SlideRows
from histoloop.gui.work.thumbnails import Thumbnails
from histoloop.language import tr, tr_plural

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from PySide6.QtCore import QMimeData
    from PySide6.QtGui import QDragEnterEvent, QDragMoveEvent, QDropEvent

    from histoloop.gui.panels.slides.slide_rows import Choice
    from histoloop.store.records import SlideFile, SlideRecord
    from histoloop.workflows.contents.review import SlideReview

_ONLY = QItemSelectionModel.SelectionFlag.ClearAndSelect


class SlidesPanel(Panel):
    """Tells what the user picks, drops and asks for; shows what it is given.

    One slide is the chosen one, and always among those that are selected: what is done to the selection is done to
    what is on the canvas. Where the list is narrowed down to others, the chosen one alone is selected until one of
    those is.
    """

    slide_chosen = Signal(int)
    paths_dropped = Signal(object)
    add_requested = Signal()
    mpp_requested = Signal()
    unknown_mpp_requested = Signal()
    remove_requested = Signal()
    find_requested = Signal()
    label_chosen = Signal(object)

    def __init__(self, label_menu: QMenu) -> None:
        super().__init__()
        self._label_menu = label_menu
        self.setAcceptDrops(True)
        self.thumbnails = Thumbnails(2 * THUMBNAIL_PX, self)
        self._rows = SlideRows(self.thumbnails, self)
        self.filters = SlideFilters()
        self.filters.setVisible(False)
        self.filters.chosen.connect(self._on_filtered)
        self.list = SlideList(self._rows)
        self.list.setAccessibleName(tr("Slides"))
        self.list.fold_requested.connect(self._on_fold)
        self.list.customContextMenuRequested.connect(self._on_menu)
        selection = self.list.selectionModel()
        selection.currentChanged.connect(self._settle)
        selection.selectionChanged.connect(self._settle)
        self.empty = label(tr("Drop slides or folders here."), role="muted", wrap=True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.add = button(tr("Add slides…"))
        self.add.clicked.connect(self.add_requested)
        self.mpp_note = label(role="notice", wrap=True)
        self.mpp_note.setVisible(False)
        self.mpp_button = button(tr("Set resolution…"))
        self.mpp_button.clicked.connect(self.unknown_mpp_requested)
        self.mpp_button.setVisible(False)
        self.column.addLayout(row(self.add, stretch=0))
        self.column.addWidget(self.empty)
        self.details = SlideDetails()
        self.details.label_chosen.connect(self.label_chosen)
        self.details.setVisible(False)
        self.column.addWidget(self.filters)
        self.column.addWidget(self.list, 1)
        below = QWidget()
        column = QVBoxLayout(below)
        column.setContentsMargins(0, 0, 0, 0)
        for part in (self.details, self.mpp_note, self.mpp_button):
            column.addWidget(part)
        self.column.addWidget(GivingWay(below))
        self._chosen: int | None = None
        self._place = self._number = -1
        """Where the chosen slide was in the list last: its row, and its number among the slides."""
        self._is_filling = False
        self._by_id: dict[int, SlideRecord] = {}
        self._you = ""
        self._read_only = False
        self._noted: int | None = None
        self._note = ""

    def show_slides(
        self,
        slides: Sequence[SlideRecord],
        thumbnails: Path,
        labels: Sequence[str],
        *,
        files: Mapping[int, SlideFile],
        annotated: Mapping[int, int],
        begun: Mapping[int, int],
        review: Mapping[int, SlideReview],
        predicts: bool = True,
        you: str,
    ) -> None:
        """List the slides; thumbnails are `slide-<id>.png` in a folder.

        `labels` is what a slide can be, `files` what was found at the paths of slides (by id), in place where nobody
        looked, `annotated` how many annotations of them count, `begun` in how many regions work was begun, `review`
        where their regions stand between two readers, `predicts` whether there is a model that says what a slide is as
        a whole, `you` the name of who sits here.
        """
        self._you = you
        self._by_id = {slide.id: slide for slide in slides}
        self.details.set_labels(labels, predicts=predicts)
        self._fill(
            lambda: self._rows.take(
                slides,
                folder=thumbnails,
                files=files,
                annotated=annotated,
                begun=begun,
                review=review,
                predicts=predicts,
            )
        )
        if self._chosen not in self._by_id:
            self._chosen = None
        self._show_details()
        self.empty.setVisible(not slides)
        self.list.setVisible(bool(slides))
        unknown = sum(slide.mpp is None for slide in slides)
        self.mpp_note.setVisible(unknown > 0)
        self.mpp_button.setVisible(unknown > 0)
        self.mpp_note.setText(
            tr_plural(
                "{count} of {slides} slides does not state its resolution. Its pixels are used as they are, "
                "and areas stay in pixels until you set it.",
                "{count} of {slides} slides do not state their resolution. Their pixels are used as they are, "
                "and areas stay in pixels until you set it.",
                unknown,
                slides=len(slides),
            )
        )

    def set_read_only(self, reason: str) -> None:
        """Offer nothing that changes the project, and say why; empty: it can be changed."""
        self._read_only = bool(reason)
        for each in (self.add, self.mpp_button, self.details.picker):
            each.setEnabled(not reason)
        self.add.setToolTip(reason)
        self._label_menu.setEnabled(not reason)

    def show_note(self, slide_id: int | None, note: str) -> None:
        """What is unusual about the slide on the screen."""
        self._noted, self._note = slide_id, note
        self._show_details()

    def choose(self, slide_id: int) -> None:
        """Make a slide the current one; its group is unfolded, or the list narrowed down no more, to show it."""
        if slide_id in self._by_id and self._rows.place_of(slide_id) is None:
            self._fill(lambda: self._rows.unfold_to(slide_id))
            if self._rows.place_of(slide_id) is None:
                self.filters.clear()
        place = self._rows.place_of(slide_id)
        if place is not None:
            self.list.selectionModel().setCurrentIndex(self._rows.index(place, 0), _ONLY)

    def step(self, by: int) -> None:
        """Go on to the next slide of the list (1) or back to the one before (-1); at its ends nothing happens."""
        listed = self._rows.listed()
        if self._chosen in listed:
            wanted = listed.index(self._chosen) + by
        else:  # what came into its place is the next one
            wanted = self._number - 1 + by if by > 0 else self._number + by
        if 0 <= wanted < len(listed):
            self.choose(listed[wanted])
            self.list.scrollTo(self.list.currentIndex())

    def current_id(self) -> int | None:
        """The slide that is chosen, to be shown."""
        return self._chosen

    def name_of(self, slide_id: int) -> str:
        """What a slide is called here; empty for one that is not in the project."""
        slide = self._by_id.get(slide_id)
        return "" if slide is None else slide.name

    @property
    def total(self) -> int:
        """How many slides there are, listed or not."""
        return self._rows.total

    def selected_ids(self) -> list[int]:
        """The slides that are selected, in the order of the list."""
        chosen = [] if self._chosen is None else [self._chosen]
        return self._selected_rows() or chosen

    def shut_down(self) -> None:
        """End the thread that reads thumbnails."""
        self.thumbnails.shut_down()

    def _selected_rows(self) -> list[int]:
        chosen = sorted(self.list.selectionModel().selectedIndexes(), key=lambda index: index.row())
        return [int(index.data(SLIDE_ID)) for index in chosen]

    def _on_filtered(self, choice: Choice) -> None:
        self.list.set_grouped(choice.order in GROUPED)
        self._fill(lambda: self._rows.choose(choice))
        self._show_details()

    def _on_fold(self, key: str | None, folded: bool) -> None:
        if key is None:
            self._fill(lambda: self._rows.fold_all(folded=folded))
        else:
            self._fill(lambda: self._rows.fold(key, folded=folded))
        self.list.scrollTo(self.list.currentIndex())

    def _fill(self, change: Callable[[], None]) -> None:
        """Change the rows; what is selected stays so, and the chosen slide is selected where it is listed again."""
        self._is_filling = True
        change()
        selection = self.list.selectionModel()
        place = None if self._chosen is None else self._rows.place_of(self._chosen)
        on_heading = isinstance(selection.currentIndex().data(SLIDE_STATE), Heading)
        if place is not None and not selection.selectedIndexes():
            index = self._rows.index(place, 0)
            if on_heading:
                selection.select(index, _ONLY)
            else:
                selection.setCurrentIndex(index, _ONLY)
        self._is_filling = False
        if place is not None and place != self._place:
            self._place = place
            if not on_heading:
                self.list.scrollTo(self._rows.index(place, 0))
        self._note_number()
        self.filters.show_counts(len(self._rows.listed()), self._rows.total)

    def _note_number(self) -> None:
        listed = self._rows.listed()
        self._number = listed.index(self._chosen) if self._chosen in listed else self._number

    def _settle(self) -> None:
        """Choose the current slide, or where that is not selected another one that is; one of them always is."""
        current = self.list.currentIndex()
        if self._is_filling or not current.isValid():
            return
        selected = self._selected_rows()
        if not selected and isinstance(current.data(SLIDE_STATE), Heading):
            return  # the chosen slide is folded away, and stays
        if not selected:
            self.list.selectionModel().select(current, QItemSelectionModel.SelectionFlag.Select)  # comes back here
            return
        if self.list.selectionModel().isSelected(current):
            chosen, self._place = int(current.data(SLIDE_ID)), current.row()
        else:
            chosen = self._chosen if self._chosen in selected else selected[-1]
        self._show_details()
        if chosen != self._chosen:
            self._chosen = chosen
            self._note_number()
            self.slide_chosen.emit(chosen)

    def _show_details(self) -> None:
        selected = self.selected_ids()
        note = self._note if selected == [self._noted] else ""
        there = [self._by_id[slide_id] for slide_id in selected if slide_id in self._by_id]
        self.details.show_slides(there, you=self._you, note=note)

    def _on_menu(self, place: QPoint) -> None:
        if not self.selected_ids() or self._read_only:
            return
        menu = QMenu(self)
        if self._label_menu.menuAction().isVisible():
            menu.addMenu(self._label_menu)
        menu.addAction(tr("Set resolution…"), self.mpp_requested.emit)
        menu.addAction(tr("Find moved slides…"), self.find_requested.emit)
        menu.addSeparator()
        menu.addAction(tr("Remove from the project"), self.remove_requested.emit)
        menu.exec(self.list.mapToGlobal(place))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files and folders."""
        if dropped_paths(event.mimeData()):
            event.acceptProposedAction()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        """Take them anywhere on the panel."""
        event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Tell what was dropped."""
        self.paths_dropped.emit(dropped_paths(event.mimeData()))
        event.acceptProposedAction()


def dropped_paths(mime: QMimeData) -> list[Path]:
    """Local files and folders among what is dropped."""
    return [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]
