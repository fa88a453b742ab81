"""Ask for the resolution of slides."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QVBoxLayout,
    QWidget,
)

from histoloop.gui.kit.number_box import NumberBox
from histoloop.gui.kit.widgets import button, label, row
from histoloop.language import mark, tr, tr_plural
from histoloop.slides.objective import mpp_of_objective
from histoloop.store.records import MppFrom

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.store.records import SlideRecord


POWERS = (5, 10, 20, 40)

MPP_CHOICES = mark(
    "The objective gives the resolution at which scanners usually sample; the slides are then marked as "
    "estimated. A number that the scanner or microscope states is better."
)


ESTIMATE = mark(
    "The file states the objective, not the resolution. Scanners sample about 10 \N{MICRO SIGN}m divided by "
    "its power; cameras and exported images do not. The slides are marked as estimated."
)


class ResolutionDialog(QDialog):
    """Micrometres per pixel of slides that do not state it, or state it wrongly."""

    def __init__(self, parent: QWidget | None, *, slides: Sequence[SlideRecord]) -> None:
        super().__init__(parent)
        names, mpp = [slide.name for slide in slides], slides[0].mpp
        self._estimates = {slide.id: slide.estimated_mpp for slide in slides}
        self.setWindowTitle(tr("Resolution"))
        self.setMinimumWidth(420)
        self.mpp = NumberBox(decimals=4, minimum=0.01, maximum=50, singleStep=0.05, value=mpp or 0.5)
        self.mpp.setSuffix(tr(" \N{MICRO SIGN}m per pixel"))
        self.mpp.valueChanged.connect(self._typed)
        self.powers = [button(tr("{power:g}x", power=power)) for power in POWERS]
        for power, made in zip(POWERS, self.powers, strict=True):
            made.clicked.connect(functools.partial(self._take_power, power))
        self._is_by_power = False
        self.by_objective = button(_offer(slides))
        self.by_objective.setVisible(None not in self._estimates.values())
        self.by_objective.clicked.connect(self._take_estimates)
        self.estimated = label(tr(ESTIMATE), role="muted", wrap=True)
        self.estimated.setVisible(self.by_objective.isVisibleTo(self))
        self._is_estimated = False
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(label(_how_wide(names), role="heading", wrap=True))
        layout.addWidget(self.mpp)
        layout.addLayout(row(label(tr("Objective")), *self.powers))
        layout.addWidget(self.by_objective)
        layout.addWidget(self.estimated)
        layout.addWidget(label(tr(MPP_CHOICES), role="muted", wrap=True))
        layout.addWidget(label(tr("The slides are predicted again at this resolution."), role="muted", wrap=True))
        layout.addWidget(buttons)

    def resolutions(self) -> dict[int, tuple[float, MppFrom]]:
        """Um per pixel of each slide by its id, and where that is from."""
        estimates = {slide_id: mpp for slide_id, mpp in self._estimates.items() if mpp is not None}
        if self._is_estimated:
            return {slide_id: (mpp, MppFrom.OBJECTIVE) for slide_id, mpp in estimates.items()}
        source = MppFrom.OBJECTIVE if self._is_by_power else MppFrom.GIVEN
        return dict.fromkeys(self._estimates, (self.mpp.value(), source))

    def _take_power(self, power: int) -> None:
        self.mpp.setValue(mpp_of_objective(power) or self.mpp.value())
        self._is_by_power = True

    def _typed(self) -> None:
        self._is_by_power = False

    def _take_estimates(self) -> None:
        self._is_estimated = True
        self.accept()


def _offer(slides: Sequence[SlideRecord]) -> str:
    """The estimates by the objectives, on a button."""
    found = sorted({(slide.objective or 0.0, slide.estimated_mpp or 0.0) for slide in slides})
    words = ", ".join(
        tr("{power:g}x: {mpp:.4g} \N{MICRO SIGN}m per pixel", power=power, mpp=mpp) for power, mpp in found
    )
    return tr("Estimate from the objective ({estimates})", estimates=words)


def _how_wide(names: Sequence[str]) -> str:
    if len(names) == 1:
        return tr("How wide is a pixel of {slide}?", slide=names[0])
    return tr_plural("How wide is a pixel of {count} slide?", "How wide is a pixel of {count} slides?", len(names))
