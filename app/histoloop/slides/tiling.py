"""Tiles of a slide in working pixels: cores that partition it, and the windows with halo that are read for them.

Working pixels are the slide downsampled by `downsample`; all edges lie on multiples of the network's stride, so that a
tile's feature cells are the cells of one pass over the whole slide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histoloop.geometry import Region

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.slides.tissue import TissueMask


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A rectangle in working pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column past the window."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row past the window."""
        return self.y + self.height

    def grown(self, margin: int, *, within: TileGrid, after: int | None = None) -> Window:
        """The window with a margin on every side (right and bottom one of `after`), clipped to the grid."""
        past = margin if after is None else after
        x, y = max(0, self.x - margin), max(0, self.y - margin)
        right, bottom = min(within.width, self.right + past), min(within.height, self.bottom + past)
        return Window(x, y, right - x, bottom - y)

    def level0(self, downsample: float) -> Region:
        """The level-0 pixels that the window covers, rounded outwards."""
        x, y = math.floor(self.x * downsample), math.floor(self.y * downsample)
        return Region(x, y, math.ceil(self.right * downsample) - x, math.ceil(self.bottom * downsample) - y)


@dataclass(frozen=True, slots=True)
class Tile:
    """`core` is what a forward pass answers for, `window` what it reads: the core and its halo, clipped to the grid."""

    core: Window
    window: Window


@dataclass(frozen=True, slots=True)
class TileGrid:
    """All tiles of a slide, row by row; `width` and `height` are its working pixels, rounded up to the stride."""

    width: int
    height: int
    downsample: float
    tiles: tuple[Tile, ...] = ()


def tile_grid(
    *,
    slide_width: int,
    slide_height: int,
    downsample: float,
    core_px: int,
    halo_px: int,
    stride_px: int,
    tissue: TissueMask | None = None,
    halo_after_px: int | None = None,
) -> TileGrid:
    """Cores of at most `core_px` that partition the slide; with `tissue`, only those that hold some.

    Of several cores each is then as small as its tissue allows: the rectangle around it, in whole strides.
    `slide_width`, `slide_height` are level-0 pixels; `core_px` and `halo_px` working pixels, multiples of the stride
    (ValueError). The halo right and bottom is `halo_after_px` where that is given.
    """
    after_px = halo_px if halo_after_px is None else halo_after_px
    if downsample <= 0 or stride_px < 1 or core_px < 1 or min(halo_px, after_px) < 0:
        raise ValueError("downsample, core_px and stride_px must be positive and halo_px not negative")
    if any(edge % stride_px for edge in (core_px, halo_px, after_px)):
        halos = f"{halo_px}" if halo_px == after_px else f"{halo_px}, {after_px}"
        raise ValueError(f"core ({core_px}) and halo ({halos}) must be multiples of the stride ({stride_px})")
    width, height = (
        math.ceil(math.ceil(size / downsample) / stride_px) * stride_px for size in (slide_width, slide_height)
    )
    empty = TileGrid(width, height, downsample)
    cores = list(_cores(width, height, core_px))
    if tissue is not None:
        shrink = stride_px if len(cores) > 1 else core_px
        around = (_around_tissue(core, tissue, downsample=downsample, step_px=shrink) for core in cores)
        cores = [core for core in around if core is not None]
    tiles = tuple(Tile(core, core.grown(halo_px, within=empty, after=after_px)) for core in cores)
    return TileGrid(width, height, downsample, tiles)


def _around_tissue(core: Window, tissue: TissueMask, *, downsample: float, step_px: int) -> Window | None:
    """The part of a core around its tissue, in whole steps from its corner on; None without any."""
    extent = tissue.extent(core.level0(downsample))
    if extent is None:
        return None
    left, top, right, bottom = (edge / downsample / step_px for edge in extent)
    x, past_x = _steps(left, right, core.x, core.right, step_px)
    y, past_y = _steps(top, bottom, core.y, core.bottom, step_px)
    return Window(x, y, past_x - x, past_y - y)


def _steps(start: float, stop: float, first_px: int, past_px: int, step_px: int) -> tuple[int, int]:
    """Pixels from `start` to `stop` (steps), rounded outwards and kept between two edges; one step at the least."""
    begin = min(max(first_px, math.floor(start) * step_px), past_px - min(step_px, past_px - first_px))
    end = max(min(past_px, math.ceil(stop) * step_px), min(past_px, begin + step_px))
    return begin, end


def _cores(width: int, height: int, core_px: int) -> Iterator[Window]:
    for y in range(0, height, core_px):
        for x in range(0, width, core_px):
            yield Window(x, y, min(core_px, width - x), min(core_px, height - y))


def working_downsample(slide_mpp: float | None, model_mpp: float) -> float:
    """Level-0 pixels per pixel that the model sees; 1 (pixels as they are) where the slide's resolution is unknown."""
    return 1.0 if slide_mpp is None else model_mpp / slide_mpp
