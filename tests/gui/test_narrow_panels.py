"""A screen of 1280 x 800, in the languages with long words: no control of a panel is cut off or squeezed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from histoloop.progress import finish
from histoloop.slides.synthetic import SyntheticSpec, write_synthetic_slide
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.workflows.projects import create_project, import_slides

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCREEN = "1280x800x24"

SCRIPT = """
import json, sys, time, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtWidgets import (
    QAbstractButton, QAbstractScrollArea, QAbstractSlider, QAbstractSpinBox, QApplication, QComboBox, QLabel, QLineEdit,
    QTabBar,
)
from histoloop.gui.application import make_application, speak_as_chosen
from histoloop.gui.kit.settings import Settings
from histoloop.gui.window.main_window import MainWindow
from histoloop.geometry import Region

project, settings, language, shots = sys.argv[1:]
application, kept = make_application(), Settings(Path(settings))
kept.set("learn_live", False)
kept.set("language", language)
speak_as_chosen(application, kept)
window = MainWindow(kept)
window.showMaximized()
screen = window.screen().geometry()
window.setGeometry(screen)
window.session.open_project(Path(project))
CONTROLS = (QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox, QLabel, QLineEdit)


def until(condition):
    end = time.monotonic() + 90
    while not condition() and time.monotonic() < end:
        application.processEvents()
        time.sleep(0.01)


def turn():
    for _ in range(10):
        application.processEvents()
        time.sleep(0.01)


def room_of(widget):
    \"\"\"What a control can be seen in: the nearest viewport that does not scroll sideways, or the panel.\"\"\"
    part = widget.parentWidget()
    while part is not None and not part.isWindow():
        area = part.parentWidget()
        if isinstance(area, QAbstractScrollArea) and part is area.viewport():
            return part
        if part.objectName() == "panel" or isinstance(part, QTabBar):
            room = part
        part = part.parentWidget()
    return window


def is_of_program(widget):
    return not isinstance(widget.parentWidget(), (QComboBox, QAbstractSpinBox, QTabBar)) and not any(
        "napari" in type(each).__module__ or "vispy" in type(each).__module__ for each in parents(widget)
    )


def parents(widget):
    while widget is not None:
        yield widget
        widget = widget.parentWidget()


def name_of(widget):
    text = widget.text() if hasattr(widget, "text") else ""
    if isinstance(widget, QComboBox):
        text = widget.currentText()
    return f"{type(widget).__name__} {widget.objectName()} {text or widget.accessibleName() or widget.toolTip()}"[:90]


def wrong(state):
    found = []
    for widget in window.findChildren(object):
        if not isinstance(widget, CONTROLS) or not widget.isVisible() or not is_of_program(widget):
            continue
        room = room_of(widget)
        place = QRect(widget.mapTo(room, QPoint(0, 0)), widget.size())
        if place.left() < 0 or place.right() > room.width() - 1:
            found.append(f"{state}: {name_of(widget)} reaches from {place.left()} to {place.right()} of {room.width()}")
        least = widget.minimumWidth() or widget.minimumSizeHint().width()
        if widget.width() < least:
            found.append(f"{state}: {name_of(widget)} has {widget.width()} of {least}")
    return found


def shoot(name):
    if shots:
        window.screen().grabWindow(0).save(f"{shots}/narrow-{language}-{name}.png")


until(lambda: window.opener.current is not None)
window.viewer.wait_until_loaded()
found = wrong("begun")
shoot("begun")
tabs = window.work
for index in range(tabs.count()):
    tabs.setCurrentIndex(index)
    turn()
    found += wrong(f"tab {index}")
    shoot(f"tab{index}")
tabs.setCurrentIndex(0)
window.session.annotating.begin_region(window.opener.current, Region(100, 100, 300, 300))
until(lambda: window.viewer.annotating is not None)
window.viewer.wait_until_loaded()
turn()
found += wrong("painting")
shoot("painting")
size = [window.width(), window.height(), screen.width(), screen.height()]
print(json.dumps({"size": size, "found": found}))
sys.stdout.flush()
window.session.jobs.shut_down()
window.close()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One slide, which no model has predicted yet: that is said, and buttons offer it."""
    folder = tmp_path_factory.mktemp("narrow")
    spec = SyntheticSpec(seed=0, width=1500, height=1500, mpp=0.5, label="mixed")
    finish(write_synthetic_slide(folder / "slide.tiff", spec))
    with create_project(folder / "project", name="Narrow", start=DEFAULT_MODEL) as made:
        finish(import_slides(made, [folder / "slide.tiff"]))
        return made.folder


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment with a screen of that size."""
    if shutil.which("Xvfb") is None:
        pytest.skip("no virtual display is installed")
    number = tmp_path_factory.mktemp("screen") / "number"
    with number.open("w") as file:
        server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(file.fileno()), "-screen", "0", SCREEN, "-nolisten", "tcp", "-noreset"],
            pass_fds=(file.fileno(),),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        while not number.read_text().endswith("\n"):
            assert server.poll() is None, "the virtual display did not start"
        shown = {"DISPLAY": f":{number.read_text().strip()}", "QT_QPA_PLATFORM": "xcb", "LIBGL_ALWAYS_SOFTWARE": "1"}
        yield {key: value for key, value in os.environ.items() if key != "WAYLAND_DISPLAY"} | shown
    finally:
        server.terminate()
        server.wait()


@pytest.mark.parametrize("language", ["de", "fr"])
def test_no_control_of_a_panel_is_cut_off_or_squeezed(
    screen: dict[str, str], project: Path, tmp_path: Path, language: str
) -> None:
    script = tmp_path / "narrow.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            str(script),
            str(project),
            str(tmp_path / "narrow.ini"),
            language,
            os.environ.get("HISTOLOOP_SHOTS", ""),
        ],
        capture_output=True,
        text=True,
        env=screen | {"HISTOLOOP_HOME": str(tmp_path / "home")},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["size"][2:] == [1280, 800]
    assert found["size"][0] <= 1280
    assert found["size"][1] <= 800
    assert found["found"] == []
