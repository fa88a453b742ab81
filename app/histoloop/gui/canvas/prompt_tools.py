"""The wand, and the smart tool: a region or an object from one place, a drag or a box, shown before it is painted."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QPointF, Signal
from PySide6.QtGui import QColor, QImage

from histoloop.annotations.mask_tools import paint_where
from histoloop.annotations.prompts import Prompts, Segmenter, segment
from histoloop.annotations.wand import connected, resampled, unlikeness
from histoloop.geometry import Region
from histoloop.gui.canvas.gesture import BOX, PLACE, Gesture
from histoloop.gui.canvas.rendering import View
from histoloop.gui.work.background import Worker
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histoloop.gui.canvas.viewer import SlideViewer
    from histoloop.gui.work.failure import Failure

TOLERANCE, PER_PX, LARGEST = 8.0, 0.2, 80.0
"""How unlike a pixel may be to the place the wand points at, in units of Lab, and how much more for a pixel of drag."""

CLICK_PX = 5
OBJECT_PX = 50
"""About how large an object is, on the screen, that is clicked; a box shows it better."""

PREVIEW_ALPHA = 120


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What the wand sees: how unlike each pixel of a view is to the place it points at (x, y)."""

    view: View
    away: NDArray[np.float32]
    place: tuple[int, int]


class PromptTools(QObject):
    """Two tools of a canvas; what they find is painted with the class in hand, as one step.

    `reported` is emitted with a sentence where nothing was found. `segmenter` finds the objects of the smart tool.
    """

    reported = Signal(str)

    def __init__(self, viewer: SlideViewer, *, segmenter: Segmenter = segment) -> None:
        super().__init__(viewer)
        self._viewer, self._segmenter = viewer, segmenter
        self._worker = Worker(self)
        self._seen: _Seen | None = None
        self._pointed = 0  # so many times the wand was put down: what comes late for an earlier time is dropped
        self._tolerance: float = TOLERANCE
        self._is_over = False  # whether the button was let go before the pixels were there
        gesture = Gesture(viewer, {"wand": PLACE, "smart": BOX})
        gesture.began.connect(self._on_began)
        gesture.moved.connect(self._on_moved)
        gesture.ended.connect(self._on_ended)
        gesture.dropped.connect(self._forget)

    def shut_down(self) -> None:
        """End the worker thread."""
        self._worker.stop()

    # --- the mouse ----------------------------------------------------------------------------------------------------

    def _on_began(self, tool: str, place: QPointF) -> None:
        if tool == "wand":
            self._forget()
            number, at = self._pointed, self._viewer.to_slide(place)
            self._read(functools.partial(self._look, number, at))

    def _on_moved(self, tool: str, places: Sequence[QPointF]) -> None:
        if tool == "wand":
            way = places[-1] - places[0]
            self._tolerance = min(LARGEST, TOLERANCE + PER_PX * float(np.hypot(way.x(), way.y())))
            self._preview()

    def _on_ended(self, tool: str, places: Sequence[QPointF]) -> None:
        if tool == "wand":
            self._on_moved(tool, places)
            self._is_over = True
            self._take()
        else:
            start, end = self._viewer.to_slide(places[0]), self._viewer.to_slide(places[-1])
            way = places[-1] - places[0]
            is_click = max(abs(way.x()), abs(way.y())) < CLICK_PX
            self._read(functools.partial(self._find, start, None if is_click else end))

    def _forget(self) -> None:
        self._pointed += 1
        self._seen, self._is_over, self._tolerance = None, False, TOLERANCE
        self._viewer.show_preview(None, None)

    # --- the wand -----------------------------------------------------------------------------------------------------

    def _look(self, number: int, at: tuple[float, float], view: View) -> None:
        """Compare the pixels with the place pointed at, away from the GUI thread."""
        x, y = _in_view(view, at)
        height, width = view.pixels.shape[:2]
        if 0 <= x < width and 0 <= y < height:
            place = int(x), int(y)
            self._worker.request(
                functools.partial(unlikeness, view.pixels, place),
                on_done=lambda away: self._on_seen(number, _Seen(view, away, place)),
                on_failed=self._on_failed,
            )

    def _on_seen(self, number: int, seen: _Seen) -> None:
        if number == self._pointed:
            self._seen = seen
            self._preview()
            if self._is_over:
                self._take()

    def _preview(self) -> None:
        if (seen := self._seen) is not None:
            self._show(seen.view, connected(seen.away, seen.place, self._tolerance))

    def _take(self) -> None:
        if (seen := self._seen) is not None:
            self._paint(seen.view, connected(seen.away, seen.place, self._tolerance))
            self._forget()

    # --- the smart tool -----------------------------------------------------------------------------------------------

    def _find(self, start: tuple[float, float], end: tuple[float, float] | None, view: View) -> None:
        """Find the object at a place or, with an `end`, in a box, away from the GUI thread."""
        x, y = _in_view(view, start)
        if end is None:
            radius = OBJECT_PX / (self._viewer.camera().zoom * view.downsample)
            prompts = Prompts(inside=((x, y),), radius_px=radius)
        else:
            other_x, other_y = _in_view(view, end)
            prompts = Prompts(box=(min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y)))
        self._worker.request(
            functools.partial(self._segmenter, view.pixels, prompts),
            on_done=functools.partial(self._paint, view),
            on_failed=self._on_failed,
        )

    # --- both ---------------------------------------------------------------------------------------------------------

    def _read(self, then: Callable[[View], object]) -> None:
        """Read the pixels of the region in hand that are on the screen, about as fine as they are seen."""
        region = self._viewer.annotating
        visible = None if region is None else self._viewer.visible_region().intersection(region)
        if visible is not None and not self._viewer.is_frozen:
            self._viewer.read_pixels(visible, on_done=then, on_failed=self._on_failed)

    def _paint(self, view: View, part: NDArray[np.bool_]) -> None:
        region = self._viewer.annotating
        if region is None or self._viewer.is_frozen:
            return
        if not part.any():
            self.reported.emit(tr("Nothing was found there: draw a box around it, or use the brush."))
            return
        inside = resampled(
            part,
            downsample=view.downsample,
            offset=(view.x - region.x, view.y - region.y),
            size=(region.width, region.height),
        )
        self._viewer.replace_mask(paint_where(self._viewer.painted_mask, inside, self._viewer.painted_class))

    def _show(self, view: View, part: NDArray[np.bool_]) -> None:
        colour = QColor(self._viewer.painted_colour)
        height, width = part.shape
        values = np.ascontiguousarray(part, np.uint8)
        image = QImage(values.tobytes(), width, height, width, QImage.Format.Format_Indexed8).copy()
        colour.setAlpha(PREVIEW_ALPHA)
        image.setColorTable([0, colour.rgba()])
        self._viewer.show_preview(_place_of(view), image)

    def _on_failed(self, failure: Failure) -> None:
        self.reported.emit(failure.message)


def _in_view(view: View, at: tuple[float, float]) -> tuple[float, float]:
    """A place of the slide, where the middle of the first pixel is 0, in pixels of a view, which begin at 0."""
    return (at[0] + 0.5 - view.x) / view.downsample, (at[1] + 0.5 - view.y) / view.downsample


def _place_of(view: View) -> Region:
    height, width = view.pixels.shape[:2]
    return Region(round(view.x), round(view.y), round(width * view.downsample), round(height * view.downsample))
