"""What is done to the mask of the region in hand other than by brush: to all of a class, or inside an outline."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, Signal

from histoloop.annotations.mask_tools import copy_inside, fill_holes, grow, shrink, smooth
from histoloop.gui.canvas.tools.gesture import LASSO, Gesture
from histoloop.gui.work.background import Worker
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtCore import QPointF

    from histoloop.annotations.records import Counts, Mask
    from histoloop.gui.canvas.viewer import SlideViewer

SMOOTH_UM, STEP_UM = 2.0, 1.0
SMOOTH_PX, STEP_PX = 4.0, 2.0
"""The same where nobody knows how wide a pixel is, in level-0 pixels."""


class MaskDeeds(QObject):
    """Changes the mask on a canvas, each time as one step that the canvas emits like a stroke.

    What takes long is done on a thread of its own; what was painted meanwhile stays. `reported` is emitted with a
    sentence where nothing was to be changed, `locks_changed` when another class is locked, or none. `prediction` gives
    the model's mask of the region in hand and what of the region counts.
    """

    reported = Signal(str)
    locks_changed = Signal()

    def __init__(self, viewer: SlideViewer) -> None:
        super().__init__(viewer)
        self._viewer = viewer
        self._worker = Worker(self)
        self.locked: frozenset[int] = frozenset()
        """Mask values that are not overpainted."""
        self.prediction: Callable[[], tuple[Mask, Counts] | None] = _no_prediction
        self._gesture = Gesture(viewer, {"copy": LASSO})
        self._gesture.ended.connect(self._on_drawn)

    def fill_holes(self) -> None:
        """Give the class in hand what it encloses."""
        self._change(functools.partial(fill_holes, value=self._value), tr("The class encloses nothing that is free."))

    def smooth(self) -> None:
        """Round the borders of the class in hand."""
        radius = self._pixels(SMOOTH_UM, SMOOTH_PX)
        self._change(functools.partial(smooth, value=self._value, radius_px=radius), tr("There is nothing to smooth."))

    def grow(self) -> None:
        """Widen the class in hand."""
        radius = self._pixels(STEP_UM, STEP_PX)
        self._change(functools.partial(grow, value=self._value, radius_px=radius), tr("The class cannot grow here."))

    def shrink(self) -> None:
        """Narrow the class in hand."""
        radius = self._pixels(STEP_UM, STEP_PX)
        self._change(functools.partial(shrink, value=self._value, radius_px=radius), tr("There is nothing to shrink."))

    def lock(self, locked: bool) -> None:
        """Let nothing change the class in hand, or let it be changed again."""
        value = frozenset({self._value})
        self.set_locked(self.locked | value if locked else self.locked - value)

    def set_locked(self, values: frozenset[int]) -> None:
        """The mask values that nothing changes."""
        if values != self.locked:
            self.locked = values
            self._viewer.set_locked(values)
            self.locks_changed.emit()

    def shut_down(self) -> None:
        """End the worker thread."""
        self._worker.stop()

    @property
    def _value(self) -> int:
        return self._viewer.painted_class

    def _pixels(self, micrometres: float, otherwise: float) -> float:
        scene = self._viewer.scene
        mpp = None if scene is None else scene.slide.mpp
        return otherwise if mpp is None else max(1.0, micrometres / mpp)

    def _on_drawn(self, _tool: str, places: Sequence[QPointF]) -> None:
        region, found = self._viewer.annotating, self.prediction()
        if region is None or found is None:
            return
        predicted, counts = found
        outline = np.array([self._viewer.to_slide(place) for place in places]) - (region.x - 0.5, region.y - 0.5)
        self._change(
            functools.partial(copy_inside, predicted=predicted, outline=outline, counts=counts),
            tr("Nothing differs from the prediction there."),
        )

    def _change(self, deed: Callable[[Mask], Mask], otherwise: str) -> None:
        """Change the mask in hand on the worker's thread, and say `otherwise` where nothing is changed."""
        region = self._viewer.annotating
        if region is None or self._viewer.is_frozen:
            return
        self._viewer.close_polygon()
        before = self._viewer.painted_mask

        def show(after: Mask | None) -> None:
            if self._viewer.annotating is not region or self._viewer.is_frozen:
                return
            if after is None:
                self.reported.emit(otherwise)
            else:
                self._viewer.replace_mask(_put_into(self._viewer.painted_mask, before, after))

        self._worker.request(functools.partial(_done, deed, before), on_done=show)


def _done(deed: Callable[[Mask], Mask], before: Mask) -> Mask | None:
    """The mask once the deed is done; None where that changes nothing."""
    after = deed(before)
    return None if np.array_equal(before, after) else after


def _put_into(shown: Mask, before: Mask, after: Mask) -> Mask:
    """The mask that is shown with what a deed changed, save where something was painted meanwhile."""
    if np.array_equal(shown, before):  # nearly always: a region may have millions of pixels
        return after
    return np.where((before != after) & (shown == before), after, shown)


def _no_prediction() -> None:
    return None
