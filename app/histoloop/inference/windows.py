"""Windows of a slide that overlap by their halos, cut out of squares, so that no pixel is read and resized twice."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from histoloop.slides.tiling import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.slides.reader import Pixels, Slide
    from histoloop.slides.tiling import TileGrid

SQUARE_PX = 256


class SharedWindows:
    """Reads the windows of the tiles of a grid, each once and in any order; for any number of threads.

    A square is kept until the last window that it reaches into has been read: of tiles row by row, those of the halo
    between two rows. A pixel of a slide at a scale has one value, through whichever window it is read.
    """

    def __init__(self, slide: Slide, grid: TileGrid) -> None:
        self._slide = slide
        self._grid = grid
        self._lock = Lock()
        self._waiting = Counter(square for tile in grid.tiles for square in _squares(tile.window))
        self._read: dict[tuple[int, int], Future[Pixels]] = {}

    def read(self, window: Window) -> Pixels:
        """RGB pixels (height, width, 3) of a window in working pixels; SlideError where it cannot be read."""
        if len(self._grid.tiles) == 1:
            return self._pixels(window)
        pixels = np.empty((window.height, window.width, 3), np.uint8)
        for square in _squares(window):
            whole = self._place(square)
            left, top = max(window.x, whole.x), max(window.y, whole.y)
            right = min(window.right, whole.right)
            bottom = min(window.bottom, whole.bottom)
            part = self._square(square, whole)[top - whole.y : bottom - whole.y, left - whole.x : right - whole.x]
            pixels[top - window.y : bottom - window.y, left - window.x : right - window.x] = part
            self._done_with(square)
        return pixels

    @property
    def kept(self) -> int:
        """How many squares are in memory."""
        return len(self._read)

    def _square(self, square: tuple[int, int], whole: Window) -> Pixels:
        """Its pixels; a thread that finds another one reading them waits."""
        with self._lock:
            found = self._read.get(square)
            mine = found is None
            if found is None:
                found = self._read[square] = Future()
        if mine:
            try:
                found.set_result(self._pixels(whole))
            except BaseException as error:
                found.set_exception(error)
        return found.result()

    def _done_with(self, square: tuple[int, int]) -> None:
        with self._lock:
            self._waiting[square] -= 1
            if not self._waiting[square]:
                del self._read[square], self._waiting[square]

    def _place(self, square: tuple[int, int]) -> Window:
        """Where a square lies, cut at the borders of the grid."""
        x, y = square[1] * SQUARE_PX, square[0] * SQUARE_PX
        return Window(x, y, min(SQUARE_PX, self._grid.width - x), min(SQUARE_PX, self._grid.height - y))

    def _pixels(self, window: Window) -> Pixels:
        return self._slide.read_scaled(
            window.x, window.y, window.width, window.height, downsample=self._grid.downsample
        )


def _squares(window: Window) -> Iterator[tuple[int, int]]:
    """(row, column) of the squares that a window reaches into."""
    for row in range(window.y // SQUARE_PX, -(-window.bottom // SQUARE_PX)):
        for column in range(window.x // SQUARE_PX, -(-window.right // SQUARE_PX)):
            yield row, column
