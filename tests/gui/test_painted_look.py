"""What is painted looks as masks look: outlines, opacity and colours; and they stand out from stained tissue."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyboard import press_for
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QColorDialog, QPushButton

from histoloop.annotations.palette import GLAND, MAX_CLASSES, TUMOUR, default_colours
from histoloop.annotations.records import LEFT_OUT_VALUE, ClassScheme, Counts, LabelClass, MaskClass, rgb
from histoloop.gui.canvas.borders import DARK, ENOUGH, LIGHT, TISSUE, Border, borders, contrast, outline_of
from histoloop.gui.canvas.composing import ClassStyle, OverlayStyle
from histoloop.gui.canvas.painted_look import CLEAR, line_px, painted_look
from histoloop.gui.mouse import drag

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow

SHOTS = os.environ.get("HISTOLOOP_SHOTS")
"""A folder that pictures of the window are saved in, to be looked at."""

MS = 10_000
SCHEME = ClassScheme((LabelClass("tumour", "tumour"),), (MaskClass("gland", "#2a9d8f"), MaskClass("tumour", "#d1495b")))


def shoot(window: MainWindow, name: str) -> None:
    if SHOTS:
        window.grab().save(f"{SHOTS}/{name}.png")


@pytest.mark.parametrize("colour", [*default_colours(MAX_CLASSES), GLAND.colour, TUMOUR.colour, "#ff0000"])
def test_an_outline_stands_out_from_glass_eosin_and_nuclei_in_its_own_colour(colour: str) -> None:
    outline = outline_of(colour)
    assert outline.line == colour
    parts = [part for part in (outline.line, outline.outside, outline.inside) if part is not None]
    assert min(max(contrast(part, ground) for part in parts) for ground in TISSUE) >= ENOUGH
    assert contrast(outline.line, outline.outside) >= ENOUGH


@given(st.integers(0, 0xFFFFFF), st.sampled_from(TISSUE))
def test_any_colour_has_an_outline_that_stands_out(colour: int, ground: str) -> None:
    outline = outline_of(f"#{colour:06x}")
    assert max(contrast(part, ground) for part in (outline.line, outline.outside, outline.inside) if part) >= ENOUGH


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


def test_a_line_is_inside_its_class_with_a_hairline_on_either_side() -> None:
    mask = np.zeros((12, 14), np.uint8)
    mask[3:10, 3:14] = 5
    kind, owner = borders(mask, line_px=2, hairline_px=1)
    assert kind[6].tolist() == [0, 0, 2, 1, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0]
    assert kind[:, 8].tolist() == [0, 0, 2, 1, 1, 3, 0, 3, 1, 1, 2, 0]
    assert set(np.unique(owner[kind == Border.OUTSIDE])) == {5}


def test_two_classes_side_by_side_have_a_line_each_and_no_hairline_between() -> None:
    mask = np.repeat(np.array([1, 2], np.uint8), 6)[None].repeat(3, axis=0)
    kind, owner = borders(mask, line_px=2, hairline_px=1)
    assert kind[1].tolist() == [0, 0, 0, 3, 1, 1, 1, 1, 3, 0, 0, 0]
    assert owner[1].tolist() == mask[1].tolist()


def test_a_painted_class_is_filled_as_strong_as_masks_are_and_outlined_or_hidden_as_they_are() -> None:
    style = OverlayStyle((ClassStyle("#2a9d8f"), ClassStyle("#0072b2", filled=False)), opacity=0.2)
    look = painted_look(SCHEME, Counts.REGION, style)
    assert look.colours[1] == (*(part / 255 for part in rgb("#2a9d8f")), 0.2)
    assert look.colours[2][3] == 0
    mask = np.zeros((20, 20), np.uint8)
    mask[5:15, 5:15] = 2
    number = look.numbered(mask, 1)
    assert look.colours[int(number[5, 10])] == (*(part / 255 for part in rgb("#0072b2")), 1.0)
    assert look.colours[int(number[4, 10])] == (*(part / 255 for part in rgb(LIGHT)), 1.0)
    assert look.colours[int(number[6, 10])] == (*(part / 255 for part in rgb(DARK)), 1.0)
    hidden = painted_look(SCHEME, Counts.REGION, OverlayStyle((ClassStyle("#2a9d8f"), ClassStyle("#0072b2", False))))
    assert set(np.unique(hidden.numbered(mask, 1))) == {0, 2}
    assert hidden.colours[2] == CLEAR
    off = painted_look(SCHEME, Counts.STROKES, OverlayStyle(masks=False))
    assert set(off.colours.values()) == {CLEAR}


def test_what_was_left_out_has_no_outline() -> None:
    look = painted_look(SCHEME, Counts.STROKES, OverlayStyle((ClassStyle("#2a9d8f"),)))
    mask = np.zeros((8, 8), np.uint8)
    mask[:, 4:] = LEFT_OUT_VALUE
    assert np.array_equal(look.numbered(mask, 2), mask)


@pytest.mark.parametrize(("zoom", "wide"), [(4.0, 1), (1.0, 2), (0.9, 4), (0.5, 4), (0.26, 8), (0.001, 32)])
def test_lines_keep_their_width_on_the_screen(zoom: float, wide: int) -> None:
    assert line_px(zoom) == wide


# --- in the window ----------------------------------------------------------------------------------------------------


def colour_at(window: MainWindow, x: float, y: float) -> tuple[int, int, int]:
    """The colour on the screen at a place of the slide."""
    image = window.viewer.canvas.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    place = window.viewer.to_canvas(x, y) * image.devicePixelRatio()
    return QColor(image.pixel(round(place.x()), round(place.y()))).getRgb()[:3]


@pytest.fixture
def square(painting: MainWindow, qtbot) -> Callable[[], tuple[int, int, int]]:
    """The colour on the screen in the middle of a square of the second class; all else is empty."""
    painting.annotation_panel.choose_class(2)
    mask = np.zeros_like(painting.viewer.painted_mask)
    middle = mask.shape[0] // 2, mask.shape[1] // 2
    mask[middle[0] - 60 : middle[0] + 60, middle[1] - 60 : middle[1] + 60] = 2
    painting.viewer.replace_mask(mask)
    region = painting.viewer.annotating
    return lambda: colour_at(painting, region.x + middle[1] + 0.5, region.y + middle[0] + 0.5)


def near(colour: tuple[int, int, int], other: str) -> bool:
    return max(abs(a - b) for a, b in zip(colour, rgb(other), strict=True)) <= 4


def test_opacity_outlines_and_masks_are_those_of_the_panel_while_one_paints(
    painting: MainWindow, square: Callable[[], tuple[int, int, int]], qtbot
) -> None:
    panel, colour = painting.overlay_panel, painting.overlay_panel.overlay_style.classes[1].colour
    panel.opacity.setFocus()
    QTest.keyClick(panel.opacity, Qt.Key.Key_End)
    qtbot.waitUntil(lambda: near(square(), colour), timeout=MS)
    shoot(painting, "painting-opaque")
    QTest.keyClick(panel.opacity, Qt.Key.Key_Home)
    qtbot.waitUntil(lambda: not near(square(), colour), timeout=MS)
    tissue = square()
    panel.opacity.setValue(100)
    QTest.mouseClick(panel.outlines, Qt.MouseButton.LeftButton, pos=panel.outlines.rect().center())
    qtbot.waitUntil(lambda: square() == tissue, timeout=MS)
    shoot(painting, "painting-outlines")
    press_for(painting, "show_outlines")
    qtbot.waitUntil(lambda: near(square(), colour), timeout=MS)
    press_for(painting, "show_masks")
    qtbot.waitUntil(lambda: square() == tissue, timeout=MS)


def test_the_outline_of_a_painted_square_is_in_its_colour_between_hairlines(
    painting: MainWindow, square: Callable[[], tuple[int, int, int]], qtbot
) -> None:
    region, mask = painting.viewer.annotating, painting.viewer.painted_mask
    row, column = (int(places.min()) for places in np.nonzero(mask == 2))
    outline = outline_of(painting.overlay_panel.overlay_style.classes[1].colour)
    place = region.x + column + 60, region.y + row
    wide = line_px(painting.viewer.camera().zoom)
    qtbot.waitUntil(lambda: near(colour_at(painting, place[0], place[1] + wide / 2), outline.line), timeout=MS)
    assert near(colour_at(painting, place[0], place[1] - wide / 2), outline.outside)
    assert near(colour_at(painting, place[0], place[1] + 1.05 * wide), outline.inside)


def test_painting_brings_hidden_masks_and_the_hidden_class_back_into_sight(
    painting: MainWindow, square: Callable[[], tuple[int, int, int]], qtbot
) -> None:
    panel = painting.overlay_panel
    press_for(painting, "show_masks")
    panel._change_class(1, visible=False)
    assert not panel.masks.isChecked()
    x, y = painting.viewer.annotating.centre
    drag(painting.viewer.canvas, [painting.viewer.to_canvas(x - 90 + step * 5, y - 90) for step in range(9)])
    qtbot.waitUntil(panel.masks.isChecked, timeout=MS)
    assert panel.overlay_style.classes[1].visible
    assert painting.actions_["show_masks"].isChecked()


def test_a_colour_chosen_in_the_panel_is_that_of_what_is_painted(
    painting: MainWindow, square: Callable[[], tuple[int, int, int]], qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    painting.overlay_panel.opacity.setValue(100)
    monkeypatch.setattr(QColorDialog, "getColor", lambda *_: QColor("#0072b2"))
    buttons = [each for each in painting.overlay_panel.findChildren(QPushButton) if each.toolTip().startswith("Colour")]
    QTest.mouseClick(buttons[1], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: near(square(), "#0072b2"), timeout=MS)
    qtbot.waitUntil(lambda: painting.session.project.scheme.masks[1].colour == "#0072b2", timeout=MS)
    assert near(square(), "#0072b2")


def test_what_is_chosen_is_there_after_a_restart(
    opened: MainWindow, delete_window, project_folder: Path, qtbot
) -> None:
    panel = opened.overlay_panel
    panel.opacity.setValue(70)
    panel.heat_opacity.setValue(20)
    press_for(opened, "show_heatmap")
    panel._change_class(0, visible=False)
    panel._change_class(1, filled=False)
    settings = opened.settings
    assert opened.close()
    again = type(opened)(settings)
    try:
        again.show()
        assert again.session.open_project(project_folder)
        panel = again.overlay_panel
        assert (panel.opacity.value(), panel.heat_opacity.value(), panel.heatmap.isChecked()) == (70, 20, True)
        assert again.actions_["show_heatmap"].isChecked()
        assert [(each.visible, each.filled) for each in panel.overlay_style.classes] == [(False, True), (True, False)]
        qtbot.waitUntil(lambda: again.opener.current is not None, timeout=MS)
    finally:
        delete_window(again)
