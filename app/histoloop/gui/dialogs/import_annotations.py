"""Annotations of other programs, looked at on their slides before they are imported: files, classes, what is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QFileDialog, QScrollArea, QVBoxLayout, QWidget

from histoloop.annotations.records import Counts
from histoloop.exchange.outlines.classes import NOTHING
from histoloop.gui.canvas.outline_preview import ClassLook, Previewed
from histoloop.gui.dialogs.class_matching import ClassMatching, key_of
from histoloop.gui.dialogs.import_earlier import EarlierWork
from histoloop.gui.dialogs.import_files import FileEntry, FileList, file_kinds
from histoloop.gui.dialogs.import_placing import PlacingForm
from histoloop.gui.dialogs.import_plan import FilePlan, what_comes, why_not_yet
from histoloop.gui.kit.beside import open_at
from histoloop.gui.kit.widgets import NarrowBox, button, label, leave_wheel_to_panel, row
from histoloop.gui.work.importing_annotations import AnnotationReader
from histoloop.language import tr
from histoloop.workflows.contents.slides_of_files import slides_of_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QCloseEvent

    from histoloop.annotations.records import ClassScheme
    from histoloop.gui.dialogs.class_matching import NewClass
    from histoloop.gui.work.failure import Failure
    from histoloop.store.records import SlideRecord
    from histoloop.workflows.contents.import_preview import FilePreview

WIDTH_PX, HEIGHT_PX = 480, 760


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
        open_at(self, WIDTH_PX, HEIGHT_PX)
        self._slides = {slide.id: slide for slide in slides}
        self._place, self._why_not = place, why_not
        self._entries: list[FileEntry] = []
        self._plans: list[FilePlan] = []
        self._numbers = 0
        self.files, self.placing = FileList(), PlacingForm()
        self.classes, self.earlier = ClassMatching(scheme), EarlierWork()
        self._reader = AnnotationReader(folder, self)
        self._reader.read.connect(self._on_read)
        self._reader.failed.connect(self._on_failed)
        self._reader.progressed.connect(lambda _number, step: self.files.show_progress(step))
        self._make_ends()
        self._arrange()
        self._connect()
        self._show_found()

    # --- parts --------------------------------------------------------------------------------------------------------

    def _make_ends(self) -> None:
        self.outside = NarrowBox()
        leave_wheel_to_panel(self.outside)
        self.outside.addItem(tr("Background: the whole region is annotated"), Counts.REGION)
        self.outside.addItem(tr("Ignored: only outlined areas are annotated"), Counts.STROKES)
        self.why = label(role="muted", wrap=True)
        self.import_button = button(tr("Import"), primary=True)
        self.cancel = button(tr("Cancel"))

    def _arrange(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 6, 0)
        column.setSpacing(8)
        self.classes_title = label(tr("Which classes of this project are these?"), role="heading")
        self.outside_title = label(tr("Unmarked areas"), role="heading")
        for part in (
            label(tr("Files"), role="heading"),
            self.files,
            self.placing,
            self.classes_title,
            self.classes,
            self.outside_title,
            self.outside,
            self.earlier,
        ):
            column.addWidget(part)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        layout = QVBoxLayout(self)
        layout.addWidget(scroll, 1)
        layout.addWidget(self.why)
        layout.addLayout(row(QWidget(), self.cancel, self.import_button, stretch=0))

    def _connect(self) -> None:
        self.files.chosen.connect(self._on_file_chosen)
        self.files.slide_chosen.connect(self._on_slide_chosen)
        self.files.add_wanted.connect(self._browse)
        self.files.drop_wanted.connect(self._drop_chosen)
        self.files.stop_wanted.connect(self._stop_reading)
        self.placing.place_wanted.connect(self._place_anew)
        self.classes.changed.connect(self._show_choices)
        self.outside.activated.connect(lambda _index: self._show_choices())
        self.earlier.settled.connect(self._show_choices)
        self.import_button.clicked.connect(self._import)
        self.cancel.clicked.connect(self.reject)

    # --- files --------------------------------------------------------------------------------------------------------

    def add_files(self, paths: Sequence[Path]) -> None:
        """Put files on the list, each once, and look at those whose slide is known by their names."""
        there = {entry.path for entry in self._entries}
        for path in dict.fromkeys(path.absolute() for path in paths):
            if path in there:
                continue
            self._numbers += 1
            entry = FileEntry(self._numbers, path, self._slide_of(path))
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
        entry = self.files.current
        if entry is not None:
            self._reader.forget(entry.number)
            self._entries.remove(entry)
            self._fill_files()
            self._on_file_chosen()

    def _look(self, entry: FileEntry) -> None:
        """Look at a file anew, on the slide and in the place that it is meant for."""
        entry.begin()
        if entry.slide_id is not None:
            self._reader.look(entry.number, entry.file(), entry.slide_id)

    def _stop_reading(self) -> None:
        for entry in self._entries:
            if entry.is_read:
                entry.stop()
                self._reader.forget(entry.number)
        self._show_found()

    def _place_anew(self) -> None:
        entry = self.files.current
        if entry is not None:
            self._look(entry)
            self._show_found()

    def _fill_files(self) -> None:
        self.files.show_files(self._entries, self._slides.values())
        self._show_found()

    def _entry(self, number: int) -> FileEntry | None:
        return next((entry for entry in self._entries if entry.number == number), None)

    def _on_read(self, number: int, preview: FilePreview) -> None:
        entry = self._entry(number)
        if entry is not None:
            entry.take(preview)
            self._show_found()

    def _on_failed(self, number: int, failure: Failure) -> None:
        entry = self._entry(number)
        if entry is not None:
            entry.fail(failure)
            if entry is self.files.current and "--mask-mpp" in failure.advice:
                self.placing.unfold()
            self._show_found()

    def _on_slide_chosen(self, entry: FileEntry) -> None:
        self._reader.forget(entry.number)
        self._look(entry)
        self.files.choose(entry)
        self._on_file_chosen()
        self._show_found()

    def _on_file_chosen(self) -> None:
        entry = self.files.current
        if entry is not None and entry.slide_id is not None:
            self.slide_wanted.emit(entry.slide_id)
        self.placing.show_place(entry)
        self.files.show_details()
        self._show_preview()

    # --- what was found, and what is chosen ---------------------------------------------------------------------------

    def _show_found(self) -> None:
        """Show what is known of the files now."""
        self.files.show_states()
        previews = [entry.preview for entry in self._entries if entry.preview is not None]
        self.classes.show_classes(previews, {slide.id: slide.mpp for slide in self._slides.values()})
        for part in (self.classes_title, self.classes, self.outside_title, self.outside):
            part.setVisible(bool(previews))
        self.placing.show_place(self.files.current)
        self._show_choices()

    def _show_choices(self) -> None:
        """Say what is still to be decided, and show what is chosen on the slide."""
        counts = Counts(self.outside.currentData())
        self._plans = [
            FilePlan.of(entry, entry.preview, self.classes.chosen_of(entry.preview), counts)
            for entry in self._entries
            if entry.preview is not None
        ]
        names = {slide.id: slide.name for slide in self._slides.values()}
        touched = {record.id: record for plan in self._plans for record in plan.earlier}
        self.earlier.show_records(list(touched.values()), names)
        coming = sum(len(plan.coming(self.earlier.keeps)) for plan in self._plans)
        why = self._why_not or why_not_yet(
            self._entries, self._plans, undecided=self.classes.undecided(), coming=coming, slide_names=names
        )
        self.import_button.setEnabled(not why)
        self.why.setText(why or what_comes(coming))
        self._show_preview()

    def _show_preview(self) -> None:
        entry = self.files.current
        plan = next((plan for plan in self._plans if plan.entry is entry), None)
        if plan is None:
            self.previewed.emit(None)
            return
        preview = plan.preview
        looks = tuple(
            ClassLook(self.classes.colour(key_of(preview, foreign)), own == NOTHING)
            for foreign, own in zip(preview.classes, plan.chosen, strict=True)
        )
        taken = tuple(record.region for record in plan.earlier)
        self.previewed.emit(Previewed(preview.slide_id, preview.outlines, preview.picture, looks, plan.regions, taken))

    def _import(self) -> None:
        keeps, remembered = self.earlier.keeps, self.classes.remembered_of
        planned = [plan.planned(keeps, remembered(plan.preview)) for plan in self._plans]
        new: list[NewClass] = self.classes.new_classes()
        self.import_wanted.emit(planned, new)
        self.accept()

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
