"""What a stroke costs by the size of the region it is in: time of the GUI thread, and memory.

    python tests/benchmarks/region_sizes.py [STROKES] [--write]

Opens regions of 512, 2048 and 4096 px a side, each in a window of its own, and paints STROKES (default 30) strokes of
20 moves with the mouse, the whole region on the screen. Per region: processor time of the GUI thread for a move of the
mouse, and from letting go until the stroke is shown as saved; the longest of each; and the most memory the process had.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from bench.measured import run_measured, show, table
from bench.slides_of_tissue import BLOCK_PX, MPP, write_slide

if TYPE_CHECKING:
    from PySide6.QtCore import QEvent, QPointF
    from PySide6.QtWidgets import QWidget

SIDES_PX = (512, 2048, 4096)
SLIDE_PX, FIELD_PX = 4400, 512
STROKES, MOVES, WARM_UP = 30, 20, 3
MOVE_S = 0.012
"""As a mouse moves: the canvas takes a move every 10 ms."""


def measure(side: int, strokes: int) -> list[float]:
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


def _paint(folder: Path, side: int, strokes: int) -> list[float]:
    from PySide6.QtCore import QEvent, QEventLoop, QPointF

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
    window.session.annotating.begin_region(window.opener.current, Region(100, 100, side, side))
    while window.viewer.annotating is None:
        application.processEvents()
    window.viewer.wait_until_loaded()
    annotating, wait = window.session.annotating, QEventLoop.ProcessEventsFlag.WaitForMoreEvents
    moves, ends, canvas = [], [], window.viewer.canvas
    for number in range(WARM_UP + strokes):
        y = 100 + side * (number + 1) / (WARM_UP + strokes + 2)
        place = window.viewer.to_canvas(100 + side / 4, y)
        _mouse(canvas, QEvent.Type.MouseButtonPress, place)
        for step in range(1, MOVES + 1):
            time.sleep(MOVE_S)
            place = window.viewer.to_canvas(100 + side / 4 + step * side / 2 / MOVES, y) + QPointF(0, step % 2)
            began = time.thread_time()
            _mouse(canvas, QEvent.Type.MouseMove, place)
            application.processEvents()
            moves.append((time.thread_time() - began) * 1000)
        began = time.thread_time()
        _mouse(canvas, QEvent.Type.MouseButtonRelease, place)
        application.processEvents()
        while annotating.unsaved():
            application.processEvents(wait)
        ends.append((time.thread_time() - began) * 1000)
    assert np.count_nonzero(window.viewer.painted_mask) > strokes * side / 4
    window.session.jobs.shut_down()
    window.close()
    moves, ends = moves[WARM_UP * MOVES :], ends[WARM_UP:]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [float(np.median(moves)), max(moves), float(np.median(ends)), max(ends), peak_mb]


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
        *times, peak_mb = json.loads(done.printed.strip().splitlines()[-1])
        rows.append([f"{side:,}", *(f"{each:.1f}" for each in times), f"{peak_mb:,.0f}"])
        print(rows[-1], flush=True)
    head = ["region, px", "a move, ms", "the longest", "letting go until saved, ms", "the longest", "peak memory, MB"]
    show("strokes in large regions", table(head, rows), write="--write" in sys.argv)


if __name__ == "__main__":
    main()
