"""How masks and heatmap lie over the slide."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtGui import QColor, QIcon
from PySide6.QtWidgets import QCheckBox, QColorDialog, QGridLayout, QPushButton

from histoloop.gui.rendering import ClassStyle, OverlayStyle
from histoloop.gui.widgets import Panel, button, label, row, slider, swatch

if TYPE_CHECKING:
    from histoloop.annotations.records import ClassScheme


class OverlayPanel(Panel):
    """Holds the style that the user chose and tells each change of it."""

    style_changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._style = OverlayStyle()
        self._names: tuple[str, ...] = ()
        self.masks = QCheckBox("Masks")
        self.masks.setChecked(True)
        self.outlines = QCheckBox("Outlines only")
        self.heatmap = QCheckBox("Heatmap")
        self.opacity = slider(0, 100, 35)
        self.heatmap.setToolTip("The model's probability of gland or tumour")
        self.heat_opacity = slider(0, 100, 50)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(6)
        self._grid.setColumnStretch(0, 1)
        self.masks.toggled.connect(lambda on: self._change(masks=on))
        self.outlines.toggled.connect(self._on_outlines)
        self.heatmap.toggled.connect(lambda on: self._change(heatmap=on))
        self.opacity.valueChanged.connect(lambda value: self._change(opacity=value / 100))
        self.heat_opacity.valueChanged.connect(lambda value: self._change(heatmap_opacity=value / 100))
        self.column.addLayout(row(self.masks, self.outlines, stretch=0))
        self.column.addLayout(row(label("Opacity"), self.opacity, stretch=1))
        self.column.addLayout(self._grid)
        self.column.addLayout(row(self.heatmap, self.heat_opacity, stretch=1))
        self.column.addStretch(1)

    def set_scheme(self, scheme: ClassScheme, *, threshold: float) -> None:
        """Start from the colours of a project's classes."""
        self._names = scheme.mask_names
        filled = not self.outlines.isChecked()
        classes = tuple(ClassStyle(mask.colour, filled=filled) for mask in scheme.masks)
        self._fill_grid(classes)
        self._change(classes=classes, threshold=threshold)

    def _change(self, **changes: object) -> None:
        self._style = dataclasses.replace(self._style, **changes)  # type: ignore[arg-type]
        self.style_changed.emit(self._style)

    def _on_outlines(self, on: bool) -> None:
        classes = tuple(dataclasses.replace(style, filled=not on) for style in self._style.classes)
        self._fill_grid(classes)
        self._change(classes=classes)

    def _change_class(self, index: int, **changes: object) -> None:
        classes = list(self._style.classes)
        classes[index] = dataclasses.replace(classes[index], **changes)  # type: ignore[arg-type]
        self._change(classes=tuple(classes))

    def _fill_grid(self, classes: tuple[ClassStyle, ...]) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        for index, (name, style) in enumerate(zip(self._names, classes, strict=True)):
            shown = QCheckBox(name.capitalize())
            shown.setChecked(style.visible)
            shown.toggled.connect(lambda on, index=index: self._change_class(index, visible=on))
            filled = QCheckBox("Filled")
            filled.setChecked(style.filled)
            filled.toggled.connect(lambda on, index=index: self._change_class(index, filled=on))
            colour = button("", tip=f"Colour of {name}")
            colour.setIcon(QIcon(swatch(style.colour)))
            colour.clicked.connect(lambda _on=False, index=index, made=colour: self._choose_colour(index, made))
            for column, widget in enumerate((shown, filled, colour)):
                self._grid.addWidget(widget, index, column)

    def _choose_colour(self, index: int, made: QPushButton) -> None:
        before = QColor(self._style.classes[index].colour)
        chosen = QColorDialog.getColor(before, self, f"Colour of {self._names[index]}")
        if chosen.isValid():
            made.setIcon(QIcon(swatch(chosen.name())))
            self._change_class(index, colour=chosen.name())
