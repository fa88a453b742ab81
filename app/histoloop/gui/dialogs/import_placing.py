"""Where a file of annotations lies on its slide: what it counts from, its corner, its unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QFormLayout, QSpinBox, QWidget

from histoloop.exchange.outlines.read import holds_outlines
from histoloop.gui.kit.number_box import NumberBox
from histoloop.gui.kit.widgets import Fold, button, leave_wheel_to_panel, row
from histoloop.language import tr

if TYPE_CHECKING:
    from histoloop.gui.dialogs.import_files import FileEntry

_UNITS_UM = {"px": None, "um": 1.0, "mm": 1000.0}
_UNITS = {um: unit for unit, um in _UNITS_UM.items()}


class PlacingForm(Fold):
    """Shows the place of one file at a time; `place_wanted` once it is to be looked at in the place that is given."""

    place_wanted = Signal()

    def __init__(self) -> None:
        content = QWidget()
        super().__init__(content, title=tr("Position on the slide"))
        self._entry: FileEntry | None = None
        self.frame_box = _box(
            (tr("The origin its program uses"), "auto"),
            (tr("The scanned part (bounds)"), "bounds"),
            (tr("The whole slide"), "slide"),
        )
        self.unit_box = _box(
            (tr("Pixels of the slide"), "px"),
            (tr("Micrometres"), "um"),
            (tr("Millimetres"), "mm"),
            (tr("Pixels of another size"), "other"),
        )
        self.unit_um = NumberBox()
        self.unit_um.setRange(0.01, 1000.0)
        self.unit_um.setDecimals(4)
        self.unit_um.setValue(1.0)
        self.unit_um.setSuffix(" " + tr("\N{MICRO SIGN}m per pixel"))
        self.corner_box = _box((tr("By its size, or as its file states"), False), (tr("At a given corner"), True))
        self.corner_x, self.corner_y = QSpinBox(), QSpinBox()
        for edge, name in ((self.corner_x, "x"), (self.corner_y, "y")):
            edge.setRange(0, 10_000_000)
            edge.setPrefix(f"{name} ")
        self.corner = QWidget()
        corner = row(self.corner_x, self.corner_y)
        corner.setContentsMargins(0, 0, 0, 0)
        self.corner.setLayout(corner)
        self.look_again = button(tr("Check again"))
        self.look_again.clicked.connect(self._place)
        self.form = QFormLayout(content)
        self.form.setContentsMargins(0, 0, 0, 0)
        self.form.addRow(tr("Origin"), self.frame_box)
        self.form.addRow(tr("Position"), self.corner_box)
        self.form.addRow(tr("Corner on the slide"), self.corner)
        self.form.addRow(tr("Unit"), self.unit_box)
        self.form.addRow("", self.unit_um)
        self.form.addRow("", self.look_again)
        for box in (self.frame_box, self.unit_box, self.corner_box):
            box.activated.connect(lambda _index: self._show_fields())

    def show_place(self, entry: FileEntry | None) -> None:
        """The place of a file; nothing is shown without one, or while its slide is not known."""
        self._entry = entry
        self.setVisible(entry is not None and entry.slide_id is not None)
        if entry is None:
            return
        self.frame_box.setCurrentIndex(max(0, self.frame_box.findData(entry.frame)))
        unit_um = entry.proposed_um or entry.units_um
        self.unit_box.setCurrentIndex(self.unit_box.findData(_UNITS.get(unit_um, "other")))
        if unit_um is not None:
            self.unit_um.setValue(unit_um)
        self.corner_box.setCurrentIndex(0 if entry.corner is None else 1)
        left, top = entry.corner or (0, 0)
        self.corner_x.setValue(left)
        self.corner_y.setValue(top)
        self._show_fields()

    def unfold(self) -> None:
        """Show the fields: the file does not lie where it was looked for."""
        self.head.setChecked(True)

    def _show_fields(self) -> None:
        entry = self._entry
        is_outlines = entry is not None and holds_outlines(entry.path)
        bounds = is_outlines and (entry is None or entry.preview is None or entry.preview.has_bounds)
        self.form.setRowVisible(self.frame_box, bounds)
        self.form.setRowVisible(self.corner_box, not is_outlines)
        self.form.setRowVisible(self.corner, not is_outlines and bool(self.corner_box.currentData()))
        self.form.setRowVisible(self.unit_um, self.unit_box.currentData() == "other")

    def _place(self) -> None:
        """Give the file the place that the fields say."""
        entry = self._entry
        if entry is None:
            return
        entry.frame = self.frame_box.currentData()
        unit = self.unit_box.currentData()
        entry.units_um = self.unit_um.value() if unit == "other" else _UNITS_UM[unit]
        has_corner = not holds_outlines(entry.path) and bool(self.corner_box.currentData())
        entry.corner = (self.corner_x.value(), self.corner_y.value()) if has_corner else None
        self.place_wanted.emit()


def _box(*entries: tuple[str, object]) -> QComboBox:
    made = QComboBox()
    leave_wheel_to_panel(made)
    for text, data in entries:
        made.addItem(text, data)
    return made
