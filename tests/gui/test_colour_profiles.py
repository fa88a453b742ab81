"""A slide is seen in the colours that its profile means, on wish; what is read of it stays as it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from made_profile import make_profile
from PIL import Image
from PySide6.QtGui import QImage

from histoloop.progress import finish
from histoloop.slides.colour_profile import ColourProfile
from histoloop.slides.synthetic import SyntheticSpec, SyntheticTissue
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.workflows.projects import create_project, import_slides

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow

MS = 30_000
SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")
"""A folder for pictures of the window, for whoever wants to look at them."""

PROFILE = make_profile(gamma=1.6, order="brg")


@pytest.fixture
def profiled(window: MainWindow, tmp_path: Path, qtbot) -> MainWindow:
    """The window on a picture without a profile; the second one of its project has the made-up one."""
    tissue = SyntheticTissue(SyntheticSpec(seed=4, width=640, height=420))
    pixels, _mask = tissue.read(tissue.extent)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "b.png", icc_profile=PROFILE)
    with create_project(tmp_path / "project", name="Colours", start=DEFAULT_MODEL) as project:
        finish(import_slides(project, [tmp_path / "a.png", tmp_path / "b.png"], mpp=0.5))
    assert window.session.open_project(tmp_path / "project")
    show(window, "a.png", qtbot)
    return window


def show(window: MainWindow, name: str, qtbot) -> int:
    slide = next(slide for slide in window.session.project.slides.all() if slide.name == name)
    window.slides_panel.choose(slide.id)
    qtbot.waitUntil(lambda: window.opener.current == slide.id, timeout=MS)
    assert window.viewer.wait_until_loaded()
    return slide.id


def canvas(window: MainWindow) -> np.ndarray:
    """Mean colour around the middle of the canvas."""
    assert window.viewer.wait_until_loaded()
    image = window.viewer.canvas.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    pixels = rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)
    middle = pixels[image.height() // 2 - 20 :, image.width() // 2 - 20 :][:40, :40]
    return middle.reshape(-1, 3).mean(axis=0)


def picture(window: MainWindow, name: str) -> None:
    if SHOTS:
        window.grab().save(f"{SHOTS}/{name}.png")


def test_a_slide_without_a_profile_says_why_there_is_nothing_to_choose(profiled: MainWindow) -> None:
    action = profiled.actions_["correct_colours"]
    assert not action.isEnabled()
    assert not action.isChecked()
    assert "contains no usable colour profile" in action.toolTip()


def test_colours_by_the_profile_change_what_is_seen_and_nothing_that_is_read(profiled: MainWindow, qtbot) -> None:
    show(profiled, "b.png", qtbot)
    action, slide = profiled.actions_["correct_colours"], profiled.viewer.scene.slide
    assert action.isEnabled()
    assert not action.isChecked()
    assert "contains no" not in action.toolTip()
    before, read = canvas(profiled), slide.read_scaled(0, 0, 200, 150, downsample=2.1)
    picture(profiled, "as-it-is")
    action.trigger()
    expected = ColourProfile(PROFILE).to_srgb(before.round().astype(np.uint8)[None, None])[0, 0]
    assert np.abs(expected - before).max() > 20
    np.testing.assert_allclose(canvas(profiled), expected, atol=8)  # the mean of colours is not the colour of the mean
    picture(profiled, "by-its-profile")
    np.testing.assert_array_equal(slide.read_scaled(0, 0, 200, 150, downsample=2.1), read)
    action.trigger()
    np.testing.assert_allclose(canvas(profiled), before, atol=1)


def test_another_slide_without_a_profile_is_seen_as_it_is(profiled: MainWindow, qtbot) -> None:
    plain = canvas(profiled)
    show(profiled, "b.png", qtbot)
    profiled.actions_["correct_colours"].trigger()
    assert np.abs(canvas(profiled) - plain).max() > 20
    show(profiled, "a.png", qtbot)
    np.testing.assert_allclose(canvas(profiled), plain, atol=1)
    assert not profiled.actions_["correct_colours"].isEnabled()
