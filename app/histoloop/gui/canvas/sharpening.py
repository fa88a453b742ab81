"""A place of a slide, sharper step by step: a coarse level at once, then tiles of the fine one, nearest first.

What is on the screen comes first; what lies around it follows, so that small moves need nothing new.
"""

from __future__ import annotations

import math
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.geometry import Region
from histoloop.gui.canvas.composing import OverlayStyle
from histoloop.gui.canvas.rendering import SlideScene, View, Window, view_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from histoloop.slides.reader import Pixels

MARGIN = 0.3
"""Share of the visible width and height that is rendered around it, so that small moves need nothing new."""

FINE_ENOUGH = 1.15
"""A level whose pixels are so many screen pixels wide is sharp."""

CHEAP = 8
"""A coarse level is shown first where it decodes so many times fewer pixels than the fine one."""

PATIENCE_S = 0.1
"""Until the second picture of a place that is not sharp yet; each one after it takes twice as long as the one before.

To paint a picture takes time too, a good part of this where no graphics card does it.
"""

_THREADS = 4


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of a level of a slide."""

    level: int
    row: int
    column: int


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """What is to be seen: a level-0 rectangle at `downsample` level-0 pixels per screen pixel.

    Tiles nearest to `pointer` (x, y, level-0 pixels) come first. `at_once` wants something on the screen before it is
    sharp: not where a sharp picture of the same place, of other masks say, is there to wait on.
    """

    scene: SlideScene
    visible: Region
    downsample: float
    style: OverlayStyle
    pointer: tuple[float, float]
    at_once: bool = True


def level_for(scene: SlideScene, downsample: float) -> int:
    """The level that is sharp on a screen whose pixels are `downsample` level-0 pixels wide."""
    return scene.pyramid.level_for(downsample * FINE_ENOUGH)


def coarse_level(scene: SlideScene, level: int) -> int | None:
    """The finest level above one that takes much less work; None where there is none."""
    pyramid = scene.pyramid
    fine = pyramid.decoded_downsample(level)
    for coarser in range(level + 1, len(pyramid.levels)):
        if (pyramid.decoded_downsample(coarser) / fine) ** 2 >= CHEAP:
            return coarser
    return None


def tiles_of(scene: SlideScene, window: Window, pointer: tuple[float, float]) -> list[Tile]:
    """The tiles that a window touches, the nearest to a place (x, y, level-0 pixels) first."""
    size, grid = scene.pyramid.tile_px, scene.pyramid.levels[window.level]
    rows = range(max(0, window.y // size), min(grid.rows, -(-(window.y + window.height) // size)))
    columns = range(max(0, window.x // size), min(grid.columns, -(-(window.x + window.width) // size)))
    x, y = pointer[0] / window.downsample / size, pointer[1] / window.downsample / size
    tiles = [Tile(window.level, row, column) for row in rows for column in columns]
    return sorted(tiles, key=lambda tile: math.hypot(tile.row + 0.5 - y, tile.column + 0.5 - x))


class Sharpener:
    """Renders wishes on threads of its own, one wish at a time."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1), thread_name_prefix="histoloop-tiles")

    def views(self, wish: Wish, go_on: Callable[[], bool]) -> Iterator[View]:
        """Pictures of the place, sharper and sharper, then with what lies around it; until `go_on` says no."""
        scene, level = wish.scene, level_for(wish.scene, wish.downsample)
        window = scene.window(wish.visible, level)
        around = scene.window(_around(wish), level)
        coarse: View | None = None
        if wish.at_once and not self._has_all(wish, window) and (coarser := coarse_level(scene, level)) is not None:
            coarse = scene.render(wish.visible, scene.pyramid.levels[coarser].downsample, wish.style)
            yield replace(coarse, is_sharp=False)
        if window == around or not self._has_all(wish, around):
            yield from self._sharper(wish, window, coarse, go_on)
        if window != around and go_on():
            yield from self._sharper(wish, around, None, go_on)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)

    def _sharper(self, wish: Wish, window: Window, coarse: View | None, go_on: Callable[[], bool]) -> Iterator[View]:
        """A window as its tiles come, over the pixels of a coarse view; without one only when all of it is there."""
        scene, size = wish.scene, wish.scene.pyramid.tile_px
        coming: dict[Future[Pixels], Tile] = {}
        try:
            for tile in tiles_of(scene, window, wish.pointer):
                coming[self._threads.submit(scene.pyramid.read_tile, tile.level, tile.row, tile.column)] = tile
            overlay, no_masks = scene.overlay(window, wish.style)
            shown = _enlarged(coarse, window)
            last, patience = time.monotonic(), PATIENCE_S
            left = len(coming)
            for done in as_completed(coming):
                if not go_on():
                    return
                tile, left = coming[done], left - 1
                part, x, y = _inside(window, done.result(), x=tile.column * size, y=tile.row * size)
                pixels = overlay.over(scene.seen(part, wish.style), x=x, y=y)
                shown[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
                if left and coarse is not None and time.monotonic() - last > patience:
                    yield view_of(window, shown.copy(), no_masks, overlay, is_sharp=False)
                    last, patience = time.monotonic(), 2 * patience
            yield view_of(window, shown, no_masks, overlay)
        finally:
            for each in coming:
                each.cancel()
            for each in coming:  # what runs reads the slide, which may be closed next
                if not each.cancelled():
                    each.exception()

    @staticmethod
    def _has_all(wish: Wish, window: Window) -> bool:
        """Whether all pixels of a window are in memory."""
        tiles = tiles_of(wish.scene, window, wish.pointer)
        return all(wish.scene.pyramid.has_tile(tile.level, tile.row, tile.column) for tile in tiles)


def _around(wish: Wish) -> Region:
    margin = math.ceil(MARGIN * max(wish.visible.width, wish.visible.height))
    return wish.visible.grown(margin).intersection(wish.scene.slide.extent) or wish.visible


def _enlarged(coarse: View | None, window: Window) -> Pixels:
    """The pixels of a coarse view at a window's size; white without one."""
    if coarse is None:
        return np.full((window.height, window.width, 3), 255, np.uint8)
    place = window.place
    left, top = (place.x - coarse.x) / coarse.downsample, (place.y - coarse.y) / coarse.downsample
    right, bottom = left + place.width / coarse.downsample, top + place.height / coarse.downsample
    height, width = coarse.pixels.shape[:2]
    box = (max(0.0, left), max(0.0, top), min(width, right), min(height, bottom))
    picture = Image.fromarray(coarse.pixels).resize((window.width, window.height), Image.Resampling.BILINEAR, box=box)
    return np.array(picture)


def _inside(window: Window, pixels: Pixels, *, x: int, y: int) -> tuple[Pixels, int, int]:
    """What of a tile at (x, y, in pixels of the level) is in a window, and where (column, row) in the window."""
    left, top = max(0, window.x - x), max(0, window.y - y)
    part = pixels[top : window.y + window.height - y, left : window.x + window.width - x]
    return part, x + left - window.x, y + top - window.y
