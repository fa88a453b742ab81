"""How the pixels of a slide are shown: brighter, in more contrast, one stain alone. Nothing but the screen sees it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.slides.reader import Pixels

_BITS = 7
"""Of each colour channel when stains are separated: one table for all slides, looked up where a picture is wanted."""


class Stain(StrEnum):
    """What is shown of a section, in the order of the matrix of `skimage.color.hed_from_rgb`."""

    ALL = ""
    HAEMATOXYLIN = "haematoxylin"
    EOSIN = "eosin"
    DAB = "dab"


@dataclass(frozen=True, slots=True)
class Appearance:
    """`brightness` and `contrast` are in [-1, 1], 0 as the slide is; `gamma` is above 0, and above 1 lightens."""

    brightness: float = 0.0
    contrast: float = 0.0
    gamma: float = 1.0
    stain: Stain = Stain.ALL

    @property
    def is_neutral(self) -> bool:
        """Whether pixels are shown as they are."""
        return self == NEUTRAL


NEUTRAL = Appearance()


def adjusted(pixels: Pixels, appearance: Appearance) -> Pixels:
    """Pixels (H, W, 3) as they are to be shown."""
    if appearance.stain is not Stain.ALL:
        part = (pixels >> (8 - _BITS)).astype(np.intp)
        place = (part[..., 0] << (2 * _BITS)) | (part[..., 1] << _BITS) | part[..., 2]
        pixels = np.take(_stain_table(appearance.stain), place, axis=0)
    if (appearance.brightness, appearance.contrast, appearance.gamma) != (0.0, 0.0, 1.0):
        pixels = np.take(_tone_table(appearance.brightness, appearance.contrast, appearance.gamma), pixels)
    return pixels


@functools.lru_cache(maxsize=8)
def _tone_table(brightness: float, contrast: float, gamma: float) -> NDArray[np.uint8]:
    """What becomes of each value of a channel: contrast around the middle, then brightness, then gamma."""
    value = np.arange(256) / 255
    value = np.clip((value - 0.5) * 4.0**contrast + 0.5 + brightness, 0, 1) ** (1 / gamma)
    table: NDArray[np.uint8] = (255 * value + 0.5).astype(np.uint8)
    return table


@functools.lru_cache(maxsize=3)
def _stain_table(stain: Stain) -> NDArray[np.uint8]:
    """The colour of each colour (in steps, red the slowest) when only one stain of it is left.

    By colour deconvolution (Ruifrok and Johnston, Anal. Quant. Cytol. Histol. 23, 2001) as scikit-image has it.
    """
    from skimage.color import hed2rgb, rgb2hed  # takes long to import

    step = 256 >> _BITS
    levels = (np.arange(256 >> (8 - _BITS), dtype=np.float64) * step + (step - 1) / 2) / 255
    colours = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    stains = rgb2hed(colours)
    for other in range(3):
        if other != list(Stain).index(stain) - 1:
            stains[..., other] = 0
    table: NDArray[np.uint8] = (255 * np.clip(hed2rgb(stains), 0, 1) + 0.5).astype(np.uint8).reshape(-1, 3)
    return table
