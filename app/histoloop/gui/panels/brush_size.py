"""How wide brush and eraser are: a width on the screen, so that it follows the zoom, and what that is on the slide."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QWidget

from histoloop.gui.kit.widgets import label, row, slider
from histoloop.language import tr

SCREEN_PX = (2, 300)
STEP = 1.25
LARGEST_PX = 1000
"""Widest stroke on the slide, in level-0 pixels: a wider one would lag behind the mouse."""


class BrushSize(QWidget):
    """`changed` emits the diameter in level-0 pixels, as the slider or the zoom changes it."""

    changed = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.slider = slider(*SCREEN_PX, 24)
        self.slider.setAccessibleName(tr("Brush"))
        self.slider.setToolTip(tr("Width of brush and eraser on the screen: come closer, and they paint finer"))
        self.text = label()
        self.text.setMinimumWidth(58)
        self.text.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._zoom, self._mpp = 1.0, None  # type: tuple[float, float | None]
        layout = row(label(tr("Brush")), self.slider, self.text, stretch=1)
        layout.setContentsMargins(0, 0, 0, 0)
        self.setLayout(layout)
        self.slider.valueChanged.connect(self._show)
        self._show()

    @property
    def diameter_px(self) -> int:
        """In level-0 pixels."""
        return max(1, min(LARGEST_PX, round(self.slider.value() / self._zoom)))

    def set_scale(self, zoom: float, mpp: float | None) -> None:
        """The slide is seen with `zoom` screen pixels per level-0 pixel, which is `mpp` micrometres wide."""
        if (zoom, mpp) != (self._zoom, self._mpp):
            self._zoom, self._mpp = zoom, mpp
            self._show()

    def step(self, *, larger: bool) -> None:
        """One step wider or narrower."""
        width = self.slider.value()
        self.slider.setValue(max(width + 1, round(width * STEP)) if larger else round(width / STEP))

    def _show(self) -> None:
        diameter = self.diameter_px
        if self._mpp is None:
            self.text.setText(tr("{pixels} px", pixels=diameter))
        else:
            width = diameter * self._mpp
            shown = round(width, 1) if width < 10 else round(width)
            self.text.setText(tr("{length:g} \N{MICRO SIGN}m", length=shown))
        self.changed.emit(diameter)
