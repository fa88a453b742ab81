"""What a project of thousands of slides costs: import, opening, the list, a label, files that are looked for.

    python tests/benchmarks/many_slides.py make FOLDER SLIDES
    python tests/benchmarks/many_slides.py window FOLDER
    packaging/with_display.sh python tests/benchmarks/many_slides.py table [--write] [--again]

`make` writes SLIDES tiny pictures into FOLDER/slides and imports them into FOLDER/project, a quarter at a time.
`window` opens that project in the whole window. Both print JSON in CPU seconds of one process (`thread`: of the GUI
thread alone), which a machine that is busy with other work does not change much. In the window:

- open: until the slides are listed and the events of that are done; shown: until the first slide is on the screen too
- label: a label that is given to a slide, and the list that says so; filtered, sorted: what is typed into the filter of
  the list, and another order of it, where there is one
- grouped: eight slides below each heading; all headings folded, and unfolded again
- last: the last slide is chosen from the list

`table` does both for 10, 200 and 2,000 slides; with `--write` the table goes into docs/performance.md.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from bench.measured import Kept, run_measured, show, table
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS = 4
SIZE_PX = (96, 72)
EVENTS = 10
SLIDES = (10, 200, 2000)


def make(folder: Path, slides: int) -> dict[str, object]:
    """Make the project; CPU seconds per slide of each quarter of the import."""
    from histoloop.progress import finish
    from histoloop.store.project import Project
    from histoloop.store.shipped import DEFAULT_MODEL
    from histoloop.workflows.projects import create_project, import_slides

    place = folder / "slides"
    place.mkdir(parents=True)
    files = [_picture(place / f"case-{number // 8}" / f"slide-{number}.png", seed=number) for number in range(slides)]
    create_project(folder / "project", name="Thousands", start=DEFAULT_MODEL).close()
    spent = []
    with Project.open(folder / "project") as project:
        for part in range(PARTS):
            some = files[part * slides // PARTS : (part + 1) * slides // PARTS]
            began = time.process_time()
            finish(import_slides(project, some))
            spent.append(round((time.process_time() - began) / len(some) * 1000, 2))
    return {"slides": slides, "import_ms_per_slide": spent}


def _picture(path: Path, *, seed: int) -> Path:
    """A small picture like no other, of half a micrometre per pixel."""
    colours = np.random.default_rng(seed).integers(150, 250, (3, 4, 3), np.uint8)
    path.parent.mkdir(exist_ok=True)
    picture = Image.fromarray(colours).resize(SIZE_PX, Image.Resampling.NEAREST)
    picture.save(path, dpi=(50_800, 50_800))
    return path


def window(folder: Path) -> dict[str, object]:
    """Open the project in the window and do what people do with its slides."""
    from histoloop.gui.application import make_application
    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.window.main_window import MainWindow

    application = make_application()
    found: dict[str, object] = {}

    def events() -> None:
        for _ in range(EVENTS):
            application.processEvents()

    def measured(name: str, act: Callable[[], object]) -> None:
        process, thread = time.process_time(), time.thread_time()
        act()
        events()
        found[name] = {
            "all_s": round(time.process_time() - process, 3),
            "thread_s": round(time.thread_time() - thread, 3),
        }

    def until_shown() -> None:
        while shown.opener.current is None:
            application.processEvents()
        shown.viewer.wait_until_loaded()

    with tempfile.TemporaryDirectory() as scratch:
        shown = MainWindow(Settings(Path(scratch) / "settings.ini"))
        shown.show()
        events()
        measured("open", lambda: shown.session.open_project(folder / "project"))
        measured("shown", until_shown)
        slides = shown.session.slides()
        labels = shown.session.project.scheme.label_names
        measured("label", lambda: shown.slide_control.label([slides[0].id], labels[0]))
        measured("label again", lambda: shown.slide_control.label([slides[0].id], None))
        panel = shown.slides_panel
        if hasattr(panel, "filters"):
            measured("filtered", lambda: panel.filters.text.setText("slide-19"))
            measured("filtered no more", lambda: panel.filters.text.setText(""))
            measured("sorted", lambda: panel.filters.order.setCurrentIndex(1))
            measured("sorted back", lambda: panel.filters.order.setCurrentIndex(0))
        if panel.filters.order.findText("By case") >= 0:
            measured("grouped", lambda: panel.filters.order.setCurrentText("By case"))
            measured("label in a group", lambda: shown.slide_control.label([slides[0].id], labels[0]))
            measured("all folded", lambda: panel.list.fold_requested.emit(None, True))
            measured("all unfolded", lambda: panel.list.fold_requested.emit(None, False))
            measured("grouped no more", lambda: panel.filters.order.setCurrentIndex(0))
        measured("last", lambda: panel.choose(slides[-1].id))
        shown.session.jobs.shut_down()
        shown.close()
    return {"slides": len(slides), **found}


def written_table(*, again: bool) -> str:
    """Milliseconds of the GUI thread, by the number of slides."""
    kept, found = Kept("many_slides", again=again), {}
    for slides in SLIDES:
        found[slides] = kept.get(f"{slides} slides", lambda slides=slides: made_and_measured(slides))
    rows: list[list[object]] = [["import, ms a slide (first quarter, last quarter)"]]
    rows[0] += [f"{one['import_ms_per_slide'][0]:.1f}, {one['import_ms_per_slide'][-1]:.1f}" for one in found.values()]
    for what in (name for name, figures in found[SLIDES[0]].items() if isinstance(figures, dict)):
        rows.append([what, *(f"{one[what]['thread_s'] * 1000:.0f}" for one in found.values())])
    return table(["CPU ms of the GUI thread", *(f"{slides:,} slides" for slides in SLIDES)], rows)


def made_and_measured(slides: int) -> dict[str, object]:
    """A project of so many slides, made and then opened in another process."""
    with tempfile.TemporaryDirectory() as scratch:
        steps = (["make", scratch, str(slides)], ["window", scratch])
        done = [run_measured([__file__, *step], home=Path(scratch) / "home").printed for step in steps]
    made, shown = (json.loads(printed.strip().splitlines()[-1]) for printed in done)
    return {**shown, **made}


def main() -> None:
    """Make or measure, as the command line asks."""
    if sys.argv[1] == "table":
        show("thousands of slides", written_table(again="--again" in sys.argv), write="--write" in sys.argv)
        return
    what, where = sys.argv[1], Path(sys.argv[2]).absolute()
    os.environ["HISTOLOOP_HOME"] = str(where / "home")
    print(json.dumps(make(where, int(sys.argv[3])) if what == "make" else window(where)))


if __name__ == "__main__":
    main()
