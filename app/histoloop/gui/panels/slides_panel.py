"""The slides of the project: thumbnail, predicted class with confidence, and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QItemSelectionModel, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QColor, QDragEnterEvent, QDragMoveEvent, QDropEvent, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QMenu

from histoloop.annotations.class_names import spoken_class
from histoloop.gui.kit.widgets import Panel, button, label, picture_of, plain_icon, plain_tip, row, visible_name
from histoloop.gui.panels.slide_details import WHY_UNLIKE, SlideDetails, resolution_in_words
from histoloop.language import mark, tr, tr_plural
from histoloop.store.records import MppFrom, predicted_names

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from PySide6.QtCore import QMimeData

    from histoloop.store.records import SlideRecord

THUMBNAIL_PX = 64
FILE_NOT_FOUND = mark("File not found")
UNLIKE = mark("Unlike the training data")
ANOTHER_FILE = mark("Another file is in its place")
_ID = Qt.ItemDataRole.UserRole


class SlidesPanel(Panel):
    """Tells what the user picks, drops and asks for; shows what it is given.

    One slide is the chosen one, and always among those that are selected: what is done to the selection is done to
    what is on the canvas.
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
        self.list = QListWidget()
        self.list.setIconSize(QSize(THUMBNAIL_PX, THUMBNAIL_PX))
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.setWordWrap(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.list.setSpacing(2)
        self.list.currentItemChanged.connect(self._settle)
        self.list.customContextMenuRequested.connect(self._on_menu)
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
        self.column.addWidget(self.list, 1)
        self.column.addWidget(self.details)
        self.column.addWidget(self.mpp_note)
        self.column.addWidget(self.mpp_button)
        self.list.itemSelectionChanged.connect(self._settle)
        self._chosen: int | None = None
        self._slides: Sequence[SlideRecord] = ()
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
        missing: Collection[int],
        replaced: Collection[int] = (),
        predicts: bool = True,
        you: str,
    ) -> None:
        """List the slides; thumbnails are `slide-<id>.png` in a folder.

        `labels` is what a slide can be, `missing` the ids of slides whose files are gone, `replaced` of those in whose
        place another file is, `predicts` whether there is a model that says what a slide is as a whole, `you` the name
        of who sits here.
        """
        self._slides, self._you = slides, you
        self.details.set_labels(labels, predicts=predicts)
        chosen, selected = self.current_id(), self.selected_ids()
        self.list.blockSignals(True)
        self.list.clear()
        for slide in slides:
            gone = FILE_NOT_FOUND if slide.id in missing else ANOTHER_FILE if slide.id in replaced else ""
            thumbnail = _thumbnail(thumbnails / f"slide-{slide.id}.png", found=not gone)
            item = QListWidgetItem(thumbnail, describe(slide, gone=gone, predicts=predicts))
            item.setData(_ID, slide.id)
            item.setToolTip(plain_tip(_details(slide)))
            self.list.addItem(item)
            if slide.id == chosen:
                self.list.setCurrentItem(item)
            item.setSelected(slide.id in selected)
        self.list.blockSignals(False)
        if chosen not in [slide.id for slide in slides]:
            self._chosen = None
        self._show_details()
        self.empty.setVisible(not slides)
        self.list.setVisible(bool(slides))
        unknown = sum(slide.mpp is None for slide in slides)
        self.mpp_note.setVisible(unknown > 0)
        self.mpp_button.setVisible(unknown > 0)
        self.mpp_note.setText(
            tr_plural(
                "{count} of {slides} slides does not say its resolution. Its pixels are taken as they are and areas "
                "stay in pixels until you say it.",
                "{count} of {slides} slides do not say their resolution. Their pixels are taken as they are and areas "
                "stay in pixels until you say it.",
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
        """Make a slide the current one."""
        for index in range(self.list.count()):
            if self.list.item(index).data(_ID) == slide_id:
                item, only = self.list.item(index), QItemSelectionModel.SelectionFlag.ClearAndSelect
                self.list.setCurrentItem(item, only)
                return

    def current_id(self) -> int | None:
        """The slide that is chosen, to be shown."""
        return self._chosen

    def name_of(self, slide_id: int) -> str:
        """What a slide is called here; empty for one that is not listed."""
        return next((slide.name for slide in self._slides if slide.id == slide_id), "")

    def selected_ids(self) -> list[int]:
        """The slides that are selected."""
        return [int(item.data(_ID)) for item in self.list.selectedItems()]

    def _settle(self) -> None:
        """Choose the current slide, or where that is not selected another one that is; one of them always is."""
        selected = self.selected_ids()
        if self.list.currentRow() < 0:
            return
        current = self.list.currentItem()
        if not selected:
            current.setSelected(True)  # comes back here
            return
        if current.isSelected():
            chosen = int(current.data(_ID))
        else:
            chosen = self._chosen if self._chosen in selected else selected[-1]
        self._show_details()
        if chosen != self._chosen:
            self._chosen = chosen
            self.slide_chosen.emit(chosen)

    def _show_details(self) -> None:
        selected = self.selected_ids()
        note = self._note if selected == [self._noted] else ""
        self.details.show_slides([slide for slide in self._slides if slide.id in selected], you=self._you, note=note)

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


def describe(slide: SlideRecord, *, gone: str = "", predicts: bool = True) -> str:
    """Up to three lines for the list: name, prediction (or how its file is gone) and label."""
    lines = [visible_name(slide.name), *filter(None, [_state(slide, gone=gone, predicts=predicts)])]
    if slide.label:
        lines.append(tr("Said: {label}", label=visible_name(spoken_class(slide.label))))
    return "\n".join(lines)


def _state(slide: SlideRecord, *, gone: str, predicts: bool) -> str:
    if gone:
        return tr(gone)
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


def _details(slide: SlideRecord) -> str:
    size = tr("{width} x {height} pixels", width=slide.width, height=slide.height)
    ranked = sorted((slide.predicted or {}).items(), key=lambda entry: -entry[1])
    shares = [
        tr("{label}: {percent:.1f}%", label=spoken_class(name), percent=100 * probability)
        for name, probability in ranked
    ]
    lines = [str(slide.path), ", ".join((size, resolution_in_words(slide), tr(slide.vendor)))]
    if slide.is_unlike:
        lines.append(tr(WHY_UNLIKE))
    return "\n".join([*lines, *shares])


def _thumbnail(path: Path, *, found: bool) -> QIcon:
    """The thumbnail on a square, so that all names start at one place."""
    square = QPixmap(2 * THUMBNAIL_PX, 2 * THUMBNAIL_PX)
    square.fill(QColor("#ffffff"))
    picture = picture_of(path)
    painter = QPainter(square)
    if not picture.isNull():
        fitted = picture.scaled(
            square.size(), Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        painter.setOpacity(1.0 if found else 0.3)
        painter.drawPixmap((square.width() - fitted.width()) // 2, (square.height() - fitted.height()) // 2, fitted)
    painter.end()
    return plain_icon(square)
