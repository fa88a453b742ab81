"""The heatmap has a legend: its colours, their values, and what they are values of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from keyboard import press_for
from PySide6.QtGui import QColor

from histoloop.exchange.heat import STOPS
from histoloop.gui.canvas.composing import OverlayStyle
from histoloop.gui.canvas.plates.heatmap_legend import BAR_HEIGHT_PX, meaning

if TYPE_CHECKING:
    from histoloop.gui.window.main_window import MainWindow

MS = 10_000
SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")
"""A folder for pictures of the window, for whoever wants to look at them."""


@pytest.mark.parametrize(
    ("style", "words"),
    [
        (OverlayStyle(), "Probability of the classes"),
        (OverlayStyle(method="decoder", heat_of="tumour"), "Probability of tumour"),
        (OverlayStyle(method="cam"), "Class activation map: for the most likely class"),
        (OverlayStyle(method="cam", label="Polyp"), "Class activation map: for Polyp"),
        (OverlayStyle(method="min-max"), "Min-max evidence: for the classes"),
        (OverlayStyle(method="min-max", against=True), "Min-max evidence: against the classes"),
    ],
)
def test_the_legend_says_what_the_heatmap_shows(style: OverlayStyle, words: str) -> None:
    assert meaning(style) == words


def test_the_legend_is_there_with_the_heatmap_and_follows_what_it_shows(opened: MainWindow, qtbot) -> None:
    legend = opened.split.first.legend
    assert not legend.isVisible()
    press_for(opened, "show_heatmap")
    qtbot.waitUntil(legend.isVisible, timeout=MS)
    assert legend.words == "Probability of the classes"
    assert legend.threshold == 0.5
    assert legend.accessibleName() == "Legend of the heatmap: Probability of the classes"
    if SHOTS:
        opened.grab().save(f"{SHOTS}/legend.png")
    image = legend.grab().toImage()
    row = 5 + 18 + BAR_HEIGHT_PX // 2
    seen = [QColor(image.pixel(column, row)).getRgb()[:3] for column in (13, image.width() - 14)]
    assert seen[0] == pytest.approx(STOPS[0], abs=12)
    assert seen[1] == pytest.approx(STOPS[-1], abs=12)
    press_for(opened, "show_masks")
    qtbot.waitUntil(lambda: legend.threshold is None, timeout=MS)
    press_for(opened, "next_method")
    qtbot.waitUntil(lambda: legend.words.startswith("Class activation map"), timeout=MS)
    press_for(opened, "show_heatmap")
    qtbot.waitUntil(lambda: not legend.isVisible(), timeout=MS)


def test_each_canvas_has_the_legend_of_its_own_method(opened: MainWindow, qtbot) -> None:
    press_for(opened, "show_heatmap")
    press_for(opened, "compare")
    qtbot.waitUntil(lambda: opened.split.second is not None, timeout=MS)
    qtbot.waitUntil(lambda: opened.split.second.legend.isVisible(), timeout=MS)
    assert opened.split.second.legend.words != opened.split.first.legend.words
    if SHOTS:
        opened.grab().save(f"{SHOTS}/legend-beside.png")
