"""Open slides and read pixels: every OpenSlide format, TIFF of all kinds, and PNG, JPEG, BMP and JPEG 2000 pictures.

Regions are level-0 pixels; outside the slide and where it is transparent, pixels are white.
"""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from histoloop.errors import SlideError
from histoloop.geometry import PLAUSIBLE_MPP, Region
from histoloop.language import tr
from histoloop.slides.find import slide_name, slide_of
from histoloop.slides.objective import objective_power
from histoloop.slides.overview import SAMPLED_PX, sampled_overview
from histoloop.slides.reading import note_reading
from histoloop.slides.resampling import resample, spans
from histoloop.slides.sources.opening import open_source
from histoloop.slides.sources.openslide_source import detected_vendor, openslide_version
from histoloop.slides.sources.protocol import Pixels

if TYPE_CHECKING:
    from types import TracebackType

    from histoloop.slides.sources.protocol import Source

__all__ = ["Pixels", "Slide", "is_slide", "open_slide", "openslide_version"]

_STRIP_PX = 4_000_000


class Slide:
    """An open slide; a context manager. Threads may read at the same time.

    `width`, `height` are level-0 pixels; `mpp` micrometres per level-0 pixel, None when the file does not say;
    `objective` is the power of the objective that the file states (None: none), which no resolution is taken from here;
    `level_sizes` (width, height) and `level_downsamples` per level, level 0 first.
    `channels` names the planes that are shown. Whoever predicts looks at `is_brightfield`: where it is False,
    a model for stained tissue has nothing to say. `note` says in sentences what is unusual, empty where nothing is.
    `icc_profile` is the file's own, None without: it changes no pixels that are read here.
    """

    def __init__(self, path: Path, source: Source, *, mpp: float | None) -> None:
        self.path = path
        self._source: Source | None = source
        self.vendor = source.vendor
        self.properties = source.properties
        self.level_sizes = source.level_sizes
        self.width, self.height = source.level_sizes[0]
        self.level_downsamples = tuple(
            (self.width / width + self.height / height) / 2 for width, height in source.level_sizes
        )
        self.mpp = mpp if mpp is not None else source.mpp
        self.objective = objective_power(source.properties)
        self.channels = source.content.channels
        self.is_brightfield = source.content.is_brightfield
        self.icc_profile = source.content.icc_profile
        self.note = " ".join(part for part in (source.content.note, _flat_note(source)) if part)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """What a person calls it: its file's name, or of a DICOM series its folder's."""
        return slide_name(self.path)

    @property
    def extent(self) -> Region:
        """The whole slide."""
        return Region(0, 0, self.width, self.height)

    def close(self) -> None:
        """Let go of the file; reading afterwards is a ValueError."""
        if self._source is not None:
            self._source.close()
            self._source = None
            note_reading(self.path, begins=False)

    def read_region(self, region: Region, *, level: int = 0) -> Pixels:
        """RGB pixels of a level-0 region at a level: (ceil(height / downsample), ceil(width / downsample), 3)."""
        downsample = self.level_downsamples[level]
        x, y = round(region.x / downsample), round(region.y / downsample)
        width, height = math.ceil(region.width / downsample), math.ceil(region.height / downsample)
        return self._read_padded(x, y, width, height, level=level)

    def read_scaled(self, x: int, y: int, width: int, height: int, *, downsample: float) -> Pixels:
        """RGB pixels of a window, in pixels of the slide downsampled by `downsample` (any positive factor).

        A pixel has the same value whichever window it is read through; antialiased.
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
        """The whole slide with its longer side at most `max_size_px`; never enlarged.

        Of a large slide without smaller levels it is sampled: a number of its tiles is read, and what lies between them
        is interpolated (`sampled_overview`). `read_scaled` of the whole reads all tiles.
        """
        downsample = max(1.0, max(self.width, self.height) / max_size_px)
        width, height = max(1, round(self.width / downsample)), max(1, round(self.height / downsample))
        return self.read_overview(0, 0, width, height, downsample=downsample)

    def read_overview(
        self,
        x: int,
        y: int,
        width: int,
        height: int,
        *,
        downsample: float,
        exact_px: int = SAMPLED_PX,
        most_px: int = SAMPLED_PX,
    ) -> Pixels:
        """A window as `read_scaled` gives it; sampled where that would decode more than `exact_px` pixels.

        `most_px` pixels of the nearest level are decoded for a sampled one at most.
        """
        level = self._level_for(downsample)
        ratio = downsample / self.level_downsamples[level]
        box = (x * ratio, y * ratio, (x + width) * ratio, (y + height) * ratio)
        if (box[2] - box[0]) * (box[3] - box[1]) <= exact_px or min(box) < 0:
            return self.read_scaled(x, y, width, height, downsample=downsample)
        level_width, level_height = self.level_sizes[level]
        inside = (box[0], box[1], min(box[2], level_width), min(box[3], level_height))
        return sampled_overview(self._open_source(), level=level, box=inside, size=(width, height), most_px=most_px)

    def _level_for(self, downsample: float) -> int:
        """The coarsest level that is not coarser than wanted."""
        fine_enough = [level for level, own in enumerate(self.level_downsamples) if own <= downsample * (1 + 1e-3)]
        return max(fine_enough, default=0)

    def _resample(self, x: int, y: int, width: int, height: int, *, level: int, ratio: float) -> Pixels:
        columns, rows = spans(x, width, ratio=ratio), spans(y, height, ratio=ratio)
        left, top = columns[0].begin, rows[0].begin
        source = self._read_padded(left, top, columns[-1].end - left, rows[-1].end - top, level=level)
        return resample(source, columns, rows)

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

    def _open_source(self) -> Source:
        if self._source is None:
            raise ValueError(f"{self.path} is closed")
        return self._source


def _flat_note(source: Source) -> str:
    width, height = source.level_sizes[-1]
    if width * height <= SAMPLED_PX:
        return ""
    return tr("It has no pyramid: overviews are sampled from some of its tiles, and predicting reads all of them.")


def open_slide(path: str | Path, *, mpp: float | None = None) -> Slide:
    """Open a slide or a plain picture; `mpp` fills in or overrides what the file says.

    A folder that holds the files of one DICOM series is a slide too. SlideError names the file, the reason and what to
    do when it is missing, broken, truncated or of a foreign kind, or when no microscope has this `mpp`.
    """
    if mpp is not None and not mpp > 0:
        raise ValueError(f"mpp must be positive, not {mpp}")
    file = Path(path)
    _check_resolution(file, mpp)
    chosen = slide_of(file) if os.path.isdir(file) else file
    _check_readable(chosen)
    note_reading(file, begins=True)
    try:
        return Slide(file, open_source(chosen), mpp=mpp)
    except BaseException:
        note_reading(file, begins=False)
        raise


def is_slide(path: Path) -> bool:
    """Whether the OpenSlide library knows a file's format; plain pictures and broken files are no slides."""
    try:
        return detected_vendor(path) is not None
    except SlideError:
        return False


