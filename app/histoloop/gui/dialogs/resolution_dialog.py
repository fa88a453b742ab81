"""Ask for the resolution of slides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QVBoxLayout,
    QWidget,
)

from histoloop.gui.kit.number_box import NumberBox
from histoloop.gui.kit.widgets import label
from histoloop.language import mark, tr, tr_plural

if TYPE_CHECKING:
    from collections.abc import Sequence


MPP_CHOICES = mark("A scanner's 40x is about 0.25, 20x about 0.5, 10x about 1.0 \N{MICRO SIGN}m per pixel.")


class ResolutionDialog(QDialog):
    """Micrometres per pixel of slides that do not state it, or state it wrongly."""

    def __init__(self, parent: QWidget | None, *, names: Sequence[str], mpp: float | None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Resolution"))
        self.setMinimumWidth(420)
        self.mpp = NumberBox(decimals=4, minimum=0.01, maximum=50, singleStep=0.05, value=mpp or 0.5)
        self.mpp.setSuffix(tr(" \N{MICRO SIGN}m per pixel"))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(label(_how_wide(names), role="heading", wrap=True))
        layout.addWidget(self.mpp)
        layout.addWidget(label(tr(MPP_CHOICES), role="muted", wrap=True))
        layout.addWidget(label(tr("The slides are predicted anew at this resolution."), role="muted", wrap=True))
        layout.addWidget(buttons)


def _how_wide(names: Sequence[str]) -> str:
    if len(names) == 1:
        return tr("How wide is a pixel of {slide}?", slide=names[0])
    return tr_plural("How wide is a pixel of {count} slide?", "How wide is a pixel of {count} slides?", len(names))
