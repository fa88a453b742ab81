"""TIFF files as slides: pyramids in SubIFDs or pages, planes in any order, all depths and compressions of tifffile."""

from __future__ import annotations

import logging
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from histoloop.errors import SlideError
from histoloop.language import mark, tr, tr_plural
from histoloop.slides.objective import OBJECTIVE
from histoloop.slides.sources.blocks import SlideBlocks
from histoloop.slides.sources.orientation import Orientation
from histoloop.slides.sources.protocol import broken
from histoloop.slides.sources.tiff.appearance import MOST_CHANNELS, appearance_of, rendering_like
from histoloop.slides.sources.tiff.layout import layout_of, planes_at, shown_planes
from histoloop.slides.sources.tiff.metadata import stated
from histoloop.slides.sources.tiff.segments import FileBytes, PageLevel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from histoloop.slides.sources.protocol import Content, Pixels
    from histoloop.slides.sources.tiff.colours import Rendering

_SAMPLED_BLOCKS, _SAMPLED_VALUES = 64, 1_000_000
_ORIENTATION_TAG, _ICC_TAG = 274, 34675
_KINDS = ("ome", "imagej", "shaped", "lsm", "mmstack", "qpi", "svs", "scn", "ndpi", "bif", "philips", "stk")
"""Kinds of files whose metadata say how pages belong together."""


class TiffSource:
    """The slide of a TIFF file; blocks are decoded when they are read, the last ones kept. Threads may read at once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._data, self._handle = FileBytes(file), file.open("rb")
        self._blocks = SlideBlocks()
        try:
            self._set_up(opened(self._handle))
        except SlideError:
            self.close()
            raise
        except Exception as error:  # of broken files tifffile raises whatever it stumbles over
            self.close()
            raise broken(file, str(error) or type(error).__name__) from error

    def _set_up(self, tiff: Any) -> None:
        self._tiff = tiff
        if ends_early(tiff, self._handle):
            raise broken(self._file, tr("it ends before its pages do"))
        layout = layout_of(self._file, tiff)
        main = layout.levels[0]
        shown = shown_planes(main, most_channels=MOST_CHANNELS)
        pages = [PageLevel(self._data, planes_at(self._file, each, shown.places)) for each in layout.levels]
        said = stated(tiff, main)
        appearance = appearance_of(main.keyframe, said, shown, sampled_values(pages[-1]))
        self._levels = [_Level(page, rendering_like(page.page, appearance.rendering)) for page in pages]
        self._orientation = Orientation.of_tag(main.keyframe.tags.valueof(_ORIENTATION_TAG, 1))
        sizes = [self._orientation.size(page.width, page.height) for page in pages]
        self.level_sizes: tuple[tuple[int, int], ...] = tuple(sizes)
        self.block_px = self._orientation.size(*pages[0].block_px)
        self.mpp = said.mpp
        self.vendor = _vendor(tiff, main, len(pages))
        objective = {} if said.objective is None else {OBJECTIVE: f"{said.objective:g}"}
        self.properties: Mapping[str, str] = {**appearance.windows, **objective}
        profile = main.keyframe.tags.valueof(_ICC_TAG)
        content = replace(appearance.content, icc_profile=profile if isinstance(profile, bytes) else None)
        self.content = _with_note(content, layout.others)

    def read(self, x: int, y: int, width: int, height: int, *, level: int) -> Pixels:
        """RGB of a window of a level."""
        page = self._levels[level].page
        x, y, width, height = self._orientation.stored(x, y, width, height, stored_size=(page.width, page.height))
        window = np.empty((height, width, 3), np.uint8)
        across, down = page.block_px
        for row in range(y // down, -(-(y + height) // down)):
            for column in range(x // across, -(-(x + width) // across)):
                block = self._block(level, row, column)
                top, left = row * down - y, column * across - x
                part = block[max(0, -top) : height - top, max(0, -left) : width - left]
                top, left = max(0, top), max(0, left)
                window[top : top + part.shape[0], left : left + part.shape[1]] = part
        return self._orientation.upright(window)

    def close(self) -> None:
        """Let go of the file."""
        self._blocks.forget()
        self._handle.close()
        self._data.close()

    def _block(self, level: int, row: int, column: int) -> Pixels:
        block = self._blocks.get(level, row, column)
        if block is None:
            try:
                block = self._levels[level].rgb(row, column)
            except SlideError:
                raise
            except Exception as error:
                raise broken(self._file, str(error) or type(error).__name__) from error
            self._blocks.put(level, row, column, block)
        return block


def opened(handle: BinaryIO) -> Any:
    """An open TIFF file in tifffile's hands; other files that its metadata name are left alone."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong with a file is reported as an error
    tiff = tifffile.TiffFile(handle, _multifile=False)
    try:
        series = tiff.series
    except Exception:  # metadata that tifffile stumbles over must not hide the pages
        tiff = tifffile.TiffFile(handle, _multifile=False, **{f"is_{kind}": False for kind in _KINDS})
        series = tiff.series
    if not series:
        raise ValueError("no page is in it")
    return tiff


