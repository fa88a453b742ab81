"""Open slides and read pixels: every OpenSlide format, and PNG, JPEG, BMP and TIFF fields of view.

The only module that knows OpenSlide. Regions are level-0 pixels; outside the slide and where it is transparent,
pixels are white.
"""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import openslide
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from histoloop.errors import SlideError
from histoloop.geometry import Region
from histoloop.language import mark, tr

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

Pixels = NDArray[np.uint8]
"""(H, W, 3) RGB."""

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
OPENSLIDE_SUFFIXES = frozenset(
    {".svs", ".tif", ".tiff", ".ndpi", ".vms", ".vmu", ".scn", ".mrxs", ".svslide", ".bif", ".czi", ".dcm"}
)
SLIDE_SUFFIXES = PICTURE_SUFFIXES | OPENSLIDE_SUFFIXES

MAX_PICTURE_PX = 400_000_000
"""Pixels of a plain picture at most: it has no pyramid and is held in memory whole (1.2 GB at this size)."""

PLAUSIBLE_MPP = (0.02, 20.0)
"""Resolutions in um/px that a microscope can have made; others in a file's header are taken as unknown."""

_STRIP_PX = 4_000_000
_BLOCK_PX = 256
_UNITS_UM = {2: 25_400.0, 3: 10_000.0}


