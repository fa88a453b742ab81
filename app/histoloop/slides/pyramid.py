"""A slide as square tiles on levels that halve, made from its own nearest level: what a viewer reads."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
        return self.slide.read_overview(
            column * size,
            row * size,
            width,
            height,
            downsample=grid.downsample,
            exact_px=EXACT_TILE_PX,
            most_px=SAMPLED_TILE_PX,
        )


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
