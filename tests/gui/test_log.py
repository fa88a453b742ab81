"""The window's log and the report for support."""

from __future__ import annotations

from typing import TYPE_CHECKING

import histoloop
from histoloop.log import FILE, log_folder, logging_to_file

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from histoloop.gui.window.main_window import MainWindow

JOB_MS = 120_000


def test_a_report_for_support_is_saved_where_the_user_says(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot
) -> None:
    from histoloop.gui.window import help_commands

    path = tmp_path / "report.txt"
    monkeypatch.setattr(help_commands.QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    with logging_to_file("window"):
        window.actions_["save_report"].trigger()
        qtbot.waitUntil(window.banner.isVisible, timeout=JOB_MS)
    assert window.banner.text.text() == f"The report is in {path}."
    report = path.read_text(encoding="utf-8")
    assert f"HistoLoop {histoloop.__version__}" in report
    assert "window starts" in report
    assert str(tmp_path) not in report


def test_jobs_are_logged_by_their_process_with_their_duration(
    window: MainWindow, project_folder: Path, tmp_path: Path, qtbot
) -> None:
    window.session.open_project(project_folder)
    with qtbot.waitSignal(window.session.jobs.busy_changed, check_params_cb=lambda busy: not busy, timeout=JOB_MS):
        window.session.export(tmp_path / "out")
    log = (log_folder() / FILE).read_text(encoding="utf-8")
    assert "jobs starts: HistoLoop" in log
    assert "export begins" in log
    assert "export done in" in log
    assert "benign" not in log  # the names of slides
