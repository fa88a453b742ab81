"""Tiled TIFF slides whose tiles are decoded without OpenSlide, which remains the judge of what they show.

OpenSlide finds the levels and what the file states, and reads whatever is unusual. Before a level is read here, two of
its tiles are decoded both ways: where they differ, OpenSlide reads the level. After any error OpenSlide reads instead:
it says what is wrong with a file.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from histoloop.errors import SlideError
from histoloop.slides.sources.blocks import SlideBlocks
from histoloop.slides.sources.tiff.colours import rgb_of_ycbcr
from histoloop.slides.sources.tiff.segments import FileBytes, PageLevel, Plane
from histoloop.slides.sources.tiff.source import opened

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from histoloop.slides.sources.openslide_source import OpenSlideSource
    from histoloop.slides.sources.protocol import Content, Pixels

DIRECT_VENDORS = frozenset({"aperio", "generic-tiff"})
"""Formats whose levels are pages of tiles that lie side by side, and nothing else."""

_RGB, _YCBCR = 2, 6
_JPEG, _APERIO_YCBCR, _APERIO_RGB = 7, 33003, 33005
_OF_BYTES = frozenset({1, 5, 8, 32946})
_COLOURS = {_JPEG: (_RGB, _YCBCR), _APERIO_YCBCR: (_RGB, _YCBCR), _APERIO_RGB: (_RGB,)}
_COLOURS |= dict.fromkeys(_OF_BYTES, (_RGB,))
"""Photometric interpretations of each compression (numbers of TIFF) that are read here."""

_MEAN_DIFFERENCE = 6.0
"""Grey levels that a tile may differ from OpenSlide's where OpenSlide interpolates between pixels."""

_log = logging.getLogger(__name__)


class DirectSource:
    """A slide that OpenSlide has opened, read tile by tile; threads may read at the same time."""

    def __init__(self, file: Path, slide: OpenSlideSource) -> None:
        self._file, self._slide = file, slide
        self.vendor: str = slide.vendor
        self.properties: Mapping[str, str] = slide.properties
        self.level_sizes: tuple[tuple[int, int], ...] = slide.level_sizes
        self.mpp = slide.mpp
        self.content: Content = slide.content
        self.block_px = slide.block_px
        self._lock = threading.Lock()
        self._pages: _Pages | None = None
        self._levels: dict[int, _Tiles | None] = {}

    def read(self, x: int, y: int, width: int, height: int, *, level: int) -> Pixels:
        """RGB of a window of a level."""
        tiles = self._tiles(level)
        if tiles is not None:
            try:
                return tiles.read(x, y, width, height)
            except Exception as error:  # whatever is wrong with a tile, OpenSlide says what it makes of it
                _log.info("level %d is read by OpenSlide at %d, %d: %s", level, x, y, _reason(error))
        return self._slide.read(x, y, width, height, level=level)

    def reads_directly(self, level: int) -> bool:
        """Whether the tiles of a level are decoded here; checked against OpenSlide when it is first asked."""
        return self._tiles(level) is not None

    def close(self) -> None:
        """Let go of the file."""
        self._slide.close()
        with self._lock:
            self._levels = dict.fromkeys(range(len(self.level_sizes)))
            if self._pages is not None:
                self._pages.close()

    def _tiles(self, level: int) -> _Tiles | None:
        with self._lock:
            if level not in self._levels:
                try:
                    self._pages = self._pages or _Pages(self._file)
                    tiles = self._pages.tiles(level, self.level_sizes[level])
                    self._levels[level] = tiles if _agree(tiles, self._slide, level) else None
                except Exception as error:  # of an unusual or a broken file, which OpenSlide may read all the same
                    _log.info("level %d is read by OpenSlide: %s", level, _reason(error))
                    self._levels[level] = None
            return self._levels[level]


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, SlideError) else f"{type(error).__name__}: {error}"


