"""How the samples of a TIFF picture are shown, and what they are in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from histoloop.language import mark, tr
from histoloop.slides.sources.protocol import Content, transparent_note
from histoloop.slides.sources.tiff.colours import FIXED_COLOURS, Kind, Rendering, Window, palette_of, window_of
from histoloop.slides.sources.tiff.layout import COLOUR_PHOTOMETRICS
from histoloop.slides.sources.tiff.metadata import is_named
from histoloop.slides.sources.tiff.segments import JPEG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from histoloop.slides.sources.tiff.layout import Shown
    from histoloop.slides.sources.tiff.metadata import Colour, Stated

WINDOW = "histoloop.window"

MOST_CHANNELS = 6
"""Channels that are shown together at most; further ones are named and left out."""

_WHITE_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 2, 3, 5, 6
_LAB_OFFSETS = {8: 0, 9: 128, 10: 128}
_DECODED_TO_RGB = JPEG | {34712, 33005, 50001, 50002, 52546, 22610, 34934}
"""Compressions whose decoders turn YCbCr into RGB themselves."""

_APERIO_YCBCR = 33003
_OPACITY = (1, 2)
"""Extra samples that are opacity, with colours multiplied by it or not; others are unspecified."""

_PRIMARIES = {"red": 0, "r": 0, "green": 1, "g": 1, "blue": 2, "b": 2}
_PURE = {(255, 0, 0): "red", (0, 255, 0): "green", (0, 0, 255): "blue"}


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """How pixels are shown (`rendering`) and what they are (`content`).

    `windows` are the properties that say which values are shown as black and white, where those are not 0 and 255.
    """

    rendering: Rendering
    content: Content
    windows: dict[str, str]


def appearance_of(key: Any, stated: Stated, shown: Shown, values: NDArray[Any]) -> Appearance:
    """From the page, from what the file states, and from a sample (n, samples) of the values."""
    extras = tuple(int(extra) for extra in key.extrasamples)
    first = int(key.samplesperpixel) - len(extras)
    alpha = next((first + number for number, extra in enumerate(extras) if extra in _OPACITY), None)
    notes = list(shown.notes)
    if alpha is not None and not values[:, alpha].any():
        notes.append(transparent_note())
    plain = Rendering(
        "grey",
        order=(0,),
        windows=(Window(0, 255),),
        inverted=int(key.photometric) == _WHITE_IS_ZERO,
        alpha=alpha if alpha is None or values[:, alpha].any() else None,
        alpha_window=_window(key, stated, values[:, alpha]) if alpha is not None else Window(0, 255),
        premultiplied=1 in extras,
    )
    if (colour := _in_colour(key, stated, values, plain)) is not None:
        return _named(colour, Content(note=" ".join(notes)))
    planes = [number for number in range(values.shape[1]) if number % int(key.samplesperpixel) != alpha]
    return _of_planes(key, stated, shown, values, plain, planes, notes)


def rendering_like(key: Any, rendering: Rendering) -> Rendering:
    """The rendering of another level of the same picture, whose page may be stored in other colours."""
    if rendering.kind in ("rgb", "ycbcr") and int(key.photometric) in COLOUR_PHOTOMETRICS:
        return replace(rendering, kind=_kind_of_colour(key))
    return rendering


def _in_colour(key: Any, stated: Stated, values: NDArray[Any], plain: Rendering) -> Rendering | None:
    photometric, samples = int(key.photometric), values.shape[1]
    if photometric == _PALETTE and key.colormap is not None:
        return replace(plain, kind="palette", palette=palette_of(key.colormap), windows=(Window(0, 255),))
    if photometric in _LAB_OFFSETS and samples >= 3 and np.dtype(key.dtype).kind == "u":
        offset = _LAB_OFFSETS[photometric]
        return replace(plain, kind="lab", order=(0, 1, 2), lab_offset=offset, windows=(Window(0, 255),))
    if photometric == _CMYK and samples >= 4:
        window = _window(key, stated, values[:, :4])
        return replace(plain, kind="cmyk", order=(0, 1, 2, 3), windows=(window,) * 4)
    if photometric in (_RGB, _YCBCR) and samples >= 3:
        window = _window(key, stated, values[:, :3])
        return replace(plain, kind=_kind_of_colour(key), order=(0, 1, 2), windows=(window,) * 3)
    return None


def _kind_of_colour(key: Any) -> Kind:
    if key.compression == _APERIO_YCBCR:
        return "ycbcr"
    decoded = key.compression in _DECODED_TO_RGB and key.planarconfig == 1
    return "ycbcr" if int(key.photometric) == _YCBCR and not decoded else "rgb"


def _of_planes(
    key: Any,
    stated: Stated,
    shown: Shown,
    values: NDArray[Any],
    plain: Rendering,
    planes: Sequence[int],
    notes: list[str],
) -> Appearance:
    """Planes of grey: three may be red, green and blue; others are channels."""
    order = tuple(planes)
    count = max(len(order), shown.channels)
    if count == 1:
        notes.append(tr("It is a greyscale image: one channel, no colours."))
        window = _window(key, stated, values[:, order])
        content = Content((mark("grey"),), is_brightfield=False, note=" ".join(notes))
        return _named(replace(plain, order=order, windows=(window,)), content)
    channels = stated.channels if len(stated.channels) == count else (("", None),) * count
    if (primaries := _primaries(key, stated, channels)) is not None:
        if shown.guessed:
            notes.append(tr("Its three pages are read as red, green and blue; the file does not name them."))
        window = _window(key, stated, values[:, order])
        rendering = replace(plain, kind="rgb", order=tuple(order[n] for n in primaries), windows=(window,) * 3)
        return _named(rendering, Content(note=" ".join(notes)))
    return _of_channels(key, stated, channels, values, replace(plain, order=order[:MOST_CHANNELS]), notes)


def _of_channels(
    key: Any,
    stated: Stated,
    channels: Sequence[tuple[str, Colour | None]],
    values: NDArray[Any],
    plain: Rendering,
    notes: list[str],
) -> Appearance:
    names = tuple(name if is_named(name) else f"channel {number}" for number, (name, _) in enumerate(channels, 1))
    colours = tuple(colour or FIXED_COLOURS[n] for n, (_, colour) in enumerate(channels[: len(plain.order)]))
    listed = ", ".join(names[:MOST_CHANNELS]) + (" \u2026" if len(names) > MOST_CHANNELS else "")
    notes.append(
        tr(
            "It is not a brightfield slide: {count} channels ({names}) are shown in colours.",
            count=len(names),
            names=listed,
        )
    )
    if len(names) > len(plain.order):
        notes.append(tr("Only the first {count} of them are shown.", count=len(plain.order)))
    windows = tuple(_window(key, stated, values[:, [number]]) for number in plain.order)
    rendering = replace(plain, kind="channels", windows=windows, colours=colours)
    return _named(rendering, Content(names, is_brightfield=False, note=" ".join(notes)))


def _primaries(key: Any, stated: Stated, channels: Sequence[tuple[str, Colour | None]]) -> tuple[int, int, int] | None:
    """The places of red, green and blue among three channels, by name or, of 8 bits without names, by order."""
    if len(channels) != 3 or stated.has_wavelengths:
        return None
    names = [name.strip().lower() for name, _ in channels]
    if not any(is_named(name) and name not in _PRIMARIES for name in names):
        pure = [_PURE.get(colour, "") if colour else "" for _, colour in channels]
        names = [name if name in _PRIMARIES else by_colour for name, by_colour in zip(names, pure, strict=True)]
    places = {_PRIMARIES[name]: number for number, name in enumerate(names) if name in _PRIMARIES}
    if len(places) == 3:
        return places[0], places[1], places[2]
    unnamed = not any(is_named(name) or colour for name, colour in channels)
    return (0, 1, 2) if unnamed and key.dtype == np.uint8 else None


def _window(key: Any, stated: Stated, values: NDArray[Any]) -> Window:
    if values.dtype == np.uint8 and key.bitspersample == 8:
        return Window(0, 255)
    full, used = values.dtype.itemsize * 8, key.bitspersample
    bits = used if isinstance(used, int) and used < full else stated.bits
    return window_of(values, bits=bits if bits is not None and 0 < bits < full else None)


def _named(rendering: Rendering, content: Content) -> Appearance:
    windows, names = rendering.windows, content.channels
    if set(windows) == {Window(0, 255)}:
        return Appearance(rendering, content, {})
    if len(set(windows)) == 1:
        return Appearance(rendering, content, {WINDOW: str(windows[0])})
    each = zip(names, windows, strict=False)
    return Appearance(rendering, content, {f"{WINDOW}[{name}]": str(window) for name, window in each})
