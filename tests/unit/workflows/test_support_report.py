"""The report for support: versions, the machine and the log in one file, without paths and names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import histoloop
from histoloop.errors import ExportError
from histoloop.log import FILE
from histoloop.progress import finish
from histoloop.workflows import support_report
from histoloop.workflows.doctor import Finding
from histoloop.workflows.support_report import save_support_report

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HISTOLOOP_HOME", str(tmp_path))
    found = [Finding("GPU", "note", "none", "Use the processor."), Finding("Disk", "ok", "5 GB free at /home/hans")]
    monkeypatch.setattr(support_report, "examine", lambda: found)
    (tmp_path / "logs").mkdir()
    return tmp_path


def test_versions_machine_and_log_are_in_one_file_without_paths(home: Path) -> None:
    (home / "logs" / f"{FILE}.1").write_text("first line\n", encoding="utf-8")
    (home / "logs" / FILE).write_text("second line about /data/Hans Müller/slide.svs\n", encoding="utf-8")
    path = finish(save_support_report(home / "report.txt"))
    text = path.read_text(encoding="utf-8")
    assert f"HistoLoop {histoloop.__version__}" in text
    assert "note     GPU: none\n         Use the processor." in text
    assert text.index("first line") < text.index("second line about <path>.svs")
    assert "hans" not in text.casefold()


def test_a_machine_without_a_log_gets_a_report_all_the_same(home: Path) -> None:
    text = finish(save_support_report(home / "report.txt")).read_text(encoding="utf-8")
    assert "Log, the last 0 lines" in text


def test_only_the_last_lines_of_a_long_log_are_taken(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support_report, "LAST_LINES", 3)
    (home / "logs" / FILE).write_text("\n".join(f"line {number}" for number in range(9)), encoding="utf-8")
    text = finish(save_support_report(home / "report.txt")).read_text(encoding="utf-8")
    assert text.endswith("Log, the last 3 lines\nline 6\nline 7\nline 8\n")


def test_a_report_that_cannot_be_written_is_explained(home: Path) -> None:
    with pytest.raises(ExportError, match=r"The report cannot be written to .*"):
        finish(save_support_report(home / "missing" / "report.txt"))
