"""Files that nobody has opened yet are opened in the jobs' process; one that takes it down is named."""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from histoloop.gui.dialogs.report_dialog import ReportDialog
from histoloop.gui.work import importing, session
from histoloop.slides.reading import watch_reading

if TYPE_CHECKING:
    from histoloop.gui.window.main_window import MainWindow

JOB_MS = 240_000


@pytest.fixture
def crashing_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the jobs' process, files called crash… take it down."""
    monkeypatch.syspath_prepend(Path(__file__).parent)  # which that process takes over
    crashing = importlib.import_module("crashing")
    monkeypatch.setattr(importing.tasks, "add_slides", crashing.add_slides)
    monkeypatch.setattr(session.tasks, "predict", crashing.predict)


def wait_for_jobs(window: MainWindow, qtbot) -> None:
    qtbot.waitUntil(lambda: window.session.jobs.current is None, timeout=JOB_MS)


def shown_list(window: MainWindow) -> ReportDialog:
    """The whole list, as a click on the button of the message shows it."""
    assert window.banner.list_button.isVisible()
    QTest.mouseClick(window.banner.list_button, Qt.MouseButton.LeftButton)
    return next(widget for widget in QApplication.topLevelWidgets() if isinstance(widget, ReportDialog))


@pytest.mark.skipif(os.name != "posix", reason="a process ends by a signal on POSIX only")
@pytest.mark.usefixtures("entered")
def test_a_file_that_makes_its_reader_crash_is_named_and_the_import_goes_on(
    window: MainWindow, crashing_reader: None, slides: dict[str, Path], tmp_path: Path, qtbot
) -> None:
    window.session.predict_added = False
    folder = tmp_path / "new"
    folder.mkdir()
    for name in ("a.tiff", "crash-1.tiff", "killed.tiff", "z.tiff"):
        (folder / name).write_bytes(slides["benign"].read_bytes() + name.encode())
    window.opening.dropped([folder])
    qtbot.waitUntil(lambda: window.session.project is not None)
    wait_for_jobs(window, qtbot)
    assert [slide.name for slide in window.session.slides()] == ["a.tiff", "z.tiff"]
    said = window.banner.text.text()
    assert "2 slides were added. 2 slides were not added." in said
    assert f"The file {folder / 'crash-1.tiff'} made the reader crash" in said
    assert f"ended while it read {folder / 'killed.tiff'}" in said
    assert window.opener.wanted == window.session.slides()[0].id


@pytest.mark.skipif(os.name != "posix", reason="a process ends by a signal on POSIX only")
def test_a_slide_that_makes_its_reader_crash_is_left_out_of_a_prediction(
    opened: MainWindow, crashing_reader: None, slides: dict[str, Path], tmp_path: Path, qtbot
) -> None:
    project = opened.session.project
    for slide, name in zip(project.slides.all(), ("crash.tiff", "fine.tiff"), strict=True):
        shutil.copy(slide.path, tmp_path / name)
        project.slides.relocate(slide.id, tmp_path / name)
        project.slides.set_mpp(slide.id, 0.6)
    opened.session.predict()
    wait_for_jobs(opened, qtbot)
    assert [slide.predicted is not None for slide in project.slides.all()] == [False, True]
    said = opened.banner.text.text()
    assert "1 slide was not predicted." in said
    assert "crash.tiff made the reader crash" in said


@pytest.mark.usefixtures("entered")
def test_adding_and_opening_decode_no_file_in_the_windows_process_that_no_job_has_opened(
    window: MainWindow, slides: dict[str, Path], tmp_path: Path, qtbot
) -> None:
    read: list[Path] = []
    watch_reading(lambda path, *, begins: read.append(path) if begins else None)
    window.session.predict_added = False
    broken = tmp_path / "broken.svs"
    broken.write_bytes(b"II*\0 this is no slide")
    window.opening.dropped([broken, slides["benign"]])
    qtbot.waitUntil(lambda: window.session.project is not None)
    wait_for_jobs(window, qtbot)
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=JOB_MS)
    assert set(read) == {slides["benign"]}
    del read[:]
    folder = window.session.project.folder
    window.session.close_project()
    assert window.session.open_project(folder)
    window.session.find_moved(tmp_path)
    assert broken not in read


@pytest.mark.usefixtures("entered")
def test_what_was_passed_over_and_what_is_unusual_is_a_list_to_read_and_copy(
    window: MainWindow, slides: dict[str, Path], tmp_path: Path, qtbot
) -> None:
    window.session.predict_added = False
    folder = tmp_path / "of all kinds"
    folder.mkdir()
    shutil.copy(slides["benign"], folder / "plain.tiff")
    (folder / "notes.docx").write_bytes(b"PK text")
    (folder / "broken.svs").write_bytes(b"this is no slide")
    planes = np.random.default_rng(0).integers(0, 60_000, (4, 300, 400), np.uint16)
    names = [f"Marker {number}" for number in range(4)]
    tifffile.imwrite(folder / "fluorescence.ome.tif", planes, metadata={"axes": "CYX", "Channel": {"Name": names}})
    window.opening.dropped([folder])
    qtbot.waitUntil(lambda: window.session.project is not None)
    wait_for_jobs(window, qtbot)
    assert "2 slides were added. 1 slide was not added. 1 file was passed over." in window.banner.text.text()
    dialog = shown_list(window)
    text = dialog.text.toPlainText()
    for part in ("Not added (1)", "broken.svs", "Passed over (1)", "notes.docx", "Unusual slides (1)", "Marker 2"):
        assert part in text
    assert "never predicted" in text
    QTest.mouseClick(dialog.copy, Qt.MouseButton.LeftButton)
    copied = QGuiApplication.clipboard().text()
    assert "notes.docx\t" in copied
    dialog.close()
    unusual = next(slide for slide in window.session.slides() if slide.name.startswith("fluorescence"))
    window.slides_panel.choose(unusual.id)
    qtbot.waitUntil(lambda: window.opener.current == unusual.id, timeout=JOB_MS)
    note = window.slides_panel.details.note
    assert note.isVisible()
    assert "Marker 0" in note.text()
    assert "never predicted" in note.text()


def test_a_thumbnail_that_is_no_png_is_not_decoded(opened: MainWindow) -> None:
    from histoloop.gui.kit.widgets import picture_of

    thumbnail = opened.session.project.folder / "thumbnails" / "slide-1.png"
    assert not picture_of(thumbnail).isNull()
    thumbnail.write_text("<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'/>")
    assert picture_of(thumbnail).isNull()