def _check_resolution(file: Path, mpp: float | None) -> None:
    least, most = PLAUSIBLE_MPP
    if mpp is not None and not least <= mpp <= most:
        raise SlideError(
            file,
            tr("{mpp} µm per pixel is not the resolution of a microscope", mpp=f"{mpp:g}"),
            advice=tr("Give micrometres per pixel from {least} to {most}.", least=least, most=most),
        )


def _check_readable(file: Path) -> None:
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        advice = tr("Check the path, or connect the disk it is on.")
        raise SlideError(file, tr("there is no such file"), advice=advice) from error
    except (OSError, ValueError) as error:
        raise SlideError(
            file,
            tr("it cannot be opened ({reason})", reason=getattr(error, "strerror", None) or error),
            advice=tr("Check the path and the permissions of its folders, or connect the disk it is on."),
        ) from error
    if stat.S_ISDIR(found.st_mode):
        raise SlideError(file, tr("it is a folder"), advice=tr("Import the folder, or name a slide in it."))
    if not stat.S_ISREG(found.st_mode):
        raise SlideError(file, tr("it is a pipe or a device, not a file"), advice=tr("Choose a slide file."))
    if not os.access(file, os.R_OK):
        raise SlideError(file, tr("you may not read it"), advice=tr("Ask for permission to read the file, or copy it."))
    if found.st_size == 0:
        raise SlideError(file, tr("it is empty"), advice=tr("Copy the file again: its transfer did not finish."))
