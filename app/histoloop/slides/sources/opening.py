"""Which source reads a file: by what is in it, not by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.errors import SlideError
from histoloop.language import tr
from histoloop.slides.find import PICTURE_SUFFIXES, has_huge_frames
from histoloop.slides.sources.direct import DIRECT_VENDORS, DirectSource
from histoloop.slides.sources.openslide_source import OpenSlideSource, detected_vendor
from histoloop.slides.sources.picture import PictureSource
from histoloop.slides.sources.protocol import UnsupportedError, broken
from histoloop.slides.sources.tiff.routing import MAGIC, has_huge_tiles, has_subsampled_values, is_simple_pyramid
from histoloop.slides.sources.tiff.source import TiffSource

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.slides.sources.protocol import Source

_JPEG = b"\xff\xd8"
"""First bytes of a JPEG file; a .mrxs is a JPEG preview of the slide."""


def open_source(file: Path) -> Source:
    """The source of a readable file; SlideError where none reads it.

    OpenSlide reads the formats of scanners and simple pyramids, TiffSource all other TIFF files, Pillow plain pictures.
    """
    is_tiff = _begin_of(file) in MAGIC
    vendor = detected_vendor(file)
    if vendor is None:
        return _of_other_files(file, is_tiff=is_tiff)
    if (is_tiff and has_huge_tiles(file)) or (vendor == "dicom" and has_huge_frames(file)):
        raise broken(file, tr("a tile is too large"))
    if is_tiff and vendor == "generic-tiff" and not is_simple_pyramid(file):
        return TiffSource(file)
    try:
        slide = OpenSlideSource(file)
        return DirectSource(file, slide) if is_tiff and vendor in DIRECT_VENDORS else slide
    except UnsupportedError:  # a compression that libtiff lacks
        if is_tiff:
            return TiffSource(file)
        raise


def _of_other_files(file: Path, *, is_tiff: bool) -> Source:
    if is_tiff and has_subsampled_values(file):
        return PictureSource(file, formats=("TIFF",))
    if is_tiff:
        return TiffSource(file)
    if file.suffix.lower() in PICTURE_SUFFIXES | {".jp2"}:
        return PictureSource(file)
    if file.suffix.lower() == ".mrxs" and _begin_of(file)[:2] == _JPEG and not file.with_suffix("").is_dir():
        reason = tr("the folder {folder} beside it, which holds its pixels, is missing", folder=file.stem)
        raise SlideError(file, reason, advice=tr("Copy the folder too: it has the same name and contains .dat files."))
    raise SlideError(
        file,
        tr("it is not a slide that OpenSlide can read, nor a PNG, JPEG, BMP or TIFF image"),
        advice=tr("Convert it to a pyramidal TIFF, or check that the file is whole."),
    )


def _begin_of(file: Path) -> bytes:
    try:
        with file.open("rb") as handle:
            return handle.read(4)
    except OSError:
        return b""
