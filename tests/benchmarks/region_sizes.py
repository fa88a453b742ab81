"""What a stroke costs by the size of the region it is in: time of the GUI thread, and memory.

    python tests/benchmarks/region_sizes.py [STROKES] [--write]

Opens regions of 512, 2048 and 4096 px a side, each in a window of its own, and paints STROKES (default 30) strokes of
20 moves with the mouse, the whole region on the screen; as many, in turn, in a bare viewer of napari whose canvas,
pixels, labels layer and brush have the same size, which draws no outlines and saves nothing. Of each: processor time of
the GUI thread for a step of the brush alone, for a move of the mouse with the redraw, and from letting go until the
stroke is shown as saved; the longest of each; the longest turn of the program's event loop while the region opens, the
second time; and the most memory the process had while there was only the program.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from bench.measured import run_measured, show, table
from bench.slides_of_tissue import BLOCK_PX, MPP, write_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.components import ViewerModel
    from napari.qt import QtViewer
    from PySide6.QtCore import QEvent, QPointF
    from PySide6.QtWidgets import QWidget

    from histoloop.geometry import Region
    from histoloop.gui.window.main_window import MainWindow

SIDES_PX = (512, 2048, 4096)
SLIDE_PX, FIELD_PX = 4400, 512
STROKES, MOVES, WARM_UP = 30, 20, 3
WHAT = {"program": "the program", "bare": "a bare layer"}
TURNS = 300
"""Of the event loop after a region is there: outlines come later."""

MOVE_S = 0.012
"""As a mouse moves: the canvas takes a move every 10 ms."""


def measure(side: int, strokes: int) -> dict[str, list[float]]:
    """The figures of one size."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["HISTOLOOP_HOME"] = scratch
        folder = Path(scratch) / "project"
        _make_project(folder, Path(scratch) / "slide.tiff")
        return _paint(folder, side, strokes)


