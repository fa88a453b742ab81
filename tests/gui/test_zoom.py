"""A place of a slide on the screen: coarse at once, then sharp, nearest to the pointer first, then what is around."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.geometry import Region
from histoloop.gui.canvas.composing import ClassStyle, OverlayStyle, overlay_of
from histoloop.gui.canvas.rendering import SCREEN_TILE_PX, SlideScene, Window
from histoloop.gui.canvas.sharpening import Sharpener, Wish, coarse_level, level_for, tiles_of
from histoloop.slides.pyramid import TilePyramid
from histoloop.slides.reader import open_slide

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow

VISIBLE = Region(900, 700, 700, 500)
POINTER = (1500.0, 1100.0)


@pytest.fixture(scope="module")
def slide_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide in tiles with levels of 1 and 4."""
    path = tmp_path_factory.mktemp("zoom") / "slide.tiff"
    cells = np.random.default_rng(3).integers(90, 250, (69, 94, 3), np.uint8)
    pixels = cells.repeat(32, axis=0).repeat(32, axis=1)[:2200, :3000]
    with tifffile.TiffWriter(path) as tiff:
        for downsample in (1, 4):
            tiff.write(
                pixels[::downsample, ::downsample],
                tile=(256, 256),
                photometric="rgb",
                compression="zlib",
                subfiletype=int(downsample > 1),
                resolution=(20_000 / downsample, 20_000 / downsample),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    return path


@pytest.fixture
def scene(slide_file: Path) -> Iterator[SlideScene]:
    """That slide, with a mask in the middle."""
    found = SlideScene(TilePyramid(open_slide(slide_file), tile_px=SCREEN_TILE_PX))
    assert len(found.slide.level_downsamples) == 2
    found.scheme = ClassScheme((LabelClass("tumour", "tumour"),), (MaskClass("tumour", "#e76f51"),))
    found.annotated = [(Region(1000, 800, 300, 200), np.ones((200, 300), np.uint8))]
    yield found
    found.close()


@pytest.fixture
def sharpener() -> Iterator[Sharpener]:
    made = Sharpener()
    yield made
    made.close()


STYLE = OverlayStyle((ClassStyle("#e76f51"),))


def test_a_place_that_was_not_read_is_shown_coarse_then_sharp_then_with_its_surroundings(
    scene: SlideScene, sharpener: Sharpener
) -> None:
    wish = Wish(scene, VISIBLE, 1.0, STYLE, POINTER)
    first, *later = sharpener.views(wish, lambda: True)
    assert not first.is_sharp
    assert first.downsample == 4
    assert first.covers(VISIBLE)
    sharp = [view for view in later if view.is_sharp]
    assert [view.downsample for view in sharp] == [1, 1]
    assert (sharp[0].x, sharp[0].y, *sharp[0].pixels.shape) == (900, 700, 500, 700, 3)
    assert sharp[1].covers(VISIBLE.grown(200))
    np.testing.assert_array_equal(sharp[0].pixels, scene.render(VISIBLE, 1.0, STYLE).pixels)
    np.testing.assert_array_equal(sharp[1].pixels[210:710, 210:910], sharp[0].pixels)


def test_a_place_in_memory_is_sharp_at_once(scene: SlideScene, sharpener: Sharpener) -> None:
    wish = Wish(scene, VISIBLE, 1.0, STYLE, POINTER)
    list(sharpener.views(wish, lambda: True))
    again, around = sharpener.views(wish, lambda: True)
    assert again.is_sharp
    assert (again.x, again.y, *again.pixels.shape) == (900, 700, 500, 700, 3)
    assert around.is_sharp
    assert around.covers(VISIBLE.grown(200))


def test_what_lies_over_a_place_is_made_while_its_coarse_picture_is_looked_at(
    scene: SlideScene, sharpener: Sharpener, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Window] = []
    laid, overlay = threading.Event(), SlideScene.overlay

    def noting(self: SlideScene, window: Window, style: OverlayStyle) -> object:
        found = overlay(self, window, style)
        made.append(window)
        if window.downsample == 1:
            laid.set()
        return found

    monkeypatch.setattr(SlideScene, "overlay", noting)
    views = sharpener.views(Wish(scene, VISIBLE, 1.0, STYLE, POINTER), lambda: True)
    assert next(views).downsample == 4
    assert laid.wait(10)  # though nobody asks for the sharp picture yet
    views.close()
    assert [window.downsample for window in made if window.downsample == 1] == [1]


def test_a_sharp_picture_is_not_made_coarse_by_another_mask(scene: SlideScene, sharpener: Sharpener) -> None:
    wish = Wish(scene, VISIBLE, 1.0, STYLE, POINTER, at_once=False)
    assert all(view.is_sharp for view in sharpener.views(wish, lambda: True))


def test_tiles_nearest_to_the_pointer_are_read_first(
    scene: SlideScene, sharpener: Sharpener, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = scene.window(VISIBLE, 0)
    tiles = tiles_of(scene, window, POINTER)
    assert len(tiles) == 12
    middles = [((tile.column + 0.5) * SCREEN_TILE_PX, (tile.row + 0.5) * SCREEN_TILE_PX) for tile in tiles]
    distances = [np.hypot(x - POINTER[0], y - POINTER[1]) for x, y in middles]
    assert distances == sorted(distances)
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr(TilePyramid, "read_tile", _noting(asked, TilePyramid.read_tile))
    wish = Wish(scene, VISIBLE, 1.0, STYLE, POINTER, at_once=False)
    next(sharpener.views(wish, lambda: True))
    assert sorted(asked) == sorted((tile.level, tile.row, tile.column) for tile in tiles)
    assert asked[0] == (tiles[0].level, tiles[0].row, tiles[0].column)


def _noting(asked, read):
    def noting(pyramid, level, row, column):
        asked.append((level, row, column))
        return read(pyramid, level, row, column)

    return noting


def test_nothing_more_is_read_once_something_else_is_wanted(scene: SlideScene, sharpener: Sharpener) -> None:
    wish = Wish(scene, VISIBLE, 1.0, STYLE, POINTER)
    answers = iter([True, False])
    views = list(sharpener.views(wish, lambda: next(answers, False)))
    assert not any(view.is_sharp for view in views)


def test_a_level_is_coarse_where_it_takes_much_less_work(scene: SlideScene) -> None:
    assert level_for(scene, 1.0) == 0
    assert level_for(scene, 1.8) == 1  # 1.1 screen pixels wide is sharp
    assert scene.pyramid.levels[coarse_level(scene, 0)].downsample == 4
    assert coarse_level(scene, len(scene.pyramid.levels) - 1) is None


def test_an_overlay_laid_over_piece_by_piece_is_that_of_the_whole() -> None:
    chosen = np.random.default_rng(5)
    pixels = chosen.integers(0, 256, (40, 60, 3), np.uint8)
    mask = chosen.integers(0, 3, (40, 60)).astype(np.uint8).repeat(1, axis=0)
    heat, left_out = chosen.random((40, 60)).astype(np.float32), mask == 0
    style = OverlayStyle((ClassStyle("#e76f51"), ClassStyle("#264653", filled=False)), heatmap=True)
    whole = overlay_of(style, mask=mask, foreground=heat, left_out=left_out, corner=(7, 3)).over(pixels)
    overlay = overlay_of(style, mask=mask, foreground=heat, left_out=left_out, corner=(7, 3))
    part = overlay.over(pixels[10:30, 20:50], x=20, y=10)
    np.testing.assert_array_equal(part, whole[10:30, 20:50])


def test_the_wheel_zooms_to_the_pointer_and_the_slide_is_sharp_there(opened: MainWindow, qtbot) -> None:
    viewer = opened.viewer
    before, place = viewer.visible_region(), QPointF(viewer.canvas.width() * 0.7, viewer.canvas.height() * 0.6)
    under = viewer.to_slide(place)
    seen: list[bool] = []
    viewer.rendered.connect(lambda view: seen.append(view.is_sharp))
    for _ in range(4):
        turn_wheel(viewer.canvas, place)
    qtbot.waitUntil(lambda: viewer.visible_region().width < before.width / 1.5, timeout=10_000)
    qtbot.waitUntil(lambda: viewer.is_sharp, timeout=20_000)
    assert seen[-1]
    assert viewer.to_slide(place) == pytest.approx(under, abs=3 / viewer.camera().zoom)


def turn_wheel(canvas, place: QPointF) -> None:
    """One notch of the wheel away from the user, at a place of the canvas."""
    there = QPointF(canvas.mapToGlobal(place.toPoint()))
    turned = QWheelEvent(
        place,
        there,
        QPoint(0, 0),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(canvas, turned)
    QApplication.processEvents()
