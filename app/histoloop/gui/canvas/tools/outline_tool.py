"""The tool that changes an area by the points of its outline: they are dragged, added and taken away."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from histoloop.gui.canvas.tools.gesture import PLACE, Gesture
from histoloop.gui.work.background import Worker
from histoloop.language import tr
from histoloop.localisation.outline_points import OutlinePoints, outline_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.gui.canvas.viewer import SlideViewer
    from histoloop.gui.work.failure import Failure

TOOL = "outline"
POINT_PX, EDGE_PX = 9.0, 6.0
"""How near to a point, and to a line between two, the mouse is on it; screen pixels."""

SIMPLIFY_PX = 2.0
"""How far an outline may lie from the edge of its area, in screen pixels."""

_HANDLE_PX = 4.0


class OutlineTool(QObject):
    """Shows the outline of the area that is clicked, with its points; each change is one step, like a stroke.

    A point is dragged, a line is dragged to make a point on it, Alt with a click or Del takes a point away. Another
    area is clicked to go on with that one; Esc puts the outline away. `reported` is emitted with what can be done.
    """

    reported = Signal(str)

    def __init__(self, viewer: SlideViewer) -> None:
        super().__init__(viewer)
        self._viewer = viewer
        self._worker = Worker(self)
        self._handles = _Handles(viewer)
        self._outline: OutlinePoints | None = None
        self._held: tuple[int, int] | None = None  # the point that is dragged, or was last: its ring and number
        self._is_dragged = False
        self._paints = False
        self._asked = 0
        self._listens = False
        self._gesture = Gesture(viewer, {TOOL: PLACE})
        self._gesture.began.connect(self._on_began)
        self._gesture.moved.connect(self._on_moved)
        self._gesture.ended.connect(self._on_ended)
        self._gesture.dropped.connect(self._on_dropped)
        viewer.tool_changed.connect(self._on_tool)
        viewer.patch_painted.connect(lambda _after, _before: None if self._paints else self.put_away())

    @property
    def outline(self) -> OutlinePoints | None:
        """What is shown, in pixels of the region's mask."""
        return self._outline

    def shut_down(self) -> None:
        """End the worker thread."""
        self._worker.stop()

    def put_away(self) -> None:
        """Show no outline any more; the area stays as it is."""
        self._asked += 1
        self._held, self._is_dragged = None, False
        self._show(None)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Del takes the point away that was touched last; Esc puts the outline away."""
        is_ours = isinstance(event, QKeyEvent) and self._outline is not None and self._viewer.tool == TOOL
        if not is_ours or event.key() not in (Qt.Key.Key_Delete, Qt.Key.Key_Escape):  # type: ignore[attr-defined]
            return False
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
        elif event.type() == QEvent.Type.KeyPress:
            if event.key() == Qt.Key.Key_Escape:  # type: ignore[attr-defined]
                self.put_away()
            elif self._held is not None:
                self._take_away(*self._held)
        return True

    # --- the mouse ----------------------------------------------------------------------------------------------------

    def _on_tool(self, tool: str) -> None:
        if tool != TOOL:
            self.put_away()
        elif not self._listens:  # the canvas is there now, where it was not when this was made
            self._listens = True
            self._viewer.canvas.installEventFilter(self)

    def _on_began(self, _tool: str, place: QPointF) -> None:
        at = self._in_mask(place)
        if at is None:
            return
        outline, zoom = self._outline, self._viewer.camera().zoom
        if outline is not None:
            ring, point, away = outline.nearest_point(*at)
            if away * zoom <= POINT_PX:
                if self._gesture.modifiers & Qt.KeyboardModifier.AltModifier:
                    self._take_away(ring, point)
                else:
                    self._held, self._is_dragged = (ring, point), True
                return
            ring, after, away = outline.nearest_edge(*at)
            if away * zoom <= EDGE_PX:
                self._held, self._is_dragged = (ring, after + 1), True
                self._show(outline.with_point(ring, after, *at))
                return
        self._pick(at)

    def _on_moved(self, _tool: str, places: Sequence[QPointF]) -> None:
        at = self._in_mask(places[-1])
        if self._is_dragged and self._outline is not None and self._held is not None and at is not None:
            self._show(self._outline.moved(*self._held, *at))

    def _on_ended(self, tool: str, places: Sequence[QPointF]) -> None:
        self._on_moved(tool, places)
        if self._is_dragged:
            self._is_dragged = False
            self._paint()

    def _on_dropped(self) -> None:
        self.put_away()

    # --- the outline --------------------------------------------------------------------------------------------------

    def _pick(self, at: tuple[float, float]) -> None:
        """Show the outline of the area at a place of the mask, which is found on the worker's thread."""
        self.put_away()
        scheme = self._viewer.scheme
        if scheme is not None and not self._viewer.is_frozen:
            find = functools.partial(
                outline_at,
                self._viewer.painted_mask,
                int(at[0]),
                int(at[1]),
                simplify_px=max(1.0, SIMPLIFY_PX / self._viewer.camera().zoom),
                classes=len(scheme.masks),
            )
            self._worker.request(
                find, on_done=functools.partial(self._on_found, self._asked), on_failed=self._on_failed, topic="outline"
            )

    def _on_found(self, asked: int, outline: OutlinePoints | None) -> None:
        if asked != self._asked:
            return
        self._show(outline)
        if outline is None:
            self.reported.emit(tr("There is no painted area: click one to see the points of its outline."))
        else:
            self.reported.emit(tr("Drag a point, or a line to add one; Alt with a click, or Del, takes one away."))

    def _take_away(self, ring: int, point: int) -> None:
        if self._outline is not None:
            self._held = None
            self._show(self._outline.without_point(ring, point))
            self._paint()

    def _paint(self) -> None:
        if self._outline is not None and not self._viewer.is_frozen:
            self._paints = True
            self._viewer.replace_mask(self._outline.filled())
            self._paints = False

    def _show(self, outline: OutlinePoints | None) -> None:
        region, self._outline = self._viewer.annotating, outline
        rings: tuple[np.ndarray, ...] = ()
        if outline is not None and region is not None:
            corner = np.array((region.x - 0.5, region.y - 0.5))
            rings = tuple(ring + corner for ring in outline.rings)
        self._handles.show_rings(rings, self._held)

    def _in_mask(self, place: QPointF) -> tuple[float, float] | None:
        """A place of the canvas in pixels of the region's mask, whose first one begins at 0."""
        region = self._viewer.annotating
        if region is None:
            return None
        x, y = self._viewer.to_slide(place)
        return x + 0.5 - region.x, y + 0.5 - region.y

    def _on_failed(self, failure: Failure) -> None:
        self.reported.emit(failure.message)


