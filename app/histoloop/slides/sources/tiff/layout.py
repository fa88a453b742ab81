"""Which pages of a TIFF file are the slide, its levels and its channels, and which are other pictures."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from histoloop.language import tr
from histoloop.slides.sources.protocol import broken, unsupported
from histoloop.slides.sources.tiff.segments import Plane

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COLOUR_PHOTOMETRICS = frozenset({2, 5, 6, 8, 9, 10})
"""RGB, CMYK, YCbCr and the three kinds of L*a*b*."""

_NAMED = re.compile(r"\b(label|macro|thumbnail|overview|barcode)\b", re.IGNORECASE)
_REDUCED, _MASK, _MACRO = 1, 4, 8
"""Bits of the subfile type (tag 254); Aperio's macro has 9."""

_SAME_SHAPE = 0.02
"""Relative difference of the aspect ratios of a slide and a level of it."""

_UNNAMED_AXES = "QIRPE"


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The series of a slide's levels, level 0 first.

    `others` counts what is neither level nor label, macro, thumbnail or smaller copy. A label can carry
    a patient's name: nothing reads it.
    """

    levels: tuple[Any, ...]
    others: int


@dataclass(frozen=True, slots=True)
class Shown:
    """The planes of a series that are shown.

    `places` are indices into the pages of the series, one a channel, of the `channels` that it has in all; `guessed`
    says that the file does not call them channels. `notes` say in sentences what is left out.
    """

    places: tuple[int, ...]
    channels: int
    guessed: bool
    notes: tuple[str, ...]


def layout_of(file: Path, tiff: Any) -> Layout:
    """The slide is the largest picture that is no label, macro, thumbnail, mask or smaller copy of another."""
    series = [each for each in tiff.series if _is_picture(each)]
    slides = [each for each in series if len(series) == 1 or not _is_label(each)]
    if not slides:
        raise broken(file, tr("it contains no image of tissue"))
    main = max(slides, key=lambda each: (not _is_reduced(each), _area(each)))
    levels = _levels(main, slides)
    rest = [each for each in series if not any(each is level for level in levels)]
    return Layout(levels, sum(not _is_label(each) and not _is_reduced(each) for each in rest))


def shown_planes(series: Any, *, most_channels: int) -> Shown:
    """The first point in time, the middle focal plane, and the channels of a series, `most_channels` at most."""
    axes, sizes = _leading(series)
    channel_axis = _channel_axis(axes, sizes, series.keyframe)
    at, notes = [0] * len(axes), []
    for number, (axis, size) in enumerate(zip(axes, sizes, strict=True)):
        if number != channel_axis and size > 1:
            at[number] = size // 2 if axis == "Z" else 0
            notes.append(_left_out(axis, size, at[number] + 1))
    count = 1 if channel_axis is None else sizes[channel_axis]
    places = []
    for channel in range(min(count, most_channels)):
        if channel_axis is not None:
            at[channel_axis] = channel
        places.append(int(np.ravel_multi_index(at, sizes)) if at else 0)
    guessed = channel_axis is not None and axes[channel_axis] != "C"
    return Shown(tuple(places), count, guessed, tuple(notes))


def planes_at(file: Path, series: Any, places: Sequence[int]) -> list[Plane]:
    """The planes of a series' pages at these places; each sample of a page that stores them apart is a plane."""
    key = series.keyframe
    samples = range(int(key.samplesperpixel)) if key.planarconfig == 2 else range(1)
    return [_plane(file, series, place, sample) for place in places for sample in samples]


def _plane(file: Path, series: Any, place: int, sample: int) -> Plane:
    if place < len(series):
        page = series[place]
        if page is None:
            raise unsupported(file, tr("planes stored in other files"))
        return Plane(page, sample)
    if series.dataoffset is None:
        raise broken(file, tr("it contains fewer planes than it states"))
    return Plane(series[0], sample, series.dataoffset + place * series.keyframe.nbytes)  # one page stands for all


def _is_picture(series: Any) -> bool:
    key = series.keyframe
    return bool(key.imagewidth and key.imagelength) and not int(key.subfiletype) & _MASK


def _area(series: Any) -> int:
    return int(series.keyframe.imagewidth) * int(series.keyframe.imagelength)


def _is_reduced(series: Any) -> bool:
    return bool(int(series.keyframe.subfiletype) & _REDUCED or series.keyframe.is_subifd)


def _is_label(series: Any) -> bool:
    """Whether a series is a label, macro or thumbnail by its name, description or type."""
    texts = (series.name, series.keyframe.description[:200])
    named = any(_NAMED.search(re.sub(r"[_.]", " ", text)) for text in texts)
    return named or bool(int(series.keyframe.subfiletype) & _MACRO)


def _levels(main: Any, series: Sequence[Any]) -> tuple[Any, ...]:
    """A series and its smaller copies, by size: those that tifffile has found, and reduced pages of the same shape."""
    copies = [*main.levels[1:], *(each for each in series if each is not main and _is_reduced(each))]
    levels = [main]
    for each in sorted(copies, key=_area, reverse=True):
        if _area(each) < _area(levels[-1]) and _is_copy(each, main):
            levels.append(each)
    return tuple(levels)


def _is_copy(series: Any, main: Any) -> bool:
    own, key = series.keyframe, main.keyframe
    across, down = key.imagewidth / own.imagewidth, key.imagelength / own.imagelength
    slack = _SAME_SHAPE * max(across, down) + max(across / own.imagewidth, down / own.imagelength)
    return (
        abs(across - down) <= slack
        and own.dtype == key.dtype
        and own.samplesperpixel == key.samplesperpixel
        and _leading(series) == _leading(main)
    )


def _leading(series: Any) -> tuple[str, tuple[int, ...]]:
    """The axes of a series over which its pages go, and their sizes."""
    key = series.keyframe
    axes, sizes = series.get_axes(squeeze=False), tuple(int(size) for size in series.get_shape(squeeze=False))
    end = axes.find("YX")
    if end >= 0 and sizes[end : end + 2] == (key.imagelength, key.imagewidth):
        if key.planarconfig == 2 and key.samplesperpixel > 1 and end > 0:
            end -= 1
        known = len(series) if len(series) > 1 or series.dataoffset is None else None
        if known is None or math.prod(sizes[:end]) == known:
            return axes[:end], sizes[:end]
    return "I", (len(series),)


def _channel_axis(axes: str, sizes: Sequence[int], key: Any) -> int | None:
    if int(key.photometric) in COLOUR_PHOTOMETRICS:
        return None
    for number, axis in enumerate(axes):
        if axis == "C" and sizes[number] > 1:
            return number
    unnamed = [number for number, axis in enumerate(axes) if axis in _UNNAMED_AXES and sizes[number] > 1]
    is_three = len(unnamed) == 1 and sizes[unnamed[0]] == 3 and key.samplesperpixel == 1 and key.dtype == np.uint8
    return unnamed[0] if is_three else None


def _left_out(axis: str, count: int, shown: int) -> str:
    if axis == "Z":
        return tr("It has {count} focal planes; number {shown} is shown.", count=count, shown=shown)
    if axis == "T":
        return tr("It has {count} points in time; the first is shown.", count=count)
    return tr("It has {count} images of one size; the first is shown.", count=count)
