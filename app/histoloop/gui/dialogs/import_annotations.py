"""Annotations of other programs, looked at on their slides before they are imported: files, classes, what is there."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHeaderView,
    QProgressBar,
    QScrollArea,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from histoloop.annotations.records import Counts
from histoloop.exchange.outlines.classes import NOTHING
from histoloop.exchange.outlines.placing import Frame
from histoloop.exchange.outlines.read import OUTLINE_SUFFIXES, holds_outlines
from histoloop.gui.canvas.outline_preview import ClassLook, Previewed
from histoloop.gui.dialogs.class_matching import ClassMatching, key_of
from histoloop.gui.kit.number_box import NumberBox
from histoloop.gui.kit.widgets import (
    Fold,
    NarrowBox,
    button,
    label,
    leave_wheel_to_panel,
    plain_tip,
    row,
    set_role,
    visible_name,
)
from histoloop.gui.work.importing_annotations import AnnotationReader
from histoloop.language import tr, tr_plural
from histoloop.slides.find import PICTURE_SUFFIXES
from histoloop.workflows.contents.import_preview import FilePreview, regions_of, which_lie_in, which_overlap
from histoloop.workflows.contents.mask_files import MaskFile
from histoloop.workflows.contents.slides_of_files import slides_of_file
from histoloop.workflows.import_annotations import PlannedImport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QCloseEvent

    from histoloop.annotations.records import ClassScheme
    from histoloop.geometry import Region
    from histoloop.gui.dialogs.class_matching import NewClass
    from histoloop.gui.work.failure import Failure
    from histoloop.progress import Progress
    from histoloop.store.records import AnnotationRecord, SlideRecord

WIDTH_PX, HEIGHT_PX = 560, 760
KINDS = OUTLINE_SUFFIXES | PICTURE_SUFFIXES
_OPTION = re.compile(r":\s*--.*?$")
_UNIT_OPTION = re.compile(r"--mask-mpp ([\d.]*\d)")
_FILE, _SLIDE, _STATE = range(3)
_REGION, _BY, _COUNTS = range(3)
_ROW_PX = 34
_FILES_IN_SIGHT, _REGIONS_IN_SIGHT = 4, 4


@dataclass(slots=True, eq=False)
class _Entry:
    """A file, the slide it is meant for, where it lies there, and what was found in it."""

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
    """Whether it is being looked at."""

    def file(self) -> MaskFile:
        return MaskFile(self.path, frame=self.frame, units_um=self.units_um, corner=self.corner)


class ImportAnnotationsDialog(QDialog):
    """Does not stop the window: the slide can be moved and looked at beside it.

    `previewed` is emitted with what to draw over the slide (None: nothing), `slide_wanted` with the slide of the file
    that is chosen, `import_wanted` with the planned files and the classes to be made before.
    """

    previewed = Signal(object)
    slide_wanted = Signal(int)
    import_wanted = Signal(object, object)

    def __init__(
        self,
        parent: QWidget,
        *,
        folder: Path,
        scheme: ClassScheme,
        slides: Sequence[SlideRecord],
        place: str,
        why_not: str = "",
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Import annotations"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(WIDTH_PX, HEIGHT_PX)
        self._slides = {slide.id: slide for slide in slides}
        self._place, self._why_not = place, why_not
        self._entries: list[_Entry] = []
        self._kept: dict[int, bool] = {}  # finished annotations by id: whether they stay
        self._listed: list[int] = []  # those that are listed, row by row
        self._numbers = 0
        self._reader = AnnotationReader(folder, self)
        self._reader.read.connect(self._on_read)
        self._reader.failed.connect(self._on_failed)
        self._reader.progressed.connect(self._on_progress)
        self._make_files()
        self._make_placing()
        self.classes = ClassMatching(scheme)
        self.classes.changed.connect(self._show_choices)
        self._make_earlier()
        self._make_buttons()
        self._arrange()
        self.earlier_part.setVisible(False)
        self._show_choices()

    # --- parts --------------------------------------------------------------------------------------------------------

    def _make_files(self) -> None:
        self.files = _table([tr("File"), tr("Slide"), tr("What is in it")])
        self.files.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.files.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.files.horizontalHeader().setSectionResizeMode(_FILE, QHeaderView.ResizeMode.Stretch)
        self.files.horizontalHeader().setSectionResizeMode(_STATE, QHeaderView.ResizeMode.Stretch)
        self.files.setColumnWidth(_SLIDE, 170)
        self.files.itemSelectionChanged.connect(self._on_file_chosen)
        self.add = button(tr("Add files…"))
        self.add.clicked.connect(self._browse)
        self.drop = button(tr("Take off the list"))
        self.drop.clicked.connect(self._drop_chosen)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.stop = button(tr("Stop reading"))
        self.stop.clicked.connect(self._stop_reading)
        self.reading = QWidget()
        reading = row(self.progress, self.stop, stretch=0)
        reading.setContentsMargins(0, 0, 0, 0)
        self.reading.setLayout(reading)
        self.details = label(wrap=True)
        self.details.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def _make_placing(self) -> None:
        self.frame_box = QComboBox()
        for text, frame in (
            (tr("What its program counts from"), "auto"),
            (tr("The scanned part (bounds)"), "bounds"),
            (tr("The whole slide"), "slide"),
        ):
            self.frame_box.addItem(text, frame)
        self.unit_box = QComboBox()
        for text, unit in (
            (tr("Pixels of the slide"), "px"),
            (tr("Micrometres"), "um"),
            (tr("Millimetres"), "mm"),
            (tr("Pixels of another size"), "other"),
        ):
            self.unit_box.addItem(text, unit)
        self.unit_um = NumberBox()
        self.unit_um.setRange(0.01, 1000.0)
        self.unit_um.setDecimals(4)
        self.unit_um.setValue(1.0)
        self.unit_um.setSuffix(" " + tr("\N{MICRO SIGN}m per pixel"))
        self.corner_box = QComboBox()
        self.corner_box.addItem(tr("By its size, or where its file says"), False)
        self.corner_box.addItem(tr("From a corner of its own"), True)
        self.corner_x, self.corner_y = QSpinBox(), QSpinBox()
        for edge, name in ((self.corner_x, "x"), (self.corner_y, "y")):
            edge.setRange(0, 10_000_000)
            edge.setPrefix(f"{name} ")
        self.look_again = button(tr("Look again"))
        self.look_again.clicked.connect(self._place_anew)
        content = QWidget()
        self.placing_form = QFormLayout(content)
        self.placing_form.setContentsMargins(0, 0, 0, 0)
        self.placing_form.addRow(tr("It counts from"), self.frame_box)
        self.placing_form.addRow(tr("It lies"), self.corner_box)
        self.corner = QWidget()
        corner = row(self.corner_x, self.corner_y)
        corner.setContentsMargins(0, 0, 0, 0)
        self.corner.setLayout(corner)
        self.placing_form.addRow(tr("Corner on the slide"), self.corner)
        self.placing_form.addRow(tr("Its unit"), self.unit_box)
        self.placing_form.addRow("", self.unit_um)
        self.placing_form.addRow("", self.look_again)
        self.placing = Fold(content, title=tr("Where it lies on the slide"))
        for box in (self.frame_box, self.unit_box, self.corner_box):
            leave_wheel_to_panel(box)
            box.activated.connect(lambda _index: self._show_placing_fields())

    def _make_earlier(self) -> None:
        self.earlier = _table([tr("Region"), tr("Finished"), tr("What counts there")])
        self.earlier.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.earlier.horizontalHeader().setSectionResizeMode(_REGION, QHeaderView.ResizeMode.Stretch)
        self.earlier.horizontalHeader().setSectionResizeMode(_BY, QHeaderView.ResizeMode.ResizeToContents)
        self.earlier.setColumnWidth(_COUNTS, 210)
        self.earlier.itemChanged.connect(self._on_settled)
        self.keep_all, self.replace_all = button(tr("Keep all that is there")), button(tr("Replace all"))
        self.keep_all.clicked.connect(lambda: self._settle_all(keep=True))
        self.replace_all.clicked.connect(lambda: self._settle_all(keep=False))
        self.earlier_note = label(
            tr("What stops counting stays in the project as an earlier version, and Undo brings it back."),
            role="muted",
            wrap=True,
        )

    def _make_buttons(self) -> None:
        self.outside = NarrowBox()
        leave_wheel_to_panel(self.outside)
        self.outside.addItem(tr("It is background: the whole region is right"), Counts.REGION)
        self.outside.addItem(tr("It is left out: only what is outlined counts"), Counts.STROKES)
        self.outside.activated.connect(lambda _index: self._show_choices())
        self.why = label(role="muted", wrap=True)
        self.import_button = button(tr("Import"), primary=True)
        self.import_button.clicked.connect(self._import)
        self.cancel = button(tr("Cancel"))
        self.cancel.clicked.connect(self.reject)

    def _arrange(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 6, 0)
        column.setSpacing(8)
        column.addWidget(label(tr("Files"), role="heading"))
        column.addWidget(self.files)
        column.addLayout(row(self.add, self.drop, QWidget(), stretch=2))
        column.addWidget(self.reading)
        column.addWidget(self.details)
        column.addWidget(self.placing)
        self.classes_title = label(tr("What are these classes in this project?"), role="heading")
        column.addWidget(self.classes_title)
        column.addWidget(self.classes)
        self.outside_title = label(tr("What is not outlined or marked"), role="heading")
        column.addWidget(self.outside_title)
        column.addWidget(self.outside)
        self.earlier_part = QWidget()
        earlier = QVBoxLayout(self.earlier_part)
        earlier.setContentsMargins(0, 0, 0, 0)
        earlier.setSpacing(6)
        earlier.addWidget(label(tr("There is work in this place"), role="heading"))
        earlier.addWidget(self.earlier)
        earlier.addLayout(row(self.keep_all, self.replace_all, QWidget(), stretch=2))
        earlier.addWidget(self.earlier_note)
        column.addWidget(self.earlier_part)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        layout = QVBoxLayout(self)
        layout.addWidget(scroll, 1)
        layout.addWidget(self.why)
        layout.addLayout(row(QWidget(), self.cancel, self.import_button, stretch=0))

    # --- files --------------------------------------------------------------------------------------------------------

    def add_files(self, paths: Sequence[Path]) -> None:
        """Put files on the list, each once, and look at those whose slide is known by their names."""
        there = {entry.path for entry in self._entries}
        for path in dict.fromkeys(path.absolute() for path in paths):
            if path in there:
                continue
            self._numbers += 1
            entry = _Entry(self._numbers, path, self._slide_of(path))
            self._entries.append(entry)
            self._look(entry)
        self._fill_files()
        self._on_file_chosen()

    def show_slides(self, slides: Sequence[SlideRecord]) -> None:
        """The slides of the project are others: some were added, removed or given a resolution."""
        if {slide.id: slide for slide in slides} == self._slides:
            return
        self._slides = {slide.id: slide for slide in slides}
        for entry in self._entries:
            if entry.slide_id not in self._slides:
                self._reader.forget(entry.number)
                entry.slide_id = self._slide_of(entry.path)
                self._look(entry)
        self._fill_files()

    def show_scheme(self, scheme: ClassScheme) -> None:
        """The classes of the project are others."""
        self.classes.set_scheme(scheme)
        self._show_found()

    def _slide_of(self, path: Path) -> int | None:
        """The slide that a file is named after, by id; None where none or several are."""
        found = slides_of_file(path, list(self._slides.values()))
        return found[0].id if len(found) == 1 else None

    def _browse(self) -> None:
        chosen, _filter = QFileDialog.getOpenFileNames(self, tr("Import annotations"), self._place, file_kinds())
        self.add_files([Path(path) for path in chosen])

    def _drop_chosen(self) -> None:
        entry = self._current()
        if entry is not None:
            self._reader.forget(entry.number)
            self._entries.remove(entry)
            self._fill_files()
            self._on_file_chosen()
            self._show_found()

    def _look(self, entry: _Entry) -> None:
        """Look at a file anew, on the slide and in the place that it is meant for."""
        entry.preview, entry.trouble, entry.proposed_um = None, "", None
        entry.is_read = entry.slide_id is not None
        if entry.slide_id is not None:
            self._reader.look(entry.number, entry.file(), entry.slide_id)

    def _stop_reading(self) -> None:
        for entry in self._entries:
            if entry.is_read:
                entry.is_read = False
                entry.trouble = tr("Reading was stopped.")
                self._reader.forget(entry.number)
        self._show_found()

    def _entry(self, number: int) -> _Entry | None:
        return next((entry for entry in self._entries if entry.number == number), None)

    def _current(self) -> _Entry | None:
        number = self.files.currentRow()
        return self._entries[number] if 0 <= number < len(self._entries) else None

    def _on_read(self, number: int, preview: FilePreview) -> None:
        entry = self._entry(number)
        if entry is not None:
            entry.preview, entry.is_read = preview, False
            self._show_found()

    def _on_failed(self, number: int, failure: Failure) -> None:
        entry = self._entry(number)
        if entry is not None:
            entry.trouble, entry.is_read = _in_words(failure), False
            entry.proposed_um = _proposed_um(failure)
            if entry is self._current() and "--mask-mpp" in failure.advice:
                self.placing.head.setChecked(True)
            self._show_found()

    def _on_progress(self, _number: int, step: Progress) -> None:
        self.progress.setRange(0, 100)
        self.progress.setValue(round(100 * step.fraction))

    def _fill_files(self) -> None:
        chosen = self._current()
        self.files.blockSignals(True)
        self.files.setRowCount(len(self._entries))
        for number, entry in enumerate(self._entries):
            name = QTableWidgetItem(visible_name(entry.path.name))
            name.setToolTip(plain_tip(str(entry.path)))
            self.files.setItem(number, _FILE, name)
            self.files.setCellWidget(number, _SLIDE, self._slide_box(entry))
            self.files.setItem(number, _STATE, QTableWidgetItem(""))
        _fit_height(self.files, len(self._entries), _FILES_IN_SIGHT)
        if chosen in self._entries:
            self.files.selectRow(self._entries.index(chosen))
        elif self._entries:
            self.files.selectRow(0)
        self.files.blockSignals(False)
        self._show_found()

    def _slide_box(self, entry: _Entry) -> NarrowBox:
        box = NarrowBox()
        leave_wheel_to_panel(box)
        box.setAccessibleName(tr("The slide of {name}", name=entry.path.name))
        box.addItem(tr("Choose…"), None)
        for slide in self._slides.values():
            box.addItem(visible_name(slide.name), slide.id)
        box.setCurrentIndex(max(0, box.findData(entry.slide_id)))
        set_role(box, "" if entry.slide_id is not None else "undecided")
        box.activated.connect(lambda _index: self._on_slide_chosen(entry, box))
        return box

    def _on_slide_chosen(self, entry: _Entry, box: NarrowBox) -> None:
        entry.slide_id = box.currentData()
        set_role(box, "" if entry.slide_id is not None else "undecided")
        self._reader.forget(entry.number)
        self._look(entry)
        self.files.selectRow(self._entries.index(entry))
        self._on_file_chosen()
        self._show_found()

    def _on_file_chosen(self) -> None:
        entry = self._current()
        if entry is not None and entry.slide_id is not None:
            self.slide_wanted.emit(entry.slide_id)
        self._show_placing(entry)
        self._show_details(entry)
        self._show_preview()

    # --- where it lies ------------------------------------------------------------------------------------------------

    def _show_placing(self, entry: _Entry | None) -> None:
        self.placing.setVisible(entry is not None and entry.slide_id is not None)
        if entry is None:
            return
        self.frame_box.setCurrentIndex(max(0, self.frame_box.findData(entry.frame)))
        units = {None: "px", 1.0: "um", 1000.0: "mm"}
        unit_um = entry.proposed_um or entry.units_um
        self.unit_box.setCurrentIndex(self.unit_box.findData(units.get(unit_um, "other")))
        if unit_um is not None:
            self.unit_um.setValue(unit_um)
        self.corner_box.setCurrentIndex(0 if entry.corner is None else 1)
        left, top = entry.corner or (0, 0)
        self.corner_x.setValue(left)
        self.corner_y.setValue(top)
        self._show_placing_fields()

    def _show_placing_fields(self) -> None:
        entry = self._current()
        is_outlines = entry is not None and holds_outlines(entry.path)
        form = self.placing_form
        bounds = is_outlines and (entry is None or entry.preview is None or entry.preview.has_bounds)
        form.setRowVisible(self.frame_box, bounds)
        form.setRowVisible(self.corner_box, not is_outlines)
        form.setRowVisible(self.corner, not is_outlines and bool(self.corner_box.currentData()))
        form.setRowVisible(self.unit_um, self.unit_box.currentData() == "other")

    def _place_anew(self) -> None:
        entry = self._current()
        if entry is None:
            return
        entry.frame = self.frame_box.currentData()
        sizes = {"px": None, "um": 1.0, "mm": 1000.0, "other": self.unit_um.value()}
        entry.units_um = sizes[self.unit_box.currentData()]
        is_picture = not holds_outlines(entry.path)
        has_corner = is_picture and bool(self.corner_box.currentData())
        entry.corner = (self.corner_x.value(), self.corner_y.value()) if has_corner else None
        self._look(entry)
        self._show_found()

    # --- what was found -----------------------------------------------------------------------------------------------

    def _previews(self) -> list[FilePreview]:
        return [entry.preview for entry in self._entries if entry.preview is not None]

    def _show_found(self) -> None:
        """Show what is known of the files now."""
        for number, entry in enumerate(self._entries):
            text = _state(entry)
            item = self.files.item(number, _STATE)
            if item is not None:
                item.setText(visible_name(text))
                item.setToolTip(plain_tip(text))
        is_read = any(entry.is_read for entry in self._entries)
        if is_read and not self.reading.isVisibleTo(self):
            self.progress.setRange(0, 0)
        self.reading.setVisible(is_read)
        self.drop.setEnabled(bool(self._entries))
        self.classes.show_classes(self._previews(), {slide.id: slide.mpp for slide in self._slides.values()})
        for part in (self.classes_title, self.classes, self.outside_title, self.outside):
            part.setVisible(bool(self._previews()))
        self._show_details(self._current())
        self._show_placing(self._current())
        self._show_choices()

    def _show_details(self, entry: _Entry | None) -> None:
        self.details.setText("" if entry is None else _details(entry))
        self.details.setVisible(bool(self.details.text()))
        set_role(self.details, "bad" if entry is not None and entry.trouble else "")

    # --- work that is there -------------------------------------------------------------------------------------------

    def _regions(self, preview: FilePreview) -> list[Region]:
        return regions_of(preview, self.classes.chosen_of(preview), counts=Counts(self.outside.currentData()))

    def _earlier_of(self, preview: FilePreview) -> list[AnnotationRecord]:
        """The finished annotations in the regions that a file would become."""
        touched = which_overlap([record.region for record in preview.earlier], self._regions(preview))
        return [record for record, is_touched in zip(preview.earlier, touched, strict=True) if is_touched]

    def _show_earlier(self) -> None:
        found = {record.id: record for preview in self._previews() for record in self._earlier_of(preview)}
        if list(found) == self._listed:
            return
        self._listed = list(found)
        self.earlier_part.setVisible(bool(found))
        self.earlier.blockSignals(True)
        self.earlier.setRowCount(len(found))
        for number, record in enumerate(found.values()):
            region = record.region
            place = f"{region.x}, {region.y}, {region.width} \N{MULTIPLICATION SIGN} {region.height}"
            by = tr("{person}, {day}", person=record.person or tr("someone"), day=record.updated[:10])
            for column, text in ((_REGION, f"{self._slides[record.slide_id].name}: {place}"), (_BY, by)):
                item = QTableWidgetItem(visible_name(text))
                item.setFlags(Qt.ItemFlag.ItemIsEnabled)
                item.setToolTip(plain_tip(text))
                self.earlier.setItem(number, column, item)
            counts = QTableWidgetItem()
            counts.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            _show_kept(counts, kept=self._kept.setdefault(record.id, True))
            self.earlier.setItem(number, _COUNTS, counts)
        self.earlier.blockSignals(False)
        _fit_height(self.earlier, len(found), _REGIONS_IN_SIGHT)

    def _on_settled(self, item: QTableWidgetItem) -> None:
        """A person said of a region whether it stays."""
        if item.column() == _COUNTS:
            kept = item.checkState() is Qt.CheckState.Checked
            self._kept[self._listed[item.row()]] = kept
            self.earlier.blockSignals(True)
            _show_kept(item, kept=kept)
            self.earlier.blockSignals(False)
            self._show_choices()

    def _settle_all(self, *, keep: bool) -> None:
        self._kept = dict.fromkeys(self._kept, keep)
        self._listed = []
        self._show_choices()

    # --- what is chosen -----------------------------------------------------------------------------------------------

    def _show_choices(self) -> None:
        """Say what is still to be decided, and show what is chosen on the slide."""
        self._show_earlier()
        why = self._why_not_yet()
        self.import_button.setEnabled(not why)
        self.why.setText(why or self._what_comes())
        self._show_preview()

    def _why_not_yet(self) -> str:
        """Why nothing can be imported yet; empty where it can."""
        if self._why_not:
            return self._why_not
        if not self._entries:
            return tr("Add files of QuPath, ASAP or ImageScope, or mask pictures.")
        if any(entry.is_read for entry in self._entries):
            return tr("Files are still being read.")
        without = [entry.path.name for entry in self._entries if entry.slide_id is None]
        if without:
            return tr("Choose the slide of {name}.", name=visible_name(without[0]))
        troubled = [entry.path.name for entry in self._entries if entry.trouble]
        if troubled:
            return tr(
                "{name} cannot be imported as it is: say where it lies, or take it off the list.",
                name=visible_name(troubled[0]),
            )
        if twice := self._meant_twice():
            return tr(
                "{one} and {other} are for the same place of {slide}: import one after the other.",
                one=visible_name(twice[0].path.name),
                other=visible_name(twice[1].path.name),
                slide=visible_name(self._slides[twice[0].slide_id].name),
            )
        undecided = self.classes.undecided()
        if undecided:
            return tr_plural(
                "Say what this class is here: {names}.",
                "Say what these {count} classes are here: {names}.",
                len(undecided),
                names=", ".join(map(visible_name, undecided[:3])) + (", …" if len(undecided) > 3 else ""),
            )
        if all(own == NOTHING for preview in self._previews() for own in self.classes.chosen_of(preview)) and any(
            not preview.is_picture for preview in self._previews()
        ):
            return tr("No outline is to be imported: choose a class for one.")
        if not any(self._coming(preview) for preview in self._previews()):
            return tr("All of it lies in regions that stay as they are: let the file replace one.")
        return ""

    def _meant_twice(self) -> tuple[FilePreview, FilePreview] | None:
        """Two files of which one would replace what the other brings."""
        for one, other in itertools.combinations(self._previews(), 2):
            if one.slide_id == other.slide_id and any(which_overlap(self._regions(one), self._regions(other))):
                return one, other
        return None

    def _coming(self, preview: FilePreview) -> list[Region]:
        """The regions of a file but for those that are left to what stays there."""
        stays = [record.region for record in preview.earlier if self._kept.get(record.id, True)]
        regions = self._regions(preview)
        return [region for region, lies in zip(regions, which_lie_in(regions, stays), strict=True) if not lies]

    def _what_comes(self) -> str:
        regions = sum(len(self._coming(preview)) for preview in self._previews())
        return tr_plural("{count} region will be annotated.", "{count} regions will be annotated.", regions)

    def _show_preview(self) -> None:
        entry = self._current()
        preview = None if entry is None else entry.preview
        if preview is None:
            self.previewed.emit(None)
            return
        chosen = self.classes.chosen_of(preview)
        looks = tuple(
            ClassLook(self.classes.colour(key_of(preview, foreign)), own == NOTHING)
            for foreign, own in zip(preview.classes, chosen, strict=True)
        )
        taken = tuple(record.region for record in self._earlier_of(preview))
        regions = tuple(self._regions(preview))
        self.previewed.emit(Previewed(preview.slide_id, preview.outlines, preview.picture, looks, regions, taken))

    def _import(self) -> None:
        planned = [self._planned(entry) for entry in self._entries if entry.preview is not None]
        new: list[NewClass] = self.classes.new_classes()
        self.import_wanted.emit(planned, new)
        self.accept()

    def _planned(self, entry: _Entry) -> PlannedImport:
        preview = entry.preview
        assert preview is not None
        chosen = {
            foreign.names: own
            for foreign, own in zip(preview.classes, self.classes.chosen_of(preview), strict=True)
            if own is not None
        }
        file = MaskFile(
            entry.path,
            frame=entry.frame,
            units_um=entry.units_um,
            chosen=chosen,
            corner=entry.corner,
            counts=Counts(self.outside.currentData()),
        )
        seen = frozenset(record.id for record in preview.earlier)
        kept = frozenset(number for number in seen if self._kept.get(number, True))
        return PlannedImport(
            file,
            preview.stamp,
            preview.slide_id,
            tuple(self._regions(preview)),
            preview.slide_is_there,
            seen,
            kept,
            self.classes.remembered_of(preview),
        )

    # --- end ----------------------------------------------------------------------------------------------------------

    def done(self, result: int) -> None:
        """Take the preview off the slide, and read no longer."""
        self._reader.shut_down()
        self.previewed.emit(None)
        super().done(result)

    def closeEvent(self, event: QCloseEvent) -> None:
        """As *Cancel*."""
        self.reject()
        super().closeEvent(event)


def file_kinds() -> str:
    """The files that can be chosen, as a file dialog takes them."""
    patterns = " ".join(f"*{suffix}" for suffix in sorted(KINDS))
    return f"{tr('Annotations and masks')} ({patterns});;{tr('All files')} (*)"


def _table(headings: Sequence[str]) -> QTableWidget:
    made = QTableWidget(0, len(headings))
    made.setHorizontalHeaderLabels(list(headings))
    made.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    made.verticalHeader().setVisible(False)
    made.verticalHeader().setDefaultSectionSize(_ROW_PX)
    made.setShowGrid(False)
    made.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return made


def _fit_height(table: QTableWidget, rows: int, most: int) -> None:
    shown = min(max(rows, 1), most)
    table.setFixedHeight(shown * _ROW_PX + table.horizontalHeader().sizeHint().height() + 4)


def _show_kept(item: QTableWidgetItem, *, kept: bool) -> None:
    item.setText(tr("What is there stays") if kept else tr("The file replaces it"))
    item.setCheckState(Qt.CheckState.Checked if kept else Qt.CheckState.Unchecked)


def _state(entry: _Entry) -> str:
    """A few words on a file, for the list."""
    if entry.is_read:
        return tr("Reading…")
    if entry.slide_id is None:
        return tr("Which slide?")
    if entry.trouble:
        return tr("Cannot be taken")
    preview = entry.preview
    if preview is None:
        return ""
    if preview.is_picture:
        return tr_plural("Mask, {count} value", "Mask, {count} values", len(preview.classes))
    outlines = sum(foreign.count for foreign in preview.classes)
    return tr_plural("{count} outline", "{count} outlines", outlines)


def _details(entry: _Entry) -> str:
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
                "The smallest outline is not drawn here; it is imported all the same.",
                "The {count} smallest outlines are not drawn here; they are imported all the same.",
                preview.outlines.left_out,
            )
        )
    return "\n".join(sentences)


def _in_words(failure: Failure) -> str:
    """A failure for the window: its advice without what only the command line has."""
    sentences = [_OPTION.sub(".", sentence) for sentence in re.split(r"(?<=[.?]) ", failure.advice)]
    return " ".join((failure.message, *(sentence for sentence in sentences if sentence and "--" not in sentence)))


def _proposed_um(failure: Failure) -> float | None:
    """The unit in which a file would fit, um; None where no one is known."""
    found = _UNIT_OPTION.search(failure.advice)
    return None if found is None else float(found[1])
