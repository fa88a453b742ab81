"""Slides for benchmarks: synthetic tissue at 0.25 um per pixel, with the levels of a scanner, made in seconds."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from PIL import Image

from histoloop.geometry import Region
from histoloop.slides.synthetic import SyntheticSpec, SyntheticTissue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MPP = 0.25
TILE_PX, BLOCK_PX, STRIP_PX, JPEG_QUALITY = 256, 4096, 512, 88
DOWNSAMPLES = (1, 4, 16)
GLASS = 243


def block_of_tissue(seed: int = 0) -> np.ndarray:
    """A field full of tissue (`BLOCK_PX`, `BLOCK_PX`, 3) that slides repeat."""
    tissue = SyntheticTissue(SyntheticSpec(seed, BLOCK_PX, BLOCK_PX, mpp=MPP, margin_um=0))
    strips = [tissue.read(Region(0, top, BLOCK_PX, STRIP_PX))[0] for top in range(0, BLOCK_PX, STRIP_PX)]
    return np.concatenate(strips)


def write_slide(path: Path, block: np.ndarray, side_px: int, *, tissue_px: int | None = None) -> None:
    """A square slide in JPEG tiles, full of tissue, or with a square of tissue in the middle of glass.

    Sides are rounded up to whole tiles of the coarsest level, that of the tissue to whole blocks.
    """
    whole = TILE_PX * DOWNSAMPLES[-1]
    side = -(-side_px // whole) * whole
    tissue = side if tissue_px is None else min(side, -(-tissue_px // BLOCK_PX) * BLOCK_PX)
    start = (side - tissue) // 2 // BLOCK_PX * BLOCK_PX
    glass = _encoded(np.full((TILE_PX, TILE_PX, 3), GLASS, np.uint8))
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for downsample in DOWNSAMPLES:
            tiles = _tiles_of(block, downsample)

            def of_level(downsample: int = downsample, tiles: dict = tiles) -> Iterator[bytes]:
                first, last = start // downsample // TILE_PX, (start + tissue) // downsample // TILE_PX
                across, repeat = side // downsample // TILE_PX, BLOCK_PX // downsample // TILE_PX
                for row in range(across):
                    for column in range(across):
                        inside = first <= row < last and first <= column < last
                        yield tiles[(row - first) % repeat, (column - first) % repeat] if inside else glass

            per_cm = 10_000 / (MPP * downsample)
            tiff.write(
                of_level(),
                shape=(side // downsample, side // downsample, 3),
                dtype=np.uint8,
                tile=(TILE_PX, TILE_PX),
                photometric="ycbcr",
                subsampling=(1, 1),
                compression="jpeg",
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                subfiletype=int(downsample > 1),
                metadata=None,
            )


def _tiles_of(block: np.ndarray, downsample: int) -> dict[tuple[int, int], bytes]:
    """The encoded tiles of a block at a level, by row and column."""
    side = BLOCK_PX // downsample
    squares = block.reshape(side, downsample, side, downsample, 3)
    pixels = squares.mean(axis=(1, 3), dtype=np.float32).round().astype(np.uint8) if downsample > 1 else block
    count = side // TILE_PX
    return {
        (row, column): _encoded(pixels[row * TILE_PX : (row + 1) * TILE_PX, column * TILE_PX : (column + 1) * TILE_PX])
        for row in range(count)
        for column in range(count)
    }


def _encoded(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    return content.getvalue()
