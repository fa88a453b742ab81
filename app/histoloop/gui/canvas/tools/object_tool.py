"""The tool that finds an object's border: from a box or a click, and more clicks inside and outside of it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QKeyEvent

from histoloop.annotations.prompts import Prompts, Segmenter, segment
from histoloop.gui.canvas.rendering import View
from histoloop.gui.canvas.tools.found_parts import in_view, is_in_view, paint_part, read_region, show_part
from histoloop.gui.canvas.tools.gesture import BOX, Gesture
from histoloop.gui.work.background import Worker
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.gui.canvas.viewer import SlideViewer
    from histoloop.gui.work.failure import Failure

TOOL = "smart"
CLICK_PX = 5
OBJECT_PX = 50
"""About how large an object is, on the screen, that is clicked; a box shows it better."""

_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape)


@dataclass(slots=True, eq=False)
class _Object:
    """An object that is being shown: where it is looked for, what was shown of it, and what was found."""

    view: View
    prompts: Prompts
    part: NDArray[np.bool_] | None = None


class ObjectTool(QObject):
    """Finds one object after the other; what is found is shown, and painted with the class in hand as one step.

    A box or a click begins an object. Further clicks say more of it: inside, or outside with Alt or Ctrl held. Enter
    paints it, and so do another box, another tool and Done; Esc drops it. `reported` is emitted with a sentence where
    nothing was found, and with what to do next. `segmenter` is what finds objects.
    """

    reported = Signal(str)

    def __init__(self, viewer: SlideViewer, *, segmenter: Segmenter = segment) -> None:
        super().__init__(viewer)
        self._viewer, self.segmenter = viewer, segmenter
        self._worker = Worker(self)
        self._object: _Object | None = None
        self._number = 0  # so many objects were begun: what comes late for an earlier one is dropped
        self._listens = False
        self._gesture = Gesture(viewer, {TOOL: BOX})
        self._gesture.ended.connect(self._on_ended)
        viewer.tool_changed.connect(self._on_tool)

    @property
    def is_showing(self) -> bool:
        """Whether something is shown that is not painted yet."""
        return self._object is not None

    @property
    def has_found(self) -> bool:
        """Whether an object was found and waits to be painted."""
        return self._object is not None and self._object.part is not None

    def shut_down(self) -> None:
        """End the worker thread."""
        self._worker.stop()

    def accept(self) -> None:
        """Paint the object that is shown."""
        shown = self._object
        self.drop()
        if shown is not None and shown.part is not None and (why := paint_part(self._viewer, shown.view, shown.part)):
            self.reported.emit(why)

    def drop(self) -> None:
        """Paint nothing of the object that is shown."""
        self._number += 1
        if self._object is not None:
            self._object = None
            self._viewer.show_preview(None, None)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Enter and Esc are about the object while there is one."""
        if isinstance(event, QKeyEvent) and self._object is not None and event.key() in _KEYS:
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()
            elif event.type() == QEvent.Type.KeyPress:
                self.drop() if event.key() == Qt.Key.Key_Escape else self.accept()
            return True
        return False

    def _on_tool(self, tool: str) -> None:
        if tool != TOOL:
            self.accept()
        elif not self._listens:  # the canvas is there now, where it was not when this was made
            self._listens = True
            self._viewer.canvas.installEventFilter(self)

    def _on_ended(self, _tool: str, places: Sequence[QPointF]) -> None:
        start, end = self._viewer.to_slide(places[0]), self._viewer.to_slide(places[-1])
        way = places[-1] - places[0]
        is_click = max(abs(way.x()), abs(way.y())) < CLICK_PX
        held = self._gesture.modifiers & (Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ControlModifier)
        shown = self._object
        if shown is not None and is_click and is_in_view(shown.view, start):
            place = in_view(shown.view, start)
            shown.prompts = shown.prompts.with_outside(*place) if held else shown.prompts.with_inside(*place)
            self._find(shown)
            return
        self.accept()
        begin = functools.partial(self._begin, self._number, start, None if is_click else end)
        read_region(self._viewer, on_done=begin, on_failed=self._on_failed)

    def _begin(self, number: int, start: tuple[float, float], end: tuple[float, float] | None, view: View) -> None:
        if number != self._number:
            return
        x, y = in_view(view, start)
        if end is None:
            radius = OBJECT_PX / (self._viewer.camera().zoom * view.downsample)
            prompts = Prompts(inside=((x, y),), radius_px=radius)
        else:
            other_x, other_y = in_view(view, end)
            prompts = Prompts(box=(min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y)))
        self._object = _Object(view, prompts)
        self._find(self._object)

    def _find(self, wanted: _Object) -> None:
        """Find the object on the worker's thread; of several that wait only the newest is looked for."""
        self._worker.request(
            functools.partial(self.segmenter, wanted.view.pixels, wanted.prompts),
            on_done=functools.partial(self._on_found, wanted),
            on_failed=self._on_failed,
            topic="object",
        )

    def _on_found(self, wanted: _Object, part: NDArray[np.bool_]) -> None:
        if wanted is not self._object:
            return
        if not part.any():
            self.drop()
            self.reported.emit(tr("Nothing was found there: draw a box around it, or use the brush."))
            return
        wanted.part = part
        show_part(self._viewer, wanted.view, part, inside=wanted.prompts.inside, outside=wanted.prompts.outside)
        self.reported.emit(tr("Enter paints it. Click to add a place, with Alt to take one away; Esc drops it."))

    def _on_failed(self, failure: Failure) -> None:
        self.drop()
        self.reported.emit(failure.message)