class _Source(Protocol):
    """Where a slide's pixels come from."""

    vendor: str
    properties: Mapping[str, str]
    level_sizes: tuple[tuple[int, int], ...]
    mpp: float | None

    def read(self, x: int, y: int, width: int, height: int, *, level: int) -> Pixels:
        """Pixels at (x, y) of a level, in that level's pixels; wholly inside the level."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class Slide:
    """An open slide; a context manager. Threads may read at the same time.

    `width`, `height` are level-0 pixels; `mpp` micrometres per level-0 pixel, None when the file does not say;
    `level_sizes` (width, height) and `level_downsamples` per level, level 0 first.
    """

    def __init__(self, path: Path, source: _Source, *, mpp: float | None) -> None:
        self.path = path
        self._source: _Source | None = source
        self.vendor = source.vendor
        self.properties = source.properties
        self.level_sizes = source.level_sizes
        self.width, self.height = source.level_sizes[0]
        self.level_downsamples = tuple(
            (self.width / width + self.height / height) / 2 for width, height in source.level_sizes
        )
        self.mpp = mpp if mpp is not None else source.mpp

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def extent(self) -> Region:
        """The whole slide."""
        return Region(0, 0, self.width, self.height)

    def close(self) -> None:
        """Let go of the file; reading afterwards is a ValueError."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def read_region(self, region: Region, *, level: int = 0) -> Pixels:
        """RGB pixels of a level-0 region at a level: (ceil(height / downsample), ceil(width / downsample), 3)."""
        downsample = self.level_downsamples[level]
        x, y = round(region.x / downsample), round(region.y / downsample)
        width, height = math.ceil(region.width / downsample), math.ceil(region.height / downsample)
        return self._read_padded(x, y, width, height, level=level)

    def read_scaled(self, x: int, y: int, width: int, height: int, *, downsample: float) -> Pixels:
        """RGB pixels of a window, in pixels of the slide downsampled by `downsample` (any positive factor).

        A pixel has the same value whichever window it is read through, to one grey level; antialiased.
        """
        if downsample <= 0 or width < 1 or height < 1:
            raise ValueError(f"a window needs positive sizes and factor, not {width} x {height} at {downsample}")
        level = self._level_for(downsample)
        ratio = downsample / self.level_downsamples[level]
        if abs(ratio - 1) * max(self.level_sizes[level]) < 0.5:
            return self._read_padded(x, y, width, height, level=level)
        rows = max(1, int(_STRIP_PX / (ratio * ratio * width + 1)))
        strips = [
            self._resample(x, top, width, min(rows, y + height - top), level=level, ratio=ratio)
            for top in range(y, y + height, rows)
        ]
        return strips[0] if len(strips) == 1 else np.concatenate(strips)

    def read_at_mpp(self, region: Region, *, mpp: float) -> Pixels:
        """RGB pixels of a level-0 region at a resolution in um/px; SlideError when the slide's own is unknown."""
        if self.mpp is None:
            raise SlideError(
                self.path,
                tr("its resolution is unknown"),
                advice=tr("Set the micrometres per pixel of this slide; the microscope or scanner states it."),
            )
        return self.read_region_scaled(region, downsample=mpp / self.mpp)

    def read_region_scaled(self, region: Region, *, downsample: float) -> Pixels:
        """RGB pixels of a level-0 region at `downsample` level-0 pixels per pixel, one pixel wide and high at least."""
        return self.read_scaled(
            round(region.x / downsample),
            round(region.y / downsample),
            max(1, round(region.width / downsample)),
            max(1, round(region.height / downsample)),
            downsample=downsample,
        )

    def thumbnail(self, max_size_px: int) -> Pixels:
        """The whole slide with its longer side at most `max_size_px`; never enlarged."""
        downsample = max(1.0, max(self.width, self.height) / max_size_px)
        width, height = max(1, round(self.width / downsample)), max(1, round(self.height / downsample))
        return self.read_scaled(0, 0, width, height, downsample=downsample)

    def _level_for(self, downsample: float) -> int:
        """The coarsest level that is not coarser than wanted."""
        fine_enough = [level for level, own in enumerate(self.level_downsamples) if own <= downsample * (1 + 1e-3)]
        return max(fine_enough, default=0)

    def _resample(self, x: int, y: int, width: int, height: int, *, level: int, ratio: float) -> Pixels:
        margin = math.ceil(max(ratio, 1.0)) + 2
        left, top = math.floor(x * ratio) - margin, math.floor(y * ratio) - margin
        right, bottom = math.ceil((x + width) * ratio) + margin, math.ceil((y + height) * ratio) + margin
        source = self._read_padded(left, top, right - left, bottom - top, level=level)
        box = (x * ratio - left, y * ratio - top, (x + width) * ratio - left, (y + height) * ratio - top)
        picture = Image.fromarray(source).resize((width, height), Image.Resampling.BILINEAR, box=box)
        return np.array(picture)

    def _read_padded(self, x: int, y: int, width: int, height: int, *, level: int) -> Pixels:
        """A window in a level's pixels; white outside the slide."""
        level_width, level_height = self.level_sizes[level]
        source = self._open_source()
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, level_width), min(y + height, level_height)
        if right <= left or bottom <= top:
            return np.full((height, width, 3), 255, np.uint8)
        inside = source.read(left, top, right - left, bottom - top, level=level)
        if inside.shape[:2] == (height, width):
            return inside
        padded = np.full((height, width, 3), 255, np.uint8)
        padded[top - y : bottom - y, left - x : right - x] = inside
        return padded

    def _open_source(self) -> _Source:
        if self._source is None:
            raise ValueError(f"{self.path} is closed")
        return self._source


def open_slide(path: str | Path, *, mpp: float | None = None) -> Slide:
    """Open a slide or a plain picture; `mpp` fills in or overrides what the file says.

    SlideError names the file, the reason and what to do when it is missing, broken, truncated or of a foreign kind.
    """
    if mpp is not None and not mpp > 0:
        raise ValueError(f"mpp must be positive, not {mpp}")
    file = Path(path)
    _check_readable(file)
    return Slide(file, _open_source(file), mpp=mpp)


def is_slide(path: Path) -> bool:
    """Whether the OpenSlide library knows a file's format; plain pictures and broken files are no slides."""
    try:
        return openslide.OpenSlide.detect_format(str(path)) is not None
    except openslide.OpenSlideError:
        return False


def openslide_version() -> str:
    """Version of the OpenSlide library in use."""
    return str(openslide.__library_version__)


def find_slides(paths: Iterable[Path]) -> list[Path]:
    """Slide files among files and, recursively, folders; sorted, each once.

    Files named outright are kept whatever they are called. In folders, hidden files, other kinds, masks
    (`*_anno.*`, `*_mask.*`, `*-mask.*`) and what belongs to a .mrxs or .vms slide are passed over.
    """
    found: dict[Path, None] = {}
    for path in paths:
        for file in sorted(_slides_in(path)) if path.is_dir() else [path]:
            found[file] = None
    return list(found)


