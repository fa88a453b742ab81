"""The splash comes before all that takes long to load."""

from __future__ import annotations

import subprocess
import sys

from histoloop.gui.splash import Splash


def test_the_splash_is_loaded_without_napari_and_the_window() -> None:
    script = (
        "import sys\nimport histoloop.gui.application\n"
        "print([m for m in ('napari', 'torch', 'histoloop.gui.window.main_window') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_splash_is_on_the_screen_when_loading_begins(qtbot) -> None:
    splash = Splash()
    qtbot.addWidget(splash)
    splash.show_at_once()
    assert splash.windowHandle().isExposed()
    assert not splash.grab().toImage().allGray()


def test_the_windows_program_tells_its_start_times_and_ends(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HISTOLOOP_HOME", str(tmp_path / "home"))
    times = tmp_path / "times.json"
    script = f"from histoloop.gui.application import main; raise SystemExit(main(['--start-times', {str(times)!r}]))"
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)
    assert '"splash_s"' in times.read_text("utf-8")


def test_the_first_window_is_seen_without_napari_and_its_canvas_is_made_afterwards(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HISTOLOOP_HOME", str(tmp_path / "home"))
    script = f"""
import sys, time
from pathlib import Path
from histoloop.gui.application import make_application
from histoloop.gui.kit.settings import Settings
from histoloop.gui.window.main_window import MainWindow
application = make_application()
window = MainWindow(Settings(Path({str(tmp_path / "settings.ini")!r})))
window.show()
print(window.welcome.demo.isVisible(), window.viewer.has_canvas, "napari" in sys.modules)
end = time.monotonic() + 120
while not window.viewer.has_canvas and time.monotonic() < end:
    application.processEvents()
    time.sleep(0.01)
print(window.viewer.has_canvas, window.viewer.canvas_rect.size() == window.viewer.canvas.size())
window.close()
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "False", "True", "True"]


def test_a_window_that_is_closed_while_its_canvas_is_on_the_way_ends_in_peace(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HISTOLOOP_HOME", str(tmp_path / "home"))
    script = f"""
from pathlib import Path
from PySide6.QtCore import QTimer
from histoloop.gui.application import make_application
from histoloop.gui.kit.settings import Settings
from histoloop.gui.window.main_window import MainWindow
application = make_application()
window = MainWindow(Settings(Path({str(tmp_path / "settings.ini")!r})))
window.show()
window.viewer.make_canvas_soon()
QTimer.singleShot(0, window.close)
application.exec()
print(window.viewer.has_canvas)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
