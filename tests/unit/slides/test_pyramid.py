from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histoloop.geometry import Region
from histoloop.slides.pyramid import TilePyramid
from histoloop.slides.reader import Slide, open_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WIDTH, HEIGHT, TILE = 300, 200, 64


@pytest.fixture(scope="module")
def slide(
    tmp_path_factory: pytest.TempPathFactory, blocks: Callable[..., np.ndarray], save_picture: Callable[..., Path]
) -> Iterator[Slide]:
    """A picture of 300 x 200 in cells of 4 pixels."""
    path = save_picture(tmp_path_factory.mktemp("pyramid") / "a.png", blocks(WIDTH, HEIGHT, cell=4))
    with open_slide(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def pixels(blocks: Callable[..., np.ndarray]) -> np.ndarray:
    return blocks(WIDTH, HEIGHT, cell=4)


@pytest.fixture
def reads(slide: Slide, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Where windows of the slide were read, in order."""
    seen: list[tuple[int, int]] = []
    read_scaled = slide.read_scaled

    def spy(x: int, y: int, width: int, height: int, *, downsample: float) -> np.ndarray:
        seen.append((x, y))
        return read_scaled(x, y, width, height, downsample=downsample)

    monkeypatch.setattr(slide, "read_scaled", spy)
    return seen


def test_levels_halve_until_a_tile_holds_one(slide: Slide) -> None:
    levels = TilePyramid(slide, tile_px=TILE).levels
    assert [level.downsample for level in levels] == [1, 2, 4, 8]
    assert [(level.width, level.height) for level in levels] == [(300, 200), (150, 100), (75, 50), (38, 25)]
    assert [(level.columns, level.rows) for level in levels] == [(5, 4), (3, 2), (2, 1), (1, 1)]


def test_a_slide_of_one_tile_has_one_level(slide: Slide) -> None:
    (level,) = TilePyramid(slide).levels
    assert (level.downsample, level.width, level.height, level.rows, level.columns) == (1, 300, 200, 1, 1)


@pytest.mark.parametrize(
    ("downsample", "level"), [(0.1, 0), (1.0, 0), (1.99, 0), (2.0, 1), (3.9, 1), (4.0, 2), (8.0, 3), (500.0, 3)]
)
def test_the_level_for_a_zoom_is_the_coarsest_not_coarser(slide: Slide, downsample: float, level: int) -> None:
    assert TilePyramid(slide, tile_px=TILE).level_for(downsample) == level


def test_tiles_of_level_0_are_the_slides_own_pixels(slide: Slide, pixels: np.ndarray) -> None:
    pyramid = TilePyramid(slide, tile_px=TILE)
    for row in range(4):
        for column in range(5):
            expected = pixels[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
            np.testing.assert_array_equal(pyramid.read_tile(0, row, column), expected)


def test_border_tiles_are_smaller_and_end_with_the_slide(slide: Slide) -> None:
    pyramid = TilePyramid(slide, tile_px=TILE)
    assert pyramid.read_tile(0, 0, 0).shape == (64, 64, 3)
    assert pyramid.read_tile(0, 3, 4).shape == (8, 44, 3)
    assert pyramid.read_tile(1, 1, 2).shape == (36, 22, 3)
    assert pyramid.read_tile(3, 0, 0).shape == (25, 38, 3)


def means(pixels: np.ndarray, squares: int) -> np.ndarray:
    """Of squares of a picture, white beyond its right and lower border."""
    height, width = (-(-side // squares) for side in pixels.shape[:2])
    wide = np.full((height * squares, width * squares, 3), 255, np.uint8)
    wide[: pixels.shape[0], : pixels.shape[1]] = pixels
    return wide.reshape(height, squares, width, squares, 3).mean(axis=(1, 3))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_tiles_of_a_level_join_to_the_means_of_the_slide(slide: Slide, pixels: np.ndarray, level: int) -> None:
    pyramid = TilePyramid(slide, tile_px=TILE)
    grid = pyramid.levels[level]
    joined = np.vstack(
        [
            np.hstack([pyramid.read_tile(level, row, column) for column in range(grid.columns)])
            for row in range(grid.rows)
        ]
    )
    expected = means(pixels, 2**level)
    assert joined.shape == expected.shape
    assert np.abs(joined - expected).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("place", [(0, 4, 0), (0, 0, 5), (0, -1, 0), (0, 0, -1), (3, 0, 1)])
def test_a_tile_past_the_level_is_refused(slide: Slide, place: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=f"level {place[0]} has"):
        TilePyramid(slide, tile_px=TILE).read_tile(*place)


# --- windows ----------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(1, 200), st.integers(1, 200))
def test_a_window_on_the_slide_is_its_pixels(
    slide: Slide, pixels: np.ndarray, x: int, y: int, width: int, height: int
) -> None:
    width, height = min(width, WIDTH - x), min(height, HEIGHT - y)
    window = TilePyramid(slide, tile_px=TILE).read_window(0, x, y, width, height)
    np.testing.assert_array_equal(window, pixels[y : y + height, x : x + width])


@settings(deadline=None)
@given(st.integers(-90, WIDTH - 1), st.integers(-90, HEIGHT - 1), st.integers(1, 400), st.integers(1, 300))
def test_a_window_is_white_outside_the_slide(
    slide: Slide, pixels: np.ndarray, x: int, y: int, width: int, height: int
) -> None:
    wide = np.full((800, 1000, 3), 255, np.uint8)
    wide[100 : 100 + HEIGHT, 100 : 100 + WIDTH] = pixels
    window = TilePyramid(slide, tile_px=TILE).read_window(0, x, y, width, height)
    np.testing.assert_array_equal(window, wide[100 + y : 100 + y + height, 100 + x : 100 + x + width])


@pytest.mark.parametrize("place", [(-80, 0), (0, -80), (400, 0), (0, 260)])
def test_a_window_far_off_the_slide_is_white(slide: Slide, place: tuple[int, int]) -> None:
    window = TilePyramid(slide, tile_px=TILE).read_window(0, *place, 30, 40)
    assert window.shape == (40, 30, 3)
    assert (window == 255).all()


@pytest.mark.parametrize("place", [(305, 0), (0, 205), (305, 205), (304, 150)])
def test_a_window_just_past_the_border_is_white(slide: Slide, place: tuple[int, int]) -> None:
    window = TilePyramid(slide, tile_px=256).read_window(0, *place, 20, 20)
    assert window.shape == (20, 20, 3)
    assert (window == 255).all()


def test_a_window_of_a_coarse_level_is_in_its_own_pixels(slide: Slide, pixels: np.ndarray) -> None:
    pyramid = TilePyramid(slide, tile_px=TILE)
    window = pyramid.read_window(1, 50, 30, 80, 60)
    assert np.abs(window - means(pixels, 2)[30:90, 50:130]).max() <= 0.5 + 1e-9


def test_a_level_says_what_it_is_made_from_and_whether_a_tile_is_in_memory(slide: Slide) -> None:
    pyramid = TilePyramid(slide, tile_px=TILE)
    assert [pyramid.decoded_downsample(level) for level in range(4)] == [1, 1, 1, 1]
    assert not pyramid.has_tile(2, 0, 1)
    pyramid.read_tile(2, 0, 1)
    assert pyramid.has_tile(2, 0, 1)
    assert not pyramid.has_tile(1, 0, 1)


# --- cache ------------------------------------------------------------------------------------------------------------


def test_a_tile_in_memory_is_not_read_again(slide: Slide, reads: list[tuple[int, int]]) -> None:
    pyramid = TilePyramid(slide, tile_px=TILE)
    first = pyramid.read_tile(0, 1, 2)
    np.testing.assert_array_equal(pyramid.read_tile(0, 1, 2), first)
    assert reads == [(2 * TILE, TILE)]


def test_the_tile_used_longest_ago_is_let_go(slide: Slide, reads: list[tuple[int, int]]) -> None:
    pyramid = TilePyramid(slide, tile_px=TILE, cache_bytes=2 * TILE * TILE * 3)
    for column in (0, 1, 0, 2):  # 0 is used again, so that 2 drives out 1
        pyramid.read_tile(0, 0, column)
    reads.clear()
    pyramid.read_tile(0, 0, 0)
    assert reads == []
    pyramid.read_tile(0, 0, 1)
    assert reads == [(TILE, 0)]


def test_a_cache_smaller_than_a_tile_keeps_the_last_one(
    slide: Slide, pixels: np.ndarray, reads: list[tuple[int, int]]
) -> None:
    pyramid = TilePyramid(slide, tile_px=TILE, cache_bytes=1)
    for column in (0, 1, 1, 0):
        expected = pixels[:TILE, column * TILE : (column + 1) * TILE]
        np.testing.assert_array_equal(pyramid.read_tile(0, 0, column), expected)
    assert reads == [(0, 0), (TILE, 0), (0, 0)]


def test_a_window_reads_only_the_tiles_it_touches(slide: Slide, reads: list[tuple[int, int]]) -> None:
    TilePyramid(slide, tile_px=TILE).read_window(0, 60, 70, 10, 10)
    assert sorted(reads) == [(0, TILE), (TILE, TILE)]


def test_threads_read_the_same_tiles(slide: Slide, pixels: np.ndarray) -> None:
    pyramid = TilePyramid(slide, tile_px=TILE, cache_bytes=3 * TILE * TILE * 3)
    places = [(row, column) for row in range(4) for column in range(5)] * 3
    with ThreadPoolExecutor(4) as threads:
        tiles = list(threads.map(lambda place: pyramid.read_tile(0, *place), places))
    for (row, column), tile in zip(places, tiles, strict=True):
        np.testing.assert_array_equal(tile, pixels[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE])


def test_the_pyramid_of_a_real_slide_shows_the_slide(real_data: Path) -> None:
    with open_slide(real_data / "slides" / "CMU-1-Small-Region.svs") as slide:
        pyramid = TilePyramid(slide)
        assert [(level.width, level.height) for level in pyramid.levels] == [
            (2220, 2967),
            (1110, 1484),
            (555, 742),
            (278, 371),
        ]
        np.testing.assert_array_equal(pyramid.read_tile(0, 2, 1), slide.read_region(Region(512, 1024, 512, 512)))
        coarse = pyramid.read_tile(3, 0, 0)
        means = slide.read_region(slide.extent)[:2960, :2216].reshape(370, 8, 277, 8, 3).mean(axis=(1, 3))
        assert np.abs(coarse[:370, :277] - means).mean() < 6
