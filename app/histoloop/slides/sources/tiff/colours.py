"""Values of TIFF samples as 8-bit RGB, within a stated window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from skimage.color import lab2rgb

from histoloop.slides.sources.protocol import Pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float32]

FIXED_COLOURS = ((0, 0, 255), (0, 255, 0), (255, 0, 0), (0, 255, 255), (255, 0, 255), (255, 255, 0))
"""Of channels for which the file names no colour, in their order."""

_DEPTHS = (8, 10, 12, 14, 16, 20, 24, 32)
_FLOAT_TOPS = ((1.5, 1.0), (300.0, 255.0), (70_000.0, 65_535.0))
"""Up to the first, floating-point values are taken to end at the second."""

_CHROMA = np.arange(256) - 128
_HALF = 1 << 15
_RED_OF = ((91_881 * _CHROMA + _HALF) >> 16).astype(np.int16)
_BLUE_OF = ((116_130 * _CHROMA + _HALF) >> 16).astype(np.int16)
_RED_IN_GREEN = np.round(-0.71414 * 65_536 * _CHROMA).astype(np.int32)
_BLUE_IN_GREEN = np.round(-0.34414 * 65_536 * _CHROMA).astype(np.int32) + _HALF
"""What chroma of 0 to 255 adds to a colour; the parts of green in 65,536ths."""

Kind = Literal["grey", "rgb", "palette", "cmyk", "lab", "ycbcr", "channels"]


@dataclass(frozen=True, slots=True)
class Window:
    """The values that are shown as black and as white."""

    low: float
    high: float

    def scaled(self, values: NDArray[Any]) -> Pixels:
        """Values as 0 to 255, rounded; beyond the window they are clipped."""
        if values.dtype == np.uint8 and (self.low, self.high) == (0, 255):
            return np.asarray(values, np.uint8)
        kind = np.float32 if values.dtype.itemsize <= 2 or values.dtype == np.float32 else np.float64
        shifted = np.nan_to_num(values.astype(kind), nan=self.low, posinf=self.high, neginf=self.low) - kind(self.low)
        scaled = np.clip(shifted * kind(255 / (self.high - self.low)) + kind(0.5), 0, 255)
        eight_bit: Pixels = scaled.astype(np.uint8)
        return eight_bit

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


def window_of(values: NDArray[Any], *, bits: int | None = None) -> Window:
    """The window of a sample of the values.

    Whole numbers begin at 0 and end at 2^bits - 1, where `bits` is as the file states it or the least of 8, 10, 12, 14,
    16, 20, 24, 32 that holds the sample. Floating-point numbers end at 1, 255 or 65,535. What goes below 0 or beyond is
    shown from the least to the most of the sample.
    """
    if values.dtype.kind == "b":
        return Window(0, 1)
    if bits is not None and values.dtype.kind == "u":
        return Window(0, float((1 << bits) - 1))
    known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    least, most = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if least < 0:
        return Window(least, max(most, least + 1))
    if values.dtype.kind == "f":
        return Window(0, next((top for limit, top in _FLOAT_TOPS if most <= limit), most))
    return Window(0, float(next((1 << depth) - 1 for depth in _DEPTHS if most < 1 << depth or depth == 32)))


@dataclass(frozen=True, slots=True, eq=False)
class Rendering:
    """How the samples of a pixel become a colour.

    `order` picks the samples that are shown; `windows` has one window for each. `alpha` is the sample that holds the
    opacity, `premultiplied` whether the colours were multiplied by it already.
    """

    kind: Kind
    order: tuple[int, ...]
    windows: tuple[Window, ...]
    inverted: bool = False
    alpha: int | None = None
    alpha_window: Window = Window(0, 255)
    premultiplied: bool = False
    palette: Pixels | None = None
    colours: tuple[tuple[int, int, int], ...] = ()
    lab_offset: int = 0

    def rgb(self, values: NDArray[Any]) -> Pixels:
        """RGB (h, w, 3) of values (h, w, n)."""
        colours = self._colours(values)
        if self.alpha is None:
            return np.ascontiguousarray(colours)
        opacity = self.alpha_window.scaled(values[..., self.alpha, None]).astype(np.uint16)
        over = colours.astype(np.uint16)
        if not self.premultiplied:
            over = (over * opacity + 127) // 255
        whole: Pixels = np.minimum(over + (255 - opacity), 255).astype(np.uint8)
        return whole

    def _colours(self, values: NDArray[Any]) -> Pixels:
        shown = values if self.order == tuple(range(values.shape[2])) else values[..., list(self.order)]
        if self.kind == "palette":
            assert self.palette is not None
            entries: Pixels = self.palette[np.minimum(shown[..., 0], len(self.palette) - 1)]
            return entries
        if self.kind == "lab":
            return _of_lab(shown, offset=self.lab_offset)
        scaled = self._scaled(shown)
        if self.kind == "grey":
            return scaled.repeat(3, axis=2)
        if self.kind == "cmyk":
            return _of_cmyk(scaled)
        if self.kind == "ycbcr":
            return _of_ycbcr(scaled)
        return _composite(scaled, self.colours) if self.kind == "channels" else scaled

    def _scaled(self, values: NDArray[Any]) -> Pixels:
        if len(set(self.windows)) == 1:
            scaled = self.windows[0].scaled(values)
        else:
            planes = [window.scaled(values[..., number]) for number, window in enumerate(self.windows)]
            scaled = np.stack(planes, axis=2)
        return 255 - scaled if self.inverted else scaled


def palette_of(colormap: NDArray[Any]) -> Pixels:
    """A TIFF colour map (3, n) of 16 bits as (n, 3) of 8; maps that stay below 256 are of 8 bits already."""
    entries = np.asarray(colormap).T
    return (entries if entries.max(initial=0) < 256 else entries // 256).astype(np.uint8)


def _composite(scaled: Pixels, colours: Sequence[tuple[int, int, int]]) -> Pixels:
    total = scaled.astype(np.float32) @ (np.asarray(colours, np.float32) / 255)
    return np.minimum(total + 0.5, 255).astype(np.uint8)


def _of_cmyk(inks: Pixels) -> Pixels:
    left = 255 - inks.astype(np.uint16)
    return ((left[..., :3] * left[..., 3:] + 127) // 255).astype(np.uint8)


def rgb_of_ycbcr(values: Pixels) -> Pixels:
    """RGB of (h, w, 3) full-range YCbCr (ITU-R BT.601) in whole numbers, as OpenSlide computes it."""
    luma = values[..., 0].astype(np.int16)
    blue, red = values[..., 1], values[..., 2]
    green = ((_BLUE_IN_GREEN[blue] + _RED_IN_GREEN[red]) >> 16).astype(np.int16)
    planes = (luma + _RED_OF[red], luma + green, luma + _BLUE_OF[blue])
    return np.clip(np.stack(planes, axis=2), 0, 255).astype(np.uint8)


def _of_ycbcr(values: Pixels) -> Pixels:
    """Full-range ITU-R BT.601, as JPEG has it."""
    luma, blue, red = (values[..., number].astype(np.float32) for number in range(3))
    blue, red = blue - 128, red - 128
    planes = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    return np.clip(np.stack(planes, axis=2) + 0.5, 0, 255).astype(np.uint8)


def _of_lab(values: NDArray[Any], *, offset: int) -> Pixels:
    """CIE L*a*b* of 8 or 16 bits (TIFF 6, section 23) as sRGB; `offset` is what was added to a* and b*."""
    scale = 256 ** (values.dtype.itemsize - 1)
    lightness = values[..., 0].astype(np.float32) * (100 / (256**values.dtype.itemsize - 1))
    signed = values[..., 1:3] if offset else values[..., 1:3].view(f"i{values.dtype.itemsize}")
    chroma = signed.astype(np.float32) / scale - offset
    rgb: Floats = lab2rgb(np.concatenate([lightness[..., None], chroma], axis=2))
    return (rgb * 255 + 0.5).clip(0, 255).astype(np.uint8)