def _slides_in(folder: Path) -> Iterator[Path]:
    companions = {file.with_suffix("") for file in folder.rglob("*.mrxs")} | set(_named_in_vms(folder))
    for file in folder.rglob("*"):
        if file.suffix.lower() not in SLIDE_SUFFIXES or not file.is_file():
            continue
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        mask = file.stem.lower().endswith(("_anno", "_mask", "-mask"))
        if not hidden and not mask and not companions.intersection((file, *file.parents)):
            yield file


def _named_in_vms(folder: Path) -> Iterator[Path]:
    """The pictures that a Hamamatsu .vms or .vmu slide is made of: its text names them, one a line."""
    for file in (*folder.rglob("*.vms"), *folder.rglob("*.vmu")):
        for line in file.read_text(encoding="latin-1").splitlines():
            name = line.partition("=")[2].strip()
            if name:
                yield file.parent / name


def _check_readable(file: Path) -> None:
    if not file.exists():
        raise SlideError(file, tr("there is no such file"), advice=tr("Check the path, or connect the disk it is on."))
    if file.is_dir() and not any(file.glob("*.dcm")):
        raise SlideError(file, tr("it is a folder"), advice=tr("Import the folder, or name a slide in it."))
    if not os.access(file, os.R_OK):
        raise SlideError(file, tr("you may not read it"), advice=tr("Ask for permission to read the file, or copy it."))
    if file.is_file() and file.stat().st_size == 0:
        raise SlideError(file, tr("it is empty"), advice=tr("Copy the file again: its transfer did not finish."))


def _open_source(file: Path) -> _Source:
    try:
        if openslide.OpenSlide.detect_format(str(file)) is not None:
            return _OpenSlideSource(file)
    except openslide.OpenSlideError as error:
        raise _broken(file, str(error)) from error
    if file.suffix.lower() in PICTURE_SUFFIXES:
        return _PictureSource(file)
    raise SlideError(
        file,
        tr("it is no slide that OpenSlide knows, and no PNG, JPEG, BMP or TIFF picture"),
        advice=tr("Convert it to a pyramidal TIFF, or check that the file is whole."),
    )


def _broken(file: Path, reason: str) -> SlideError:
    return SlideError(
        file,
        tr("it cannot be read ({reason})", reason=reason.rstrip(".")),
        advice=tr("The file is damaged or incomplete: copy it again, or scan the glass again."),
    )


class _OpenSlideSource:
    """A slide that the OpenSlide library reads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._slide = openslide.OpenSlide(str(file))
            self.properties: Mapping[str, str] = dict(self._slide.properties)
        except (openslide.OpenSlideError, OSError, KeyError) as error:
            raise _broken(file, str(error)) from error
        self.vendor = self.properties.get(openslide.PROPERTY_NAME_VENDOR, mark("unknown"))
        self.level_sizes = tuple(self._slide.level_dimensions)
        self._downsamples = tuple(self._slide.level_downsamples)
        self.mpp = self._mpp()

    def _mpp(self) -> float | None:
        try:
            x = float(self.properties[openslide.PROPERTY_NAME_MPP_X])
            y = float(self.properties[openslide.PROPERTY_NAME_MPP_Y])
        except (KeyError, ValueError):
            return None
        plausible = PLAUSIBLE_MPP[0] <= min(x, y) and max(x, y) <= PLAUSIBLE_MPP[1]
        return (x + y) / 2 if plausible and abs(x - y) <= 0.05 * max(x, y) else None

    def read(self, x: int, y: int, width: int, height: int, *, level: int) -> Pixels:
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

    def _read(self, x: int, y: int, width: int, height: int, *, level: int) -> Pixels:
        origin = (round(x * self._downsamples[level]), round(y * self._downsamples[level]))
        try:
            rgba = self._slide.read_region(origin, level, (width, height))
        except (openslide.OpenSlideError, OSError) as error:
            raise _broken(self._file, str(error)) from error
        return _on_white(rgba)

    def close(self) -> None:
        self._slide.close()


class _PictureSource:
    """A plain picture, held in memory: one level."""

    vendor = mark("picture")

    def __init__(self, file: Path) -> None:
        self._pixels, self.mpp = _read_picture(file)
        height, width = self._pixels.shape[:2]
        self.level_sizes: tuple[tuple[int, int], ...] = ((width, height),)
        self.properties: Mapping[str, str] = {}

    def read(self, x: int, y: int, width: int, height: int, *, level: int) -> Pixels:
        if level != 0:
            raise ValueError(f"a picture has level 0 only, not {level}")
        return self._pixels[y : y + height, x : x + width].copy()

    def close(self) -> None:
        self._pixels = np.empty((0, 0, 3), np.uint8)


def _on_white(picture: Image.Image) -> Pixels:
    """RGB over white, whatever the mode."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        ground = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return np.array(Image.alpha_composite(ground, rgba).convert("RGB"))
    return np.array(picture.convert("RGB"))


