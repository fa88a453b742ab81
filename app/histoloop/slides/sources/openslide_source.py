"""Slides that the OpenSlide library reads. The only module that knows OpenSlide."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import openslide
from PIL import ImageCms

from histoloop.language import mark, tr
from histoloop.slides.sources.blocks import machine_cache_bytes
from histoloop.slides.sources.picture import on_white
from histoloop.slides.sources.protocol import (
    Content,
    broken,
    compression_name,
    plausible_mpp,
    unsupported,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from histoloop.errors import SlideError
    from histoloop.slides.sources.protocol import Pixels

_BLOCK_PX = 256
_ICC_SIZE = "openslide.icc-size"


@cache
def _shared_cache() -> openslide.OpenSlideCache:
    """Decoded tiles of all slides of this process."""
    return openslide.OpenSlideCache(machine_cache_bytes())


def openslide_version() -> str:
    """Version of the OpenSlide library in use."""
    return str(openslide.__library_version__)


def detected_vendor(file: Path) -> str | None:
    """The format in OpenSlide's words; None when it does not know the file. SlideError when the file is broken."""
    try:
        vendor = openslide.OpenSlide.detect_format(str(file))
    except openslide.OpenSlideError as error:
        raise refused(file, str(error)) from error
    return None if vendor is None else str(vendor)


def refused(file: Path, reason: str) -> SlideError:
    """OpenSlide's refusal in words: a compression that it cannot decode is no damage."""
    if found := re.search(r"[Uu]nsupported TIFF compression:? (\d+)", reason):
        return unsupported(file, tr("the compression {name}", name=compression_name(int(found[1]))))
    return broken(file, reason)


class OpenSlideSource:
    """A slide that the OpenSlide library reads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._slide = openslide.OpenSlide(str(file))
            self.properties: Mapping[str, str] = dict(self._slide.properties)
        except (openslide.OpenSlideError, OSError, KeyError) as error:
            raise refused(file, str(error)) from error
        self._slide.set_cache(_shared_cache())
        self.vendor = self.properties.get(openslide.PROPERTY_NAME_VENDOR, mark("unknown"))
        self.level_sizes = tuple(self._slide.level_dimensions)
        self._downsamples = tuple(self._slide.level_downsamples)
        self.content = Content(icc_profile=self._icc_profile())
        self.mpp = self._mpp()
        self.block_px = self._block()

    def _icc_profile(self) -> bytes | None:
        if _ICC_SIZE not in self.properties:
            return None
        try:
            profile = self._slide.color_profile
            return None if profile is None else bytes(profile.tobytes())
        except (openslide.OpenSlideError, ImageCms.PyCMSError, OSError):  # the pixels may be whole all the same
            return None

    def _mpp(self) -> float | None:
        try:
            x = float(self.properties[openslide.PROPERTY_NAME_MPP_X])
            y = float(self.properties[openslide.PROPERTY_NAME_MPP_Y])
        except (KeyError, ValueError):
            return None
        return plausible_mpp(x, y)

    def _block(self) -> tuple[int, int]:
        width = self.properties.get("openslide.level[0].tile-width", "")
        height = self.properties.get("openslide.level[0].tile-height", "")
        return (int(width), int(height)) if width.isdigit() and height.isdigit() else (_BLOCK_PX, _BLOCK_PX)

    def read(self, x: int, y: int, width: int, height: int, *, level: int) -> Pixels:
        """Pixels of a window of a level."""
        if self._downsamples[level].is_integer():
            return self._read(x, y, width, height, level=level)
        # Origins are whole level-0 pixels, so OpenSlide interpolates here: always through the same blocks, then, for
        # a pixel to have one value only.
        window = np.empty((height, width, 3), np.uint8)
        for top in range(y // _BLOCK_PX * _BLOCK_PX, y + height, _BLOCK_PX):
            for left in range(x // _BLOCK_PX * _BLOCK_PX, x + width, _BLOCK_PX):
                columns, rows = self.level_sizes[level][0] - left, self.level_sizes[level][1] - top
                block = self._read(left, top, min(_BLOCK_PX, columns), min(_BLOCK_PX, rows), level=level)
                block = block[max(0, y - top) : y + height - top, max(0, x - left) : x + width - left]
                row, column = max(0, top - y), max(0, left - x)
                window[row : row + block.shape[0], column : column + block.shape[1]] = block
        return window

    def exact_px(self, level: int) -> int:
        """How far from the first pixel of a level OpenSlide does not interpolate."""
        return max(self.level_sizes[level]) if self._downsamples[level].is_integer() else _BLOCK_PX

    def _read(self, x: int, y: int, width: int, height: int, *, level: int) -> Pixels:
        origin = (round(x * self._downsamples[level]), round(y * self._downsamples[level]))
        try:
            rgba = self._slide.read_region(origin, level, (width, height))
        except (openslide.OpenSlideError, OSError, MemoryError) as error:
            raise refused(self._file, str(error)) from error
        return on_white(rgba)

    def close(self) -> None:
        """Let go of the file."""
        self._slide.close()


def associated_pictures(file: Path, names: Collection[str]) -> dict[str, Pixels]:
    """Those of the pictures beside the pixels that OpenSlide has by these names; none where it does not know the file.

    SlideError when the file is broken.
    """
    if detected_vendor(file) is None:
        return {}
    try:
        with openslide.OpenSlide(str(file)) as slide:
            there = slide.associated_images
            return {name: on_white(there[name]) for name in names if name in there}
    except (openslide.OpenSlideError, OSError) as error:
        raise refused(file, str(error)) from error
