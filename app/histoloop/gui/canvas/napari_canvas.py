"""napari's canvas: what slides are drawn and painted on. With its layers all that imports napari, which takes long.

World coordinates are level-0 pixels of the slide, turned about its first pixel as the slide is turned on the screen;
only this module and its layers have them.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels
from napari.qt import QtViewer
from napari.settings import get_settings
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QPoint, QPointF, QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QContextMenuEvent, QKeySequence, QMouseEvent

from histoloop.geometry import Region
from histoloop.gui.canvas.camera import CameraState, cosine_and_sine
from histoloop.gui.canvas.napari_layers import Painted, Pixels
from histoloop.gui.canvas.painted_look import line_px
from histoloop.gui.canvas.redraws import Redraws
from histoloop.gui.work.background import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from PySide6.QtGui import QKeyEvent
    from PySide6.QtWidgets import QWidget

    from histoloop.annotations.records import Mask
    from histoloop.gui.canvas.painted_look import PaintedLook
    from histoloop.gui.canvas.rendering import View

TOOLS = {
    "pan": "pan_zoom",
    "brush": "paint",
    "eraser": "erase",
    "polygon": "polygon",
    "fill": "fill",
    "copy": "pan_zoom",
    "wand": "pan_zoom",
    "smart": "pan_zoom",
    "outline": "pan_zoom",
}
_ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
SETTLE_MS = 60
"""So long after the last zoom the outlines of what is painted are drawn anew, where they have to be."""

OUT_OF_SIGHT = (-1000, -1000)
CLICK_PX = 3
"""A drag of more, in screen pixels, is no click."""


class NapariCanvas(QObject):
    """Two layers of pixels, `overview` and `detail`, and one of `labels` that can be painted.

    `moved` is emitted when the camera looks elsewhere, `resized` when the widget has another size or place, `painted`
    when a tool is done with a stroke, polygon or fill, `clicked` with a place (x, y) that was clicked without a drag,
    `menu_asked` with a place on the screen and where that is on the canvas, `pointer_moved` with where on the canvas
    the mouse is, `arrow_pressed` with where an arrow key points (right, down) and whether Shift is held.
    """

    moved = Signal()
    resized = Signal()
    painted = Signal()
    clicked = Signal(float, float)
    menu_asked = Signal(QPoint, QPointF)
    pointer_moved = Signal(QPointF)
    pointer_left = Signal()
    arrow_pressed = Signal(int, int, bool)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        _keep_settings_in_memory()
        self._model = ViewerModel()
        self._qt_viewer = QtViewer(self._model)
        self._canvas: QWidget = self._qt_viewer.canvas.native
        self._disarm()
        self._canvas.installEventFilter(self)
        self.overview = Pixels(np.full((2, 2, 3), 255, np.uint8), rgb=True, visible=False, interpolation2d="linear")
        self.detail = Pixels(np.full((2, 2, 3), 255, np.uint8), rgb=True, visible=False, interpolation2d="linear")
        self._worker = Worker(self)
        self.labels = Painted(np.zeros((2, 2), np.uint8), worker=self._worker, visible=False, opacity=1.0)
        self._thin = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._thin.timeout.connect(self._fit_lines)
        for layer in (self.overview, self.detail, self.labels):
            self._model.add_layer(layer)
        for pixels in (self.overview, self.detail):  # which lie within the slide: the room of all layers is that
            pixels.events.data.disconnect(self._model._on_layers_change)
            pixels.events.affine.disconnect(self._model._on_layers_change)
        self._degrees = 0
        self._redraws = Redraws(self._qt_viewer, self._model)
        self._views: dict[Pixels, View] = {}
        self._look: PaintedLook | None = None
        self._tool = "pan"
        self.space_held = False
        self.labels.events.paint.connect(lambda _event: self.painted.emit())
        self._model.scene.camera.events.zoom.connect(lambda _event: self._on_zoom())
        self._model.scene.camera.events.center.connect(lambda _event: self.moved.emit())
        self.moved.connect(self._leave_out)
        self.resized.connect(self._leave_out)
        self._model.mouse_drag_callbacks.append(self._on_mouse)

    @property
    def widget(self) -> QWidget:
        """What goes into a layout."""
        widget: QWidget = self._qt_viewer
        return widget

    @property
    def native(self) -> QWidget:
        """The widget that takes the mouse."""
        return self._canvas

    def set_ground(self, colour: str) -> None:
        """Colour around the slide."""
        self._qt_viewer.canvas._scene_canvas.bgcolor = colour

    @property
    def is_settled(self) -> bool:
        """Whether outlines are as they will stay."""
        return self._worker.idle and not self._thin.isActive()

    def show(self, layer: Pixels, view: View) -> None:
        """Show pixels of the slide in a layer."""
        layer.show_view(view)
        self._views[layer] = view
        if not layer.visible:  # napari reads a layer anew whenever it is made visible
            layer.visible = True
        self._redraws.anew()
        self._leave_out()

    def shut_down(self) -> None:
        """Let go of the canvas; it cannot be used afterwards."""
        self._canvas.removeEventFilter(self)
        self._worker.stop()
        self._qt_viewer.close()

    # --- camera -----------------------------------------------------------------------------------------------------

    def camera(self) -> CameraState:
        """Where the camera looks."""
        camera = self._model.scene.camera
        x, y = self._to_slide(float(camera.center[-1]), float(camera.center[-2]))
        return CameraState(x, y, float(camera.zoom), self._degrees)

    def look_at(self, x: float, y: float, *, zoom: float | None = None) -> None:
        """Put a place into the middle, at so many screen pixels per level-0 pixel: one move."""
        cosine, sine = cosine_and_sine(self._degrees)
        with QSignalBlocker(self):
            if zoom is not None:
                self.zoom(zoom)
            self._model.scene.camera.center = (0.0, sine * x + cosine * y, cosine * x - sine * y)
        self.moved.emit()

    def turn(self, degrees: int) -> None:
        """Turn the slide clockwise, from upright, about the middle of the canvas."""
        camera, self._degrees = self.camera(), degrees
        cosine, sine = cosine_and_sine(degrees)
        turned = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
        for layer in (self.overview, self.detail, self.labels):
            layer.turn(turned)
        self._redraws.anew()
        self.look_at(camera.x, camera.y)

    def _to_slide(self, x: float, y: float) -> tuple[float, float]:
        """A place of napari's world on the slide."""
        cosine, sine = cosine_and_sine(self._degrees)
        return cosine * x + sine * y, cosine * y - sine * x

    def zoom(self, zoom: float) -> None:
        """Show a level-0 pixel on so many screen pixels."""
        self._model.scene.camera.zoom = zoom

    def _leave_out(self) -> None:
        """Do not draw the overview where all that is seen of it lies beneath the detail."""
        detail, overview = self._views.get(self.detail), self._views.get(self.overview)
        if overview is None or not self.overview.visible:
            return
        visible = self.camera().visible(self._canvas.size())
        around = Region(visible.x - 1, visible.y - 1, visible.width + 2, visible.height + 2)
        seen = around.intersection(_extent(overview))
        hides = detail is not None and self.detail.visible and (seen is None or detail.covers(seen))
        self._redraws.draw(self.overview, not hides)

    # --- painting ---------------------------------------------------------------------------------------------------

    def lay(self, mask: Mask, outside: NDArray[np.bool_] | None) -> None:
        """Paint on this mask (height, width), which is changed in place, though not `outside`."""
        self.labels.take_mask(mask)
        self._redraws.anew()
        self.labels.outside = outside

    def begin(self, *, x: int, y: int) -> None:
        """Paint on the mask, whose first pixel is at a place of the slide, with the first class."""
        self.labels.translate = (y, x)
        self._redraws.anew()
        self.labels.selected_label = 1
        self.labels.visible = True
        self._model.layers.selection.active = self.labels

    def end(self) -> None:
        """Nothing is painted any more."""
        self.labels.visible = False
        self.lay(np.zeros((2, 2), np.uint8), None)

    def set_tool(self, tool: str) -> None:
        """Take a tool in hand, a key of TOOLS."""
        self._tool = tool
        self.labels.mode = TOOLS[tool]
        if TOOLS[tool] == "pan_zoom":  # napari sets the cursor of its own tools
            self._model.cursor.style = "standard" if tool == "pan" else "cross"

    def set_look(self, look: PaintedLook) -> None:
        """How what is painted looks."""
        self._look = look
        self._fit_lines()

    def _fit_lines(self) -> None:
        """Outlines keep about their width on the screen."""
        if self._look is not None:
            self.labels.dress(self._look, line_px(self._model.scene.camera.zoom))

    def take_back_corner(self, *, whole: bool = False) -> bool:
        """Drop the last corner of a polygon that was begun, or the whole polygon; whether there was one."""
        polygon = self.labels._overlays["polygon"]
        if not polygon.points:
            return False
        *corners, pointer = polygon.points  # which napari keeps as the last one
        kept = [] if whole else corners[:-1]
        polygon.points = [*kept, pointer] if kept else []
        return True

    def close_polygon(self) -> None:
        """Fill a polygon that was begun."""
        self.labels._overlays["polygon"].add_polygon_to_labels(self.labels)

    # --- events -----------------------------------------------------------------------------------------------------

    def _on_zoom(self) -> None:
        if self.labels.visible:
            self._thin.start()
        self.moved.emit()

    def _on_mouse(self, _viewer: object, event: Any) -> Iterator[None]:
        """A click (no drag)."""
        start = event.pos
        yield
        while event.type == "mouse_move":
            yield
        if max(abs(a - b) for a, b in zip(start, event.pos, strict=True)) <= CLICK_PX:
            y, x = event.position[-2:]
            self.clicked.emit(*self._to_slide(x, y))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep napari's own shortcuts out, hold Space to pan, tell of other sizes and of menus that are asked for."""
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Move):
            self.resized.emit()
        elif isinstance(event, QContextMenuEvent):
            self.menu_asked.emit(event.globalPos(), QPointF(event.pos()))
            return True
        elif event.type() == QEvent.Type.MouseMove:
            self.pointer_moved.emit(event.position())  # type: ignore[attr-defined]
        elif event.type() == QEvent.Type.Leave:
            self.pointer_left.emit()
        elif event.type() == QEvent.Type.MouseButtonRelease:
            self._catch_up(event)  # type: ignore[arg-type]
        elif event.type() == QEvent.Type.ShortcutOverride:
            return self._take_back_polygon(event)  # type: ignore[arg-type]
        elif event.type() in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
            return self._on_key(event)  # type: ignore[arg-type]
        return super().eventFilter(watched, event)

    def _catch_up(self, release: QMouseEvent) -> None:
        """Bring a stroke to where the button is let go.

        vispy drops a move that comes within 10 ms of the one before, and napari puts it off by 5 ms or, on a busy
        machine, until after the release, when it no longer paints: the end of the stroke would be lost.
        """
        move = QMouseEvent(
            QEvent.Type.MouseMove,
            release.position(),
            release.globalPosition(),
            Qt.MouseButton.NoButton,
            release.buttons() | release.button(),
            release.modifiers(),
        )
        backend: Any = self._canvas
        backend._last_time = -math.inf  # when vispy last took a move
        QCoreApplication.sendEvent(self._canvas, move)
        if (taken := backend._vispy_mouse_data["last_event"]) is not None:
            self._qt_viewer.canvas._on_mouse_move(taken)

    def _take_back_polygon(self, event: QKeyEvent) -> bool:
        """Of a polygon that was begun Esc drops all, and undo the last corner, before they mean anything else."""
        is_escape = event.key() == Qt.Key.Key_Escape
        if not is_escape and not event.matches(QKeySequence.StandardKey.Undo):
            return False
        if not self.take_back_corner(whole=is_escape):
            return False
        event.accept()
        return True

    def _on_key(self, event: QKeyEvent) -> bool:
        if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat() and self.labels.visible:
            self.space_held = event.type() == QEvent.Type.KeyPress
            self.labels.mode = "pan_zoom" if self.space_held else TOOLS[self._tool]
        elif event.key() in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
            return False  # to the next part of the window
        elif event.type() == QEvent.Type.KeyPress and (way := _ARROWS.get(Qt.Key(event.key()))) is not None:
            self.arrow_pressed.emit(*way, bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        return True

    def _disarm(self) -> None:
        """Take out of the widget what belongs to napari's own window (drops, welcome text) or is in the way."""
        brush = self._model.canvas.overlays._brush_circle
        brush.box = False  # napari 0.9 leaves a dark square where the brush was
        brush.position = OUT_OF_SIGHT  # napari draws it in the corner until the mouse has moved
        self._qt_viewer.setAcceptDrops(False)
        self._canvas.setAcceptDrops(False)
        self._qt_viewer._set_welcome_visible(False)


def _extent(view: View) -> Region:
    """The level-0 pixels that all lie inside a view."""
    high, wide = (size * view.downsample for size in view.pixels.shape[:2])
    return Region(math.ceil(view.x), math.ceil(view.y), max(1, math.floor(wide)), max(1, math.floor(high)))


@functools.cache
def load_the_rest() -> None:
    """What napari imports with the first layer and not before: pandas, and the units of pint. Any thread may do it."""
    _keep_settings_in_memory()
    Labels(np.zeros((2, 2), np.uint8))


@functools.cache
def _keep_settings_in_memory() -> None:
    """Nothing of napari is written to the user's home. napari takes this once per process."""
    get_settings(None)
