"""What a stroke costs by the number of slides: time of the GUI thread, and what is opened and looked for.

    python tests/benchmarks/strokes.py SLIDES [STROKES]

Makes a project of SLIDES slides (one that can be shown, the others small files), opens a region of the first in the
whole window and changes its mask STROKES times (default 40), each time until it is shown as saved. Prints JSON, per
stroke: milliseconds of the GUI thread (median and longest, of the processor's time of that thread, so that waiting for
the disk of another thread does not count), how often a slide's file was looked for or opened, and how often a database
was opened, whichever thread did so.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

STROKES = 40
WARM_UP = 3
SLIDE_PX = 1500
REGION_PX = 512
SIDE_PX = 24


class DiskWatch:
    """Counts, while it is on, what this process opens and looks for."""

    def __init__(self, slides: Path) -> None:
        self.slides = str(slides)
        self.on = False
        self.counts = {"looks for a slide": 0, "opened slides": 0, "opened databases": 0}
        stat = os.stat

        def counted(path: os.PathLike[str] | str | int, **how: object) -> os.stat_result:
            if not isinstance(path, int) and os.fspath(path).startswith(self.slides):
                self._count("looks for a slide")
            return stat(path, **how)  # type: ignore[arg-type]

        os.stat = counted  # type: ignore[assignment]
        sys.addaudithook(self._on_event)

    def _on_event(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "sqlite3.connect":
            self._count("opened databases")
        elif event == "open" and str(arguments[0]).startswith(self.slides):
            self._count("opened slides")

    def _count(self, what: str) -> None:
        if self.on:
            self.counts[what] += 1


def main(slides: int, strokes: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["HISTOLOOP_HOME"] = scratch
        folder = Path(scratch) / "project"
        _make_project(folder, Path(scratch) / "slides", slides)
        watch = DiskWatch(Path(scratch) / "slides")
        return {"slides": slides, **_paint(folder, strokes, watch)}


def _make_project(folder: Path, place: Path, count: int) -> None:
    from histoloop.progress import finish
    from histoloop.slides.synthetic import SyntheticSpec, write_synthetic_slide
    from histoloop.store.project import Project
    from histoloop.store.shipped import DEFAULT_MODEL
    from histoloop.workflows.projects import create_project, import_slides

    place.mkdir()
    shown = place / "shown.tiff"
    finish(write_synthetic_slide(shown, SyntheticSpec(seed=0, width=SLIDE_PX, height=SLIDE_PX, mpp=0.5, label="mixed")))
    create_project(folder, name="Strokes", start=DEFAULT_MODEL).close()
    with Project.open(folder) as project:
        finish(import_slides(project, [shown]))
        add = getattr(project, "add_slide", None) or project.slides.add
        for number in range(1, count):
            path = place / f"slide-{number:04d}.tiff"
            path.write_bytes(number.to_bytes(8, "little"))
            add(path, width=1000, height=1000, mpp=0.5, vendor="none")


def _paint(folder: Path, strokes: int, watch: DiskWatch) -> dict[str, float]:
    from PySide6.QtCore import QEventLoop

    from histoloop.geometry import Region
    from histoloop.gui.application import make_application
    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.window.main_window import MainWindow

    application = make_application()
    window = MainWindow(Settings(folder.parent / "settings.ini"))
    window.show()
    window.session.open_project(folder)
    while window.opener.current is None:
        application.processEvents()
    window.session.annotating.begin_region(window.opener.current, Region(400, 400, REGION_PX, REGION_PX))
    while window.viewer.annotating is None:
        application.processEvents()
    window.viewer.wait_until_loaded()
    until_saved = QEventLoop()
    window.session.annotating.saved.connect(lambda saved: until_saved.quit() if saved else None)
    milliseconds, mask = [], window.viewer.painted_mask
    for number in range(WARM_UP + strokes):
        watch.on = number >= WARM_UP
        place = SIDE_PX * (number % (REGION_PX // SIDE_PX))
        mask[place : place + SIDE_PX, place : place + SIDE_PX] ^= 1
        began = time.thread_time()
        window.viewer.replace_mask(mask)
        until_saved.exec()
        milliseconds.append((time.thread_time() - began) * 1000)
    watch.on = False
    window.session.jobs.shut_down()
    window.close()
    counted = milliseconds[WARM_UP:]
    return {
        "median_ms": round(float(np.median(counted)), 2),
        "longest_ms": round(max(counted), 2),
        **{what: round(count / strokes, 2) for what, count in watch.counts.items()},
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else STROKES)))
