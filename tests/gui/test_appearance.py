"""The picture of a slide can be changed: brightness, contrast, gamma, one stain alone. Models see nothing of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import press_for
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from skimage.color import hed2rgb, rgb2hed

from histoloop.geometry import Region
from histoloop.gui.canvas.appearance import NEUTRAL, Appearance, Stain, adjusted
from histoloop.gui.canvas.plates.appearance_badge import in_words
from histoloop.progress import finish
from histoloop.store.project import Project
from histoloop.workflows.projects import import_slides

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow

MS = 20_000
SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")
"""A folder for pictures of the window, for whoever wants to look at them."""

GREYS = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)


def shoot(window: MainWindow, name: str) -> None:
    if SHOTS:
        window.grab().save(f"{SHOTS}/{name}.png")


def test_a_neutral_appearance_leaves_pixels_as_they_are() -> None:
    assert adjusted(GREYS, NEUTRAL) is GREYS
    assert NEUTRAL.is_neutral
    assert in_words(NEUTRAL) == ""


def test_brightness_moves_contrast_spreads_around_the_middle_and_gamma_bends() -> None:
    def values(**changes: float) -> list[int]:
        return adjusted(GREYS, Appearance(**changes))[0, [0, 64, 128, 192, 255], 0].tolist()

    assert values(brightness=0.2) == [51, 115, 179, 243, 255]
    assert values(contrast=0.25) == [0, 38, 128, 219, 255]
    assert values(contrast=-0.5) == [64, 96, 128, 160, 191]
    assert values(gamma=2.0) == [0, 128, 181, 221, 255]


@pytest.mark.parametrize(("stain", "place"), [(Stain.HAEMATOXYLIN, 0), (Stain.EOSIN, 1), (Stain.DAB, 2)])
def test_a_stain_alone_is_that_of_scikit_image(stain: Stain, place: int) -> None:
    pixels = np.random.default_rng(2).integers(30, 256, (40, 50, 3), np.uint8)
    stains = rgb2hed(pixels)
    alone = np.zeros_like(stains)
    alone[..., place] = stains[..., place]
    wanted = 255 * hed2rgb(alone)
    assert np.abs(adjusted(pixels, Appearance(stain=stain)) - wanted).max() <= 8
    assert np.abs(adjusted(pixels, Appearance(stain=stain)) - wanted).mean() < 1


def test_what_is_changed_is_said_in_words() -> None:
    changed = Appearance(brightness=0.2, contrast=-0.1, gamma=1.5, stain=Stain.EOSIN)
    assert in_words(changed) == "Eosin, brightness +20%, contrast -10%, gamma 1.50"


# --- in the window ----------------------------------------------------------------------------------------------------


def middle(window: MainWindow) -> np.ndarray:
    """Mean colour around the middle of the canvas."""
    assert window.viewer.wait_until_loaded()
    image = window.viewer.canvas.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    pixels = rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)
    return pixels[image.height() // 2 - 60 :, image.width() // 2 - 60 :][:120, :120].reshape(-1, 3).mean(axis=0)


def test_a_slider_changes_the_picture_at_once_says_so_and_reset_brings_it_back(opened: MainWindow, qtbot) -> None:
    press_for(opened, "show_masks")
    before = middle(opened)
    badge = opened.split.first.badge
    assert not badge.isVisible()
    press_for(opened, "appearance")
    dialog = opened.look_control.dialog
    assert dialog.isVisible()
    assert "Models predict from the slide as it is" in dialog.note.text()
    dialog.brightness.setFocus()
    for _ in range(3):
        QTest.keyClick(dialog.brightness, Qt.Key.Key_PageDown)
    assert dialog.brightness.value() == -30
    qtbot.waitUntil(lambda: middle(opened).mean() < before.mean() - 60, timeout=MS)
    assert badge.isVisible()
    assert badge.text.text() == "Picture changed: brightness -30%"
    shoot(opened, "appearance-brightness")
    if SHOTS:
        dialog.grab().save(f"{SHOTS}/appearance-dialog.png")
    QTest.mouseClick(badge.reset, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: np.allclose(middle(opened), before), timeout=MS)
    assert not badge.isVisible()
    assert dialog.brightness.value() == 0
    dialog.close()


def test_stains_are_stepped_through_by_key_on_the_slide_its_map_and_beside_it(opened: MainWindow, qtbot) -> None:
    press_for(opened, "show_masks")
    before = middle(opened)
    press_for(opened, "compare")
    qtbot.waitUntil(lambda: opened.split.second is not None and opened.split.second.opener.current is not None)
    overviews = []
    opened.viewer.overview_came.connect(overviews.append)
    press_for(opened, "next_stain")
    assert opened.split.first.badge.text.text() == "Picture changed: Haematoxylin"
    qtbot.waitUntil(lambda: not np.allclose(middle(opened), before, atol=10), timeout=MS)
    second = opened.split.second
    assert second.badge.isVisible()
    assert second.viewer.wait_until_loaded()
    shoot(opened, "appearance-haematoxylin")
    assert overviews
    for _ in range(3):
        press_for(opened, "next_stain")
    assert not second.badge.isVisible()
    assert opened.overlay_panel.overlay_style.appearance == NEUTRAL


def test_where_a_slide_is_not_brightfield_no_stain_and_no_prediction_is_offered(
    window: MainWindow, project_folder: Path, qtbot, tmp_path: Path
) -> None:
    grey, opened = tmp_path / "grey.png", window
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400), np.uint8)).save(grey)
    with Project.open(project_folder) as project:
        finish(import_slides(project, [grey]))
        of_grey = next(one.id for one in project.slides.all() if one.name == "grey.png")
    opened.session.predict_added = False
    assert opened.session.open_project(project_folder)
    qtbot.waitUntil(lambda: opened.opener.current is not None, timeout=MS)
    press_for(opened, "appearance")
    press_for(opened, "next_stain")
    assert opened.split.first.badge.isVisible()
    while opened.opener.current != of_grey:
        press_for(opened, "next_slide")
        qtbot.waitUntil(lambda: not opened.opener.busy, timeout=MS)
    assert opened.overlay_panel.overlay_style.appearance == NEUTRAL
    assert not opened.look_control.dialog.stain.isEnabled()
    press_for(opened, "next_stain")
    assert opened.overlay_panel.overlay_style.appearance == NEUTRAL
    assert "stains" in opened.actions_["next_stain"].toolTip()
    missing = opened.overlay_panel.chooser.missing
    assert missing.text.text() == "This slide is not brightfield: it is shown, but never predicted."
    assert not missing.this_slide.isVisible()
    opened.look_control.dialog.close()


def test_the_picture_stays_changed_while_a_region_is_painted_and_tools_read_the_slide_as_it_is(
    painting: MainWindow, qtbot
) -> None:
    read = []
    region = painting.viewer.annotating
    painting.viewer.read_pixels(region, on_done=read.append, on_failed=read.append)
    qtbot.waitUntil(lambda: len(read) == 1, timeout=MS)
    press_for(painting, "next_stain")
    assert painting.split.first.badge.isVisible()
    assert painting.viewer.wait_until_loaded()
    shown = painting.viewer._shown.view
    assert shown.covers(Region(region.x + 5, region.y + 5, region.width - 10, region.height - 10))
    painting.viewer.read_pixels(region, on_done=read.append, on_failed=read.append)
    qtbot.waitUntil(lambda: len(read) == 2, timeout=MS)
    assert np.array_equal(read[0].pixels, read[1].pixels)
    assert not np.array_equal(shown.pixels[: read[0].pixels.shape[0], : read[0].pixels.shape[1]], read[0].pixels)
    shoot(painting, "appearance-painting")


def test_another_session_begins_with_slides_as_they_are(opened: MainWindow, delete_window, qtbot) -> None:
    press_for(opened, "next_stain")
    settings = opened.settings
    assert opened.close()
    again = type(opened)(settings)
    try:
        assert again.overlay_panel.overlay_style.appearance == NEUTRAL
    finally:
        delete_window(again)
