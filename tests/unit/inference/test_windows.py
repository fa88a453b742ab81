"""Windows that overlap are read once and are what the slide has there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from histoloop.inference.windows import SQUARE_PX, SharedWindows
from histoloop.slides.tiling import TileGrid, tile_grid

if TYPE_CHECKING:
    from histoloop.slides.reader import Slide

WIDTH, HEIGHT, DOWNSAMPLE = 1450, 1100, 2.0


class Read:
    """A slide of noise that counts how often each pixel is read."""

    def __init__(self) -> None:
        self.pixels = np.random.default_rng(0).integers(0, 256, (1120, 1472, 3), np.uint8)
        self.times = np.zeros(self.pixels.shape[:2], int)

    def read_scaled(self, x: int, y: int, width: int, height: int, *, downsample: float) -> np.ndarray:
        assert downsample == DOWNSAMPLE
        place = np.s_[y : y + height, x : x + width]
        self.times[place] += 1
        return self.pixels[place]


def grid(core_px: int) -> TileGrid:
    return tile_grid(
        slide_width=round(WIDTH * DOWNSAMPLE),
        slide_height=round(HEIGHT * DOWNSAMPLE),
        downsample=DOWNSAMPLE,
        core_px=core_px,
        halo_px=96,
        halo_after_px=64,
        stride_px=32,
    )


def test_windows_are_what_the_slide_has_there_and_nothing_is_read_twice() -> None:
    slide, tiles = Read(), grid(320)
    windows = SharedWindows(cast("Slide", slide), tiles)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda tile: windows.read(tile.window), tiles.tiles))
    for tile, pixels in zip(tiles.tiles, found, strict=True):
        place = np.s_[tile.window.y : tile.window.bottom, tile.window.x : tile.window.right]
        np.testing.assert_array_equal(pixels, slide.pixels[place])
    assert (slide.times == 1).all()
    assert windows.kept == 0


def test_only_what_later_windows_need_is_kept() -> None:
    tiles = grid(320)
    windows = SharedWindows(cast("Slide", Read()), tiles)
    kept = []
    for tile in tiles.tiles:
        windows.read(tile.window)
        kept.append(windows.kept)
    across = -(-tiles.width // SQUARE_PX)
    assert max(kept) <= across * 3  # a halo of 160 px between two rows reaches into two rows of squares


def test_a_slide_of_one_tile_is_read_in_one_go() -> None:
    calls = []
    slide = SimpleNamespace(read_scaled=lambda *place, downsample: calls.append((place, downsample)))
    tiles = grid(1600)
    SharedWindows(cast("Slide", slide), tiles).read(tiles.tiles[0].window)
    assert calls == [((0, 0, 1472, 1120), DOWNSAMPLE)]


def test_who_waits_for_a_square_learns_that_it_cannot_be_read() -> None:
    def broken(*_place: int, downsample: float) -> np.ndarray:
        raise OSError(f"at {downsample}")

    tiles = grid(320)
    windows = SharedWindows(cast("Slide", SimpleNamespace(read_scaled=broken)), tiles)
    for tile in tiles.tiles[:2]:
        with pytest.raises(OSError, match=r"at 2\.0"):
            windows.read(tile.window)
