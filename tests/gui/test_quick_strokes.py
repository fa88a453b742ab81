"""A stroke costs what it paints: what nobody sees or nothing changed is left out, and the same is painted and shown."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from histoloop.annotations.records import ClassScheme, Counts, LabelClass, MaskClass, Patch
from histoloop.gui.canvas.composing import ClassStyle, OverlayStyle
from histoloop.gui.canvas.painted_look import PaintedLook, painted_look
from histoloop.gui.mouse import drag
from histoloop.gui.work.background import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.gui.canvas.napari_layers import Painted
    from histoloop.gui.window.main_window import MainWindow

SCHEME = ClassScheme((LabelClass("tumour", "tumour"),), (MaskClass("gland", "#2a9d8f"), MaskClass("tumour", "#d1495b")))
LARGE = (1100, 1000)


def look(opacity: float = 0.4, *, filled: bool = True) -> PaintedLook:
    classes = tuple(ClassStyle(each.colour, filled=filled) for each in SCHEME.masks)
    return painted_look(SCHEME, Counts.REGION, OverlayStyle(classes, opacity=opacity))


@pytest.fixture
def worker(qtbot) -> Iterator[Worker]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # napari's own dependencies, as they are imported
        from histoloop.gui.canvas.napari_canvas import load_the_rest

        load_the_rest()
    made = Worker()
    yield made
    made.stop()


def laid(worker: Worker, mask: np.ndarray) -> Painted:
    """A layer that is painted, as a canvas has it."""
    from napari.components import ViewerModel

    from histoloop.gui.canvas.napari_layers import Painted

    layer = Painted(np.zeros((2, 2), np.uint8), worker=worker)
    ViewerModel().add_layer(layer)
    layer.take_mask(mask)
    layer.mode = "paint"
    return layer


def shown(layer: Painted) -> np.ndarray:
    return np.asarray(layer._slice.image.view)


def test_a_brush_that_is_moved_paints_what_napari_paints(worker: Worker) -> None:
    from napari.layers import Labels

    ours, bare = laid(worker, np.zeros((300, 260), np.uint8)), Labels(np.zeros((300, 260), np.uint8))
    bare.mode = "paint"
    chosen = np.random.default_rng(3)
    for _ in range(40):
        size, value = int(chosen.integers(1, 60)), int(chosen.integers(0, 3))
        last, now = chosen.uniform(-30, 320, (2, 2))
        for layer in (ours, bare):
            layer.brush_size = size
            with layer.block_history():
                layer._draw(value, last, now)
        assert np.array_equal(ours.data, bare.data)
    assert set(np.unique(ours.data)) == {0, 1, 2}


def test_what_was_painted_has_its_lines_at_once(worker: Worker) -> None:
    layer = laid(worker, np.zeros((200, 220), np.uint8))
    layer.dress(look(), 4)
    layer.brush_size = 21
    with layer.block_history():
        layer._draw(1, np.array([30.0, 20.0]), np.array([150.0, 190.0]))
    assert np.array_equal(shown(layer), look().numbered(layer.data, 4))
    assert layer.data.any()


def test_the_lines_of_a_large_mask_are_found_on_another_thread_with_what_is_painted_meanwhile(
    worker: Worker, qtbot
) -> None:
    mask = np.zeros(LARGE, np.uint8)
    mask[200:700, 100:500] = 2
    layer, before, go_on = laid(worker, mask), mask.copy(), threading.Event()
    worker.request(go_on.wait)
    layer.dress(look(), 6)
    layer.brush_size = 41
    with layer.block_history():
        layer._draw(1, np.array([150.0, 90.0]), np.array([260.0, 480.0]))
    assert not np.array_equal(shown(layer), look().numbered(layer.data, 6))
    go_on.set()
    qtbot.waitUntil(lambda: layer.contour == 6)
    assert np.array_equal(shown(layer), look().numbered(layer.data, 6))
    before[layer.data == 1] = 1
    assert np.array_equal(layer.data, before), "the lines went into the mask"


def test_a_large_mask_in_other_colours_or_with_other_lines_looks_as_a_small_one_does(worker: Worker, qtbot) -> None:
    mask = np.random.default_rng(5).integers(0, 3, (11, 10), np.uint8).repeat(100, 0).repeat(100, 1)
    layer = laid(worker, mask)
    for wanted, line_px in ((look(), 2), (look(0.9), 2), (look(filled=False), 8)):
        layer.dress(wanted, line_px)
        qtbot.waitUntil(lambda wanted=wanted: layer.look is wanted)
        assert np.array_equal(shown(layer), wanted.numbered(mask, line_px))
        assert layer.colormap.color_dict[1][3] == pytest.approx(wanted.colours[1][3])


def test_a_large_part_that_is_put_into_a_mask_has_its_lines_soon(worker: Worker, qtbot) -> None:
    layer = laid(worker, np.zeros(LARGE, np.uint8))
    layer.dress(look(), 4)
    qtbot.waitUntil(lambda: layer.contour == 4)
    other = np.random.default_rng(6).integers(0, 3, (11, 10), np.uint8).repeat(100, 0).repeat(100, 1)
    layer.put(Patch(0, 0, other))
    assert np.array_equal(shown(layer), other), "without lines at first"
    qtbot.waitUntil(lambda: np.array_equal(shown(layer), look().numbered(other, 4)))
    assert np.array_equal(layer.data, other)


def vispy_canvas(window: MainWindow) -> Any:
    return window.viewer._made._qt_viewer.canvas


def stroke(window: MainWindow, qtbot) -> None:
    x, y = window.viewer.annotating.centre
    before = window.viewer.painted_mask
    value = 2 if window.viewer.painted_class == 1 else 1
    window.viewer.set_class(value)
    drag(window.viewer.canvas, [window.viewer.to_canvas(x + step * 6, y) for step in range(11)])
    qtbot.waitUntil(lambda: not np.array_equal(window.viewer.painted_mask, before))


def test_a_stroke_tells_no_layer_where_it_is_seen_and_a_zoom_tells_all(
    painting: MainWindow, qtbot, monkeypatch
) -> None:
    canvas = painting.viewer._made
    told: list[object] = []
    for layer in (canvas.overview, canvas.detail, canvas.labels):
        tell = layer._update_draw
        monkeypatch.setattr(layer, "_update_draw", lambda *a, tell=tell, **k: (told.append(1), tell(*a, **k)))
    painting.viewer.wait_until_loaded()
    qtbot.wait(50)
    told.clear()
    stroke(painting, qtbot)
    assert not told
    painting.viewer.zoom_by(1.5)
    qtbot.waitUntil(lambda: len(told) >= 3)
    assert canvas.labels.scale_factor == pytest.approx(1 / painting.viewer.camera().zoom)


def test_the_overview_is_drawn_where_the_detail_does_not_hide_it(painting: MainWindow) -> None:
    viewer = painting.viewer
    node = vispy_canvas(painting).layer_to_visual[viewer._made.overview].node
    viewer.full_resolution()
    viewer.wait_until_loaded()
    assert not node.visible
    viewer.fit()
    assert node.visible


def test_a_place_of_the_canvas_is_the_place_of_the_slide_that_napari_gives(painting: MainWindow) -> None:
    canvas = vispy_canvas(painting)
    painting.viewer.zoom_by(1.7)
    for place in ((0, 0), (311, 95)):
        given = type(canvas)._map_canvas2world(canvas, place, canvas.view)
        assert canvas._map_canvas2world(place, canvas.view) == pytest.approx(given)


def test_the_circle_of_the_brush_is_computed_for_a_size_and_not_for_a_redraw(
    painting: MainWindow, qtbot, monkeypatch
) -> None:
    from vispy.visuals.line.line import _AggLineVisual

    made: list[object] = []
    bake = _AggLineVisual._agg_bake
    counted = staticmethod(lambda *a, **k: (made.append(1), bake(*a, **k))[1])
    monkeypatch.setattr(_AggLineVisual, "_agg_bake", counted)
    painting.viewer._made._model.mouse_over_canvas = True
    stroke(painting, qtbot)
    painting.viewer.set_brush_size(painting.viewer.brush_size + 7)
    qtbot.waitUntil(lambda: bool(made))
    qtbot.wait(50)
    made.clear()
    stroke(painting, qtbot)
    assert not made
