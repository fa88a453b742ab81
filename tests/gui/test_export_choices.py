"""Export with choices: slides, classes, who drew, files and tables, by mouse and keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from keyboard import bring_up
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog

from histoloop.gui.dialogs.export_dialog import ExportDialog
from histoloop.language import speak

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PySide6.QtWidgets import QWidget

    from histoloop.gui.window.main_window import MainWindow

LEFT = Qt.MouseButton.LeftButton


def press_box(box: QWidget) -> None:
    QTest.mouseClick(box, LEFT, pos=QPoint(8, box.height() // 2))


def test_what_is_chosen_by_mouse_and_keyboard_is_what_is_written(
    opened: MainWindow, tmp_path: Path, qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(out))
    seen: list[tuple[str, bool]] = []

    def choose() -> None:
        (dialog,) = [one for one in QApplication.topLevelWidgets() if isinstance(one, ExportDialog) and one.isVisible()]
        bring_up(dialog)
        seen.append((dialog.missing.text(), dialog.export.isEnabled()))
        for hand in dialog.hands.values():
            press_box(hand)
        seen.append((dialog.missing.text(), dialog.export.isEnabled()))
        press_box(dialog.hands["model"])
        press_box(dialog.formats["png"])
        press_box(dialog.formats["tiff"])
        dialog.slides.setFocus()
        dialog.slides.setCurrentRow(1)
        QTest.keyClick(dialog.slides, Qt.Key.Key_Space)
        dialog.table.setFocus()
        QTest.keyClick(dialog.table, Qt.Key.Key_End)
        QTest.mouseClick(dialog.export, LEFT)

    QTimer.singleShot(500, choose)
    bring_up(opened)
    QTest.keyClick(opened, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: bool(seen), timeout=10_000)
    qtbot.waitUntil(lambda: opened.session.jobs.current is None and (out / "areas.csv").exists(), timeout=120_000)
    assert seen == [("The tables are always written.", True), ("Choose at least one of those who drew.", False)]
    names = sorted(path.name for path in out.iterdir())
    assert names == ["annotations.csv", "areas.csv", "benign.geojson", "summary.csv"]
    assert (out / "summary.csv").read_bytes().startswith(b"\xef\xbb\xbfslide;")


@pytest.fixture
def german() -> Iterator[None]:
    speak("de")
    yield
    speak("en")


@pytest.mark.usefixtures("german")
def test_a_german_window_offers_the_table_that_its_excel_opens(opened: MainWindow, qtbot) -> None:
    slides = opened.session.project.slides.all()
    dialog = ExportDialog(opened, slides=slides, chosen=[slides[0].id, slides[1].id], classes=["gland"])
    qtbot.addWidget(dialog)
    assert dialog.table.currentData() == "excel-semicolon"
    assert dialog.choices().slide_ids == {slide.id for slide in slides}
