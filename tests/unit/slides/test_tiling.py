from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histoloop.geometry import Region
from histoloop.slides.tiling import Tile, TileGrid, Window, tile_grid
from histoloop.slides.tissue import TissueMask

SIZES = st.integers(1, 2500)
DOWNSAMPLES = st.sampled_from([0.5, 1.0, 1.7, 2.0, 4.03])
STRIDES = st.sampled_from([1, 8, 32])


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, float]:
    """Arguments of `tile_grid`."""
    stride = draw(STRIDES)
    core = stride * max(1, draw(st.integers(100, 700)) // stride)
    return {
        "slide_width": draw(SIZES),
        "slide_height": draw(SIZES),
        "downsample": draw(DOWNSAMPLES),
        "core_px": core,
        "halo_px": stride * draw(st.integers(0, 5)),
        "stride_px": stride,
    }


def times_covered(grid: TileGrid, stride: int) -> np.ndarray:
    """How many cores hold each feature cell of the grid."""
    counts = np.zeros((grid.height // stride, grid.width // stride), int)
    for tile in grid.tiles:
        core = tile.core
        counts[core.y // stride : core.bottom // stride, core.x // stride : core.right // stride] += 1
    return counts


def holds(outer: Window, inner: Window) -> bool:
    return outer.x <= inner.x and outer.y <= inner.y and inner.right <= outer.right and inner.bottom <= outer.bottom


@given(layouts())
@settings(deadline=None)
def test_cores_cover_the_grid_exactly_once(layout: dict[str, float]) -> None:
    grid = tile_grid(**layout)
    assert (times_covered(grid, layout["stride_px"]) == 1).all()
    assert sum(tile.core.width * tile.core.height for tile in grid.tiles) == grid.width * grid.height


@given(layouts())
@settings(deadline=None)
def test_the_grid_is_the_slide_rounded_up_to_the_stride(layout: dict[str, float]) -> None:
    grid = tile_grid(**layout)
    stride = layout["stride_px"]
    for own, level0 in ((grid.width, layout["slide_width"]), (grid.height, layout["slide_height"])):
        working = math.ceil(level0 / layout["downsample"])
        assert own % stride == 0
        assert working <= own < working + stride
    assert grid.downsample == layout["downsample"]


@given(layouts())
@settings(deadline=None)
def test_border_tiles_cover_the_slide(layout: dict[str, float]) -> None:
    grid = tile_grid(**layout)
    slide = Region(0, 0, layout["slide_width"], layout["slide_height"])
    corner = grid.tiles[-1].core.level0(grid.downsample)
    assert corner.contains(Region(slide.right - 1, slide.bottom - 1, 1, 1))


@given(layouts())
@settings(deadline=None)
def test_every_core_holds_a_part_of_the_slide(layout: dict[str, float]) -> None:
    grid = tile_grid(**layout)
    slide = Region(0, 0, layout["slide_width"], layout["slide_height"])
    assert all(tile.core.level0(grid.downsample).overlaps(slide) for tile in grid.tiles)


@given(layouts())
@settings(deadline=None)
def test_cores_lie_inside_the_grid_on_multiples_of_the_stride(layout: dict[str, float]) -> None:
    grid = tile_grid(**layout)
    whole = Window(0, 0, grid.width, grid.height)
    for tile in grid.tiles:
        assert holds(whole, tile.core)
        assert 0 < tile.core.width <= layout["core_px"]
        assert 0 < tile.core.height <= layout["core_px"]
        assert tile.core.x % layout["core_px"] == tile.core.y % layout["core_px"] == 0
        edges = (tile.core.x, tile.core.y, tile.core.right, tile.core.bottom)
        assert all(edge % layout["stride_px"] == 0 for edge in edges)


@given(layouts())
@settings(deadline=None)
def test_windows_are_cores_with_a_halo_clipped_at_the_border(layout: dict[str, float]) -> None:
    grid = tile_grid(**layout)
    halo, stride = layout["halo_px"], layout["stride_px"]
    for tile in grid.tiles:
        core, window = tile.core, tile.window
        assert (window.x, window.y) == (max(0, core.x - halo), max(0, core.y - halo))
        assert window.right == min(grid.width, core.right + halo)
        assert window.bottom == min(grid.height, core.bottom + halo)
        assert all(edge % stride == 0 for edge in (window.x, window.y, window.right, window.bottom))


def test_tiles_come_row_by_row() -> None:
    grid = tile_grid(slide_width=100, slide_height=60, downsample=1.0, core_px=32, halo_px=0, stride_px=4)
    places = [(tile.core.x, tile.core.y) for tile in grid.tiles]
    assert places == [(x, y) for y in (0, 32) for x in (0, 32, 64, 96)]


def test_the_tiles_of_a_known_slide() -> None:
    grid = tile_grid(slide_width=205, slide_height=100, downsample=2.0, core_px=64, halo_px=16, stride_px=8)
    assert (grid.width, grid.height) == (104, 56)  # 102.5 and 50 working pixels
    assert grid.tiles == (
        Tile(Window(0, 0, 64, 56), Window(0, 0, 80, 56)),
        Tile(Window(64, 0, 40, 56), Window(48, 0, 56, 56)),
    )


def test_a_slide_smaller_than_a_core_is_one_tile() -> None:
    grid = tile_grid(slide_width=30, slide_height=10, downsample=1.0, core_px=512, halo_px=64, stride_px=32)
    assert grid.tiles == (Tile(Window(0, 0, 32, 32), Window(0, 0, 32, 32)),)


@given(layouts(), st.integers(0, 2**32 - 1), st.sampled_from([7.0, 16.0, 33.5]))
@settings(deadline=None)
def test_tiles_cover_tissue_exactly_once(layout: dict[str, float], seed: int, mask_downsample: float) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = (math.ceil(layout[side] / mask_downsample) for side in ("slide_height", "slide_width"))
    tissue = TissueMask(rng.random((rows, columns)) < rng.choice([0.0, 0.002, 0.1]), mask_downsample)
    grid = tile_grid(**layout, tissue=tissue)
    counts = times_covered(grid, layout["stride_px"])
    assert counts.max(initial=0) <= 1
    for row, column in np.argwhere(tissue.mask):
        middle = (
            min((place + 0.5) * mask_downsample, layout[side] - 0.5)
            for place, side in ((row, "slide_height"), (column, "slide_width"))
        )
        cell = tuple(int(at / layout["downsample"]) // layout["stride_px"] for at in middle)
        assert counts[cell] == 1


@given(layouts(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_tiles_without_tissue_are_left_out_and_the_others_lie_in_their_own_core(
    layout: dict[str, float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = (math.ceil(layout[side] / 20) for side in ("slide_height", "slide_width"))
    tissue = TissueMask(rng.random((rows, columns)) < 0.003, 20.0)
    every, some = tile_grid(**layout), tile_grid(**layout, tissue=tissue)
    kept = [tile for tile in every.tiles if tissue.fraction(tile.core.level0(every.downsample)) > 0]
    assert len(some.tiles) == len(kept)
    for tile, whole in zip(some.tiles, kept, strict=True):
        assert whole.core.x <= tile.core.x < tile.core.right <= whole.core.right
        assert whole.core.y <= tile.core.y < tile.core.bottom <= whole.core.bottom
        assert tile.window == tile.core.grown(layout["halo_px"], within=every)
    if len(every.tiles) == 1:
        assert list(some.tiles) == kept
    assert (some.width, some.height) == (every.width, every.height)


def test_of_the_tile_that_holds_tissue_only_the_part_around_it_is_kept() -> None:
    mask = np.zeros((8, 12), bool)
    mask[5, 9] = True  # level-0 pixels 90 to 100 across, 50 to 60 down
    layout = {"slide_width": 120, "slide_height": 80, "downsample": 1.0, "core_px": 40, "halo_px": 8, "stride_px": 8}
    grid = tile_grid(**layout, tissue=TissueMask(mask, 10.0))
    assert [tile.core for tile in grid.tiles] == [Window(88, 48, 16, 16)]


def test_a_halo_can_be_wider_before_than_after() -> None:
    layout = {"slide_width": 100, "slide_height": 60, "downsample": 1.0, "core_px": 32, "stride_px": 4}
    grid = tile_grid(**layout, halo_px=12, halo_after_px=8)
    assert grid.tiles[1] == Tile(Window(32, 0, 32, 32), Window(20, 0, 52, 40))
    with pytest.raises(ValueError, match="multiples of the stride"):
        tile_grid(**layout, halo_px=12, halo_after_px=6)


def test_a_slide_without_tissue_has_no_tiles() -> None:
    tissue = TissueMask(np.zeros((10, 10), bool), 10.0)
    grid = tile_grid(
        slide_width=100, slide_height=100, downsample=1.0, core_px=32, halo_px=0, stride_px=32, tissue=tissue
    )
    assert grid == TileGrid(128, 128, 1.0, ())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"core_px": 100}, "multiples of the stride"),
        ({"halo_px": 20}, "multiples of the stride"),
        ({"core_px": 0}, "positive"),
        ({"halo_px": -32}, "not negative"),
        ({"stride_px": 0}, "positive"),
        ({"downsample": 0.0}, "positive"),
        ({"downsample": -1.0}, "positive"),
    ],
)
def test_sizes_that_do_not_fit_the_stride_are_refused(wrong: dict[str, float], said: str) -> None:
    layout = {"slide_width": 200, "slide_height": 200, "downsample": 1.0, "core_px": 64, "halo_px": 32, "stride_px": 32}
    with pytest.raises(ValueError, match=said):
        tile_grid(**{**layout, **wrong})


@given(st.integers(0, 999), st.integers(0, 999), st.integers(1, 500), st.integers(1, 500), DOWNSAMPLES)
def test_a_window_in_level_0_is_the_smallest_region_that_covers_it(
    x: int, y: int, width: int, height: int, downsample: float
) -> None:
    window = Window(x, y, width, height)
    region = window.level0(downsample)
    assert region.x <= x * downsample < region.x + 1
    assert region.y <= y * downsample < region.y + 1
    assert region.right - 1 < window.right * downsample <= region.right
    assert region.bottom - 1 < window.bottom * downsample <= region.bottom


def test_a_window_ends_one_past_its_last_pixel() -> None:
    assert (Window(3, 5, 10, 20).right, Window(3, 5, 10, 20).bottom) == (13, 25)


def test_a_grown_window_is_clipped_to_the_grid() -> None:
    grid = TileGrid(100, 80, 1.0)
    assert Window(40, 30, 10, 10).grown(5, within=grid) == Window(35, 25, 20, 20)
    assert Window(0, 70, 10, 10).grown(5, within=grid) == Window(0, 65, 15, 15)
    assert Window(95, 0, 5, 5).grown(200, within=grid) == Window(0, 0, 100, 80)
