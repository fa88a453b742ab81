"""Whether OpenSlide reads a TIFF file of no scanner as it is meant, or TiffSource has to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tifffile

from histoloop.slides.sources.tiff.segments import JPEG, jpeg_frame
from histoloop.slides.sources.tiff.source import opened

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF and BigTIFF files, little- and big-endian."""

SLOW_PX = 100_000_000
"""Pixels of a level from which on a slide without smaller levels is read by TiffSource, which is quicker at it."""

LARGEST_TILE_PX = 16_000_000

_COMPRESSIONS = frozenset({1, 5, 7, 8, 32773, 32946})
_RGB, _YCBCR = 2, 6
_MOST_PAGES = 64
_MOST_PAGES_OF_SCANNERS = 256
_SAME_SHAPE = 0.02


def is_simple_pyramid(file: Path) -> bool:
    """Whether a file is tiled 8-bit RGB in pages that get smaller, and nothing else: OpenSlide reads that exactly."""
    try:
        with file.open("rb") as handle:
            return _is_simple(handle, opened(handle))
    except Exception:  # whatever is wrong with it is found, and reported, when it is opened
        return True


def has_huge_tiles(file: Path) -> bool:
    """Whether a page states tiles that no scanner makes: OpenSlide ends the process where it cannot have the memory."""
    try:
        with file.open("rb") as handle, tifffile.TiffFile(handle, _multifile=False) as tiff:
            pages = [page.aspage() for page in tiff.pages[:_MOST_PAGES_OF_SCANNERS]]
    except Exception:  # OpenSlide then refuses it too
        return False
    sides = [(page.tilewidth, page.tilelength) for page in pages]
    return not all(isinstance(w, int) and isinstance(h, int) and w * h <= LARGEST_TILE_PX for w, h in sides)


def has_subsampled_values(file: Path) -> bool:
    """Whether the first page stores subsampled colours as plain values, which only libtiff decodes."""
    try:
        with file.open("rb") as handle:
            page = opened(handle).pages.first
            return bool(page.is_subsampled) and page.compression not in JPEG
    except Exception:  # it is reported when the file is opened
        return False


def _is_simple(handle: BinaryIO, tiff: Any) -> bool:
    pages = [page.aspage() for page in tiff.pages[:_MOST_PAGES]]
    if len(tiff.pages) > _MOST_PAGES or tiff.is_ome or tiff.is_imagej or tiff.is_qpi:
        return False
    first, *others = pages
    if not others and first.imagewidth * first.imagelength > SLOW_PX:
        return False
    return all(_is_plain_rgb(handle, page) for page in pages) and all(_is_level(page, first) for page in others)


def _is_plain_rgb(handle: BinaryIO, page: Any) -> bool:
    return bool(
        page.is_tiled
        and page.bitspersample == 8
        and page.samplesperpixel == 3
        and page.planarconfig == 1
        and not page.extrasamples
        and int(page.photometric) in (_RGB, _YCBCR)
        and page.compression in _COMPRESSIONS
        and page.subifds is None
        and page.tags.valueof(274, 1) == 1
        and not _is_mislabelled_jpeg(handle, page)
    )


def _is_level(page: Any, first: Any) -> bool:
    across, down = first.imagewidth / page.imagewidth, first.imagelength / page.imagelength
    slack = _SAME_SHAPE * max(across, down) + max(across / page.imagewidth, down / page.imagelength)
    return bool(page.is_reduced) and across >= 1 and down >= 1 and abs(across - down) <= slack


def _is_mislabelled_jpeg(handle: BinaryIO, page: Any) -> bool:
    """JPEG tiles that say RGB but store subsampled colours: libtiff refuses them, or shows them in wrong colours."""
    if page.compression != 7 or int(page.photometric) != _RGB or not len(page.dataoffsets):
        return False
    handle.seek(page.dataoffsets[0])
    head = handle.read(min(int(page.databytecounts[0]), 65_536))
    return len(set(jpeg_frame(head).factors)) > 1
