"""Export with choices: slides, classes, who drew, files and tables, by mouse and keyboard."""

from __future__ import annotations

import dataclasses
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


@pytest.mark.usefixtures("german")
def test_a_german_window_exports_what_its_excel_opens_without_being_asked(
    opened: MainWindow, tmp_path: Path, qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(out))
    bring_up(opened)
    QTest.keyClick(opened, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: opened.session.jobs.current is None and (out / "areas.csv").exists(), timeout=120_000)
    assert (out / "areas.csv").read_bytes().startswith(b"\xef\xbb\xbfslide;polygon;")


def test_one_of_very_many_slides_is_chosen_with_two_clicks_and_long_names_are_shortened(
    opened: MainWindow, qtbot
) -> None:
    (first, *_others) = opened.session.project.slides.all()
    long = "1.2.840.113619.2.55.3.604688119.971.1268059" * 6 + ".dcm"
    slides = [dataclasses.replace(first, id=number, name=f"{number}-{long}") for number in range(300)]
    dialog = ExportDialog(opened, slides=slides, chosen=[], classes=["gland"])
    qtbot.addWidget(dialog)
    dialog.show()
    bring_up(dialog)
    assert dialog.all_slides.checkState() is Qt.CheckState.Checked
    assert not dialog.slides.horizontalScrollBar().isVisible()
    assert dialog.slides.item(7).toolTip().replace("\N{ZERO WIDTH SPACE}", "").endswith(".dcm")
    press_box(dialog.all_slides)
    assert dialog.missing.text() == "Choose at least one slide."
    dialog.slides.setFocus()
    dialog.slides.setCurrentRow(7)
    QTest.keyClick(dialog.slides, Qt.Key.Key_Space)
    assert dialog.all_slides.checkState() is Qt.CheckState.PartiallyChecked
    assert dialog.choices().slide_ids == {7}
    press_box(dialog.all_slides)
    assert len(dialog.choices().slide_ids) == 300
