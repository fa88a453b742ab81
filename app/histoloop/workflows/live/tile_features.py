"""Features of the tiles of a slide, nearest to the view first; kept, so that another decoder costs only itself."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histoloop.inference.features import CELL_PX, Features
from histoloop.inference.model import Model
from histoloop.networks.arrays import to_arrays, to_tensors
from histoloop.slides.tiling import Tile, TileGrid, Window, tile_grid
from histoloop.store.array_cache import ArrayCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from histoloop.geometry import Region
    from histoloop.slides.reader import Slide

CORE_PX = 512
"""Side of a tile, in working pixels."""

MARGIN_PX = 64
"""What the decoder looks at around a tile: more than it reaches (strides 16, 8 and 4, two convolutions each: 56)."""

HALO_PX = 128
"""What the backbone looks at around a tile.

Less than its receptive field, so that masks near a tile's edges differ a little from those of one pass over the slide;
a halo as wide as that would cost four times the tile itself.
"""

MEMORY_BYTES = 1 << 30
"""Features of regions and of tiles that are held in memory, at most, each; the rest is on disk, or made again."""


class FeatureMemory:
    """Features by name, those that were asked for last; beyond a limit the others are forgotten."""

    def __init__(self, limit_bytes: int = MEMORY_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._kept: OrderedDict[str, Features] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size_bytes(self) -> int:
        """Of all that is held."""
        return self._bytes

    def of(self, name: str, make: Callable[[], Features]) -> Features:
        """What is held under a name, else what `make` gives."""
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        features = make()
        self._kept[name] = features
        self._bytes += bytes_of(features)
        while self._bytes > self.limit_bytes and len(self._kept) > 1:
            self._bytes -= bytes_of(self._kept.popitem(last=False)[1])
        return features


def bytes_of(features: Features) -> int:
    """Of the stages."""
    return sum(planes.numel() * planes.element_size() for planes in features.stages)


def coarse(features: Features, stages: int) -> Features:
    """The coarsest stages alone."""
    return Features(features.stages[-stages:], features.scores, features.height, features.width)


def part_of(features: Features, *, top: int, left: int, height: int, width: int) -> Features:
    """A rectangle of features, its edges multiples of `CELL_PX`; laid out as if it had been kept by itself."""
    depth = len(features.stages)
    planes = []
    for number, stage in enumerate(features.stages):
        stride = CELL_PX >> (depth - 1 - number)
        rows = slice(top // stride, (top + height) // stride)
        planes.append(stage[:, rows, left // stride : (left + width) // stride].clone())
    return Features(tuple(planes), features.scores, height, width)


@dataclass(frozen=True, slots=True, eq=False)
class TileFeatures:
    """The tiles of a slide by the frozen classifier of `model`, whose name is `sees`; `stages` coarsest ones are kept.

    `name` stands for the slide's pixels.
    """

    model: Model
    sees: str
    stages: int
    memory: FeatureMemory
    cache: ArrayCache

    def of(self, slide: Slide, name: str, grid: TileGrid, core: Window) -> tuple[Features, Window]:
        """Features of a core and its margin, and that rectangle in working pixels."""
        place = core.grown(MARGIN_PX, within=grid)
        edges = f"{place.x},{place.y},{place.width},{place.height}"
        key = f"{self.sees}|live {self.stages}|{name}|{grid.downsample:.6g}|{edges}"
        return self.memory.of(key, lambda: self._kept(key) or self._made(key, slide, grid, core, place)), place

    def _kept(self, key: str) -> Features | None:
        arrays = self.cache.get(key)
        return None if arrays is None else Features.of_tensors(to_tensors(arrays))

    def _made(self, key: str, slide: Slide, grid: TileGrid, core: Window, place: Window) -> Features:
        window = core.grown(HALO_PX, within=grid)
        pixels = slide.read_scaled(window.x, window.y, window.width, window.height, downsample=grid.downsample)
        whole = coarse(self.model.features(pixels), self.stages)
        features = part_of(
            whole, top=place.y - window.y, left=place.x - window.x, height=place.height, width=place.width
        )
        self.cache.put(key, to_arrays(features.as_tensors()))
        return features


def live_grid(slide: Slide, *, downsample: float) -> TileGrid:
    """The tiles of a slide, those on glass too."""
    return tile_grid(
        slide_width=slide.width,
        slide_height=slide.height,
        downsample=downsample,
        core_px=CORE_PX,
        halo_px=HALO_PX,
        stride_px=CELL_PX,
    )


def nearest_first(grid: TileGrid, view: Region) -> Iterator[tuple[Tile, bool]]:
    """The tiles in order of nearness to the middle of a view (level-0 pixels), those that it touches first.

    With each whether the view touches it.
    """
    x, y = (part / grid.downsample for part in view.centre)
    places = [(tile, tile.core.level0(grid.downsample).overlaps(view)) for tile in grid.tiles]

    def distance(place: tuple[Tile, bool]) -> tuple[bool, float]:
        core = place[0].core
        across = max(core.x - x, 0.0, x - core.right)
        down = max(core.y - y, 0.0, y - core.bottom)
        return not place[1], math.hypot(across, down)

    yield from sorted(places, key=distance)
