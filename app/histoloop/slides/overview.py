"""A first picture of a large slide that has no smaller levels, from a bounded number of its tiles."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from histoloop.slides.sources.protocol import Pixels, Source

SAMPLED_PX = 100_000_000
"""Pixels that are decoded for an overview at most; levels of no more are read whole."""

_THREADS = 4


def is_flat(size: tuple[int, int]) -> bool:
    """Whether a level of (width, height) is too large to be read whole for an overview."""
    return size[0] * size[1] > SAMPLED_PX


def sampled_overview(source: Source, width: int, height: int, *, level: int = 0) -> Pixels:
    """The whole level as (height, width, 3), from every n-th block across and every m-th down.

    Blocks are those that the file is stored in. Where all blocks of an axis are read, it keeps its detail; else each
    block counts with its mean, and what lies between is interpolated bilinearly: small pieces may be missed.
    """
    full_width, full_height = source.level_sizes[level]
    block = _block(source, full_width, full_height)
    columns, rows = -(-full_width // block[0]), -(-full_height // block[1])
    step_x, step_y = _steps(columns, rows, block)
    lattice_x, lattice_y = range(0, columns, step_x), range(0, rows, step_y)
    detail_x = max(1, round(width / columns)) if step_x == 1 else 1
    detail_y = max(1, round(height / rows)) if step_y == 1 else 1

    def sampled(place: tuple[int, int]) -> Pixels:
        row, column = min(place[0] + step_y // 2, rows - 1), min(place[1] + step_x // 2, columns - 1)
        x, y = column * block[0], row * block[1]
        pixels = source.read(x, y, min(block[0], full_width - x), min(block[1], full_height - y), level=level)
        beyond = ((0, block[1] - pixels.shape[0]), (0, block[0] - pixels.shape[1]), (0, 0))
        pixels = np.pad(pixels, beyond, mode="edge") if max(beyond[0][1], beyond[1][1]) else pixels
        return np.asarray(Image.fromarray(pixels).resize((detail_x, detail_y), Image.Resampling.BOX))

    places = [(row, column) for row in lattice_y for column in lattice_x]
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as threads:
        parts = list(threads.map(sampled, places))
    coarse = np.stack(parts).reshape(len(lattice_y), len(lattice_x), detail_y, detail_x, 3)
    picture = Image.fromarray(np.concatenate(np.concatenate(coarse, axis=1), axis=1))
    box = (0, 0, full_width / (block[0] * step_x) * detail_x, full_height / (block[1] * step_y) * detail_y)
    return np.array(picture.resize((width, height), Image.Resampling.BILINEAR, box=box))


def _block(source: Source, width: int, height: int) -> tuple[int, int]:
    """Blocks of the file, several together where they are small."""
    across, down = min(source.block_px[0], width), min(source.block_px[1], height)
    times = max(1, 256 * 256 // (across * down))
    return across, min(down * times, height) if across == width else down


def _steps(columns: int, rows: int, block: tuple[int, int]) -> tuple[int, int]:
    """How many blocks to go on across and down, alike in pixels, for all sampled ones to stay within SAMPLED_PX."""
    most = max(1, SAMPLED_PX // (block[0] * block[1]))
    step_x = step_y = 1
    while -(-columns // step_x) * -(-rows // step_y) > most:
        if columns > step_x and (step_x * block[0] <= step_y * block[1] or rows <= step_y):
            step_x += 1
        elif rows > step_y:
            step_y += 1
        else:
            break
    return step_x, step_y
