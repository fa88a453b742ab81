"""The slide viewer: napari's canvas in our window, which is made when it is needed or the window has nothing to do.

World coordinates are level-0 pixels of the slide. Pixels, masks and heatmap arrive rendered from a worker thread; the
GUI thread only hands finished arrays to the canvas.
"""

from __future__ import annotations

import functools
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QCoreApplication, QPoint, QPointF, QRect, QRectF, QTimer, Signal
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QVBoxLayout, QWidget

from histoloop.annotations.raster import apply_patch, difference_patch
from histoloop.annotations.records import ClassScheme, Counts, Mask, Patch
from histoloop.gui.canvas.camera import FULL_TURN, CameraState
from histoloop.gui.canvas.canvas_overlay import CanvasOverlay, QueryBox
from histoloop.gui.canvas.composing import OverlayStyle
from histoloop.gui.canvas.late_canvas import load_canvas
from histoloop.gui.canvas.magnification import zoom_of
from histoloop.gui.canvas.painted_look import painted_look, style_below
from histoloop.gui.canvas.rendering import SlideScene, View
from histoloop.gui.canvas.sharpening import Sharpener, Wish, level_for
from histoloop.gui.work.background import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from PySide6.QtGui import QCloseEvent, QImage

    from histoloop.geometry import Region
    from histoloop.gui.canvas.napari_canvas import NapariCanvas
    from histoloop.gui.work.failure import Failure

OVERVIEW_PX = 1024
SETTLE_MS = 25
"""While the camera moves, what is on the screen is looked at so often."""

MOST_WAIT_S = 1.0
"""A picture that is not painted by then is waited for no longer."""

BACKGROUNDS = {"light": "#e9edf0", "dark": "#15191d"}
BRUSH_PX = 10
_FIT = 0.95
PAN, PAN_FAR = 0.1, 0.5
"""Share of what is seen that an arrow key moves the view by, without and with Shift."""


