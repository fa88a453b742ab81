"""The borders of a model's masks are rounded on wish: on the screen alone, and never what a person painted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import bring_up
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.geometry import Region
from histoloop.gui.canvas.composing import ClassStyle, OverlayStyle
from histoloop.gui.canvas.rendering import SlideScene
from histoloop.slides.pyramid import TilePyramid
from histoloop.slides.reader import open_slide
from histoloop.workflows.contents.masks import MapView

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow

MS = 20_000
SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")
"""A folder for pictures of the window, for whoever wants to look at them."""

SIDE = 120
STYLE = OverlayStyle((ClassStyle("#e76f51"),))
SMOOTH = OverlayStyle((ClassStyle("#e76f51"),), smooth=True)


class Jagged:
    """Masks with a border of teeth, 4 pixels wide, and a speck."""

    def view(self, _place: Region, size: tuple[int, int], _style: OverlayStyle) -> MapView:
        mask = np.zeros((size[1], size[0]), np.uint8)
        mask[:, :50] = 1
        mask[::8, 50:58] = mask[1::8, 50:58] = mask[2::8, 50:58] = mask[3::8, 50:58] = 1
        mask[20:23, 90:93] = 1
        return MapView(mask.astype(np.float32), mask)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[SlideScene]:
    Image.fromarray(np.full((SIDE, SIDE, 3), 230, np.uint8)).save(tmp_path / "a.png")
    found = SlideScene(TilePyramid(open_slide(tmp_path / "a.png", mpp=0.5)))
    found.scheme = ClassScheme((LabelClass("tumour", "tumour"),), (MaskClass("tumour", "#e76f51"),))
    found.predicted = Jagged()  # type: ignore[assignment]
    yield found
    found.close()


def mask_of(scene: SlideScene, style: OverlayStyle) -> np.ndarray:
    overlay, _missing = scene.overlay(scene.window(Region(0, 0, SIDE, SIDE), 0), style)
    assert overlay.mask is not None
    return overlay.mask


def test_teeth_and_specks_of_a_models_mask_go_and_its_area_stays(scene: SlideScene) -> None:
    before, after = mask_of(scene, STYLE), mask_of(scene, SMOOTH)
    assert len(np.unique((before[20:100] > 0)[:, :70].sum(axis=1))) == 2
    assert np.ptp((after[20:100] > 0)[:, :70].sum(axis=1)) <= 1
    assert not after[:, 80:].any()
    assert after.sum() == pytest.approx(before.sum(), rel=0.02)


def test_what_a_person_painted_is_shown_as_it_is(scene: SlideScene) -> None:
    painted = Jagged().view(Region(0, 0, 1, 1), (SIDE, SIDE), STYLE).mask
    scene.annotated = [(Region(0, 0, SIDE, SIDE), painted)]
    assert np.array_equal(mask_of(scene, SMOOTH), painted)


def test_the_box_in_the_panel_rounds_the_masks_on_the_screen_and_is_remembered(opened: MainWindow, qtbot) -> None:
    panel, viewer = opened.overlay_panel, opened.viewer
    before = viewer._shown.view
    bring_up(opened)
    QTest.mouseClick(panel.smooth, Qt.MouseButton.LeftButton, pos=QPoint(8, panel.smooth.height() // 2))
    assert panel.smooth.isChecked()
    assert viewer.wait_until_loaded()
    after = viewer._shown.view
    assert after.pixels.shape == before.pixels.shape
    assert not np.array_equal(after.overlay.mask, before.overlay.mask)
    assert _border(after.overlay.mask) < 0.9 * _border(before.overlay.mask)
    if SHOTS:
        opened.grab().save(f"{SHOTS}/smooth.png")
    opened.look_control.keep()
    assert opened.settings.flag("smooth_masks", default=False)


def _border(mask: np.ndarray) -> int:
    return int(np.count_nonzero(mask[1:] != mask[:-1]) + np.count_nonzero(mask[:, 1:] != mask[:, :-1]))
