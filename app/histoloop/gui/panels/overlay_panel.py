"""What makes the masks, and how masks and heatmap lie over the slide."""

from __future__ import annotations

import dataclasses
from html import escape
from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QAction, QColor, QIcon
from PySide6.QtWidgets import QCheckBox, QColorDialog, QGridLayout, QPushButton, QWidget

from histoloop.annotations.class_names import spoken_class, spoken_title
from histoloop.gui.canvas.composing import ClassStyle, OverlayStyle
from histoloop.gui.canvas.mask_chooser import MaskChooser, in_words
from histoloop.gui.kit.widgets import (
    NarrowBox,
    NarrowCheck,
    Panel,
    Switch,
    action_button,
    button,
    label,
    leave_wheel_to_panel,
    line,
    plain_tip,
    row,
    slider,
    swatch,
    visible_name,
    visible_text,
)
from histoloop.gui.panels.suited_model import SuitedModel
from histoloop.language import mark, tr
from histoloop.store.records import ModelStatus
from histoloop.workflows.contents.mask_choices import own_choice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histoloop.annotations.records import ClassScheme
    from histoloop.gui.canvas.appearance import Appearance
    from histoloop.gui.canvas.mask_source import MaskSource
    from histoloop.workflows.contents.mask_choices import LocalisationModel


HEATMAP_TIP = mark("The model's probability of the classes, or the map of another method")
EVIDENCE = (
    (mark("Mask"), mark("The foreground at this threshold")),
    (mark("For"), mark("How strongly each area supports the class of the slide: brighter is stronger")),
    (mark("Against"), mark("Areas without evidence for the class of the slide: brighter speaks more against it")),
)


