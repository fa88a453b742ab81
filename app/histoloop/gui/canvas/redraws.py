"""What napari does anew with each move of the mouse and each redraw though nothing of it changed, left undone.

A stroke redraws the canvas with every move, so that each of these is paid a hundred times a second.
"""

from __future__ import annotations

from typing import Any


class Redraws:
    """Takes the place of what a Qt viewer of napari does, with `model`, before a redraw and on a move.

    Layers are placed on the canvas when the camera, the size of the canvas or they themselves have changed (see
    `anew`), the status of napari, which is shown nowhere, is not written, and the lines of the brush's circle are
    computed once for each size.
    """

    def __init__(self, qt_viewer: Any, model: Any) -> None:
        self._canvas, self._camera = qt_viewer.canvas, model.scene.camera
        self._dims = model.dims
        self._placed_by: object = None
        model.cursor.events.position.disconnect(model.update_status_from_cursor)
        self._canvas._map_canvas2world = self._to_world
        scene = self._canvas._scene_canvas
        scene.events.draw.disconnect(self._canvas.on_draw)
        scene.events.draw.connect(self._on_draw, position="last")
        self._brush = model.canvas.overlays._brush_circle
        self._has_brush = False

    def anew(self) -> None:
        """A layer has another place or size."""
        self._placed_by = None

    def draw(self, layer: Any, wanted: bool) -> None:
        """Draw a layer or do not; napari reads a layer anew when that is made visible again."""
        node = self._canvas.layer_to_visual[layer].node
        if node.visible != wanted:
            node.visible = wanted

    def _on_draw(self, event: Any) -> None:
        if not self._has_brush:
            for circle in self._canvas._viewer_overlay_to_visual.get(self._brush, ()):
                _bake_once(circle._white_circle)
                _bake_once(circle._black_circle)
                self._has_brush = True
        for camera in (self._canvas.camera, *self._canvas.grid_cameras):
            camera.on_draw(event)
        canvas = self._canvas
        seen = (tuple(self._camera.center), self._camera.zoom, tuple(canvas.size))
        waits = canvas._needs_overlay_position_update or canvas._needs_world_units_update
        if seen != self._placed_by or waits:
            canvas.on_draw(event)
            self._placed_by = seen

    def _to_world(self, position: Any, view: Any) -> tuple[float, ...]:
        """Where in the world a place of the canvas (x, y) is: napari multiplies the matrices of both steps first."""
        x, y = view.scene.transform.imap(view.transform.imap(list(position)))[:2]
        return (*self._dims.point[:-2], float(y), float(x))


def _bake_once(circle: Any) -> None:
    """Have the lines of a circle computed when it has another size; vispy does so with each redraw."""
    border = circle._border
    lines = border._line_visual
    prepare = lines._prepare_draw

    def prepared(view: Any) -> object:
        if not any(border._changed.values()):
            return None
        is_there: object = prepare(view)
        if is_there is not False:
            border._changed.update(dict.fromkeys(border._changed, False))
        return is_there

    lines._prepare_draw = prepared