def ends_early(tiff: Any, handle: BinaryIO) -> bool:
    """Whether the last page that was found names another, beyond the end of the file."""
    layout = tiff.tiff
    handle.seek(tiff.pages[-1].offset)
    (tags,) = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))
    handle.seek(tags * layout.tagsize, 1)
    following = handle.read(layout.offsetsize)
    size = handle.seek(0, 2)
    return len(following) < layout.offsetsize or int(struct.unpack(layout.offsetformat, following)[0]) >= size


def sampled_values(page: PageLevel) -> NDArray[Any]:
    """Some values (n, samples) of a level, from blocks all over it; zeros where they decide nothing."""
    if page.dtype == np.uint8 and page.page.bitspersample == 8 and not any(page.page.extrasamples):
        return np.zeros((1, page.samples), page.dtype)
    step = max(1, round((page.rows * page.columns / _SAMPLED_BLOCKS) ** 0.5))
    parts = []
    for row in range(step // 2 if page.rows > step else 0, page.rows, step):
        for column in range(step // 2 if page.columns > step else 0, page.columns, step):
            block = page.read_block(row, column)
            if block is not None:
                thin = max(1, int((block.shape[0] * block.shape[1] * _SAMPLED_BLOCKS / _SAMPLED_VALUES) ** 0.5))
                parts.append(block[::thin, ::thin].reshape(-1, block.shape[2]))
    return np.concatenate(parts) if parts else np.zeros((1, page.samples), page.dtype)


class _Level:
    def __init__(self, page: PageLevel, rendering: Rendering) -> None:
        self.page = page
        self._rendering = rendering

    def rgb(self, row: int, column: int) -> Pixels:
        return _rgb(self.page, self._rendering, row, column)


def _rgb(page: PageLevel, rendering: Rendering, row: int, column: int) -> Pixels:
    """A block as it is shown; white where the file leaves it out."""
    values = page.read_block(row, column)
    if values is None:
        height = min(page.block_px[1], page.height - row * page.block_px[1])
        width = min(page.block_px[0], page.width - column * page.block_px[0])
        return np.full((height, width, 3), 0 if rendering.kind == "channels" else 255, np.uint8)
    return rendering.rgb(values)


def _vendor(tiff: Any, main: Any, levels: int) -> str:
    if main.kind in ("ome", "imagej", "qpi"):
        return {"ome": "ome-tiff", "imagej": "imagej-tiff", "qpi": "qptiff"}[main.kind]
    if tiff.is_ome:
        return "ome-tiff"
    return "generic-tiff" if levels > 1 or main.keyframe.is_tiled else mark("image")


def _with_note(content: Content, others: int) -> Content:
    if not others:
        return content
    said = tr_plural(
        "The file contains {count} other image; the largest is shown.",
        "The file contains {count} other images; the largest is shown.",
        others,
    )
    note = " ".join(part for part in (content.note, said) if part)
    return replace(content, note=note)
