"""A slide as square tiles on levels that halve, made from its own nearest level: what a viewer reads.

A level whose pixels are whole squares of the slide's own nearest level has their means: a third of the work of the
filter that `Slide.read_scaled` has for any factor, which is what models see.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.geometry import Region

if TYPE_CHECKING:
    from histoloop.slides.reader import Pixels, Slide

TILE_PX = 512
CACHE_BYTES = 256_000_000

EXACT_TILE_PX, SAMPLED_TILE_PX = 70_000_000, 25_000_000
"""A tile for which more pixels of the slide than the first would be decoded is sampled from the second at most."""


@dataclass(frozen=True, slots=True)
class PyramidLevel:
    """Size of a level in its own pixels, `downsample` level-0 pixels wide each, and its tiles."""

    downsample: float
    width: int
    height: int
    rows: int
    columns: int


class TilePyramid:
    """Tiles of a slide, the last ones used kept in memory. Threads may read at the same time."""

    def __init__(self, slide: Slide, *, tile_px: int = TILE_PX, cache_bytes: int = CACHE_BYTES) -> None:
        self.slide = slide
        self.tile_px = tile_px
        self.levels = _levels(slide.width, slide.height, tile_px)
        self._cache_bytes = cache_bytes
        self._cached: OrderedDict[tuple[int, int, int], Pixels] = OrderedDict()
        self._held_bytes = 0
        self._lock = threading.Lock()

    def level_for(self, downsample: float) -> int:
        """The coarsest level that is not coarser than `downsample` level-0 pixels per pixel."""
        return max((number for number, level in enumerate(self.levels) if level.downsample <= downsample), default=0)

    def decoded_downsample(self, level: int) -> float:
        """Of the slide's own level that a level is made from: its pixels are what is decoded."""
        return self.slide.level_downsamples[self._own_level(level)]

    def _own_level(self, level: int) -> int:
        wanted = self.levels[level].downsample * (1 + 1e-3)
        return max((own for own, each in enumerate(self.slide.level_downsamples) if each <= wanted), default=0)

    def has_tile(self, level: int, row: int, column: int) -> bool:
        """Whether a tile is in memory."""
        with self._lock:
            return (level, row, column) in self._cached

    def read_tile(self, level: int, row: int, column: int) -> Pixels:
        """RGB of a tile, at most (tile_px, tile_px, 3): smaller at the right and bottom border of the slide."""
        key = (level, row, column)
        with self._lock:
            if key in self._cached:
                self._cached.move_to_end(key)
                return self._cached[key]
        pixels = self._decode(level, row, column)
        with self._lock:
            if key not in self._cached:
                self._cached[key] = pixels
                self._held_bytes += pixels.nbytes
            while self._held_bytes > self._cache_bytes and len(self._cached) > 1:
                self._held_bytes -= self._cached.popitem(last=False)[1].nbytes
        return pixels

    def read_window(self, level: int, x: int, y: int, width: int, height: int) -> Pixels:
        """RGB (height, width, 3) of a window in a level's pixels; white outside the slide."""
        window = np.full((height, width, 3), 255, np.uint8)
        grid, size = self.levels[level], self.tile_px
        for row in range(max(0, y // size), min(grid.rows, -(-(y + height) // size))):
            for column in range(max(0, x // size), min(grid.columns, -(-(x + width) // size))):
                _paste(window, self.read_tile(level, row, column), x=column * size - x, y=row * size - y)
        return window

    def _decode(self, level: int, row: int, column: int) -> Pixels:
        grid, size = self.levels[level], self.tile_px
        if not (0 <= row < grid.rows and 0 <= column < grid.columns):
            raise ValueError(f"level {level} has {grid.rows} x {grid.columns} tiles, not ({row}, {column})")
        width, height = min(size, grid.width - column * size), min(size, grid.height - row * size)
        squares = self._squares(level)
        if squares > 1 and width * height * squares**2 <= EXACT_TILE_PX:
            return self._means(level, squares, (column * size, row * size, width, height))
        return self.slide.read_overview(
            column * size,
            row * size,
            width,
            height,
            downsample=grid.downsample,
            exact_px=EXACT_TILE_PX,
            most_px=SAMPLED_TILE_PX,
        )

    def _squares(self, level: int) -> int:
        """How many pixels of the slide's own level wide a pixel is; 0 where it is no whole number."""
        own = self._own_level(level)
        ratio = self.levels[level].downsample / self.slide.level_downsamples[own]
        is_whole = abs(ratio / round(ratio) - 1) * max(self.slide.level_sizes[own]) < 0.5
        return round(ratio) if is_whole else 0

    def _means(self, level: int, squares: int, place: tuple[int, int, int, int]) -> Pixels:
        """A rectangle (x, y, width, height) of a level, of means of squares of the slide's own level."""
        x, y, width, height = (int(part * self.levels[level].downsample) for part in place)
        pixels = self.slide.read_region(Region(x, y, width, height), level=self._own_level(level))
        pixels = pixels[: place[3] * squares, : place[2] * squares]
        return np.asarray(Image.fromarray(pixels).reduce(squares))


def _levels(width: int, height: int, tile_px: int) -> tuple[PyramidLevel, ...]:
    levels: list[PyramidLevel] = []
    downsample = 1.0
    while True:
        size = max(1, math.ceil(width / downsample)), max(1, math.ceil(height / downsample))
        levels.append(PyramidLevel(downsample, *size, -(-size[1] // tile_px), -(-size[0] // tile_px)))
        if max(size) <= tile_px:
            return tuple(levels)
        downsample *= 2


def _paste(window: Pixels, tile: Pixels, *, x: int, y: int) -> None:
    """Lay a tile into a window at (x, y), which may lie partly outside."""
    top, left = max(0, y), max(0, x)
    bottom, right = min(window.shape[0], y + tile.shape[0]), min(window.shape[1], x + tile.shape[1])
    if right > left and bottom > top:
        window[top:bottom, left:right] = tile[top - y : bottom - y, left - x : right - x]
