"""From Done to new live masks in view, in the real window: seconds on the wall and of the processor, and memory.

    python tests/benchmarks/live_loop_window.py SLIDE REGIONS RESULT

All regions but the last are painted into a new project (a disc of one of two classes each); the window opens it and
learns. Then a region is begun, painted and finished in the window, again and again, and the times are taken from the
moment of Done. RESULT is the JSON file with the figures.
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

    from histoloop.store.project import Project

SIDE = 300
TIMES = 3
PATIENCE_S = 600.0


def main() -> None:
    slide, regions, result = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        places = make(folder, slide, regions + TIMES)
        with_painted(folder, places[: regions - 1])
        figures = measure(Path(scratch), folder, places[regions - 1 :][:TIMES])
    row = {"regions": regions, "load": psutil.getloadavg()[0], **figures}
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
    from histoloop.gui.mouse import drag
    from histoloop.gui.window.main_window import MainWindow

    make_application()
    settings = Settings(scratch / "settings.ini")
    settings.set("learn_live", True)
    settings.set("predict_added", False)
    settings.set("first steps", True)
    window = MainWindow(settings)
    window.show()
    seen: list[float] = []
    window.session.live.view_is_new.connect(lambda _slide_id: seen.append(time.monotonic()))
    started = time.monotonic()
    window.session.live.told.connect(lambda line: print(f"{time.monotonic() - started:.1f} {line}", flush=True))
    window.session.open_project(folder)
    wait(lambda: bool(seen))
    first = seen[0] - started
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
        child = psutil.Process(window.session.live.jobs.process_id)
        cpu = sum(child.cpu_times()[:2])
        seen.clear()
        done = time.monotonic()
        window.actions_["finish"].trigger()
        wait(lambda: bool(seen))
        run = {"wall_s": round(seen[0] - done, 1), "cpu_s": round(sum(child.cpu_times()[:2]) - cpu, 1)}
        print(run, flush=True)
        runs.append(run)
    memory = child.memory_info().rss / 2**20
    window.close()
    return {"first_s": round(first, 1), "runs": runs, "child_mib": round(memory)}


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
