"""A first picture of a large slide that has no smaller levels, from a bounded number of its tiles."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from histoloop.slides.sources.protocol import Pixels, Source

SAMPLED_PX = 100_000_000
"""Pixels that are decoded for an overview of a whole slide at most."""

_LEAST_BLOCK_PX = 65_536
_THREADS = 4


@dataclass(frozen=True, slots=True)
class Lattice:
    """The blocks of one axis that are read: of `block_px` each, from number `first` on, `count` in all, every n-th."""

    block_px: int
    first: int
    count: int
    step: int
    detail: int
    """Pixels that each read block gives: 1 where blocks are left out between, else its share of the overview."""

    @property
    def read(self) -> list[int]:
        """Numbers of the blocks that are read, the middle one of every `step`."""
        chosen = range(0, self.count, self.step)
        return [self.first + min(at + self.step // 2, self.count - 1) for at in chosen]

    def place(self, x: float) -> float:
        """Where a pixel of the level is in the picture of the lattice."""
        return (x - self.first * self.block_px) / (self.block_px * self.step) * self.detail


def sampled_overview(
    source: Source,
    *,
    level: int,
    box: tuple[float, float, float, float],
    size: tuple[int, int],
    most_px: int = SAMPLED_PX,
) -> Pixels:
    """A window of a level as (height, width, 3), from every n-th block across and every m-th down.

    `box` is left, top, right, bottom in pixels of the level, inside it; `size` is (width, height) of the result;
    `most_px` pixels are decoded at most. Blocks are those that the file is stored in. Where all blocks of an axis are
    read, it keeps its detail; else each block counts with its mean, and what lies between is interpolated bilinearly:
    small pieces may be missed.
    """
    left, top, right, bottom = box
    block = _block(source, level)
    columns, rows = _blocks(left, right, block[0]), _blocks(top, bottom, block[1])
    step_x, step_y = _steps(len(columns), len(rows), block, most_px)
    across = Lattice(block[0], columns[0], len(columns), step_x, _detail(size[0], len(columns), step_x))
    down = Lattice(block[1], rows[0], len(rows), step_y, _detail(size[1], len(rows), step_y))
    places = [(row, column) for row in down.read for column in across.read]
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as threads:
        read = threads.map(lambda at: _read(source, level, block, at, (across.detail, down.detail)), places)
        parts = np.stack(list(read))
    grid = parts.reshape(len(down.read), len(across.read), *parts.shape[1:])
    picture = Image.fromarray(np.ascontiguousarray(np.concatenate(np.concatenate(grid, axis=1), axis=1)))
    part = (across.place(left), down.place(top), across.place(right), down.place(bottom))
    within = (part[0], part[1], min(part[2], picture.width), min(part[3], picture.height))
    return np.array(picture.resize(size, Image.Resampling.BILINEAR, box=within))


def _read(source: Source, level: int, block: tuple[int, int], at: tuple[int, int], size: tuple[int, int]) -> Pixels:
    """A block (row, column), reduced to (width, height); at the border its last pixels are repeated."""
    (width, height), (x, y) = source.level_sizes[level], (at[1] * block[0], at[0] * block[1])
    pixels = source.read(x, y, min(block[0], width - x), min(block[1], height - y), level=level)
    beyond = (0, block[1] - pixels.shape[0]), (0, block[0] - pixels.shape[1])
    if any(after for _, after in beyond):
        pixels = np.pad(pixels, (*beyond, (0, 0)), mode="edge")
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def _block(source: Source, level: int) -> tuple[int, int]:
    """Blocks of the file, several strips together where they are low."""
    width, height = source.level_sizes[level]
    across, down = min(source.block_px[0], width), min(source.block_px[1], height)
    times = max(1, _LEAST_BLOCK_PX // (across * down))
    return across, min(down * times, height) if across == width else down


def _blocks(begin: float, end: float, block_px: int) -> range:
    return range(int(begin // block_px), max(int(begin // block_px) + 1, int(-(-end // block_px))))


def _detail(size: int, blocks: int, step: int) -> int:
    return max(1, round(size / blocks)) if step == 1 else 1


def _steps(columns: int, rows: int, block: tuple[int, int], most_px: int) -> tuple[int, int]:
    """How many blocks to go on across and down, alike in pixels, for all that are read to stay within `most_px`."""
    most = max(1, most_px // (block[0] * block[1]))
    step_x = step_y = 1
    while -(-columns // step_x) * -(-rows // step_y) > most:
        if columns > step_x and (step_x * block[0] <= step_y * block[1] or rows <= step_y):
            step_x += 1
        elif rows > step_y:
            step_y += 1
        else:
            break
    return step_x, step_y
