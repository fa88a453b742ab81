"""From Done to new live masks on the screen, in the real window: seconds on the wall and of the processor, and memory.

    packaging/with_display.sh python tests/benchmarks/live_loop_window.py SLIDE REGIONS RESULT

All regions but the last are painted into a new project (a disc of one of two classes each); the window opens it and
learns. Then a region is begun, painted and finished in the window, again and again. A time is from the click on Done
until the canvas has drawn the masks of all that is in view by what was learned since; seconds of the processor are
those of the window's process and of the child that learns, in that time. RESULT is the JSON file with the figures.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from histoloop.annotations.records import AnnotationStatus, Origin
from histoloop.geometry import Region
from histoloop.progress import finish
from histoloop.store.files import write_beside
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.workflows.projects import create_project, import_slides

if TYPE_CHECKING:
    from collections.abc import Callable

    from histoloop.gui.window.main_window import MainWindow
    from histoloop.store.project import Project

SIDE = 300
TIMES = 3
PATIENCE_S = 1800.0
"""For each step, on a machine that has much else to do."""


def main() -> None:
    slide, regions, result = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        places = make(folder, slide, regions + TIMES)
        with_painted(folder, places[: regions - 1])
        figures = measure(Path(scratch), folder, places[regions - 1 :][:TIMES])
    row = {"regions": regions, **figures}
    write_beside(result, json.dumps(row, indent=1) + "\n")


def make(folder: Path, slide: Path, count: int) -> list[Region]:
    with create_project(folder, name="Live", start=DEFAULT_MODEL) as project:
        finish(import_slides(project, [slide]))
        record = project.slides.all()[0]
        columns = record.width // SIDE
        return [Region(n % columns * SIDE, n // columns * SIDE, SIDE, SIDE) for n in range(count)]


def with_painted(folder: Path, places: list[Region]) -> None:
    from histoloop.workflows.projects import opened_project

    with opened_project(folder) as project:
        for number, place in enumerate(places):
            paint(project, place, value=1 + number % 2)


def paint(project: Project, place: Region, *, value: int) -> None:
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    mask = np.where(rows**2 + columns**2 < (0.4 * SIDE) ** 2, value, 0).astype(np.uint8)
    slide_id = project.slides.all()[0].id
    draft = project.drafts.start(slide_id, place, mask=mask, origin_model=None, person="b", origin=Origin.HUMAN)
    project.drafts.finish(draft.id, AnnotationStatus.DONE)


def measure(scratch: Path, folder: Path, places: list[Region]) -> dict[str, Any]:
    from histoloop.gui.application import make_application
    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.window.main_window import MainWindow

    make_application()
    settings = Settings(scratch / "settings.ini")
    settings.set("learn_live", True)
    settings.set("predict_added", False)
    settings.set("first steps", True)
    window = MainWindow(settings)
    try:
        return run(window, folder, places)
    finally:  # its children write into the project, which is deleted next
        window.close()


def run(window: MainWindow, folder: Path, places: list[Region]) -> dict[str, Any]:
    from histoloop.gui.mouse import drag

    window.show()
    started = time.monotonic()
    drawn = Drawn(window)
    window.session.live.told.connect(lambda line: print(f"{time.monotonic() - started:.1f} {line}", flush=True))
    window.session.open_project(folder)
    first = drawn.wait() - started
    runs = []
    for place in places:
        wait(lambda: window.session.live.jobs.current is None)
        window.session.annotating.begin_region(window.opener.current, place)
        wait(lambda: window.viewer.annotating is not None)
        window.viewer.wait_until_loaded()
        window.annotation_panel.brush.setValue(80)
        middle = [window.viewer.to_canvas(place.centre[0] + x, place.centre[1]) for x in range(-60, 70, 10)]
        drag(window.viewer.canvas, middle)
        wait(lambda: window.viewer.painted_mask.any())
        processes = psutil.Process(), psutil.Process(window.session.live.jobs.process_id)
        before = [seconds_of(process) for process in processes]
        drawn.forget()
        done = time.monotonic()
        window.annotation_panel.finish.click()
        run = {"wall_s": round(drawn.wait() - done, 1), "load": round(psutil.getloadavg()[0], 1)}
        for name, process, cpu in zip(("window_cpu_s", "child_cpu_s"), processes, before, strict=True):
            run[name] = round(seconds_of(process) - cpu, 1)
        run["held_out"] = window.session.project.annotations.finished()[-1].held_out  # nothing is learned from it
        print(run, flush=True)
        runs.append(run)
    memory = processes[1].memory_info().rss / 2**20
    return {"first_s": round(first, 1), "runs": runs, "child_mib": round(memory)}


class Drawn:
    """When the canvas of a window has drawn live masks that are new in all of the view."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._announced: float | None = None
        self._rendered = 0.0
        window.session.live.view_is_new.connect(self._on_new)
        window.viewer.rendered.connect(self._on_rendered)

    def forget(self) -> None:
        self._announced = None

    def wait(self) -> float:
        """Turn the event loop until then, REFRESH_MS at most after it was announced; the time by the clock."""
        from histoloop.gui.window.live_control import REFRESH_MS

        wait(lambda: self._announced is not None)
        announced = self._announced
        assert announced is not None
        wait(lambda: time.monotonic() > announced + REFRESH_MS / 1000)
        assert self._window.viewer.wait_until_loaded(PATIENCE_S)
        assert self._window.source.choice is not None
        assert self._window.source.choice.model.is_live
        return max(announced, self._rendered)

    def _on_new(self, _slide_id: int) -> None:
        self._announced = self._announced or time.monotonic()

    def _on_rendered(self, _view: object) -> None:
        self._rendered = time.monotonic()


def seconds_of(process: psutil.Process) -> float:
    return sum(process.cpu_times()[:2])


def wait(until: Callable[[], bool]) -> None:
    from PySide6.QtCore import QCoreApplication

    end = time.monotonic() + PATIENCE_S
    while not until():
        if time.monotonic() > end:
            raise SystemExit("nothing came in time")
        QCoreApplication.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    main()