class OverlayPanel(Panel):
    """Holds the style that the user chose and emits each change of it.

    `colour_chosen` is emitted with the number of a class and the colour that the user gave it, `looks_changed` when
    another class is seen, or filled.
    """

    style_changed = Signal(object)
    looks_changed = Signal()
    colour_chosen = Signal(int, str)

    def __init__(self, source: MaskSource, add_model: QAction) -> None:
        super().__init__()
        self._source = source
        add = action_button(add_model, icon_only=True)
        add.setObjectName("small")
        self.chooser = MaskChooser(source, corner=add)
        self.note = label(role="muted", wrap=True)
        self.note.setTextFormat(Qt.TextFormat.RichText)
        self.note.setVisible(False)
        self.note.linkActivated.connect(lambda _link: source.choose_own())
        self.suited = SuitedModel()
        self.evidence = Switch([(tr(text), tr(tip)) for text, tip in EVIDENCE])
        self.evidence_row = QWidget()
        evidence = row(label(tr("Evidence")), self.evidence, stretch=1)
        evidence.setContentsMargins(0, 0, 0, 0)
        self.evidence_row.setLayout(evidence)
        self.evidence_row.setVisible(False)
        self.evidence.chosen.connect(self._show_evidence)
        self._style = OverlayStyle()
        self._names: tuple[str, ...] = ()
        self._taken: Mapping[str, Sequence[bool]] = {}
        self.masks = QCheckBox(tr("Masks"))
        self.masks.setChecked(True)
        self.outlines = QCheckBox(tr("Outlines only"))
        self.smooth = QCheckBox(tr("Smooth borders"))
        self.smooth.setToolTip(tr("On the screen alone: exports, figures and training use the masks as they are"))
        self.heatmap = QCheckBox(tr("Heatmap"))
        self.opacity = slider(0, 100, 35)
        self.heatmap.setToolTip(tr(HEATMAP_TIP))
        self.heat_opacity = slider(0, 100, 50)
        self.heat_of = NarrowBox()
        self.opacity.setAccessibleName(tr("Opacity"))
        self.heat_opacity.setAccessibleName(tr("Heatmap"))
        self.heat_of.setAccessibleName(tr("The class whose probability the heatmap shows"))
        self.heat_of.setToolTip(tr("The class whose probability the heatmap shows"))
        leave_wheel_to_panel(self.heat_of)
        self.heat_row = QWidget()
        heat = row(label(tr("Heatmap of")), self.heat_of, stretch=1)
        heat.setContentsMargins(0, 0, 0, 0)
        self.heat_row.setLayout(heat)
        self.heat_row.setVisible(False)
        self.heat_of.activated.connect(lambda _index: self._show_heat_of(self.heat_of.currentData()))
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(6)
        self._grid.setColumnStretch(0, 1)
        source.changed.connect(self._show_note)
        self.masks.toggled.connect(lambda on: self._change(masks=on))
        self.outlines.toggled.connect(self._on_outlines)
        self.smooth.toggled.connect(lambda on: self._change(smooth=on))
        self.heatmap.toggled.connect(lambda on: self._change(heatmap=on))
        self.opacity.valueChanged.connect(lambda value: self._change(opacity=value / 100))
        self.heat_opacity.valueChanged.connect(lambda value: self._change(heatmap_opacity=value / 100))
        self.column.addWidget(self.chooser)
        self.column.addWidget(self.note)
        self.column.addWidget(self.suited)
        self.column.addWidget(line())
        self.column.addWidget(self.evidence_row)
        self.column.addLayout(row(self.masks, self.outlines, stretch=0))
        self.column.addLayout(row(label(tr("Opacity")), self.opacity, stretch=1))
        self.column.addLayout(self._grid)
        self.column.addWidget(self.smooth)
        self.column.addLayout(row(self.heatmap, self.heat_opacity, stretch=1))
        self.column.addWidget(self.heat_row)
        self.column.addStretch(1)

    @property
    def overlay_style(self) -> OverlayStyle:
        """The style chosen."""
        return self._style

    def show_changes(self, on: bool) -> None:
        """Show what a candidate's masks gained and lost, in place of the masks, which are then to be seen."""
        if on:
            self.masks.setChecked(True)
        self._change(changes=on)

    def correct_colours(self, on: bool) -> None:
        """Whether slides are seen in the colours that their profiles mean."""
        self._change(corrected=on)

    def set_appearance(self, appearance: Appearance) -> None:
        """How the pixels of slides are shown."""
        self._change(appearance=appearance)

    def offer_evidence(self, offered: bool) -> None:
        """Whether there is evidence for and against, so that one can switch between them."""
        self.evidence_row.setVisible(offered)
        if not offered and self._style.against:
            self._change(against=False)

    def offer_classes(self, offered: bool) -> None:
        """Whether there is a probability of each class, so that the heatmap can show that of one."""
        self.heat_row.setVisible(offered)
        if not offered and self._style.heat_of is not None:
            self.heat_of.setCurrentIndex(0)
            self._change(heat_of=None)

    def set_scheme(self, scheme: ClassScheme) -> None:
        """The classes of a project in their colours; one that was there before is seen, and filled, as it was."""
        before = dict(zip(self._names, self._style.classes, strict=True))
        before |= {name: ClassStyle("", *map(bool, look)) for name, look in self._taken.items()}
        self._taken = {}
        self._names = scheme.mask_names
        new = ClassStyle("", filled=not self.outlines.isChecked())
        classes = tuple(dataclasses.replace(before.get(mask.name, new), colour=mask.colour) for mask in scheme.masks)
        self._fill_grid(classes)
        heat_of = self._style.heat_of if self._style.heat_of in self._names else None
        self.heat_of.clear()
        self.heat_of.addItem(tr("All classes"), None)
        for mask in scheme.masks:
            self.heat_of.addItem(QIcon(swatch(mask.colour)), visible_name(spoken_title(mask.name)), mask.name)
        self.heat_of.setCurrentIndex(max(0, self.heat_of.findData(heat_of)))
        self._change(classes=classes, heat_of=heat_of)

    def looks(self) -> dict[str, list[bool]]:
        """Of each class by name whether it is seen and whether it is filled."""
        return {name: [each.visible, each.filled] for name, each in zip(self._names, self._style.classes, strict=True)}

    def take_looks(self, looks: object) -> None:
        """Let the classes that come next look as `looks()` was once; what is none of that is of no account."""
        if isinstance(looks, dict) and all(isinstance(each, list) and len(each) == 2 for each in looks.values()):
            self._taken = looks
            if looks:
                with QSignalBlocker(self.outlines):
                    self.outlines.setChecked(not any(filled for _seen, filled in looks.values()))

    def show_class(self, value: int) -> None:
        """Have the class of a mask value, and the masks, in sight; 0: the masks alone."""
        self.masks.setChecked(True)
        if 0 < value <= len(self._style.classes) and not self._style.classes[value - 1].visible:
            self._change_class(value - 1, visible=True)
            self._fill_grid(self._style.classes)

    def _show_heat_of(self, name: str | None) -> None:
        """The probability of one class, or of all together."""
        self._style = dataclasses.replace(self._style, heat_of=name)
        self.heatmap.setChecked(True)
        self._change()

    def _change(self, **changes: object) -> None:
        self._style = dataclasses.replace(self._style, **changes)  # type: ignore[arg-type]
        self.evidence.take(
            (2 if self._style.against else 1) if self._style.heatmap else 0 if self._style.masks else None
        )
        self.style_changed.emit(self._style)

    def _show_evidence(self, index: int) -> None:
        """The mask, or the heatmap of one side of the evidence without it."""
        self._style = dataclasses.replace(self._style, against=index == 2)
        self.masks.setChecked(index == 0)
        self.heatmap.setChecked(index > 0)
        self._change()

    def _show_note(self) -> None:
        """Report when the screen shows other masks than those that are exported, asked about and painted on."""
        choice = self._source.choice
        in_use = next((model for model in self._source.models if model.status is ModelStatus.CURRENT), None)
        other = choice is not None and in_use is not None and not (choice.is_own and choice.model.id == in_use.id)
        self.note.setVisible(other)
        if other and choice is not None and in_use is not None:
            note = escape(_about_live(in_use) if choice.model.is_live else _about_other(in_use))
            if not choice.is_own:
                back = tr("Show the masks of {model}", model=choice.model.name)
                note = f"{note} <a href='own'>{escape(back)}</a>"
            self.note.setText(visible_text(note))

    def _on_outlines(self, on: bool) -> None:
        classes = tuple(dataclasses.replace(style, filled=not on) for style in self._style.classes)
        self._fill_grid(classes)
        self._change(classes=classes)
        self.looks_changed.emit()

    def _change_class(self, index: int, **changes: object) -> None:
        classes = list(self._style.classes)
        classes[index] = dataclasses.replace(classes[index], **changes)  # type: ignore[arg-type]
        self._change(classes=tuple(classes))
        self.looks_changed.emit()

    def _fill_grid(self, classes: tuple[ClassStyle, ...]) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()  # at once: the deletion waits for the event loop
                widget.deleteLater()
        for index, (name, style) in enumerate(zip(self._names, classes, strict=True)):
            shown = NarrowCheck(spoken_title(name))
            shown.setChecked(style.visible)
            shown.toggled.connect(lambda on, index=index: self._change_class(index, visible=on))
            filled = QCheckBox(tr("Filled"))
            filled.setChecked(style.filled)
            filled.toggled.connect(lambda on, index=index: self._change_class(index, filled=on))
            colour = button("", tip=plain_tip(tr("Colour of {class_name}", class_name=spoken_class(name))))
            colour.setAccessibleName(tr("Colour of {class_name}", class_name=spoken_class(name)))
            colour.setIcon(QIcon(swatch(style.colour)))
            colour.clicked.connect(lambda _on=False, index=index, made=colour: self._choose_colour(index, made))
            for column, widget in enumerate((shown, filled, colour)):
                self._grid.addWidget(widget, index, column)

    def _choose_colour(self, index: int, made: QPushButton) -> None:
        before = QColor(self._style.classes[index].colour)
        chosen = QColorDialog.getColor(
            before, self, tr("Colour of {class_name}", class_name=spoken_class(self._names[index]))
        )
        if chosen.isValid():
            made.setIcon(QIcon(swatch(chosen.name())))
            self._change_class(index, colour=chosen.name())
            self.colour_chosen.emit(index, chosen.name())


def _about_live(in_use: LocalisationModel) -> str:
    if not in_use.trained:
        return tr("Trained while you paint, not measured. Regions start with these masks; to export masks, retrain.")
    return tr(
        "Trained while you paint, not measured. Regions start with these masks; questions and exports use {masks}.",
        masks=in_words(own_choice(in_use)),
    )


def _about_other(in_use: LocalisationModel) -> str:
    if not in_use.trained:
        return tr("For viewing only: the current model has not been trained yet.")
    return tr("For viewing only: questions, painting and export use {masks}.", masks=in_words(own_choice(in_use)))