def _read_picture(file: Path) -> tuple[Pixels, float | None]:
    """Pixels as they are meant to be seen (EXIF orientation applied), and um/px where a TIFF states it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong with a file is told as an error, or not at all
            Image.MAX_IMAGE_PIXELS = None  # MAX_PICTURE_PX is what counts
            return _decode(file)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, tifffile.TiffFileError) as error:
        if isinstance(error, SlideError):
            raise
        raise _broken(file, str(error) or type(error).__name__) from error


def _decode(file: Path) -> tuple[Pixels, float | None]:
    try:
        with Image.open(file) as picture:
            _check_size(file, picture.width * picture.height)
            mpp = _tiff_mpp(picture)
            if picture.mode.startswith(("I", "F")):
                return _eight_bit(np.asarray(picture)), mpp
            return _on_white(ImageOps.exif_transpose(picture)), mpp
    except UnidentifiedImageError:
        if file.suffix.lower() not in (".tif", ".tiff"):
            raise
    try:
        with tifffile.TiffFile(file) as tiff:
            page = tiff.pages[0]
            _check_size(file, math.prod(page.shape[:2]))
            return _eight_bit(np.asarray(page.asarray())), None
    except SlideError:
        raise
    except Exception as error:  # of broken files tifffile and its codecs raise whatever they stumble over
        raise _broken(file, str(error) or type(error).__name__) from error


def _check_size(file: Path, pixels: int) -> None:
    if pixels > MAX_PICTURE_PX:
        raise SlideError(
            file,
            tr("it has {millions:.0f} million pixels and no pyramid", millions=pixels / 1e6),
            advice=tr("Convert it to a pyramidal tiled TIFF, which can be read piece by piece."),
        )


def _eight_bit(values: NDArray[Any]) -> Pixels:
    """Grey or colour values of any depth as 8-bit RGB: whole numbers over their type's range, others over 0 to 1."""
    plane = values if values.ndim == 3 else values[..., None].repeat(3, axis=2)
    if plane.ndim != 3 or plane.shape[2] not in (3, 4):
        raise ValueError(f"a picture of shape {values.shape} is neither grey nor RGB")
    if plane.dtype == np.uint8:
        return plane[..., :3].astype(np.uint8)
    top = 1.0 if plane.dtype.kind == "f" else float(min(np.iinfo(plane.dtype).max, 65535))
    return np.clip(plane[..., :3].astype(np.float64) * (255 / top) + 0.5, 0, 255).astype(np.uint8)


def _tiff_mpp(picture: Image.Image) -> float | None:
    tags = getattr(picture, "tag_v2", None)
    if tags is None or 282 not in tags or 283 not in tags or tags.get(296) not in _UNITS_UM:
        return None
    x, y = float(tags[282]), float(tags[283])
    if x <= 0 or abs(x - y) > 0.05 * x:
        return None
    mpp = _UNITS_UM[tags[296]] * 2 / (x + y)
    return mpp if PLAUSIBLE_MPP[0] <= mpp <= PLAUSIBLE_MPP[1] else None
