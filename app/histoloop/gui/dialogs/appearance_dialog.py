"""Brightness, contrast, gamma and stains of the picture, changed while it is seen."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QGridLayout, QLabel, QSlider, QVBoxLayout, QWidget

from histoloop.gui.canvas.appearance import NEUTRAL, Appearance, Stain
from histoloop.gui.canvas.plates.appearance_badge import STAINS
from histoloop.gui.kit.widgets import Switch, label, slider
from histoloop.language import number, tr

if TYPE_CHECKING:
    from collections.abc import Callable

GAMMA_SPAN = 3.0
"""The largest gamma, and 1 by the least."""


class AppearanceDialog(QDialog):
    """Stays open beside the slide; `changed` is emitted with each `Appearance` that is chosen."""

    changed = Signal(object)

    def __init__(self, parent: QWidget | None, appearance: Appearance) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Brightness and stains"))
        self.setMinimumWidth(380)
        self._appearance = appearance
        self.stain = Switch([(tr(STAINS[stain]), "") for stain in Stain])
        self.stain.setAccessibleName(tr("Stain"))
        self.brightness, self.contrast, self.gamma = (slider(-100, 100, 0) for _ in range(3))
        self.gamma.setToolTip(tr("Above 1 lightens dark tissue"))
        self._values: list[tuple[QLabel, Callable[[Appearance], str]]] = []
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        for made, name, words in (
            (self.brightness, tr("Brightness"), lambda shown: _percent(shown.brightness)),
            (self.contrast, tr("Contrast"), lambda shown: _percent(shown.contrast)),
            (self.gamma, tr("Gamma"), lambda shown: number(shown.gamma, ".2f")),
        ):
            self._add(grid, made, name, words)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Reset | QDialogButtonBox.StandardButton.Close)
        self.reset = buttons.button(QDialogButtonBox.StandardButton.Reset)
        self.reset.setText(tr("Reset"))
        self.reset.setAutoDefault(False)
        self.reset.clicked.connect(lambda: self._take(NEUTRAL))
        close = buttons.button(QDialogButtonBox.StandardButton.Close)
        close.setText(tr("Close"))
        buttons.rejected.connect(self.reject)
        self.note = label(
            tr(
                "This changes the picture on the screen alone. Models predict from the slide as it is, and annotations "
                "and exports stay the same. It is forgotten when you quit."
            ),
            role="muted",
            wrap=True,
        )
        self.stain_note = label(
            tr(
                "Stains are separated by fixed colours of haematoxylin, eosin and DAB (colour deconvolution): to look "
                "at, not to measure."
            ),
            role="muted",
            wrap=True,
        )
        layout = QVBoxLayout(self)
        for part in (self.stain, self.stain_note):
            layout.addWidget(part)
        layout.addLayout(grid)
        layout.addWidget(self.note)
        layout.addWidget(buttons)
        self.stain.chosen.connect(lambda index: self._take(replace(self._appearance, stain=list(Stain)[index])))
        self.show_appearance(appearance)

    def show_appearance(self, appearance: Appearance) -> None:
        """Show what is chosen, without a word about it."""
        self._appearance = appearance
        self.stain.take(list(Stain).index(appearance.stain))
        for made, place in (
            (self.brightness, 100 * appearance.brightness),
            (self.contrast, 100 * appearance.contrast),
            (self.gamma, _place_of(appearance.gamma)),
        ):
            with QSignalBlocker(made):
                made.setValue(round(place))
        for value, words in self._values:
            value.setText(words(appearance))
        self.reset.setEnabled(not appearance.is_neutral)

    def offer_stains(self, may: bool) -> None:
        """Whether the slide has stains that can be separated."""
        self.stain.setEnabled(may)
        self.stain.setToolTip("" if may else tr("This slide is not brightfield: it has no stains to separate."))

    def _add(self, grid: QGridLayout, made: QSlider, name: str, words: Callable[[Appearance], str]) -> None:
        made.setAccessibleName(name)
        made.valueChanged.connect(lambda _value: self._on_slider())
        value = label(role="muted")
        value.setAlignment(Qt.AlignmentFlag.AlignRight)
        value.setMinimumWidth(value.fontMetrics().horizontalAdvance(_percent(-1)) + 6)
        self._values.append((value, words))
        for column, part in enumerate((label(name), made, value)):
            grid.addWidget(part, grid.rowCount() - (column > 0), column)

    def _on_slider(self) -> None:
        tones = {
            "brightness": self.brightness.value() / 100,
            "contrast": self.contrast.value() / 100,
            "gamma": GAMMA_SPAN ** (self.gamma.value() / 100),
        }
        self._take(replace(self._appearance, **tones))

    def _take(self, appearance: Appearance) -> None:
        self.show_appearance(appearance)
        self.changed.emit(appearance)


def _place_of(gamma: float) -> float:
    """Where on its slider a gamma is, -100 to 100."""
    return 100 * math.log(gamma) / math.log(GAMMA_SPAN)


def _percent(share: float) -> str:
    return number(share, "+.0%" if share else ".0%")