class SlideViewer(QWidget):
    """Shows one slide and lets a region of it be painted.

    `patch_painted` comes once per finished stroke, polygon and fill, with the rectangle that changed as it is and as it
    was before; `apply` brings either back. `menu_wanted` comes with a place on the screen and where that is on the
    slide (x, y), when the user asks for a menu there and no region is painted. `overview_came` brings a View of the
    whole slide (None: no slide is shown), `pointer_moved` the place (x, y) of the slide under the mouse. `rendered` is
    emitted with each View that is shown, sharp or not yet, `render_failed` with the reason when pixels cannot be read,
    `resized` when the canvas has another size or place.

    Until there is a slide to show there need be no canvas: what is asked of it before is done once it is there.
    """

    camera_changed = Signal()
    resized = Signal()
    query_clicked = Signal(int)
    patch_painted = Signal(object, object)
    tool_changed = Signal(str)
    rendered = Signal(object)
    render_failed = Signal(str)
    menu_wanted = Signal(QPoint, float, float)
    overview_came = Signal(object)
    pointer_moved = Signal(float, float)
    pointer_left = Signal()
    _came = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._canvas: NapariCanvas | None = None
        self._overlay = CanvasOverlay(self)
        self._worker = Worker(self)
        self._sharpener = Sharpener()
        self._wish: Wish | None = None
        self._taken = threading.Event()
        """Set once the newest picture is painted, or is wanted no more."""
        self._came.connect(self._show_detail)
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._request_detail)
        self._looked = 0.0  # when that was done last
        self._scene: SlideScene | None = None
        self._style = OverlayStyle()
        self._turns: dict[Path, int] = {}
        """So far each slide was turned."""
        self._shown: _Detail | None = None
        """What is sharp on the screen."""
        self._region: Region | None = None
        self._saved_mask: Mask | None = None
        self._outside: NDArray[np.bool_] | None = None  # of the region, where nothing can be painted
        self._counts = Counts.REGION
        self._scheme: ClassScheme | None = None  # of the region that is painted
        self._is_frozen = False
        self._tool = "pan"
        self._brush_px = BRUSH_PX
        self._ground = BACKGROUNDS["light"]
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)

    # --- the canvas -------------------------------------------------------------------------------------------------

    @property
    def has_canvas(self) -> bool:
        """Whether the canvas is there already."""
        return self._canvas is not None

    def make_canvas_soon(self) -> None:
        """Load napari on the worker's thread, then make the canvas, so that nobody waits for it when a slide comes."""
        if self._canvas is None:
            self._worker.request(load_canvas, on_done=lambda _made: self._made, topic="canvas")

    @property
    def _made(self) -> NapariCanvas:
        """The canvas, which is made now if it is not there."""
        if self._canvas is None:
            return self._make()
        return self._canvas

    def _make(self) -> NapariCanvas:
        canvas = load_canvas()(self)
        canvas.set_ground(self._ground)
        canvas.labels.brush_size = self._brush_px
        canvas.painted.connect(self._on_paint)
        canvas.moved.connect(self._on_camera)
        canvas.resized.connect(self._on_resized)
        canvas.clicked.connect(self._on_click)
        canvas.menu_asked.connect(self._on_menu)
        canvas.pointer_moved.connect(lambda place: self.pointer_moved.emit(*self.to_slide(place)))
        canvas.pointer_left.connect(self.pointer_left)
        canvas.arrow_pressed.connect(self._on_arrow)
        self._layout.addWidget(canvas.widget)
        canvas.widget.lower()  # below what lies over it already
        canvas.widget.show()
        self._layout.activate()  # now: what is shown next is fitted into it
        self._canvas = canvas
        self._on_resized()
        return canvas

    # --- slide ------------------------------------------------------------------------------------------------------

    @property
    def scene(self) -> SlideScene | None:
        """What is shown."""
        return self._scene

    def show_scene(self, scene: SlideScene | None) -> None:
        """Show a slide as a whole (None: nothing); the scene before is closed once it is no longer read."""
        self.end_annotation()
        if self._canvas is not None:
            self._canvas.detail.visible = self._canvas.overview.visible = False
        self._overlay.has_slide = scene is not None
        self._overlay.boxes = ()
        self._take(scene)
        self.overview_came.emit(None)
        if scene is None:
            self._overlay.update()
            return
        self._request_overview(scene)
        self._made.turn(self._turns.get(scene.slide.path, 0))
        self.fit()
        self._on_camera()

    def replace_scene(self, scene: SlideScene) -> None:
        """Show the same slide with other maps or annotations: camera and painting stay as they are."""
        at_once = self._shown is None
        self._take(scene)
        self._request_detail(at_once=at_once)

    def _take(self, scene: SlideScene | None) -> None:
        before, self._scene = self._scene, scene
        self._shown = self._wish = None
        self._overlay.take(scene)
        if before is not None:
            self._worker.request(before.close)

    def refresh(self) -> None:
        """Render what is visible again; what is on the screen stays there until then."""
        at_once = self._shown is None
        self._shown = None
        self._request_detail(at_once=at_once)

    @property
    def overlay_style(self) -> OverlayStyle:
        """How masks and maps are laid over."""
        return self._style

    def set_style(self, style: OverlayStyle) -> None:
        """Change how masks and maps are laid over; nothing is predicted again."""
        before = self._style
        recoloured = (style.corrected, style.appearance) != (before.corrected, before.appearance)
        self._style, self._overlay.shows_review = style, style.reviewed
        self._look_painted()
        if recoloured and self._scene is not None:
            self._request_overview(self._scene)
        self._request_detail()

    def set_theme(self, theme: str) -> None:
        """'light' or 'dark' ground around the slide."""
        self._ground = BACKGROUNDS[theme]
        if self._canvas is not None:
            self._canvas.set_ground(self._ground)

    # --- camera -----------------------------------------------------------------------------------------------------

    def camera(self) -> CameraState:
        """Where the camera looks."""
        return CameraState(0, 0, 1) if self._canvas is None else self._canvas.camera()

    def look_at(self, x: float, y: float, *, zoom: float | None = None, degrees: int | None = None) -> None:
        """Put a place (level-0 pixels) into the middle, at `zoom` screen pixels per level-0 pixel, turned so far."""
        if degrees is not None:
            self.turn_to(degrees)
        self._made.look_at(x, y, zoom=zoom)

    def turn_to(self, degrees: int) -> None:
        """Turn the slide clockwise by so many degrees from upright; it is so again whenever it is shown."""
        if self._scene is not None and degrees % FULL_TURN != self.camera().degrees:
            self._turns[self._scene.slide.path] = degrees % FULL_TURN
            self._made.turn(degrees % FULL_TURN)

    def turn_by(self, degrees: int) -> None:
        """Turn the slide further, clockwise."""
        self.turn_to(self.camera().degrees + degrees)

    def show_region(self, region: Region) -> None:
        """Make a region fill the canvas."""
        self.look_at(*region.centre, zoom=_FIT * self.camera().fitting(region, self.canvas_rect.size()))

    def fit(self) -> None:
        """Show the whole slide."""
        if self._scene is not None:
            self.show_region(self._scene.slide.extent)

    def zoom_by(self, factor: float) -> None:
        """Come closer (above 1) or go back."""
        self._made.zoom(self.camera().zoom * factor)

    def magnify(self, power: float) -> None:
        """Show the magnification of an objective, where the resolution of the slide is known."""
        if self._scene is not None and self._scene.slide.mpp is not None:
            self._made.zoom(zoom_of(power, self._scene.slide.mpp))

    def full_resolution(self) -> None:
        """One screen pixel per slide pixel."""
        self._made.zoom(1.0)

    def visible_region(self) -> Region:
        """The level-0 rectangle on the screen, which may reach past the slide; around it where the slide is turned."""
        return self.camera().visible(self.canvas_rect.size())

    @property
    def sees_whole_slide(self) -> bool:
        """Whether all of the slide is on the screen."""
        return self._scene is not None and self.camera().sees(self._scene.slide.extent, self.canvas_rect.size())

    @property
    def canvas_rect(self) -> QRect:
        """Where the canvas lies in this widget; all of it while there is no canvas."""
        if self._canvas is None:
            return self.rect()
        native = self._canvas.native
        return QRect(native.mapTo(self, QPoint(0, 0)), native.size())

    @property
    def canvas(self) -> QWidget:
        """The widget that takes the mouse."""
        return self._made.native

    @property
    def marks(self) -> QWidget:
        """What is drawn over the canvas."""
        return self._overlay

    def to_canvas(self, x: float, y: float) -> QPointF:
        """Where on the canvas a place of the slide (level-0 pixels) is."""
        return self.camera().to_canvas(x, y, self.canvas_rect.size())

    def to_slide(self, place: QPointF) -> tuple[float, float]:
        """Which place of the slide (x, y in level-0 pixels) is at a place of the canvas."""
        return self.camera().to_slide(place, self.canvas_rect.size())

    def under(self, x: float, y: float) -> tuple[str | None, float | None]:
        """The mask class (None: none) and the probability of a map (None: none) at a place in level-0 pixels."""
        scheme = self._scheme if self._region is not None else self._scene.scheme if self._scene else None
        value, probability = (0, None) if self._shown is None else self._shown.view.under(x, y)
        if self._region is not None:
            row, column = int(y) - self._region.y, int(x) - self._region.x
            inside = 0 <= row < self._region.height and 0 <= column < self._region.width
            value, probability = int(self._made.labels.data[row, column]) if inside else 0, None
        is_class = scheme is not None and 0 < value <= len(scheme.masks)
        return scheme.masks[value - 1].name if scheme is not None and is_class else None, probability

    def show_lasso(self, places: Sequence[QPointF]) -> None:
        """Draw an outline that is being dragged (canvas pixels); empty: none."""
        self._overlay.lasso = places
        self._overlay.update()

    def show_preview(self, place: Region | None, image: QImage | None) -> None:
        """Lay a picture over a level-0 place of the slide: what would be painted; None: nothing."""
        self._overlay.preview = None if place is None or image is None else (place, image)
        self._overlay.update()

    def show_rubber_band(self, places: Sequence[QPointF]) -> None:
        """Draw a rectangle of the slide that is dragged from the first place to the last (canvas pixels); empty: none.

        It lies as the slide does, turned with it.
        """
        corners = [QPointF(*self.to_slide(place)) for place in places]
        box = QRectF(corners[0], corners[-1]).normalized() if len(corners) > 1 else None
        self._overlay.rubber_band = None if box is None else self.camera().outline(box, self.canvas_rect.size())
        self._overlay.update()

    # --- queries ----------------------------------------------------------------------------------------------------

    def show_queries(self, boxes: Sequence[QueryBox]) -> None:
        """Outline queried regions; a click into one emits `query_clicked`."""
        self._overlay.boxes = tuple(boxes)
        self._overlay.update()

    # --- annotation -------------------------------------------------------------------------------------------------

    @property
    def annotating(self) -> Region | None:
        """The region that is being painted."""
        return self._region

    def begin_annotation(
        self,
        region: Region,
        mask: Mask,
        scheme: ClassScheme,
        counts: Counts = Counts.REGION,
        *,
        outside: NDArray[np.bool_] | None = None,
    ) -> None:
        """Lay an editable mask (region.height, region.width) over a region and move there.

        The mask is a canvas plane of annotations/painting.py. `outside` is where nothing can be painted.
        """
        self._region, self._scheme, self._outside = region, scheme, outside
        self._is_frozen = False
        self._lay(mask, counts)
        self._made.begin(x=region.x, y=region.y)
        self._overlay.spotlight = region
        self.show_region(region)
        self.set_tool("brush")
        self.refresh()

    def show_counts(self, mask: Mask, counts: Counts) -> None:
        """Show the region as it is where something else of it counts: another canvas plane; nothing is emitted."""
        self._lay(mask, counts)
        self.refresh()

    def show_colours(self, scheme: ClassScheme) -> None:
        """Paint and show the classes in their colours."""
        self._scheme = scheme
        self._look_painted()

    def _lay(self, mask: Mask, counts: Counts) -> None:
        self._saved_mask, self._counts = mask.copy(), counts
        self._look_painted()
        self._made.lay(mask.copy(), self._outside)

    def _look_painted(self) -> None:
        """Show what is painted as masks are shown."""
        if self._region is not None and self._scheme is not None:
            self._made.set_look(painted_look(self._scheme, self._counts, self._style))

    def end_annotation(self) -> None:
        """Leave the region; what was painted was emitted by `patch_painted`."""
        if self._region is None:
            return
        self.set_tool("pan")
        self._region = self._saved_mask = self._outside = None
        self._made.end()
        self._overlay.spotlight = None
        self.refresh()

    @property
    def tool(self) -> str:
        """The tool in hand: 'pan', 'brush', 'eraser', 'polygon' or 'fill'."""
        return self._tool

    def set_tool(self, tool: str) -> None:
        """Take a tool in hand; without a region to paint, or once it is frozen, it is always 'pan'."""
        self._tool = tool if self._region is not None and not self._is_frozen else "pan"
        if self._region is not None:
            self._made.set_tool(self._tool)
        self.tool_changed.emit(self._tool)

    @property
    def is_frozen(self) -> bool:
        """Whether the region is being saved as it is: nothing more can be painted in it."""
        return self._is_frozen

    @property
    def is_moving(self) -> bool:
        """Whether the left button moves the slide now, whatever tool is in hand."""
        return (self._canvas is not None and self._canvas.space_held) or self._tool == "pan"

    def set_brush_size(self, diameter_px: int) -> None:
        """Diameter of brush and eraser in level-0 pixels."""
        self._brush_px = max(1, diameter_px)
        if self._canvas is not None:
            self._canvas.labels.brush_size = self._brush_px

    def press_brush(self, share: float) -> None:
        """Paint with a share of the brush's width from now on, as a pen is pressed."""
        if self._canvas is not None:
            self._canvas.labels.brush_size = max(1, round(share * self._brush_px))

    @property
    def brush_size(self) -> int:
        """Diameter of brush and eraser in level-0 pixels."""
        return self._brush_px

    def set_class(self, value: int) -> None:
        """Mask value that is painted."""
        self._made.labels.selected_label = value

    @property
    def scheme(self) -> ClassScheme | None:
        """The classes that a region is painted with."""
        return self._scheme

    @property
    def painted_class(self) -> int:
        """Mask value that is painted."""
        return int(self._made.labels.selected_label)

    @property
    def painted_colour(self) -> str:
        """Colour of the class that is painted, '#rrggbb'; white for background."""
        is_class = self._scheme is not None and 1 <= self.painted_class <= len(self._scheme.masks)
        return self._scheme.masks[self.painted_class - 1].colour if self._scheme and is_class else "#ffffff"

    def set_locked(self, values: Collection[int]) -> None:
        """Mask values that are not overpainted, by no tool."""
        self._made.labels.kept = np.isin(np.arange(256), list(values)) if values else None

    @property
    def painted_mask(self) -> Mask:
        """A copy of the mask as it is painted now."""
        return np.array(self._made.labels.data, np.uint8)

    def apply(self, patch: Patch) -> None:
        """Show a part of the mask as it was or will be; nothing is emitted."""
        self._made.labels.put(patch)
        if self._saved_mask is not None:
            apply_patch(self._saved_mask, patch)

    def take_back_corner(self) -> bool:
        """Drop the last corner of a polygon that was begun; whether there was one."""
        return self._canvas is not None and self._canvas.take_back_corner()

    def close_polygon(self) -> None:
        """Fill a polygon that was begun."""
        self._made.close_polygon()
        self._commit()

    def freeze(self) -> None:
        """Let nothing more be painted in the region: it is being saved as it is, a polygon that was begun closed."""
        self.close_polygon()
        self._is_frozen = True
        self.set_tool("pan")

    def replace_mask(self, mask: Mask) -> None:
        """Change the whole mask at once, as one step that can be undone; what is locked stays."""
        labels = self._made.labels
        self._commit()
        wanted = difference_patch(labels.data, mask)
        if wanted is None:
            return
        height, width = wanted.values.shape
        place = np.s_[wanted.y : wanted.y + height, wanted.x : wanted.x + width]
        stays = np.zeros(wanted.values.shape, np.bool_) if labels.kept is None else labels.kept[labels.data[place]]
        if self._outside is not None:
            stays |= self._outside[place]
        labels.put(Patch(wanted.x, wanted.y, np.where(stays, labels.data[place], wanted.values)))
        self._emit_painted(place)

    def _on_paint(self) -> None:
        # napari reports a stroke before it has written its last pixels in some tools: look after it is done.
        QTimer.singleShot(0, self._commit)

    def _commit(self) -> None:
        """Emit what was painted since the last time."""
        if self._canvas is not None and (place := self._canvas.labels.take_painted()) is not None:
            self._emit_painted(place)

    def _emit_painted(self, place: tuple[slice, ...]) -> None:
        """Emit what changed in these rows and columns."""
        if self._region is None or self._saved_mask is None:
            return
        saved = self._saved_mask[place]
        changed = difference_patch(saved, np.asarray(self._made.labels.data[place]))
        if changed is None:
            return
        height, width = changed.values.shape
        before = saved[changed.y : changed.y + height, changed.x : changed.x + width].copy()
        apply_patch(saved, changed)
        x, y = place[1].start + changed.x, place[0].start + changed.y
        self.patch_painted.emit(Patch(x, y, changed.values), Patch(x, y, before))

    # --- rendering --------------------------------------------------------------------------------------------------

    def _on_camera(self) -> None:
        self._overlay.camera = self.camera()
        self._overlay.update()
        self.camera_changed.emit()
        if time.monotonic() - self._looked > SETTLE_MS / 1000:
            self._request_detail()
        elif not self._settle.isActive():
            self._settle.start()

    @property
    def seen_style(self) -> OverlayStyle:
        """How masks and maps are laid over now."""
        return self._style if self._region is None else style_below(self._style, self._counts)

    def _request_overview(self, scene: SlideScene) -> None:
        self._worker.request(
            functools.partial(scene.overview, OVERVIEW_PX, self._style),
            on_done=functools.partial(self._show_overview, scene),
            on_failed=functools.partial(self._on_render_failed, scene),
            topic="overview",
        )

    def _request_detail(self, *, at_once: bool = True) -> None:
        """Have the pixels that are on the screen rendered, where they are not; `at_once` as of `Wish`."""
        self._looked = time.monotonic()
        if self._scene is None or self._canvas is None or not self.camera().zoom:  # being made, it looks nowhere yet
            return
        visible = self.visible_region().intersection(self._scene.slide.extent)
        if visible is None:
            return
        style, downsample = self.seen_style, 1 / self.camera().zoom
        shown = self._shown
        if shown is not None and shown.style == style and shown.view.covers(visible):
            pixel = self._scene.pyramid.levels[level_for(self._scene, downsample)].downsample
            if shown.view.downsample == pixel:
                return
            at_once = at_once and shown.view.downsample > pixel
        self._taken.set()
        wish = Wish(self._scene, visible, downsample, style, self._pointer(), at_once)
        self._wish = wish
        self._worker.request(
            functools.partial(self._render, wish),
            on_failed=functools.partial(self._on_render_failed, self._scene),
            topic="detail",
        )

    def _render(self, wish: Wish) -> None:
        """On the worker's thread: send picture after picture until all is there or something else is wanted."""
        for view in self._sharpener.views(wish, lambda: self._wish is wish):
            self._taken.clear()
            if self._wish is not wish:
                return
            self._came.emit(_Detail(wish.scene, view, wish.style))
            self._taken.wait(MOST_WAIT_S)  # what comes next would take the processor from painting this

    def _pointer(self) -> tuple[float, float]:
        """The place of the slide under the mouse, or in the middle of the canvas where the mouse is elsewhere."""
        place = self.canvas.mapFromGlobal(QCursor.pos())
        inside = self.canvas.rect().contains(place)
        return self.to_slide(QPointF(place if inside else self.canvas.rect().center()))

    def read_pixels(
        self, place: Region, *, on_done: Callable[[View], object], on_failed: Callable[[Failure], object]
    ) -> None:
        """Read a level-0 place of the slide as it is seen, without any mask, about as fine as the screen shows it."""
        if self._scene is not None:
            style = OverlayStyle(masks=False, corrected=self._style.corrected)
            work = functools.partial(self._scene.render, place, 1 / self.camera().zoom, style)
            self._worker.request(work, on_done=on_done, on_failed=on_failed)

    def _show_overview(self, scene: SlideScene, view: View) -> None:
        if scene is self._scene:
            self._made.show(self._made.overview, view)
            self.overview_came.emit(view)

    def _on_render_failed(self, scene: SlideScene, failure: Failure) -> None:
        if scene is self._scene:
            self.render_failed.emit(str(failure))

    def _show_detail(self, result: _Detail) -> None:
        if result.scene is not self._scene or result.style != self.seen_style:
            self._taken.set()
            return
        if result.view.is_sharp:
            self._shown = result
        self._made.show(self._made.detail, result.view)
        self.rendered.emit(result.view)
        QTimer.singleShot(0, self._taken.set)

    @property
    def is_sharp(self) -> bool:
        """Whether the pixels on the screen are as fine as the screen is."""
        if self._scene is None or self._shown is None:
            return False
        visible = self.visible_region().intersection(self._scene.slide.extent)
        level = level_for(self._scene, 1 / self.camera().zoom)
        fine = self._shown.view.downsample == self._scene.pyramid.levels[level].downsample
        return visible is None or (fine and self._shown.view.covers(visible))

    def wait_until_loaded(self, seconds: float = 20.0) -> bool:
        """Turn the event loop until everything visible is sharp, and what is around it there; False: not in time."""
        end = time.monotonic() + seconds
        self._request_detail()
        while time.monotonic() < end:
            QCoreApplication.processEvents()
            is_settled = self._canvas is None or self._canvas.is_settled
            if is_settled and self._worker.idle and not self._settle.isActive():
                QCoreApplication.processEvents()
                if self._worker.idle:
                    return True
            time.sleep(0.005)
        return False

    # --- events -----------------------------------------------------------------------------------------------------

    def _on_click(self, x: float, y: float) -> None:
        """A click (no drag) into a queried region."""
        if self._region is not None:
            return
        for box in self._overlay.boxes:
            inside = box.region.x <= x < box.region.right and box.region.y <= y < box.region.bottom
            if inside:
                self.query_clicked.emit(box.query_id)
                return

    def _on_menu(self, on_screen: QPoint, on_canvas: QPointF) -> None:
        if self._scene is not None and self._region is None:
            self.menu_wanted.emit(on_screen, *self.to_slide(on_canvas))

    def _on_resized(self) -> None:
        """Keep the overlay where the canvas is."""
        self._overlay.setGeometry(self.canvas_rect)
        self._on_camera()
        self.resized.emit()

    def _on_arrow(self, right: int, down: int, is_far: bool) -> None:
        """Move the view by a share of what is seen."""
        if self._scene is not None:
            canvas, share = QRectF(self.canvas_rect), PAN_FAR if is_far else PAN
            way = QPointF(right * share * canvas.width(), down * share * canvas.height())
            self.look_at(*self.to_slide(QRectF(0, 0, canvas.width(), canvas.height()).center() + way))

    def closeEvent(self, event: QCloseEvent) -> None:
        """End the worker and let go of the slide."""
        self.shut_down()
        super().closeEvent(event)

    def shut_down(self) -> None:
        """End the worker thread and let go of slide and canvas; the viewer cannot be used afterwards."""
        self._settle.stop()
        self._wish = None
        self._taken.set()
        self._worker.stop()
        self._sharpener.close()
        if self._scene is not None:
            self._scene.close()
            self._scene = None
        if self._canvas is not None:
            self._canvas.shut_down()


@dataclass(frozen=True, slots=True, eq=False)
class _Detail:
    scene: SlideScene
    view: View
    style: OverlayStyle
