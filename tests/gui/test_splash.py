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
