"""The files of an import: a list with the slide that each is meant for and what was found in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QProgressBar,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from histoloop.exchange.outlines.placing import Frame
from histoloop.exchange.outlines.read import OUTLINE_SUFFIXES
from histoloop.gui.kit.tables import fit_height, plain_table
from histoloop.gui.kit.widgets import (
    NarrowBox,
    button,
    label,
    leave_wheel_to_panel,
    plain_tip,
    row,
    set_role,
    visible_name,
)
from histoloop.language import tr, tr_plural
from histoloop.slides.find import PICTURE_SUFFIXES
from histoloop.workflows.contents.import_preview import FilePreview
from histoloop.workflows.contents.mask_files import MaskFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from histoloop.gui.work.failure import Failure
    from histoloop.progress import Progress
    from histoloop.store.records import SlideRecord

KINDS = OUTLINE_SUFFIXES | PICTURE_SUFFIXES
_OPTION = re.compile(r":\s*--.*?$")
_UNIT_OPTION = re.compile(r"--mask-mpp ([\d.]*\d)")
_FILE, _SLIDE, _STATE = range(3)
_IN_SIGHT = 4


@dataclass(slots=True, eq=False)
class FileEntry:
    """A file, the slide it is meant for, where it lies there, and what was found in it.

    `proposed_um` is the unit in which it would fit, um; `is_read` whether it is being looked at.
    """

    number: int
    path: Path
    slide_id: int | None = None
    frame: Frame = "auto"
    units_um: float | None = None
    corner: tuple[int, int] | None = None
    preview: FilePreview | None = None
    trouble: str = ""
    proposed_um: float | None = None
    is_read: bool = False

    def file(self) -> MaskFile:
        """The file as it is to be looked at."""
        return MaskFile(self.path, frame=self.frame, units_um=self.units_um, corner=self.corner)

    def begin(self) -> None:
        """It is looked at anew, if its slide is known."""
        self.preview, self.trouble, self.proposed_um = None, "", None
        self.is_read = self.slide_id is not None

    def take(self, preview: FilePreview) -> None:
        """What was found in it."""
        self.preview, self.is_read = preview, False

    def fail(self, failure: Failure) -> None:
        """Why nothing was."""
        self.trouble, self.is_read = _in_words(failure), False
        found = _UNIT_OPTION.search(failure.advice)
        self.proposed_um = None if found is None else float(found[1])

    def stop(self) -> None:
        """It was looked at no longer."""
        self.trouble, self.is_read = tr("Reading was stopped."), False


class FileList(QWidget):
    """The files with a box of slides each, what is to be known of the current one, and how far reading is.

    `chosen` when another file is the current one, `slide_chosen` with a file that somebody said the slide of;
    `add_wanted`, `drop_wanted` (the current one) and `stop_wanted` come of the buttons.
    """

    chosen = Signal()
    slide_chosen = Signal(object)
    add_wanted = Signal()
    drop_wanted = Signal()
    stop_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[FileEntry] = []
        self.table = plain_table([tr("File"), tr("Slide"), tr("Contents")])
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        for column in (_FILE, _STATE):
            self.table.horizontalHeader().setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        self.table.setColumnWidth(_SLIDE, 150)
        self.table.itemSelectionChanged.connect(self.chosen)
        self.add = button(tr("Add files…"))
        self.drop = button(tr("Remove from the list"))
        self.stop = button(tr("Stop reading"))
        for each, wanted in ((self.add, self.add_wanted), (self.drop, self.drop_wanted), (self.stop, self.stop_wanted)):
            each.clicked.connect(wanted)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.reading = QWidget()
        reading = row(self.progress, self.stop, stretch=0)
        reading.setContentsMargins(0, 0, 0, 0)
        self.reading.setLayout(reading)
        self.details = label(wrap=True)
        self.details.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.table)
        layout.addLayout(row(self.add, self.drop, QWidget(), stretch=2))
        layout.addWidget(self.reading)
        layout.addWidget(self.details)

    @property
    def current(self) -> FileEntry | None:
        """The file that is chosen."""
        number = self.table.currentRow()
        return self._entries[number] if 0 <= number < len(self._entries) else None

    def show_files(self, entries: Sequence[FileEntry], slides: Iterable[SlideRecord]) -> None:
        """Other files, or other slides to choose from; the current one stays where it is among them."""
        before, known = self.current, list(slides)
        self._entries = list(entries)
        self.table.blockSignals(True)
        self.table.setRowCount(len(entries))
        for number, entry in enumerate(entries):
            name = QTableWidgetItem(visible_name(entry.path.name))
            name.setToolTip(plain_tip(str(entry.path)))
            self.table.setItem(number, _FILE, name)
            self.table.setCellWidget(number, _SLIDE, self._slide_box(entry, known))
            self.table.setItem(number, _STATE, QTableWidgetItem(""))
        fit_height(self.table, len(entries), most=_IN_SIGHT)
        if entries:
            self.table.selectRow(entries.index(before) if before in entries else 0)
        self.table.blockSignals(False)
        self.show_states()

    def show_states(self) -> None:
        """What is known of the files now."""
        for number, entry in enumerate(self._entries):
            text, item = _state(entry), self.table.item(number, _STATE)
            if item is not None and item.text() != visible_name(text):
                item.setText(visible_name(text))
                item.setToolTip(plain_tip(text))
        is_read = any(entry.is_read for entry in self._entries)
        if is_read and not self.reading.isVisibleTo(self):
            self.progress.setRange(0, 0)
        self.reading.setVisible(is_read)
        self.drop.setEnabled(bool(self._entries))
        self.show_details()

    def show_details(self) -> None:
        """What is to be known of the current file."""
        entry = self.current
        self.details.setText("" if entry is None else _details(entry))
        self.details.setVisible(bool(self.details.text()))
        set_role(self.details, "bad" if entry is not None and entry.trouble else "")

    def show_progress(self, step: Progress) -> None:
        """How far the file is that is being read."""
        self.progress.setRange(0, 100)
        self.progress.setValue(round(100 * step.fraction))

    def choose(self, entry: FileEntry) -> None:
        """Make a file the current one."""
        self.table.selectRow(self._entries.index(entry))

    def _slide_box(self, entry: FileEntry, slides: Iterable[SlideRecord]) -> NarrowBox:
        box = NarrowBox()
        leave_wheel_to_panel(box)
        box.setAccessibleName(tr("The slide for {name}", name=entry.path.name))
        box.addItem(tr("Choose…"), None)
        for slide in slides:
            box.addItem(visible_name(slide.name), slide.id)
        box.setCurrentIndex(max(0, box.findData(entry.slide_id)))
        set_role(box, "" if entry.slide_id is not None else "undecided")
        box.activated.connect(lambda _index: self._on_slide_chosen(entry, box))
        return box

    def _on_slide_chosen(self, entry: FileEntry, box: NarrowBox) -> None:
        entry.slide_id = box.currentData()
        set_role(box, "" if entry.slide_id is not None else "undecided")
        self.slide_chosen.emit(entry)


def file_kinds() -> str:
    """The files that can be chosen, as a file dialog takes them."""
    patterns = " ".join(f"*{suffix}" for suffix in sorted(KINDS))
    return f"{tr('Annotations and masks')} ({patterns});;{tr('All files')} (*)"


# --- in words ---------------------------------------------------------------------------------------------------------


def _state(entry: FileEntry) -> str:
    """A few words on a file, for the list."""
    if entry.is_read:
        return tr("Reading…")
    if entry.slide_id is None:
        return tr("Which slide?")
    if entry.trouble:
        return tr("Cannot be imported")
    preview = entry.preview
    if preview is None:
        return ""
    if preview.is_picture:
        return tr_plural("Mask, {count} value", "Mask, {count} values", len(preview.classes))
    outlines = sum(foreign.count for foreign in preview.classes)
    return tr_plural("{count} outline", "{count} outlines", outlines)


def _details(entry: FileEntry) -> str:
    """What is to be known of a file, in sentences."""
    if entry.trouble:
        return entry.trouble
    preview = entry.preview
    if preview is None:
        return ""
    sentences = [*preview.notes, *preview.skipped]
    if preview.outlines is not None and preview.outlines.left_out:
        sentences.append(
            tr_plural(
                "{count} small outline is not shown here, but it is imported.",
                "{count} small outlines are not shown here, but they are imported.",
                preview.outlines.left_out,
            )
        )
    return "\n".join(sentences)


def _in_words(failure: Failure) -> str:
    """A failure for the window: its advice without what only the command line has."""
    sentences = [_OPTION.sub(".", sentence) for sentence in re.split(r"(?<=[.?]) ", failure.advice)]
    return " ".join((failure.message, *(sentence for sentence in sentences if sentence and "--" not in sentence)))
