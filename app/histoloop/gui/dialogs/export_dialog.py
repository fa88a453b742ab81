"""Ask what of a project is exported: which slides and classes, drawn by whom, as which files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from histoloop.annotations.class_names import spoken_title
from histoloop.exchange.tables import TABLE_STYLES
from histoloop.gui.kit.widgets import NarrowCheck, label, plain_tip, set_role, visible_name
from histoloop.language import mark, spoken, tr
from histoloop.workflows.contents.export_choices import DRAWN_BY, FORMATS, ExportChoices

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from histoloop.store.records import SlideRecord
    from histoloop.workflows.contents.export_choices import DrawnBy, Format

LIST_PX = 130
FILES: Mapping[Format, str] = {
    "geojson": mark("Outlines for QuPath (GeoJSON)"),
    "png": mark("Masks as pictures (PNG)"),
    "tiff": mark("Masks as slides (TIFF)"),
}
HANDS: Mapping[DrawnBy, str] = {
    "person": mark("Painted by a person"),
    "accepted": mark("Drawn by the model, accepted by a person"),
    "model": mark("Drawn by the model elsewhere"),
}
TABLES = {
    "csv": mark("For programs (commas)"),
    "excel": mark("For Excel in English (commas)"),
    "excel-semicolon": mark("For Excel in German and French (semicolons)"),
}
BY_LANGUAGE = {"de": "excel-semicolon", "fr": "excel-semicolon"}
"""What Excel expects where the window speaks so; else the table for programs is offered first."""


def usual_table() -> str:
    """The table that a double click opens where the window's language is spoken; that for programs in English."""
    return BY_LANGUAGE.get(spoken().code, "csv")


class ExportDialog(QDialog):
    """Everything is chosen at first; *Export* waits until there is something to write. `chosen` are slides by id."""

    def __init__(
        self, parent: QWidget | None, *, slides: Sequence[SlideRecord], chosen: Collection[int], classes: Sequence[str]
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Export with choices"))
        self.setMinimumWidth(460)
        self.slides = QListWidget()
        self.slides.setAccessibleName(tr("Slides"))
        self.slides.setFixedHeight(LIST_PX)
        self.slides.setSpacing(2)
        self.slides.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.slides.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.all_slides = QCheckBox(tr("All slides"))
        several = len(chosen) > 1
        for slide in slides:
            item = QListWidgetItem(visible_name(slide.name))
            item.setData(Qt.ItemDataRole.UserRole, slide.id)
            item.setToolTip(plain_tip(slide.name))
            on = not several or slide.id in chosen
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
            self.slides.addItem(item)
        self.classes = {name: NarrowCheck(spoken_title(name)) for name in classes}
        self.formats = {kind: QCheckBox(tr(FILES[kind])) for kind in FORMATS}
        self.hands = {hand: QCheckBox(tr(HANDS[hand])) for hand in DRAWN_BY}
        self.table = QComboBox()
        for name in TABLE_STYLES:
            self.table.addItem(tr(TABLES[name]), name)
        self.table.setCurrentIndex(self.table.findData(usual_table()))
        self.missing = label(role="muted", wrap=True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.export = self.buttons.addButton(tr("Export…"), QDialogButtonBox.ButtonRole.AcceptRole)
        set_role(self.export, "primary")
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self._arrange()
        self.slides.itemChanged.connect(lambda _item: self._check())
        self.all_slides.clicked.connect(self._choose_all)
        for box in (*self.classes.values(), *self.formats.values(), *self.hands.values()):
            box.setChecked(True)
            box.toggled.connect(lambda _on: self._check())
        self._check()

    def choices(self) -> ExportChoices:
        """What was chosen."""
        return ExportChoices(
            frozenset(self._slide_ids()),
            frozenset(name for name, box in self.classes.items() if box.isChecked()),
            frozenset(kind for kind, box in self.formats.items() if box.isChecked()),
            frozenset(hand for hand, box in self.hands.items() if box.isChecked()),
            TABLE_STYLES[self.table.currentData()],
        )

    def _slide_ids(self) -> list[int]:
        items = [self.slides.item(number) for number in range(self.slides.count())]
        return [
            int(item.data(Qt.ItemDataRole.UserRole)) for item in items if item.checkState() is Qt.CheckState.Checked
        ]

    def _choose_all(self) -> None:
        """Every slide, or where all are chosen already none."""
        none = len(self._slide_ids()) == self.slides.count()
        with QSignalBlocker(self.slides):
            for number in range(self.slides.count()):
                self.slides.item(number).setCheckState(Qt.CheckState.Unchecked if none else Qt.CheckState.Checked)
        self._check()

    def _check(self) -> None:
        """Say what has to be chosen yet."""
        missing, chosen = "", len(self._slide_ids())
        of_all = Qt.CheckState.Checked if chosen == self.slides.count() else Qt.CheckState.PartiallyChecked
        self.all_slides.setCheckState(of_all if chosen else Qt.CheckState.Unchecked)
        if not chosen:
            missing = tr("Choose at least one slide.")
        elif not any(box.isChecked() for box in self.classes.values()):
            missing = tr("Choose at least one class.")
        elif not any(box.isChecked() for box in self.hands.values()):
            missing = tr("Choose at least one of those who drew.")
        self.missing.setText(missing or tr("The tables are always written."))
        self.export.setEnabled(not missing)

    def _arrange(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(tr("Slides"), self.all_slides)
        form.addRow("", self.slides)
        for title, boxes in (
            (tr("Classes"), list(self.classes.values())),
            (tr("Who drew"), list(self.hands.values())),
            (tr("Files"), list(self.formats.values())),
        ):
            for number, box in enumerate(boxes):
                form.addRow("" if number else title, box)
        form.addRow(tr("Tables"), self.table)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addWidget(self.missing)
        column.addWidget(self.buttons)
