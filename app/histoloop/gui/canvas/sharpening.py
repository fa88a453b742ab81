"""A place of a slide, sharper step by step: a coarse level at once, then tiles of the fine one, nearest first.

What is on the screen comes first; what lies around it follows, so that small moves need nothing new.
"""

from __future__ import annotations

import math
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from histoloop.geometry import Region
from histoloop.gui.canvas.composing import Overlay, OverlayStyle
from histoloop.gui.canvas.rendering import SlideScene, View, Window, view_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from histoloop.slides.reader import Pixels

MARGIN = 0.3
"""Share of the visible width and height that is rendered around it, so that small moves need nothing new."""

FINE_ENOUGH = 1.15
"""A level whose pixels are so many screen pixels wide is sharp."""

CHEAP = 8
"""A coarse level is shown first where it decodes so many times fewer pixels than the fine one."""

PATIENCE_S = 0.2
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
        self._overlays = ThreadPoolExecutor(1, thread_name_prefix="histoloop-overlays")

    def views(self, wish: Wish, go_on: Callable[[], bool]) -> Iterator[View]:
        """Pictures of the place, sharper and sharper, then with what lies around it; until `go_on` says no."""
        scene, level = wish.scene, level_for(wish.scene, wish.downsample)
        window = scene.window(wish.visible, level)
        around = scene.window(_around(wish), level)
        with self._laying(wish, window) as overlay:  # while the coarse picture is made and painted
            coarse: View | None = None
            if wish.at_once and not self._has_all(wish, window) and (coarse := _coarse(wish, level)) is not None:
                yield coarse
            if go_on():
                yield from self._sharper(wish, window, coarse, overlay, go_on)
        if window != around and go_on():
            with self._laying(wish, around) as overlay:
                yield from self._sharper(wish, around, None, overlay, go_on)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)
        self._overlays.shutdown(cancel_futures=True)

    @contextmanager
    def _laying(self, wish: Wish, window: Window) -> Iterator[Future[tuple[Overlay, str]]]:
        """What lies over a window, made on another thread until the end of the block."""
        overlay = self._overlays.submit(wish.scene.overlay, window, wish.style)
        try:
            yield overlay
        finally:
            _wait_for([overlay])

    @contextmanager
    def _reading(self, wish: Wish, window: Window) -> Iterator[dict[Future[Pixels], Tile]]:
        """The tiles of a window, which threads read until the end of the block."""
        read, coming = wish.scene.pyramid.read_tile, {}
        try:
            for tile in tiles_of(wish.scene, window, wish.pointer):
                coming[self._threads.submit(read, tile.level, tile.row, tile.column)] = tile
            yield coming
        finally:
            _wait_for(coming)

    def _sharper(
        self,
        wish: Wish,
        window: Window,
        coarse: View | None,
        overlay: Future[tuple[Overlay, str]],
        go_on: Callable[[], bool],
    ) -> Iterator[View]:
        """A window as its tiles come, over the pixels of a coarse view; without one only when all of it is there."""
        with self._reading(wish, window) as coming:
            laid, no_masks = overlay.result()
            shown, there = np.full((window.height, window.width, 3), 255, np.uint8), []
            last, patience = time.monotonic(), PATIENCE_S
            for done in as_completed(coming):
                if not go_on():
                    return
                part, x, y = _inside(window, done.result(), coming[done], wish.scene.pyramid.tile_px)
                place = np.s_[y : y + part.shape[0], x : x + part.shape[1]]
                shown[place] = laid.over(wish.scene.seen(part, wish.style), x=x, y=y)
                there.append(place)
                if len(there) < len(coming) and coarse is not None and time.monotonic() - last > patience:
                    between = _between(coarse, window, shown, there)
                    yield view_of(window, between, no_masks, laid, is_sharp=False)
                    last, patience = time.monotonic(), 2 * patience
            yield view_of(window, shown, no_masks, laid)

    @staticmethod
    def _has_all(wish: Wish, window: Window) -> bool:
        """Whether all pixels of a window are in memory."""
        tiles = tiles_of(wish.scene, window, wish.pointer)
        return all(wish.scene.pyramid.has_tile(tile.level, tile.row, tile.column) for tile in tiles)


def _around(wish: Wish) -> Region:
    margin = math.ceil(MARGIN * max(wish.visible.width, wish.visible.height))
    return wish.visible.grown(margin).intersection(wish.scene.slide.extent) or wish.visible


def _coarse(wish: Wish, level: int) -> View | None:
    """The place at a level that takes much less work; None where there is none."""
    scene, coarser = wish.scene, coarse_level(wish.scene, level)
    if coarser is None:
        return None
    found = scene.render(wish.visible, scene.pyramid.levels[coarser].downsample, wish.style)
    return replace(found, is_sharp=False)


def _between(coarse: View, window: Window, sharp: Pixels, there: Iterable[tuple[slice, slice]]) -> Pixels:
    """The pixels of a coarse view at a window's size, with those that are sharp already where they are there."""
    place = window.place
    left, top = (place.x - coarse.x) / coarse.downsample, (place.y - coarse.y) / coarse.downsample
    right, bottom = left + place.width / coarse.downsample, top + place.height / coarse.downsample
    height, width = coarse.pixels.shape[:2]
    box = (max(0.0, left), max(0.0, top), min(width, right), min(height, bottom))
    size = (window.width, window.height)
    found = np.array(Image.fromarray(coarse.pixels).resize(size, Image.Resampling.BILINEAR, box=box))
    for each in there:
        found[each] = sharp[each]
    return found


def _inside(window: Window, pixels: Pixels, tile: Tile, tile_px: int) -> tuple[Pixels, int, int]:
    """What of a tile's pixels is in a window, and where (column, row) in the window."""
    x, y = tile.column * tile_px, tile.row * tile_px
    left, top = max(0, window.x - x), max(0, window.y - y)
    part = pixels[top : window.y + window.height - y, left : window.x + window.width - x]
    return part, x + left - window.x, y + top - window.y


def _wait_for(work: Collection[Future[Any]]) -> None:
    """Let nothing of it run any more: what runs reads the slide, which may be closed next."""
    for each in work:
        each.cancel()
    for each in work:
        if not each.cancelled():
            each.exception()
