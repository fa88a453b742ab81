"""Live masks: what a decoder that learns while one paints says of tiles of a slide, as it passes between processes.

Nothing here is kept with the project or exported; a live mask was never measured.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from histoloop.progress import Progress
from histoloop.store.maps import halved

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.geometry import Region
    from histoloop.slides.tiling import Window

LIVE_MODEL_ID = -1
"""Stands for the live masks where models are chosen by id."""

LIVE_ORIGIN = "live"
"""In place of a model's hash: the mask that an annotation began with was a live one."""

LEVELS = 6
"""A tile has its probabilities at its own resolution, and halved five times."""

MOST_BYTES = 256 << 20
"""So many compressed bytes of live masks of a slide are held; beyond them the tiles that came first are given up."""

_WHOLE = 255
"""Probabilities are kept as bytes: 255 stands for 1."""


@dataclass(frozen=True, slots=True)
class LiveTile:
    """Probabilities of the mask classes in a rectangle of a slide.

    `x`, `y`, `width` and `height` are map pixels: level-0 pixels divided by the grid's downsample. `levels` has
    compressed bytes (K, ceil(height / 2^n), ceil(width / 2^n)) of each level n.
    """

    x: int
    y: int
    width: int
    height: int
    classes: int
    levels: tuple[bytes, ...]

    @staticmethod
    def of(core: Window, masks_KHW: NDArray[np.float32]) -> LiveTile:
        """Of the probabilities (K, height, width) of a core."""
        levels, plane = [], masks_KHW.astype(np.float32)
        for level in range(LEVELS):
            if level:
                plane = halved(plane)
            levels.append(zlib.compress(np.round(plane * _WHOLE).astype(np.uint8).tobytes(), 1))
        return LiveTile(core.x, core.y, core.width, core.height, len(masks_KHW), tuple(levels))

    @property
    def size_bytes(self) -> int:
        """Of all levels, compressed."""
        return sum(map(len, self.levels))

    def read(self, level: int) -> NDArray[np.uint8]:
        """Bytes (K, h, w) of a level."""
        shape = (self.classes, -(-self.height // 2**level), -(-self.width // 2**level))
        return np.frombuffer(zlib.decompress(self.levels[level]), np.uint8).reshape(shape)


@dataclass(frozen=True, slots=True)
class LiveGrid:
    """Of which slide live masks are: its size, level-0 pixels per map pixel, and the mask classes in their order.

    `version` tells decoders apart: a tile of a newer one takes the place of an older one's.
    """

    slide_id: int
    slide_width: int
    slide_height: int
    downsample: float
    mask_classes: tuple[str, ...]
    version: int


@dataclass(frozen=True, slots=True)
class LiveProgress(Progress):
    """A step of the live loop.

    With `tile`, masks of a part of the slide of `grid` have come; `in_view` says that all of the view has its masks by
    the decoder as it is now. `regions` were learned from.
    """

    grid: LiveGrid | None = None
    tile: LiveTile | None = None
    in_view: bool = False
    regions: int = 0

    @property
    def must_arrive(self) -> bool:
        """A step with news is reported however soon it follows another."""
        return self.tile is not None or self.in_view


@dataclass(frozen=True, slots=True)
class LiveReport:
    """How an update of the live masks ended: `regions` that are learned from now, and of those `new` ones.

    `done` tiles of `tiles` of the slide have masks. `trouble` says why nothing was learned although there are regions.
    """

    regions: int
    new: int
    tiles: int
    done: int
    trouble: str = ""


@dataclass(slots=True, eq=False)
class LiveMap:
    """The live masks of one slide as they come; read as the maps of a model are. Any number of threads may read."""

    grid: LiveGrid
    _tiles: dict[tuple[int, int], LiveTile] = field(default_factory=dict)
    _bytes: int = 0

    @property
    def mask_classes(self) -> tuple[str, ...]:
        """The mask classes, in the order of the planes."""
        return self.grid.mask_classes

    @property
    def downsample(self) -> float:
        """Level-0 pixels per map pixel."""
        return self.grid.downsample

    @property
    def level_downsamples(self) -> tuple[float, ...]:
        """Level-0 pixels per pixel of each level."""
        return tuple(self.grid.downsample * 2.0**level for level in range(LEVELS))

    def __len__(self) -> int:
        return len(self._tiles)

    def add(self, grid: LiveGrid, tile: LiveTile) -> None:
        """Put a tile in the place of an older one; the tiles that came first make room."""
        self.grid = grid
        before = self._tiles.pop((tile.x, tile.y), None)
        self._tiles[tile.x, tile.y] = tile
        self._bytes += tile.size_bytes - (0 if before is None else before.size_bytes)
        while self._bytes > MOST_BYTES and len(self._tiles) > 1:
            self._bytes -= self._tiles.pop(next(iter(self._tiles))).size_bytes

    def read_masks(self, region: Region, *, level: int = 0) -> NDArray[np.float32]:
        """Probabilities (K, h, w) at the pixels of a level that touch a level-0 region; 0 where no tile has come."""
        pixel = self.level_downsamples[level]
        left, top = math.floor(region.x / pixel), math.floor(region.y / pixel)
        right, bottom = math.ceil(region.right / pixel), math.ceil(region.bottom / pixel)
        found = np.zeros((len(self.mask_classes), bottom - top, right - left), np.float32)
        for tile in list(self._tiles.values()):
            x, y = tile.x >> level, tile.y >> level
            width, height = -(-tile.width // 2**level), -(-tile.height // 2**level)
            rows = slice(max(top, y), min(bottom, y + height))
            columns = slice(max(left, x), min(right, x + width))
            if rows.start < rows.stop and columns.start < columns.stop and tile.classes == len(found):
                part = tile.read(level)[:, rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
                place = np.s_[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
                found[place] = part.astype(np.float32) / _WHOLE
        return found

    def covers(self, region: Region) -> bool:
        """Whether tiles have come for all of a level-0 region, as far as it lies on the slide."""
        pixel = self.grid.downsample
        right = min(math.ceil(region.right / pixel), math.ceil(self.grid.slide_width / pixel))
        bottom = min(math.ceil(region.bottom / pixel), math.ceil(self.grid.slide_height / pixel))
        left, top = max(0, math.floor(region.x / pixel)), max(0, math.floor(region.y / pixel))
        missing = max(0, right - left) * max(0, bottom - top)
        for tile in list(self._tiles.values()):
            width = min(right, tile.x + tile.width) - max(left, tile.x)
            height = min(bottom, tile.y + tile.height) - max(top, tile.y)
            missing -= max(0, width) * max(0, height)
        return missing <= 0
