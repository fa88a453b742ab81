"""The pixels and masks of listed tiles."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.errors import HistoLoopError, SlideError
from histoloop.progress import Progress, Work
from histoloop.slides.objective import mpp_of_objective
from histoloop.slides.reader import Pixels, Slide, open_slide
from histoloop.training.readers.classes import find_label
from histoloop.training.readers.sources import Listing, Problems, TileSource
from histoloop.training.samples import TrainingTile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from histoloop.annotations.records import ClassScheme, Mask

_JPEG_LEVEL = 127
_NAMED_AT_MOST = 20


@dataclass(frozen=True, slots=True)
class Resolution:
    """`mpp`, um per pixel of the data set at full resolution, None where unknown; `scale` at most 1 reduces tiles.

    `from_objective` estimates the resolution of slides that state none by their objective.
    """

    mpp: float | None
    scale: float
    from_objective: bool = False

    def downsample(self, source: TileSource, slide: Slide) -> float:
        """Level-0 pixels per tile pixel. Whole pictures are taken to be at the data set's resolution."""
        own = slide_mpp(slide, from_objective=self.from_objective)
        stated = self.mpp / own if source.region and self.mpp and own else 1.0
        return stated / self.scale


@dataclass(frozen=True, slots=True, eq=False)
class ReadTiles:
    """Tiles in the order of their sources, and (where, what) of the sources that were left out."""

    sources: tuple[TileSource, ...]
    tiles: tuple[TrainingTile, ...]
    failed: tuple[tuple[str, str], ...] = ()


def read_tiles(
    listing: Listing, scheme: ClassScheme, resolution: Resolution, *, leave_out: bool = False
) -> Work[ReadTiles]:
    """All tiles in listing order; a slide is opened once. DataError names every file that does not fit.

    With `leave_out` these files are left out, as long as any tile is left.
    """
    problems = Problems(listing.path)
    tiles: dict[int, TrainingTile] = {}
    order = sorted(range(len(listing.sources)), key=lambda index: listing.sources[index].picture)
    for path, members in itertools.groupby(order, key=lambda index: listing.sources[index].picture):
        if len(problems) >= _NAMED_AT_MOST and not leave_out:
            break
        waiting = list(members)
        try:
            with open_slide(path) as slide:
                while waiting:
                    yield Progress(f"Reading {listing.name}", len(tiles), len(order))
                    tile = _read_tile(listing.sources[waiting[0]], slide, listing, scheme, resolution, problems)
                    if tile is not None:
                        tiles[waiting[0]] = tile
                    waiting.pop(0)
        except Exception as error:  # whatever a decoder stumbles over
            what, advice = _explained(error)
            many = f" ({len(waiting)} tiles)" if len(waiting) > 1 else ""
            problems.add(listing.sources[waiting[0]].where, f"{path.name}: {what}{many}", advice=advice)
    if not leave_out or not tiles:
        problems.raise_any()
    kept = sorted(tiles)
    return ReadTiles(
        tuple(listing.sources[index] for index in kept), tuple(tiles[index] for index in kept), tuple(problems.found)
    )


def _explained(error: Exception) -> tuple[str, str]:
    """What went wrong with a picture, and what to do about it."""
    if isinstance(error, SlideError):
        return error.reason, error.advice
    if isinstance(error, HistoLoopError):
        return error.message.rstrip("."), error.advice
    if isinstance(error, MemoryError):
        return "there is not enough memory for it", "Close other programs, or give smaller pictures."
    return f"it cannot be read ({type(error).__name__}: {error})", "Copy the picture again, or leave it out."


def slide_mpp(slide: Slide, *, from_objective: bool) -> float | None:
    """What a slide states; else, where that is wanted, the estimate by its objective."""
    if slide.mpp is not None or not from_objective or slide.objective is None:
        return slide.mpp
    return mpp_of_objective(slide.objective)


def stated_mpp(listing: Listing, *, from_objective: bool = False) -> float | None:
    """The resolution of the first slide, among those that rectangles are cut from, that states one.

    With `from_objective` those also count whose objective is known.
    """
    slides = dict.fromkeys(source.picture for source in listing.sources if source.region)
    for path in slides:
        try:
            with open_slide(path) as slide:
                if (mpp := slide_mpp(slide, from_objective=from_objective)) is not None:
                    return mpp
        except Exception:  # read_tiles names all files that cannot be read
            continue
    return None


