"""A screen of 1600 x 1000 at scale factor 2, which is 800 x 500: all fits on it, and Done is in sight."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import json, sys, time, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from PySide6.QtCore import QLocale, QPoint, QRect, QTranslator
from PySide6.QtWidgets import QDialog
from histoloop.gui.application import make_application, speak_as_chosen
from histoloop.gui.dialogs.new_project import NewProjectDialog
from histoloop.gui.kit.settings import Settings
from histoloop.gui.window.main_window import MainWindow

project, settings, language, shot = sys.argv[1:]
application, kept = make_application(), Settings(Path(settings))
kept.set("learn_live", False)
kept.set("language", language)
speak_as_chosen(application, kept)
window = MainWindow(kept)
window.show()
window.session.open_project(Path(project))

def until(condition):
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        application.processEvents()
        time.sleep(0.01)

until(lambda: window.opener.current is not None)
window.actions_["next_question"].trigger()
until(lambda: window.viewer.annotating is not None)
window.viewer.wait_until_loaded()
panel = window.annotation_panel

def seen(widget):
    return widget.visibleRegion().boundingRect() == widget.rect()

def corner(widget):
    return [widget.mapToGlobal(QPoint(0, 0)).x(), widget.mapToGlobal(QPoint(0, 0)).y(), widget.width(), widget.height()]

screen = window.screen().geometry()
found = {
    "ratio": window.devicePixelRatioF(),
    "screen": [screen.width(), screen.height()],
    "window": list(window.frameGeometry().getRect()),
    "minimum": list(window.minimumSizeHint().toTuple()),
    "done": corner(panel.finish),
    "hidden": [name for name in ("finish", "accept", "leave", "skip", "cannot_tell") if not seen(getattr(panel, name))],
    "scrolls": window.work.questions.currentWidget().area.verticalScrollBar().maximum() > 0,
    "canvas": list(window.viewer.canvas_rect.size().toTuple()),
}
if shot:
    window.grab().save(shot)
panel.size_picker.setFocus()
window.work.questions.currentWidget().area.ensureWidgetVisible(panel.size_picker)
application.processEvents()
found["last of the body in sight"] = seen(panel.size_picker)
window.session.annotating.leave()
until(lambda: window.viewer.annotating is None)
for name in ("about", "first_steps", "shortcuts", "classes"):
    window.actions_[name].trigger()
NewProjectDialog(window, place=Path.home()).show()
application.processEvents()
dialogs = [shown for shown in application.topLevelWidgets() if isinstance(shown, QDialog) and shown.isVisible()]
found["dialogs"] = {type(shown).__name__: [shown.width(), shown.height()] for shown in dialogs}
print(json.dumps(found))
sys.stdout.flush()
window.session.jobs.shut_down()
window.close()
"""


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_at_scale_2_the_window_fits_the_screen_and_done_is_in_sight(
    project_folder: Path, tmp_path: Path, language: str
) -> None:
    script = tmp_path / "small.py"
    script.write_text(SCRIPT, encoding="utf-8")
    shots = os.environ.get("HISTOLOOP_SHOTS", "")
    shot = f"{shots}/small-{language}.png" if shots else ""
    done = subprocess.run(
        [sys.executable, str(script), str(project_folder), str(tmp_path / "small.ini"), language, shot],
        capture_output=True,
        text=True,
        env=os.environ | {"QT_SCALE_FACTOR": "2", "HISTOLOOP_HOME": str(tmp_path / "home")},
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    width, height = found["screen"]
    if (found["ratio"], width, height) != (2.0, 800, 500):
        pytest.skip(f"this screen is {width} x {height} at {found['ratio']}, not 800 x 500 at 2")
    assert found["window"][2] <= width, found
    assert found["window"][3] <= height, found
    assert found["minimum"][0] <= width, found
    assert found["minimum"][1] <= height, found
    left, top, wide, high = found["done"]
    assert left >= 0, found
    assert top >= 0, found
    assert left + wide <= width, found
    assert top + high <= height, found
    assert found["hidden"] == []
    assert found["scrolls"]
    assert found["last of the body in sight"]
    assert min(found["canvas"]) > 200
    assert len(found["dialogs"]) == 5, found
    assert all(wide <= width and high <= height for wide, high in found["dialogs"].values()), found
