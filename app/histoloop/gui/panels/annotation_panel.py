"""Annotating a region: tools, brush, class, label, size, and what to do with the region afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QComboBox, QWidget

from histoloop.annotations.class_names import spoken_class
from histoloop.annotations.painting import PAINTED_BACKGROUND
from histoloop.annotations.records import Counts
from histoloop.gui.kit.widgets import (
    MARGIN_PX,
    Panel,
    action_button,
    label,
    leave_wheel_to_panel,
    line,
    row,
    set_role,
    visible_name,
)
from histoloop.gui.panels.brush_size import BrushSize
from histoloop.gui.panels.class_buttons import ClassButtons
from histoloop.gui.panels.counts_choice import CountsChoice
from histoloop.gui.panels.size_picker import SizePicker
from histoloop.language import mark, tr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.annotations.records import ClassScheme
    from histoloop.gui.kit.actions import Actions

CLASSES_NAMED = 4
"""A sentence names so many classes at most."""
NOT_GIVEN = mark("Unlabelled")
JUDGES = mark("This region is held out: it measures the model and is not used for training.")
JUDGES_TIP = mark(
    "One region in four is held out. A model is only measured on regions that it has not seen, so paint this one as "
    "carefully as the model should be."
)
TOOLS = ("pan", "brush", "eraser", "polygon", "fill", "wand", "smart", "copy")
DEEDS = ("fill_holes", "smooth_class", "grow_class", "shrink_class", "lock_class")


class AnnotationPanel(Panel):
    """Emits brush, class, label and size as the user chooses them; the buttons are the actions of the menu.

    `brush_changed` comes with the brush's diameter in level-0 pixels.

    `assessed` is emitted with the label and the size (0..1) as they are after a change; None: not given.
    `counts_changed` comes with a `Counts`.
    """

    brush_changed = Signal(int)
    class_changed = Signal(int)
    assessed = Signal(object, object)
    counts_changed = Signal(object)

    def __init__(self, actions: Actions) -> None:
        super().__init__()
        self.title = label(tr("Annotate"), role="heading", wrap=True)
        self.reason = label(role="muted", wrap=True)
        self.judging = label(tr(JUDGES), wrap=True)
        self.judging.setToolTip(tr(JUDGES_TIP))
        self.tools = {tool: action_button(actions[f"tool_{tool}"], icon_only=True) for tool in TOOLS}
        self.edit_outline = action_button(actions["tool_outline"], icon_only=True)
        self.deeds = {deed: action_button(actions[deed], icon_only=True) for deed in DEEDS}
        for tool in (*self.tools.values(), self.edit_outline, *self.deeds.values()):
            tool.setIconSize(QSize(20, 20))
            tool.setFixedHeight(34)
            tool.setMinimumWidth(28)  # all of a row fit into the narrowest panel
            set_role(tool, "segment")
        self.brush_size = BrushSize()
        self.brush_size.changed.connect(self.brush_changed)
        self.brush = self.brush_size.slider
        self.classes = ClassButtons()
        self.classes.chosen.connect(self.class_changed)
        self.counting = CountsChoice()
        self.counting.counts_chosen.connect(self.counts_changed)
        self.counting.background_chosen.connect(lambda: self.choose_class(PAINTED_BACKGROUND))
        self.class_changed.connect(self.counting.show_class)
        self.diagnosis = QComboBox()
        self.diagnosis.setAccessibleName(tr("The region is"))
        self.diagnosis.setToolTip(tr("What this region is as a whole, if you can tell (next label: L)"))
        self.diagnosis.currentIndexChanged.connect(self._on_assessed)
        leave_wheel_to_panel(self.diagnosis)
        self._label_row = QWidget()
        label_row = row(label(tr("The region is")), self.diagnosis, stretch=1)
        label_row.setContentsMargins(0, 0, 0, 0)
        self._label_row.setLayout(label_row)
        self.question = label(wrap=True)
        self.size_picker = SizePicker()
        self.size_picker.size_chosen.connect(self._on_assessed)
        self.saved = label(role="good")
        self.undo = action_button(actions["undo"])
        self.redo = action_button(actions["redo"])
        self.clear = action_button(actions["clear_region"], text=tr("Clear"))
        self.finish = action_button(actions["finish"], text=tr("Done"), primary=True)
        self.save_without_mask = action_button(actions["save_without_mask"])
        self.accept = action_button(actions["accept"])
        self.skip = action_button(actions["skip"])
        self.cannot_tell = action_button(actions["cannot_tell"])
        self.leave = action_button(actions["leave"])
        self.foot = Panel()
        """The buttons that end a region, which are to stay in sight."""
        self._arrange()

    def begin(self, scheme: ClassScheme, *, title: str, reason: str, value: int, judges: bool = False) -> None:
        """Show the classes of a project and take one (a mask value) to paint with; label and size are not given yet.

        `judges` says whether the region will judge models, which is then stated before anything is painted.
        """
        self.judging.setVisible(judges)
        self.title.setText(title)
        self.reason.setText(reason)
        self.reason.setVisible(bool(reason))
        self.show_classes(scheme)
        self._label_row.setVisible(bool(scheme.label_names))
        self.diagnosis.blockSignals(True)
        self.diagnosis.clear()
        self.diagnosis.addItem(tr(NOT_GIVEN), None)
        for name in scheme.label_names:
            self.diagnosis.addItem(visible_name(spoken_class(name)), name)
        self.diagnosis.blockSignals(False)
        self.show_assessment(None, None)
        self.show_painted(None)
        self.choose_class(value)

    def show_classes(self, scheme: ClassScheme) -> None:
        """The classes of a project to paint with; none is taken yet."""
        self.classes.show_classes(scheme.masks)
        self.question.setText(_how_much(scheme.mask_names))

    def assessment(self) -> tuple[str | None, float | None]:
        """Label and size (0..1) that the user gave the region."""
        name = self.diagnosis.currentData()
        return None if name is None else str(name), self.size_picker.value

    def show_assessment(self, name: str | None, size: float | None) -> None:
        """Show a label and a size, without emitting them."""
        self.diagnosis.blockSignals(True)
        self.diagnosis.setCurrentIndex(max(0, self.diagnosis.findData(name)))
        self.diagnosis.blockSignals(False)
        self.size_picker.set_value(size)

    def show_painted(self, share: float | None) -> None:
        """Show what share of the region is painted; None while the mask is the model's own."""
        self.size_picker.set_painted(share)

    def next_label(self) -> None:
        """Take the label after the one given; none comes after the last."""
        self.diagnosis.setCurrentIndex((self.diagnosis.currentIndex() + 1) % max(1, self.diagnosis.count()))

    def commit(self) -> None:
        """Take a number that is being typed."""
        self.size_picker.commit()

    def show_counts(self, counts: Counts) -> None:
        """Show what of the region counts, without emitting it; background is painted only where strokes do."""
        self.counting.show_counts(counts)
        if counts is Counts.REGION and self.counting.background.isChecked():
            self.choose_class(1)

    def choose_class(self, value: int) -> None:
        """Take a class (mask value) to paint with, or `PAINTED_BACKGROUND`."""
        if value == PAINTED_BACKGROUND:
            self.classes.choose_none()
            self.class_changed.emit(value)
        elif self.classes.choose(value):
            self.class_changed.emit(value)

    def next_class(self) -> None:
        """Take the class after the chosen one."""
        self.choose_class(self.classes.value % max(1, self.classes.count) + 1)

    def show_saved(self, saved: bool) -> None:
        """Whether everything painted is on disk."""
        self.saved.setText(tr("Saved") if saved else tr("Saving…"))
        set_role(self.saved, "good")

    def show_not_saved(self, why: str) -> None:
        """What was painted or labelled could not be written yet, and why; empty: it could."""
        self.saved.setText(tr("Not saved yet") if why else tr("Saving…"))
        self.saved.setToolTip(why)
        set_role(self.saved, "bad" if why else "good")

    def _on_assessed(self) -> None:
        self.assessed.emit(*self.assessment())

    def _arrange(self) -> None:
        column = self.column
        column.addLayout(row(self.title, self.saved, stretch=0))
        column.addWidget(self.reason)
        column.addWidget(self.judging)
        column.addWidget(line())
        column.addLayout(row(*self.tools.values()))
        column.addWidget(self.brush_size)
        column.addWidget(self.classes)
        column.addLayout(row(self.edit_outline, *self.deeds.values()))
        column.addWidget(self.counting)
        column.addLayout(row(self.undo, self.redo, self.clear))
        column.addWidget(line())
        column.addWidget(self._label_row)
        column.addWidget(self.question)
        column.addWidget(self.size_picker)
        column.addWidget(line())
        foot = self.foot.column
        foot.setContentsMargins(MARGIN_PX, 0, MARGIN_PX, MARGIN_PX)
        foot.addWidget(self.finish)
        foot.addWidget(self.save_without_mask)
        foot.addLayout(row(self.accept, self.leave))
        foot.addLayout(row(self.skip, self.cannot_tell))


def _how_much(names: Sequence[str]) -> str:
    if len(names) > CLASSES_NAMED:
        return tr("How much of this region belongs to one of the classes?")
    *others, last = map(spoken_class, names)
    listed = tr("{first} or {second}", first=", ".join(others), second=last) if others else last
    return tr("How much of this region is {classes}?", classes=visible_name(listed))