def _make_project(folder: Path, slide: Path) -> None:
    from histoloop.geometry import Region
    from histoloop.progress import finish
    from histoloop.slides.synthetic import SyntheticSpec, SyntheticTissue
    from histoloop.store.project import Project
    from histoloop.store.shipped import DEFAULT_MODEL
    from histoloop.workflows.projects import create_project, import_slides

    tissue = SyntheticTissue(SyntheticSpec(0, FIELD_PX, FIELD_PX, mpp=MPP, margin_um=0))
    field, _mask = tissue.read(Region(0, 0, FIELD_PX, FIELD_PX))
    write_slide(slide, np.tile(field, (BLOCK_PX // FIELD_PX, BLOCK_PX // FIELD_PX, 1)), SLIDE_PX)
    create_project(folder, name="Region sizes", start=DEFAULT_MODEL).close()
    with Project.open(folder) as project:
        finish(import_slides(project, [slide]))


def _paint(folder: Path, side: int, strokes: int) -> dict[str, list[float]]:
    """Paint in the window of a project, then in it and in a bare viewer of napari in turn."""
    from PySide6.QtCore import QEventLoop, QPointF

    from histoloop.geometry import Region
    from histoloop.gui.application import make_application
    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.window.main_window import MainWindow

    application = make_application()
    settings = Settings(folder.parent / "settings.ini")
    settings.set("learn_live", False)
    window = MainWindow(settings)
    window.session.predict_added = False
    window.show()
    window.session.open_project(folder)
    while window.opener.current is None:
        application.processEvents()
    for _time in range(2):  # the first time a canvas is painted on, its programs are compiled
        window.session.annotating.leave()
        opening_ms = _open_region(window, Region(100, 100, side, side))
    annotating, wait = window.session.annotating, QEventLoop.ProcessEventsFlag.WaitForMoreEvents

    def saved() -> None:
        while annotating.unsaved():
            application.processEvents(wait)

    program = Hand(window.viewer.canvas, lambda x, y: window.viewer.to_canvas(100 + x, 100 + y), saved)
    for number in range(WARM_UP):
        program.stroke(side, number / (strokes + WARM_UP))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    bare, model = _bare(side, window)
    bare_hand = Hand(bare.canvas.native, lambda x, y: _on_bare(model, bare, QPointF(x, y)), lambda: None)
    for number in range(WARM_UP):
        bare_hand.stroke(side, number / (strokes + WARM_UP))
    for hand in (program, bare_hand):
        hand.forget()
    for number in range(WARM_UP, WARM_UP + strokes):
        for hand in (program, bare_hand):
            hand.stroke(side, number / (strokes + WARM_UP))
    assert np.count_nonzero(window.viewer.painted_mask) > strokes * side / 4
    assert np.count_nonzero(model.layers[-1].data) > strokes * side / 4
    window.session.jobs.shut_down()
    window.close()
    bare.close()
    return {"program": [*program.figures(), opening_ms, peak_mb], "bare": bare_hand.figures()}


def _open_region(window: MainWindow, region: Region) -> float:
    """Open a region to paint; the longest turn of the event loop until it is seen, in ms of this thread."""
    from PySide6.QtCore import QCoreApplication

    turns = []
    window.viewer.wait_until_loaded()
    window.session.annotating.begin_region(window.opener.current, region)
    still = TURNS
    while still:
        began = time.thread_time()
        QCoreApplication.processEvents()
        turns.append((time.thread_time() - began) * 1000)
        still -= window.viewer.annotating is not None
        time.sleep(0.002)
    return max(turns)


def _bare(side: int, window: MainWindow) -> tuple[QtViewer, ViewerModel]:
    """A viewer of napari with a canvas, pixels, a mask and a brush of the same size, and nothing else."""
    from napari.components import ViewerModel
    from napari.layers import Image, Labels
    from napari.qt import QtViewer

    model = ViewerModel()
    bare = QtViewer(model)
    canvas = window.viewer.canvas_rect
    bare.resize(canvas.size())
    bare.show()
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    model.add_layer(Image(pixels, rgb=True))
    mask = model.add_layer(Labels(np.zeros((side, side), np.uint8)))
    mask.mode, mask.selected_label, mask.brush_size = "paint", 1, window.viewer.brush_size
    camera = window.viewer.camera()
    model.scene.camera.zoom, model.scene.camera.center = camera.zoom, (0, camera.y - 100, camera.x - 100)
    return bare, model


def _on_bare(model: ViewerModel, bare: QtViewer, place: QPointF) -> QPointF:
    from PySide6.QtCore import QPointF

    camera, canvas = model.scene.camera, bare.canvas.native
    x, y = (place.x() - camera.center[-1]) * camera.zoom, (place.y() - camera.center[-2]) * camera.zoom
    return QPointF(x + canvas.width() / 2, y + canvas.height() / 2)


class Hand:
    """Paints strokes on a canvas; `to_canvas` gives where a place (x, y) of the region is, `saved` waits until then."""

    def __init__(self, canvas: QWidget, to_canvas: Callable[..., QPointF], saved: Callable[[], None]) -> None:
        self._canvas, self._to_canvas, self._saved = canvas, to_canvas, saved
        self.forget()

    def forget(self) -> None:
        """Count from now on."""
        self._steps: list[float] = []
        self._moves: list[float] = []
        self._ends: list[float] = []

    def figures(self) -> list[float]:
        """Median of a step of the brush, median and longest of a move and of letting go, in ms of this thread."""
        of_moves, of_ends = ([float(np.median(each)), max(each)] for each in (self._moves, self._ends))
        return [float(np.median(self._steps)), *of_moves, *of_ends]

    def stroke(self, side: int, where: float) -> None:
        """Paint half the width of a region of `side` px, at a share of its height."""
        from PySide6.QtCore import QCoreApplication, QEvent, QPointF

        turn, y = QCoreApplication.processEvents, side * (where + 0.02)
        place = self._to_canvas(side / 4, y)
        with _timed_steps(self._steps):
            _mouse(self._canvas, QEvent.Type.MouseButtonPress, place)
            for step in range(1, MOVES + 1):
                time.sleep(MOVE_S)
                place = self._to_canvas(side / 4 + step * side / 2 / MOVES, y) + QPointF(0, step % 2)
                began = time.thread_time()
                _mouse(self._canvas, QEvent.Type.MouseMove, place)
                turn()
                self._moves.append((time.thread_time() - began) * 1000)
            began = time.thread_time()
            _mouse(self._canvas, QEvent.Type.MouseButtonRelease, place)
            turn()
            self._saved()
            self._ends.append((time.thread_time() - began) * 1000)


@contextmanager
def _timed_steps(found: list[float]) -> Iterator[None]:
    """Note how long each step of a brush takes: from where it was to where it is, drawing not counted."""
    from napari.layers import Labels

    from histoloop.gui.canvas.napari_layers import Painted

    whole = {kind: kind._draw for kind in (Labels, Painted)}
    depth = [0]

    def timed(kind: type, *arguments: object) -> None:
        depth[0] += 1
        began = time.thread_time()
        whole[kind](*arguments)
        depth[0] -= 1
        if not depth[0]:  # which a subclass that asks its base for it does not double
            found.append((time.thread_time() - began) * 1000)

    for kind in whole:
        kind._draw = lambda *arguments, kind=kind: timed(kind, *arguments)
    yield
    for kind, draw in whole.items():
        kind._draw = draw


def _mouse(canvas: QWidget, kind: QEvent.Type, place: QPointF) -> None:
    from PySide6.QtCore import QCoreApplication, QEvent, QPointF, Qt
    from PySide6.QtGui import QMouseEvent

    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    button = none if kind == QEvent.Type.MouseMove else left
    held = none if kind == QEvent.Type.MouseButtonRelease else left
    at = QPointF(canvas.mapToGlobal(place.toPoint()))
    QCoreApplication.sendEvent(canvas, QMouseEvent(kind, place, at, button, held, Qt.KeyboardModifier.NoModifier))


def main() -> None:
    """Measure each size in a process of its own, as the command line asks."""
    if "--side" in sys.argv:
        print(json.dumps(measure(int(sys.argv[2]), int(sys.argv[3]))))
        return
    strokes = next((each for each in sys.argv[1:] if each.isdigit()), str(STROKES))
    rows = []
    for side in SIDES_PX:
        with tempfile.TemporaryDirectory() as scratch:
            done = run_measured([__file__, "--side", str(side), strokes], home=Path(scratch) / "home")
        found = json.loads(done.printed.strip().splitlines()[-1])
        for what in WHAT:
            step, *times = found[what]
            opening = [f"{times[-2]:.0f}", f"{times[-1]:,.0f}"] if what == "program" else ["", ""]
            rows.append([f"{side:,}", WHAT[what], f"{step:.2f}", *(f"{each:.1f}" for each in times[:4]), *opening])
            print(rows[-1], flush=True)
    head = ["region, px", "", "a step, ms", "a move, ms", "the longest", "until saved, ms", "the longest"]
    head += ["opened, ms", "memory, MB"]
    show("strokes in large regions", table(head, rows), write="--write" in sys.argv)


if __name__ == "__main__":
    main()
