"""Mask pictures are written as PNG and TIFF in the colours of their classes, and read part by part, as they are."""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
import tifffile
import zarr
from PIL import Image

from histoloop.annotations.records import LEFT_OUT_COLOUR, LEFT_OUT_VALUE, rgb
from histoloop.errors import DataError
from histoloop.exchange.colours import packed
from histoloop.exchange.writing import export_to, exported_file
from histoloop.language import tr
from histoloop.localisation.bands import BAND_ROWS, MaskBands, in_bands
from histoloop.store.files import file_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from histoloop.annotations.records import ClassScheme, Mask

MAX_HELD_BYTES = 600_000_000
"""Of a mask picture that must be decoded whole; tiled TIFFs are read tile by tile and may be larger."""

_UM_PER_INCH = 25_400.0
_PLAUSIBLE_UM = (0.02, 200.0)
_MAX_CHUNK_BYTES = 64_000_000
_BAND_PX = 8_000_000
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG = b"\x89PNG\r\n\x1a\n"
_UP = 2
"""The filter of a PNG's line that holds its differences to the line above."""
_JPEG = b"\xff\xd8"
_HELD_BYTES = {"RGB": 4, "RGBA": 4, "I": 4, "F": 4}
_UNITS_UM = {
    "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0, "\\u00b5m": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4,
    "inch": _UM_PER_INCH,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stated:
    """The place that a picture states: um per pixel, where its corner lies in um; None where it states none.

    `map_units` are GeoTIFF's units per pixel and its corner, in units of a map that the file does not name.
    """

    mpp: float | None = None
    corner_um: tuple[float, float] | None = None
    map_units: tuple[float, float, float] | None = None


class _Pixels(Protocol):
    """(height, width), or (height, width, 3 or 4) in colour, as they are in the file."""

    shape: tuple[int, ...]

    def __getitem__(self, window: tuple[slice, slice], /) -> Any: ...


class MaskPicture:
    """An open mask picture: `width`, `height`, its palette (N, 3) if it has one, and the place it states.

    `has_one_bit`: it was saved as black and white, which reads as 0 and 1.
    """

    def __init__(
        self,
        path: Path,
        pixels: _Pixels,
        *,
        palette: NDArray[np.uint8] | None = None,
        stated: Stated | None = None,
        has_one_bit: bool = False,
    ) -> None:
        self.path = path
        self.has_one_bit = has_one_bit
        self.height, self.width = pixels.shape[:2]
        self.is_colour = len(pixels.shape) == 3
        self.palette = palette
        self.stated = stated or Stated()
        self._pixels = pixels
        self._values: NDArray[Any] | None = None
        self._counts: NDArray[np.int64] | None = None

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """The pixels of a part, as they are; DataError when the file is damaged there."""
        with _explained(self.path):
            return np.asarray(self._pixels[rows, columns])

    def bands(self) -> Iterator[NDArray[Any]]:
        """All of it, from top to bottom."""
        height = max(1, _BAND_PX // self.width)
        for top in range(0, self.height, height):
            yield self.read(slice(top, min(top + height, self.height)), slice(0, self.width))

    def values(self) -> NDArray[Any]:
        """All values that occur, sorted; colours as one number each (`colours.packed`). Read once."""
        if self._values is None:
            self._count()
        assert self._values is not None
        return self._values

    def counts(self) -> NDArray[np.int64]:
        """How many pixels have each of `values`. Read once."""
        if self._counts is None:
            self._count()
        assert self._counts is not None
        return self._counts

    def _count(self) -> None:
        values: NDArray[Any] = np.empty(0, np.uint32)
        counts = np.empty(0, np.int64)
        for band in self.bands():
            found, often = _distinct(packed(band) if self.is_colour else band)
            both = np.union1d(values, found)
            total = np.zeros(len(both), np.int64)
            total[np.searchsorted(both, values)] += counts
            total[np.searchsorted(both, found)] += often
            values, counts = both, total
        self._values, self._counts = values, counts


def _distinct(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The values there are, sorted, and how often each is."""
    if values.dtype == np.uint8 or values.dtype == np.uint16:
        often = np.bincount(values.ravel())
        found = np.flatnonzero(often)
        return found, often[found]
    return np.unique(values, return_counts=True)


@contextmanager
def open_mask_picture(path: Path) -> Iterator[MaskPicture]:
    """A PNG, BMP or TIFF, whatever its ending, to be read part by part; DataError for anything else.

    PNG and BMP are decoded whole, and so are TIFFs in one piece: up to `MAX_HELD_BYTES` of them.
    """
    with _explained(path):
        if not path.is_file():
            raise OSError(tr("there is no such file"))
        with path.open("rb") as file:
            start = file.read(26)
    if start.startswith(_JPEG):
        raise DataError(
            tr("{path} is a JPEG, which changes the values of pixels: it is not a mask.", path=path),
            advice=tr("Use a PNG, TIFF or BMP with one value per pixel."),
        )
    if not start.startswith(_TIFF):
        yield _open_picture(path, start)
        return
    with _explained(path):
        tiff = tifffile.TiffFile(path)
    with tiff:
        with _explained(path):
            picture = _of_tiff(path, tiff)
        yield picture


def write_mask_png(path: Path, mask: Mask, scheme: ClassScheme) -> None:
    """An 8-bit palette PNG: values as in the mask, background black, classes in their colours, left out is grey."""
    height, width = mask.shape
    with mask_png(path, scheme, height=height, width=width) as picture:
        for band in in_bands(mask):
            picture.add(band)


@contextmanager
def mask_png(path: Path, scheme: ClassScheme, *, height: int, width: int) -> Iterator[MaskPng]:
    """The same picture, to be written from top to bottom; at `path` when the block ends well.

    ValueError where it was given other than `height` rows, ExportError when it cannot be written.
    """
    with exported_file(path) as file:
        picture = MaskPng(path, file, _palette_of(scheme), height=height, width=width)
        yield picture
        picture.finish()


class MaskPng:
    """A PNG that is given its rows: each is kept as its difference to the one above, mostly zeros, and deflated."""

    def __init__(self, path: Path, file: IO[bytes], palette: NDArray[np.uint8], *, height: int, width: int) -> None:
        self._path, self._file, self._rows_left = path, file, height
        self._above = np.zeros((1, width), np.uint8)
        self._deflate = zlib.compressobj()
        file.write(_PNG)
        self._write(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
        self._write(b"PLTE", palette.tobytes())

    def add(self, band: Mask) -> None:
        """The next rows (H, width)."""
        lines = np.full((len(band), band.shape[1] + 1), _UP, np.uint8)
        lines[:, 1:] = band
        lines[:, 1:] -= np.concatenate([self._above, band[:-1]])
        self._above, self._rows_left = np.array(band[-1:]), self._rows_left - len(band)
        self._write(b"IDAT", self._deflate.compress(lines.tobytes()))

    def finish(self) -> None:
        """What comes after the last row."""
        if self._rows_left:
            raise ValueError(f"{self._path}: {self._rows_left} rows are missing")
        self._write(b"IDAT", self._deflate.flush())
        self._write(b"IEND", b"")

    def _write(self, kind: bytes, content: bytes) -> None:
        if content or kind == b"IEND":
            length, checksum = struct.pack(">I", len(content)), zlib.crc32(content, zlib.crc32(kind))
            with export_to(self._path):
                self._file.write(length + kind + content + struct.pack(">I", checksum))


def write_mask_tiff(path: Path, mask: Mask | MaskBands, scheme: ClassScheme, *, mpp: float | None) -> None:
    """The same as a tiled, deflated TIFF; its resolution tags state the um per mask pixel where `mpp` is known.

    Of a mask in bands one band is in memory. Raises ExportError when it cannot be written.
    """
    bands = mask if isinstance(mask, MaskBands) else in_bands(mask)
    resolution = {} if mpp is None else {"resolution": (_UM_PER_INCH / mpp,) * 2, "resolutionunit": "INCH"}
    with export_to(path), file_beside(path) as partial:
        tifffile.imwrite(
            partial,
            _tiles(bands),
            shape=(bands.height, bands.width),
            dtype=np.uint8,
            photometric="palette",
            colormap=_palette_of(scheme).T.astype(np.uint16) * 257,
            compression="zlib",
            tile=(BAND_ROWS, BAND_ROWS),
            metadata=None,
            software=False,
            **resolution,
        )


def _tiles(bands: MaskBands) -> Iterator[NDArray[np.uint8]]:
    """The tiles of a mask, row by row, each as wide as a band is high; past its borders they are 0."""
    for band in bands:
        for left in range(0, bands.width, BAND_ROWS):
            tile = np.zeros((BAND_ROWS, BAND_ROWS), np.uint8)
            part = band[:, left : left + BAND_ROWS]
            tile[: part.shape[0], : part.shape[1]] = part
            yield tile


def _palette_of(scheme: ClassScheme) -> NDArray[np.uint8]:
    """(256, 3) the colour of each mask value."""
    palette = np.zeros((256, 3), np.uint8)
    for value, mask_class in enumerate(scheme.masks, start=1):
        palette[value] = rgb(mask_class.colour)
    palette[LEFT_OUT_VALUE] = rgb(LEFT_OUT_COLOUR)
    return palette


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What goes wrong with a picture, as a DataError. Of broken files decoders raise whatever they stumble over."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong with a file is reported as an error, or not at all
            yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            tr("{path} cannot be read as a mask: {reason}.", path=path, reason=str(error) or type(error).__name__),
            advice=tr("Use a PNG, TIFF or BMP with one value per pixel."),
        ) from error


def _check_size(path: Path, width: int, height: int, pixel_bytes: int) -> None:
    if width * height * pixel_bytes > MAX_HELD_BYTES:
        raise DataError(
            tr("{path} has {width} x {height} pixels: it is too large to be read in one piece.",
               path=path, width=width, height=height),
            advice=tr(
                "Save it as a tiled TIFF, or reduce it by a whole factor; images of one byte per pixel may "
                "have {millions} million pixels.",
                millions=MAX_HELD_BYTES // 1_000_000,
            ),
        )  # fmt: skip


# --- PNG and BMP ------------------------------------------------------------------------------------------------------


class _Held:
    """A decoded picture, converted part by part."""

    def __init__(self, picture: Image.Image, *, divisor: int) -> None:
        channels = (4,) if picture.mode == "RGBA" else (3,) if picture.mode == "RGB" else ()
        self.shape = (picture.height, picture.width, *channels)
        self._picture, self._divisor = picture, divisor

    def __getitem__(self, window: tuple[slice, slice], /) -> NDArray[Any]:
        rows, columns = window
        part = self._picture.crop((columns.start, rows.start, columns.stop, rows.stop))
        return np.array(part.convert("L") if part.mode == "1" else part) // self._divisor


def _open_picture(path: Path, start: bytes) -> MaskPicture:
    with _explained(path), _without_limit(), Image.open(path, formats=("PNG", "BMP")) as picture:
        _check_size(path, picture.width, picture.height, _HELD_BYTES.get(picture.mode, 2))
        picture.load()
        palette = None
        if picture.mode == "P":
            colours = picture.getpalette("RGB") or []
            palette = np.zeros((256, 3), np.uint8)
            palette.ravel()[: len(colours)] = colours
        held = picture.convert("RGBA") if picture.mode in ("LA", "PA") else picture
    one_bit = held.mode == "1"
    return MaskPicture(path, _Held(held, divisor=_divisor(start, held.mode)), palette=palette, has_one_bit=one_bit)


def _divisor(start: bytes, mode: str) -> int:
    """Pillow spreads grey of 1, 2 and 4 bits over 8: byte 24 of a PNG is its depth."""
    is_png = start.startswith(b"\x89PNG") and len(start) > 24
    if mode == "1":
        return 255
    return {2: 85, 4: 17}.get(start[24], 1) if is_png and mode == "L" else 1


@contextmanager
def _without_limit() -> Iterator[None]:
    """Pillow's own limit off: `_check_size` is what counts."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


# --- TIFF -------------------------------------------------------------------------------------------------------------


class _Arranged:
    """An array whose parts are converted when they are read."""

    def __init__(self, array: Any, shape: tuple[int, ...], convert: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        self.shape, self._array, self._convert = shape, array, convert
        self._planar = len(array.shape) == 3 and array.shape != shape

    def __getitem__(self, window: tuple[slice, slice], /) -> NDArray[Any]:
        if self._planar:
            return self._convert(np.moveaxis(np.asarray(self._array[:, *window]), 0, 2))
        return self._convert(np.asarray(self._array[window]))


def _of_tiff(path: Path, tiff: tifffile.TiffFile) -> MaskPicture:
    series = max(tiff.series, key=lambda one: one.keyframe.imagewidth * one.keyframe.imagelength).levels[0]
    page = series.keyframe
    height, width, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    if series.size != height * width * samples or samples not in (1, 3, 4):
        raise DataError(
            tr(
                "{path} contains several planes or channels ({shape}).",
                path=path,
                shape=" x ".join(map(str, series.shape)),
            ),
            advice=tr("Save the one that is the mask as a separate file."),
        )
    if page.dtype is None or page.dtype.kind not in "buif":
        raise ValueError(f"values of the type {page.dtype}")
    shape = (height, width) if samples == 1 else (height, width, samples)
    array = _array(path, series, page)
    picture = _Arranged(array, shape, _conversion(page))
    one_bit = page.bitspersample == 1
    return MaskPicture(path, picture, palette=_palette(page), stated=_stated(tiff, page), has_one_bit=one_bit)


def _array(path: Path, series: Any, page: Any) -> Any:
    """The pixels of a level, decoded whole where they are few, else to be read chunk by chunk."""
    if page.is_memmappable and series.dataoffset is not None:
        return series.asarray(out="memmap")
    if series.nbytes <= MAX_HELD_BYTES:
        return series.asarray()
    if int(np.prod(page.chunks)) * page.dtype.itemsize > _MAX_CHUNK_BYTES:
        _check_size(path, page.imagewidth, page.imagelength, series.nbytes // (page.imagewidth * page.imagelength))
    return zarr.open_array(series.aszarr(), mode="r")


def _conversion(page: Any) -> Callable[[NDArray[Any]], NDArray[Any]]:
    if page.dtype.itemsize == 2 and page.samplesperpixel > 1:
        return lambda pixels: (pixels >> 8).astype(np.uint8)
    if page.bitspersample == 1:
        white_is_zero = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
        return lambda pixels: (pixels.astype(np.bool_) ^ white_is_zero).astype(np.uint8)
    return lambda pixels: pixels


def _palette(page: Any) -> NDArray[np.uint8] | None:
    if page.photometric != tifffile.PHOTOMETRIC.PALETTE or page.colormap is None or page.dtype != np.uint8:
        return None
    palette = np.zeros((256, 3), np.uint8)
    colours = (np.asarray(page.colormap).T >> 8).astype(np.uint8)
    palette[: len(colours)] = colours[:256]
    return palette


def _stated(tiff: tifffile.TiffFile, page: Any) -> Stated:
    """OME's sizes and positions, GeoTIFF's, ImageJ's unit, or the resolution tags."""
    if 33550 in page.tags and 33922 in page.tags:
        scale, tie = page.tags[33550].value, page.tags[33922].value
        return Stated(map_units=(float(scale[0]), float(tie[3] - tie[0] * scale[0]), float(tie[4] + tie[1] * scale[1])))
    if tiff.is_ome:
        text = tiff.ome_metadata or ""
        size, x, y = (_of_ome(text, name) for name in ("PhysicalSizeX", "PositionX", "PositionY"))
        return Stated(_plausible(size), None if x is None or y is None else (x, y))
    unit_um = {2: _UM_PER_INCH, 3: 10_000.0}.get(page.resolutionunit)
    if tiff.is_imagej and tiff.imagej_metadata is not None:
        unit_um = _UNITS_UM.get(str(tiff.imagej_metadata.get("unit", "")).lower())
    along = page.get_resolution()[0] if 282 in page.tags else 0
    if unit_um is None or not along > 0:
        return Stated()
    x, y = (_rational(page.tags[code].value) * unit_um if code in page.tags else None for code in (286, 287))
    return Stated(_plausible(unit_um / along), None if x is None or y is None else (x, y))


def _rational(value: Any) -> float:
    return float(value[0]) / float(value[1]) if isinstance(value, tuple) else float(value)


def _of_ome(text: str, name: str) -> float | None:
    number = re.search(rf'\b{name}="([^"]+)"', text)
    unit = re.search(rf'\b{name}Unit="([^"]+)"', text)
    unit_um = 1.0 if unit is None else _UNITS_UM.get(unit[1].lower())
    return None if number is None or unit_um is None else float(number[1]) * unit_um


def _plausible(mpp: float | None) -> float | None:
    return mpp if mpp is not None and _PLAUSIBLE_UM[0] <= mpp <= _PLAUSIBLE_UM[1] else None
