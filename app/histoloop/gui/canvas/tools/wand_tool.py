"""The wand: a region from one place and a drag, shown before it is painted."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QPointF, Signal

from histoloop.annotations.wand import connected, unlikeness
from histoloop.gui.canvas.rendering import View
from histoloop.gui.canvas.tools.found_parts import in_view, is_in_view, paint_part, read_region, show_part
from histoloop.gui.canvas.tools.gesture import PLACE, Gesture
from histoloop.gui.work.background import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.gui.canvas.viewer import SlideViewer
    from histoloop.gui.work.failure import Failure

TOLERANCE, PER_PX, LARGEST = 8.0, 0.2, 80.0
"""How unlike a pixel may be to the place the wand points at, in units of Lab, and how much more for a pixel of drag."""


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What the wand sees: how unlike each pixel of a view is to the place it points at (x, y)."""

    view: View
    away: NDArray[np.float32]
    place: tuple[int, int]


class WandTool(QObject):
    """A tool of a canvas; what it finds is painted with the class in hand, as one step.

    `reported` is emitted with a sentence where nothing was found.
    """

    reported = Signal(str)

    def __init__(self, viewer: SlideViewer) -> None:
        super().__init__(viewer)
        self._viewer = viewer
        self._worker = Worker(self)
        self._seen: _Seen | None = None
        self._pointed = 0  # so many times the wand was put down: what comes late for an earlier time is dropped
        self._tolerance: float = TOLERANCE
        self._is_over = False  # whether the button was let go before the pixels were there
        gesture = Gesture(viewer, {"wand": PLACE})
        gesture.began.connect(self._on_began)
        gesture.moved.connect(self._on_moved)
        gesture.ended.connect(self._on_ended)
        gesture.dropped.connect(self._forget)

    @property
    def is_showing(self) -> bool:
        """Whether what it would paint is shown."""
        return self._seen is not None

    def shut_down(self) -> None:
        """End the worker thread."""
        self._worker.stop()

    # --- the mouse ----------------------------------------------------------------------------------------------------

    def _on_began(self, _tool: str, place: QPointF) -> None:
        self._forget()
        look = functools.partial(self._look, self._pointed, self._viewer.to_slide(place))
        read_region(self._viewer, on_done=look, on_failed=self._on_failed)

    def _on_moved(self, _tool: str, places: Sequence[QPointF]) -> None:
        way = places[-1] - places[0]
        self._tolerance = min(LARGEST, TOLERANCE + PER_PX * float(np.hypot(way.x(), way.y())))
        self._preview()

    def _on_ended(self, tool: str, places: Sequence[QPointF]) -> None:
        self._on_moved(tool, places)
        self._is_over = True
        self._take()

    def _forget(self) -> None:
        self._pointed += 1
        self._seen, self._is_over, self._tolerance = None, False, TOLERANCE
        self._viewer.show_preview(None, None)

    # --- the wand -----------------------------------------------------------------------------------------------------

    def _look(self, number: int, at: tuple[float, float], view: View) -> None:
        """Compare the pixels with the place pointed at, away from the GUI thread."""
        if is_in_view(view, at):
            x, y = in_view(view, at)
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
            show_part(self._viewer, seen.view, connected(seen.away, seen.place, self._tolerance))

    def _take(self) -> None:
        if (seen := self._seen) is not None:
            why = paint_part(self._viewer, seen.view, connected(seen.away, seen.place, self._tolerance))
            if why:
                self.reported.emit(why)
            self._forget()

    def _on_failed(self, failure: Failure) -> None:
        self.reported.emit(failure.message)
