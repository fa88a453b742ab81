"""Reports for people, by mouse and keyboard: which slides, as which files, and where they went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyboard import bring_up
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog

from histoloop.gui.dialogs.pages_dialog import PagesDialog

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from PySide6.QtWidgets import QWidget

    from histoloop.gui.window.main_window import MainWindow

LEFT = Qt.MouseButton.LeftButton


def press_box(box: QWidget) -> None:
    QTest.mouseClick(box, LEFT, pos=QPoint(8, box.height() // 2))


def asked(opened: MainWindow, out: Path, qtbot, monkeypatch: pytest.MonkeyPatch, choose) -> None:
    """Press the keys, let `choose` act on the dialog, wait for the files."""
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(out))
    done = []

    def act() -> None:
        (dialog,) = [one for one in QApplication.topLevelWidgets() if isinstance(one, PagesDialog) and one.isVisible()]
        bring_up(dialog)
        choose(dialog)
        done.append(True)
        QTest.mouseClick(dialog.write, LEFT)

    QTimer.singleShot(500, act)
    bring_up(opened)
    QTest.keyClick(opened, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: bool(done), timeout=60_000)
    qtbot.waitUntil(lambda: opened.session.jobs.current is None and out.is_dir(), timeout=400_000)


def test_the_project_and_its_slides_are_written_as_chosen(
    opened: MainWindow, tmp_path: Path, qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, could = tmp_path / "out", []

    def choose(dialog: PagesDialog) -> None:
        press_box(dialog.formats["pdf"])
        could.append(dialog.write.isEnabled())
        press_box(dialog.formats["html"])
        press_box(dialog.formats["pdf"])
        press_box(dialog.all)
        could.append(dialog.write.isEnabled())

    asked(opened, out, qtbot, monkeypatch, choose)
    assert could == [False, True]
    names = sorted(path.name for path in out.iterdir())
    assert names == [
        f"{name}.{kind}" for name in ("benign-report", "malignant-report", "report") for kind in ("html", "pdf")
    ]
    assert opened.banner.text.text() == f"6 files written to {out}."


def test_the_slide_in_hand_alone_can_be_written(
    opened: MainWindow, tmp_path: Path, qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    asked(opened, out, qtbot, monkeypatch, lambda dialog: press_box(dialog.some))
    assert [path.name for path in out.iterdir()] == ["benign-report.pdf"]
