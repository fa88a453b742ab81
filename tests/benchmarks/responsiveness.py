"""How long the event loop stands still while the machine predicts or retrains: gaps between ticks of 10 ms.

    python tests/benchmarks/responsiveness.py WHERE WORK PROJECT

WHERE is `thread` (a thread of the same process, no window), `child` (the jobs' child process, no window) or `window`
(the child process, with the whole window whose camera moves five times a second). WORK is `idle`, `predict` or
`retrain`. PROJECT is a project with annotations (`histoloop demo --rounds 1 --project PROJECT`); it is copied.
Prints JSON: the median, the 99th percentile and the longest gap in milliseconds, and how many there were.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

TICK_MS = 10
MOVE_MS = 200
IDLE_MS = 15_000
EPOCHS = 3


def main(where: str, work: str, source: Path) -> dict[str, float]:
    if where != "window":
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["HISTOLOOP_HOME"] = scratch
        project = Path(shutil.copytree(source, Path(scratch) / "project"))
        _forget_maps(project)
        gaps = {"thread": _in_thread, "child": _in_child, "window": _in_window}[where](work, project)
    return {
        "p50_ms": round(float(np.percentile(gaps, 50)), 1),
        "p99_ms": round(float(np.percentile(gaps, 99)), 1),
        "longest_ms": round(float(max(gaps)), 1),
        "ticks": len(gaps),
    }


def _forget_maps(folder: Path) -> None:
    """So that there is something to predict."""
    from histoloop.store.project import Project

    with Project.open(folder) as project:
        for slide in project.slides():
            project.set_mpp(slide.id, (slide.mpp or 0.5) * 1.0001)


class _Ticks:
    """Ticks from the first call of `begin` until the application quits."""

    def __init__(self) -> None:
        from PySide6.QtCore import Qt, QTimer

        self.gaps_ms: list[float] = []
        self._last = 0.0
        self._timer = QTimer(timerType=Qt.TimerType.PreciseTimer, interval=TICK_MS)
        self._timer.timeout.connect(self._tick)

    def begin(self) -> None:
        if not self._timer.isActive():
            self._last = time.perf_counter()
            self._timer.start()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.gaps_ms.append((now - self._last) * 1000)
        self._last = now


def _task(work: str, folder: Path) -> tuple[Callable[..., object], dict[str, object]]:
    from histoloop.gui.work import tasks

    if work == "predict":
        return tasks.predict, {"folder": folder, "slide_ids": None, "device": "cpu"}
    return tasks.retrain, {"folder": folder, "device": "cpu", "seed": 0, "epochs": EPOCHS}


def _in_thread(work: str, folder: Path) -> list[float]:
    import torch  # noqa: F401 - loading it is not what is measured
    from PySide6.QtCore import QCoreApplication, QTimer

    import histoloop.workflows.prediction.predict
    import histoloop.workflows.retraining.retrain  # noqa: F401
    from histoloop.progress import finish

    application, ticks = QCoreApplication([]), _Ticks()
    ticks.begin()
    if work == "idle":
        QTimer.singleShot(IDLE_MS, application.quit)
    else:
        task, arguments = _task(work, folder)

        def run() -> None:
            finish(task(**arguments))  # type: ignore[arg-type]
            application.quit()

        threading.Thread(target=run, daemon=True).start()
    application.exec()
    return ticks.gaps_ms


def _in_child(work: str, folder: Path) -> list[float]:
    from PySide6.QtCore import QCoreApplication, QTimer

    from histoloop.gui.work.jobs import Job, JobRunner

    application, ticks, runner = QCoreApplication([]), _Ticks(), JobRunner()
    ticks.begin()
    if work == "idle":
        QTimer.singleShot(IDLE_MS, application.quit)
    else:
        runner.ended.connect(application.quit)
        task, arguments = _task(work, folder)
        runner.submit(Job(work, task, arguments))  # type: ignore[arg-type]
    application.exec()
    runner.shut_down()
    return ticks.gaps_ms


def _in_window(work: str, folder: Path) -> list[float]:
    from PySide6.QtCore import QTimer

    from histoloop.gui.application import make_application
    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.window.main_window import MainWindow

    application, ticks = make_application(), _Ticks()
    window = MainWindow(Settings(folder.parent / "settings.ini"))
    window.show()
    window.session.open_project(folder)
    while window.opener.current is None:
        application.processEvents()
    window.viewer.wait_until_loaded()
    places = random.Random(0)

    def move() -> None:
        window.viewer.look_at(places.uniform(600, 2600), places.uniform(600, 1800), zoom=places.choice((0.3, 0.6, 1.0)))

    mover = QTimer(interval=MOVE_MS)
    mover.timeout.connect(move)
    mover.start()
    ticks.begin()
    if work == "idle":
        QTimer.singleShot(IDLE_MS, application.quit)
    else:
        window.session.jobs.ended.connect(lambda *_done: application.exit())  # quit() would ask the window first
        window.session.device = "cpu"
        if work == "predict":
            window.session.predict()
        else:
            window.session.retrain(epochs=EPOCHS)
    application.exec()
    gaps = list(ticks.gaps_ms)
    window.session.jobs.shut_down()
    window.close()
    return gaps


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))
