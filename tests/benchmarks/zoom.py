"""How long it takes after a zoom until the slide is sharp again, beside a bare layer of napari.

    packaging/with_display.sh python tests/benchmarks/zoom.py [SIDE_PX] [--write] [--again]

Writes a slide of SIDE_PX (default 20,480) full of tissue at 0.25 um per pixel with the levels of a scanner, and goes
from the whole of it to places that were not looked at before, each at a magnification of its own: with the program's
viewer, with masks and without, and with a bare viewer of napari whose multiscale layer reads the slide through the same
reader. Each runs in a process of its own. Of each zoom: seconds until the first picture of the place is on the screen,
until a sharp one is, and seconds of the processor until then. With `--write` the table goes into docs/performance.md.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import after_network
import numpy as np
from bench.measured import Kept, run_measured, show, table
from bench.slides_of_tissue import block_of_tissue, write_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIDE_PX = 20_480
CANVAS_PX = (1100, 800)
ZOOMS = (0.18, 0.3, 0.45, 0.7, 1.0, 0.55, 0.35, 0.22)
"""Screen pixels per pixel of the slide: from about 7x to 40x and back."""

WAYS = {"viewer": "the program", "masks": "the program, with masks", "napari": "a bare layer of napari"}
MOST_S = 30.0
BEAT_MS = 10


class Zooms:
    """Goes from place to place; `sharp` says whether what is on the screen is."""

    def __init__(self, side_px: int, *, events: Callable[[], object], sharp: Callable[[], bool]) -> None:
        self._side_px, self._events, self._sharp = side_px, events, sharp
        self.first_s: float | None = None
        self.began = 0.0

    def seen(self, *_what: object) -> None:
        """Another picture of the place is on its way to the screen."""
        if self.first_s is None:
            self.first_s = time.perf_counter() - self.began

    def run(self, look_at: Callable[[float, float, float], object], whole: Callable[[], object]) -> dict[str, list]:
        """Seconds of all zooms."""
        chosen, found = np.random.default_rng(17), {"first_s": [], "sharp_s": [], "cpu_s": []}
        for zoom in ZOOMS:
            whole()
            x, y = chosen.uniform(0.2 * self._side_px, 0.8 * self._side_px, 2)
            self.first_s, self.began, cpu = None, time.perf_counter(), time.process_time()
            look_at(float(x), float(y), zoom)
            while not self._sharp() and time.perf_counter() - self.began < MOST_S:
                self._events()
            self._events()  # which paints it
            found["sharp_s"].append(round(time.perf_counter() - self.began, 3))
            found["first_s"].append(round(self.first_s or found["sharp_s"][-1], 3))
            found["cpu_s"].append(round(time.process_time() - cpu, 3))
        return found


def in_program(slide: Path, maps: Path | None) -> dict[str, list]:
    """The program's viewer, with the masks of maps where there are some."""
    from PySide6.QtCore import QEventLoop, QTimer

    from histoloop.gui.application import make_application
    from histoloop.gui.canvas.composing import ClassStyle, OverlayStyle
    from histoloop.gui.canvas.rendering import SCREEN_TILE_PX, SceneMap, SlideScene
    from histoloop.gui.canvas.viewer import SlideViewer
    from histoloop.network_config import NetworkConfig
    from histoloop.slides.pyramid import TilePyramid
    from histoloop.slides.reader import open_slide
    from histoloop.store.maps import open_map

    application, viewer = make_application(), SlideViewer()
    beat = QTimer(interval=BEAT_MS)
    beat.start()
    viewer.resize(*CANVAS_PX)
    viewer.show()
    scene = SlideScene(TilePyramid(open_slide(slide), tile_px=SCREEN_TILE_PX))
    if maps is not None:
        scheme, labels = after_network.SCHEME, len(after_network.SCHEME.label_names)
        scene.scheme = scheme
        scene.predicted = SceneMap(open_map(maps), after_network.Foreground(), NetworkConfig(labels=labels), {})
        viewer.set_style(OverlayStyle(tuple(ClassStyle(each.colour) for each in scheme.masks)))
    viewer.show_scene(scene)

    def whole() -> None:
        viewer.fit()
        viewer.wait_until_loaded()

    def events() -> None:
        application.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)

    zooms = Zooms(scene.slide.width, events=events, sharp=lambda: viewer.is_sharp)
    viewer.rendered.connect(zooms.seen)
    found = zooms.run(lambda x, y, zoom: viewer.look_at(x, y, zoom=zoom), whole)
    viewer.close()
    return found


def in_napari(slide: Path) -> dict[str, list]:
    """A viewer of napari with nothing but the layer of the program's plugin."""
    from histoloop.gui.application import make_application
    from histoloop.gui.plugin.napari_plugin import read_slides

    application = make_application()
    from napari.components import ViewerModel
    from napari.layers import Layer
    from napari.qt import QtViewer

    model = ViewerModel()
    qt_viewer = QtViewer(model)
    qt_viewer.resize(*CANVAS_PX)
    qt_viewer.show()
    layer = model.add_layer(Layer.create(*read_slides(str(slide))[0]))
    side, scale = layer.data[0].shape[0], float(layer.scale[0])
    is_sharp = [False]

    def events() -> None:
        for _ in range(3):
            application.processEvents()

    def whole() -> None:
        model.reset_view()
        events()
        is_sharp[0] = False

    def look_at(x: float, y: float, zoom: float) -> None:
        model.scene.camera.zoom = zoom / scale
        model.scene.camera.center = (0.0, y * scale, x * scale)

    zooms = Zooms(side, events=events, sharp=lambda: is_sharp[0])

    def on_data(_event: object) -> None:
        zooms.seen()
        is_sharp[0] = True

    layer.events.set_data.connect(on_data)
    found = zooms.run(look_at, whole)
    qt_viewer.close()
    return found


def measured(side_px: int, way: str) -> dict[str, list]:
    """What one way needs, in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        done = run_measured([__file__, "--way", way, scratch, str(side_px)], home=Path(scratch) / "home")
    found: dict[str, list] = json.loads(done.printed.strip().splitlines()[-1])
    return found


def go(way: str, folder: Path, side_px: int) -> dict[str, list]:
    """Make the slide, and measure one way."""
    slide = folder / "slide.tiff"
    write_slide(slide, block_of_tissue(), side_px)
    if way == "napari":
        return in_napari(slide)
    if way == "masks":
        after_network.make(folder / "maps", side_px, classes=False)
    return in_program(slide, folder / "maps" if way == "masks" else None)


def rows_of(found: dict[str, dict[str, list]]) -> Iterator[list[object]]:
    """A row for each way."""
    for way, figures in found.items():
        row: list[object] = [WAYS[way]]
        for name in ("first_s", "sharp_s", "cpu_s"):
            row.append(f"{np.median(figures[name]):.2f}, {max(figures[name]):.2f}")
        yield row


def main() -> None:
    """Measure, as the command line asks."""
    if "--way" in sys.argv:
        print(json.dumps(go(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))))
        return
    side_px = next((int(each) for each in sys.argv[1:] if each.isdigit()), SIDE_PX)
    kept = Kept("zoom", again="--again" in sys.argv)
    found = {way: kept.get(f"{way} {side_px}", lambda way=way: measured(side_px, way)) for way in WAYS}
    head = ["", "first picture, s", "sharp, s", "CPU s until then"]
    show("sharp after a zoom", table(head, list(rows_of(found))), write="--write" in sys.argv)


if __name__ == "__main__":
    main()
