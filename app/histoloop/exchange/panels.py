"""One row of a comparison as pictures: the tile, the truth on it, and the map and mask of each method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from histoloop.exchange.heat import heat

if TYPE_CHECKING:
    from collections.abc import Iterator

PANEL_PX = 360
"""Longer side of a picture."""
TRUTH_COLOUR = (0, 230, 118)
MASK_COLOUR = (255, 255, 255)
_OUTLINE_PX = 3
_HEAT_OPACITY = 0.55
_MASK_TINT, _MASK_OPACITY = (250, 193, 39), 0.45


@dataclass(frozen=True, slots=True, eq=False)
class ComparisonColumn:
    """One method's answer for a tile.

    `value` (H, W) is a map in [0, 1], drawn as a heatmap with the outline of where it is above `threshold` (None: no
    outline), or a mask of bool, drawn as such. `rule` says which class's map it is: 'predicted', 'true-label', a
    label's name, or '' where it makes no difference. `dice` is this tile's Dice.
    """

    method: str
    rule: str
    value: NDArray[np.floating[Any]] | NDArray[np.bool_]
    threshold: float | None = None
    dice: float | None = None

    def __post_init__(self) -> None:
        if not ((self.value >= 0) & (self.value <= 1)).all():
            raise ValueError(f"values of the map of {self.method} must lie in [0, 1]")

    @property
    def is_map(self) -> bool:
        """Whether `value` is a map, rather than a mask."""
        return self.value.dtype != np.bool_

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """Foreground (H, W); None where there is no threshold to make it."""
        if not self.is_map:
            return self.value.astype(np.bool_)
        return None if self.threshold is None else np.asarray(self.value > self.threshold)


@dataclass(frozen=True, slots=True, eq=False)
class ComparisonRow:
    """A tile (H, W, 3) uint8 with its label, its true foreground (H, W) where it is known, and each method's answer."""

    name: str
    pixels: NDArray[np.uint8]
    truth: NDArray[np.bool_] | None
    label: str
    columns: tuple[ComparisonColumn, ...]

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise ValueError(
                f"{self.name}: pixels must be (H, W, 3) uint8, not {self.pixels.shape} {self.pixels.dtype}"
            )
        size = self.pixels.shape[:2]
        if self.truth is not None and (self.truth.shape != size or self.truth.dtype != np.bool_):
            raise ValueError(f"{self.name}: a truth {self.truth.shape} {self.truth.dtype} does not fit a tile {size}")
        for column in self.columns:
            if column.value.shape != size:
                raise ValueError(
                    f"{self.name}: a map {column.value.shape} of {column.method} does not fit a tile {size}"
                )


@dataclass(frozen=True, slots=True)
class Heading:
    """What a column of pictures shows: input, truth, or a method by a rule ('' where there is none)."""

    title: str
    rule: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """A picture, at most PANEL_PX wide and high, and the line below it; without a picture where nothing is known."""

    heading: Heading
    caption: str
    picture: Image.Image | None


def panels_of(row: ComparisonRow) -> Iterator[Panel]:
    """The pictures of a row from left to right."""
    tile = _fitted(row.pixels)
    yield Panel(Heading("input"), "", tile)
    if row.truth is None:
        yield Panel(Heading("truth"), "not known", None)
    else:
        yield Panel(Heading("truth"), f"size {100 * row.truth.mean():.1f} %", _outlined(tile, row.truth, TRUTH_COLOUR))
    for column in row.columns:
        dice = "" if column.dice is None else f"Dice {100 * column.dice:.1f} %"
        yield Panel(Heading(column.method, column.rule), dice, _overlaid(tile, column))


def _fitted(pixels: NDArray[np.uint8]) -> Image.Image:
    """The tile with its longer side at PANEL_PX, so that outlines are as thick on all."""
    height, width = pixels.shape[:2]
    scale = PANEL_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def _overlaid(tile: Image.Image, column: ComparisonColumn) -> Image.Image:
    value = _resized(column.value, tile.size)
    if column.is_map:
        shown = _blended(tile, heat(value), np.array(_HEAT_OPACITY))
    else:
        shown = _blended(tile, np.array(_MASK_TINT), _MASK_OPACITY * (value >= 0.5))
    # the outline of the mask that was measured, not of one made anew from the smaller map
    return shown if column.mask is None else _outlined(shown, column.mask, MASK_COLOUR)


def _blended(tile: Image.Image, colours: NDArray[Any], opacity: NDArray[Any]) -> Image.Image:
    """The tile with colours (.., 3), 0 to 255, laid over at an opacity, one for all pixels or (H, W)."""
    pixels = np.asarray(tile, np.float32)
    return Image.fromarray((pixels + opacity[..., None] * (colours - pixels) + 0.5).astype(np.uint8))


def _outlined(picture: Image.Image, mask: NDArray[np.bool_], colour: tuple[int, int, int]) -> Image.Image:
    """The picture with the inner edge of a mask in a colour and a dark line outside; the tile's border is no edge."""
    inside = _resized(mask, picture.size) >= 0.5
    edge = inside & ~ndimage.binary_erosion(inside, iterations=_OUTLINE_PX, border_value=1)
    halo = ndimage.binary_dilation(inside) & ~inside
    shown = np.array(picture)
    shown[halo] //= 3
    shown[edge] = colour
    return Image.fromarray(shown)


def _resized(plane: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """Values (H, W) at a size (width, height): averaged where it is smaller."""
    resized = Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(resized)