class _Handles(QWidget):
    """Draws rings with their points over the canvas of a viewer, transparent for the mouse; level-0 places."""

    def __init__(self, viewer: SlideViewer) -> None:
        super().__init__(viewer)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self._viewer = viewer
        self._rings: tuple[np.ndarray, ...] = ()
        self._held: tuple[int, int] | None = None
        viewer.camera_changed.connect(self.update)
        viewer.resized.connect(self._on_resized)
        self.hide()

    def show_rings(self, rings: tuple[np.ndarray, ...], held: tuple[int, int] | None) -> None:
        """Draw these rings, each (N, 2), and mark the point that is held."""
        self._rings, self._held = rings, held
        self.setVisible(bool(rings))
        if rings:
            self._on_resized()
            self.raise_()
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw outlines and points so that they are seen on any ground."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for number, ring in enumerate(self._rings):
            places = [self._viewer.to_canvas(x, y) for x, y in ring.tolist()]
            for colour, width in ((QColor(0, 0, 0, 170), 3.0), (QColor("#ffffff"), 1.4)):
                painter.setPen(QPen(colour, width))
                painter.drawPolygon(QPolygonF(places))
            painter.setPen(QPen(QColor(0, 0, 0, 200), 1.2))
            for point, place in enumerate(places):
                painter.setBrush(QColor("#f4a300" if (number, point) == self._held else "#ffffff"))
                painter.drawRect(QRectF(place.x() - _HANDLE_PX, place.y() - _HANDLE_PX, 2 * _HANDLE_PX, 2 * _HANDLE_PX))
        painter.end()

    def _on_resized(self) -> None:
        if self._rings:
            self.setGeometry(self._viewer.canvas_rect)