class _Pages:
    """The pages of a file, and what is kept of their tiles."""

    def __init__(self, file: Path) -> None:
        self._file, self._data = file, FileBytes(file)
        self._blocks = SlideBlocks()

    def tiles(self, level: int, size: tuple[int, int]) -> _Tiles:
        """The tiles of a level of this (width, height); ValueError where they are not of the usual kind."""
        with self._file.open("rb") as handle:
            pages = [page.aspage() for page in opened(handle).pages]
            fitting = [page for page in pages if page.is_tiled and (page.imagewidth, page.imagelength) == size]
            if len(fitting) != 1:
                raise ValueError(f"{len(fitting)} pages of {size[0]} x {size[1]} pixels")
            return _Tiles(level, self._data, fitting[0], self._blocks)

    def close(self) -> None:
        self._blocks.forget()
        self._data.close()


class _Tiles:
    """A level as tiles; ValueError for a page that is stored in any unusual way."""

    def __init__(self, level: int, data: FileBytes, page: Any, blocks: SlideBlocks) -> None:
        if (reason := _unusual(page)) is not None:
            raise ValueError(reason)
        self._level, self._blocks = level, blocks
        self._page = PageLevel(data, [Plane(page)], strict=True)
        self._is_ycbcr = page.compression == _APERIO_YCBCR
        self.rows, self.columns = self._page.rows, self._page.columns
        self.tile_px = self._page.block_px

    def read(self, x: int, y: int, width: int, height: int) -> Pixels:
        """RGB of a window in pixels of the level."""
        across, down = self.tile_px
        window = np.empty((height, width, 3), np.uint8)
        for row in range(y // down, -(-(y + height) // down)):
            for column in range(x // across, -(-(x + width) // across)):
                tile = self._tile(row, column)
                top, left = row * down - y, column * across - x
                part = tile[max(0, -top) : height - top, max(0, -left) : width - left]
                top, left = max(0, top), max(0, left)
                window[top : top + part.shape[0], left : left + part.shape[1]] = part
        return window

    def _tile(self, row: int, column: int) -> Pixels:
        tile = self._blocks.get(self._level, row, column)
        if tile is None:
            values = self._page.read_block(row, column)
            if values is None:
                raise ValueError(f"tile {row}, {column} is missing")
            tile = rgb_of_ycbcr(values) if self._is_ycbcr else values
            self._blocks.put(self._level, row, column, tile)
        return tile


def _left(size: tuple[int, int], x: int, y: int) -> tuple[int, int]:
    return size[0] - x, size[1] - y


def _unusual(page: Any) -> str | None:
    """What is unusual about a page, None where OpenSlide would read nothing but its tiles side by side."""
    if page.bitspersample != 8 or page.samplesperpixel != 3 or page.planarconfig != 1 or page.extrasamples:
        return "samples other than three of 8 bits"
    if int(page.photometric) not in _COLOURS.get(int(page.compression), ()):
        return f"compression {int(page.compression)} of colours {int(page.photometric)}"
    if page.tags.valueof(274, 1) != 1 or page.subifds is not None:
        return "an orientation or pages below"
    if not all(page.databytecounts) or not all(page.dataoffsets):
        return "tiles that are missing"
    return None


def _agree(tiles: _Tiles, slide: OpenSlideSource, level: int) -> bool:
    """Whether the middle tile and the first are what OpenSlide reads there.

    Between its whole pixels OpenSlide interpolates: there the middle tile may differ a little, the first may not.
    """
    for row, column in {(0, 0), (tiles.rows // 2, tiles.columns // 2)}:
        x, y = column * tiles.tile_px[0], row * tiles.tile_px[1]
        first = (row, column) == (0, 0)
        most = slide.exact_px(level) if first else max(slide.level_sizes[level])
        size = [min(*sizes, most) for sizes in zip(tiles.tile_px, _left(slide.level_sizes[level], x, y), strict=True)]
        own, theirs = tiles.read(x, y, *size), slide.read(x, y, *size, level=level)
        difference = np.abs(own.astype(np.int16) - theirs)
        exact = first or slide.exact_px(level) >= max(slide.level_sizes[level])
        if difference.max() > 0 if exact else difference.mean() > _MEAN_DIFFERENCE:
            _log.info("level %d differs from OpenSlide's by %.2f at %d, %d", level, difference.mean(), x, y)
            return False
    return True
