"""Slides in the window: called so that they are told apart, a DICOM series once, one that was replaced not shown."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from slide_writers import write_dicom

from histoloop.geometry import Region
from histoloop.progress import finish
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.workflows.projects import create_project, import_slides

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow


def paint(path: Path, *, seed: int, side: int = 300) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tissue = np.array((215, 140, 185)) + np.random.default_rng(seed).integers(-12, 13, (side, side, 3))
    Image.fromarray(tissue.astype(np.uint8)).save(path)
    return path


@pytest.fixture
def cohort(window: MainWindow, tmp_path: Path, qtbot) -> MainWindow:
    """The window on two slides of one name and a DICOM series of three files; the first slide on the screen."""
    for number in (1, 2):
        paint(tmp_path / "slides" / f"patient-{number}" / "slide.png", seed=number)
    scan = tmp_path / "slides" / "scan"
    scan.mkdir()
    tissue = np.full((256, 384, 3), (200, 120, 180), np.uint8)
    write_dicom(scan / "0.dcm", tissue, extra=[(0x40, 0x512, "LO", "B12-3")])
    write_dicom(scan / "1.dcm", tissue[::2, ::2].copy(), number=2, spacing_mm=0.001)
    write_dicom(scan / "2.dcm", tissue[:64, :64].copy(), number=3, kind="LABEL")
    with create_project(tmp_path / "project", name="Cohort", start=DEFAULT_MODEL) as project:
        assert len(finish(import_slides(project, [tmp_path / "slides"])).added) == 3
    assert window.session.open_project(tmp_path / "project")
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=30_000)
    return window


def listed(window: MainWindow) -> list[list[str]]:
    """The lines of each slide in the list."""
    return [text.splitlines()[:2] for text in window.slides_panel.list.texts()]


def test_slides_of_one_name_are_told_apart_and_a_dicom_series_is_one_slide(cohort: MainWindow, qtbot) -> None:
    names = ["patient-1/slide.png", "patient-2/slide.png", "B12-3"]
    assert [lines[0] for lines in listed(cohort)] == names
    dicom = cohort.session.slides()[2]
    cohort.slides_panel.choose(dicom.id)
    qtbot.waitUntil(lambda: cohort.opener.current == dicom.id, timeout=30_000)
    assert (dicom.width, dicom.height) == (384, 256)


def test_a_copy_of_a_slide_is_a_slide_of_its_own_and_told(cohort: MainWindow, tmp_path: Path, qtbot) -> None:
    shutil.copy(cohort.session.slides()[0].path, tmp_path / "copy.png")
    with qtbot.waitSignal(cohort.session.reported, timeout=60_000) as told:
        cohort.session.add_slides([tmp_path / "copy.png"])
    assert "It has the same content as patient-1/slide.png." in str(told.args[0])
    assert [slide.name for slide in cohort.session.slides()][3:] == ["copy.png"]


def test_another_file_in_the_place_of_a_slide_is_told_and_not_shown(cohort: MainWindow, tmp_path: Path, qtbot) -> None:
    second = cohort.session.slides()[1]
    shutil.copy(paint(tmp_path / "new.png", seed=9, side=200), second.path)
    cohort.session.slides_changed.emit()
    replaced = ["patient-2/slide.png", "Another file is in its place"]
    qtbot.waitUntil(lambda: listed(cohort)[1] == replaced, timeout=30_000)
    cohort.slides_panel.choose(second.id)
    empty = cohort.split.first.empty
    qtbot.waitUntil(lambda: empty.isVisible() and empty.reason.text() != "", timeout=30_000)
    assert empty.name.text() == "patient-2/slide.png"
    assert f"{second.path} is not the slide it should be: its content differs." in empty.reason.text()
    assert cohort.opener.current is None


def test_no_region_is_begun_on_a_slide_that_was_replaced_while_it_was_shown(
    cohort: MainWindow, tmp_path: Path, qtbot
) -> None:
    first = cohort.session.slides()[0]
    shutil.copy(paint(tmp_path / "new.png", seed=9), first.path)
    cohort.session.annotating.begin_region(first.id, Region(0, 0, 100, 100))
    qtbot.waitUntil(lambda: "its content differs" in cohort.banner.text.text(), timeout=30_000)
    assert cohort.session.active is None
