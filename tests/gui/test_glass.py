"""Label and macro pictures are shown on request, after a warning, and go nowhere else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from keyboard import bring_up
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

import histoloop
from histoloop.errors import SlideError
from histoloop.gui.dialogs.glass_dialog import GlassDialog
from histoloop.progress import finish
from histoloop.slides.glass import LABEL, MACRO, read_glass_pictures
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.workflows.projects import create_project, import_slides

if TYPE_CHECKING:
    from histoloop.gui.window.main_window import MainWindow

MS = 30_000
SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")
"""A folder for pictures of the window, for whoever wants to look at them."""

LABEL_PIXELS = np.full((60, 50, 3), (250, 240, 90), np.uint8)
MACRO_PIXELS = np.full((40, 120, 3), (90, 160, 250), np.uint8)


@pytest.fixture
def scanned(tmp_path: Path) -> Path:
    """A slide as an Aperio scanner writes it, with pictures of label and glass."""
    name, options = "Aperio Image Library v11.2.1", {"photometric": "rgb", "compression": "deflate", "metadata": None}
    pixels = np.random.default_rng(1).integers(150, 250, (512, 640, 3), np.uint8)
    with tifffile.TiffWriter(tmp_path / "scanned.svs") as tiff:
        tiff.write(pixels, tile=(64, 64), description=f"{name}\r\n640x512 -> x|AppMag = 40|MPP = 0.25", **options)
        tiff.write(pixels[::8, ::8], description=f"{name}\r\n640x512 -> thumbnail", **options)
        for kind, (title, picture) in ((1, ("label", LABEL_PIXELS)), (9, ("macro", MACRO_PIXELS))):
            size = f"{picture.shape[1]}x{picture.shape[0]}"
            tiff.write(picture, description=f"{name}\r\n{title} {size}", subfiletype=kind, **options)
    return tmp_path / "scanned.svs"


def test_label_and_macro_are_read_from_the_file(scanned: Path) -> None:
    pictures = read_glass_pictures(scanned)
    assert list(pictures) == [LABEL, MACRO]
    assert np.array_equal(pictures[LABEL], LABEL_PIXELS)
    assert np.array_equal(pictures[MACRO], MACRO_PIXELS)


def test_a_file_without_them_has_none_and_a_broken_one_says_so(tmp_path: Path, scanned: Path) -> None:
    Image.fromarray(LABEL_PIXELS).save(tmp_path / "plain.png")
    assert read_glass_pictures(tmp_path / "plain.png") == {}
    with tifffile.TiffFile(scanned) as tiff:
        start, length = tiff.pages[2].dataoffsets[0], tiff.pages[2].databytecounts[0]
    content = scanned.read_bytes()
    scanned.write_bytes(content[:start] + bytes(length) + content[start + length :])
    with pytest.raises(SlideError, match="it cannot be read"):
        read_glass_pictures(scanned)


def test_nothing_but_the_dialog_reads_them() -> None:
    source = Path(histoloop.__file__).parent
    users = {path.name for path in source.rglob("*.py") if "read_glass_pictures" in path.read_text("utf-8")}
    users |= {path.name for path in source.rglob("*.py") if "associated_pictures" in path.read_text("utf-8")}
    assert users == {"openslide_source.py", "glass.py", "glass_dialog.py"}


@pytest.fixture
def dialog(window: MainWindow, scanned: Path, tmp_path: Path, qtbot) -> GlassDialog:
    """The dialog as the menu opens it, on a project with the scanned slide."""
    with create_project(tmp_path / "project", name="Glass", start=DEFAULT_MODEL) as project:
        finish(import_slides(project, [scanned]))
    assert window.session.open_project(tmp_path / "project")
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=MS)
    window.actions_["show_glass"].trigger()
    found = window.findChild(GlassDialog)
    qtbot.waitUntil(found.isVisible, timeout=MS)
    return found


def test_the_pictures_are_there_only_after_the_warning_was_agreed_to(
    dialog: GlassDialog, tmp_path: Path, qtbot
) -> None:
    assert "may show a patient's name" in dialog.state.text()
    assert not dialog.pictures
    before = {path for path in (tmp_path / "project").rglob("*") if path.is_file()}
    if SHOTS:
        dialog.grab().save(f"{SHOTS}/glass-asks.png")
    QTest.mouseClick(dialog.show_them, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(dialog.pictures) == 2, timeout=MS)
    assert dialog.pictures[LABEL].pixmap().toImage().pixelColor(5, 5).getRgb()[:3] == (250, 240, 90)
    assert dialog.pictures[MACRO].pixmap().toImage().pixelColor(5, 5).getRgb()[:3] == (90, 160, 250)
    if SHOTS:
        dialog.grab().save(f"{SHOTS}/glass-shown.png")
    added = {path for path in (tmp_path / "project").rglob("*") if path.is_file()} - before
    assert not [path for path in added if path.suffix in (".png", ".jpg", ".tiff")]
    assert "label" not in "".join(path.read_text("utf-8") for path in (tmp_path / "home").rglob("*.log"))
    dialog.close()


def test_return_closes_the_warning_without_the_pictures(dialog: GlassDialog, qtbot) -> None:
    bring_up(dialog)
    closed = []
    dialog.finished.connect(closed.append)
    QTest.keyClick(dialog, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(closed) == 1, timeout=MS)