def read_foreground(path: Path, *, level: int = 0) -> NDArray[np.bool_]:
    """(H, W) foreground of a mask picture: any value or colour above `level`, so every object of an instance mask.

    JPEG blurs its edges, so there values above the middle count. OSError or ValueError when it is no picture.
    """
    with Image.open(path) as picture:
        if picture.format == "JPEG":
            return np.asarray(picture.convert("L")) > max(level, _JPEG_LEVEL)
        if picture.mode == "1":
            return np.array(picture, dtype=np.bool_)
        if picture.mode in ("L", "P", "F") or picture.mode.startswith("I"):
            return np.asarray(picture) > level
        return np.asarray((np.asarray(picture.convert("RGB")) > level).any(axis=2))


def shrink_foreground(mask_HW: NDArray[np.bool_], *, height: int, width: int) -> NDArray[np.bool_]:
    """A mask at another resolution: a pixel is foreground when more than half of its area is."""
    if mask_HW.shape == (height, width):
        return mask_HW
    return _share_of(mask_HW, height=height, width=width) > 0.5


def shrink_strokes(mask_HW: NDArray[np.bool_], *, height: int, width: int) -> NDArray[np.bool_]:
    """Where somebody painted at another resolution: a pixel is painted when any of its area is."""
    return _share_of(mask_HW, height=height, width=width) > 0


def _share_of(mask_HW: NDArray[np.bool_], *, height: int, width: int) -> NDArray[np.float32]:
    """How much of the area of each pixel at another resolution is of the mask, (height, width)."""
    return np.asarray(Image.fromarray(mask_HW.astype(np.float32)).resize((width, height), Image.Resampling.BOX))


def shrink_classes(mask_HW: Mask, *, height: int, width: int, known_HW: NDArray[np.bool_] | None = None) -> Mask:
    """A mask of values at another resolution: a pixel has the value of most of its area, of equals the lowest.

    Of the area that part counts which is known, (H, W).
    """
    if mask_HW.shape == (height, width):
        return mask_HW
    values = np.unique(mask_HW)
    shares = [
        _share_of(mask_HW == value if known_HW is None else (mask_HW == value) & known_HW, height=height, width=width)
        for value in values
    ]
    shrunk: Mask = values[np.argmax(shares, axis=0)]
    return shrunk


def _read_tile(
    source: TileSource,
    slide: Slide,
    listing: Listing,
    scheme: ClassScheme,
    resolution: Resolution,
    problems: Problems,
) -> TrainingTile | None:
    region = source.region or slide.extent
    if not slide.extent.contains(region):
        what = f"the rectangle reaches past {slide.path.name} ({slide.width} x {slide.height} pixels)"
        problems.add(source.where, what, advice="Give rectangles inside the slide, in level-0 pixels.")
        return None
    pixels = _pixels(slide, source, downsample=resolution.downsample(source, slide))
    mask = None
    if source.mask is not None:
        mask = _mask(source, source.mask, (region.height, region.width), listing.mask_level, problems)
        if mask is None:
            return None
        mask = shrink_foreground(mask, height=pixels.shape[0], width=pixels.shape[1])
    found = dict.fromkeys(find_label(name, scheme) for name in source.labels)  # several names may be of one class
    labels = [label for label in found if label is not None]
    return TrainingTile(
        pixels,
        labels[0] if labels else None,
        mask,
        source.name,
        source.case,
        size=source.size,
        other_labels=tuple(labels[1:]),
    )


def _pixels(slide: Slide, source: TileSource, *, downsample: float) -> Pixels:
    region = source.region
    if region is not None:
        return slide.read_region_scaled(region, downsample=downsample)
    pixels = slide.read_region(slide.extent)
    if downsample == 1:
        return pixels
    # Not read_scaled, which mixes the white around a slide into its last pixels.
    size = max(1, round(slide.width / downsample)), max(1, round(slide.height / downsample))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def _mask(
    source: TileSource, path: Path, shape: tuple[int, int], level: int, problems: Problems
) -> NDArray[np.bool_] | None:
    try:
        mask = read_foreground(path, level=level)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        problems.add(source.where, f"the mask {path.name} cannot be read ({error})", advice="Copy the mask again.")
        return None
    if mask.shape != shape:
        (rows, columns), (height, width) = mask.shape, shape
        what = f"the mask {path.name} is {columns} x {rows} pixels, its picture {width} x {height}"
        problems.add(source.where, what, advice="Give masks of the size of their pictures.")
        return None
    return mask
