"""Random views of tiles for self-supervised training: what may change about tissue without changing what it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

_LUMINANCE = (0.2989, 0.587, 0.114)
"""ITU-R 601-2, as torchvision's grayscale."""
_ASPECTS = (3 / 4, 4 / 3)
"""Width over height of a crop, before it is made square: those of RandomResizedCrop."""
_NO_COLOUR = 1e-6


@dataclass(frozen=True, slots=True)
class ViewSettings:
    """How a view of a tile is sampled (ssl-al section 4, 'Data Augmentation'), with flips and turns: tissue has no up.

    A crop of `area_min` to `area_max` of the tile becomes `crop_px` square. A `jittered` share of views gets another
    brightness, contrast and saturation (times 1 +- so much) and hue (the colour circle turned by up to so much); a
    `grey` share loses its colours; a `blurred` share is blurred by a Gaussian with a standard deviation of
    `blur_min_px` to `blur_max_px`. The paper leaves the blurred share open: it is that of SimSiam.
    """

    crop_px: int = 224
    area_min: float = 0.2
    area_max: float = 1.0
    flips_and_turns: bool = True
    jittered: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    grey: float = 0.2
    blurred: float = 0.5
    blur_min_px: float = 0.1
    blur_max_px: float = 2.0

    def __post_init__(self) -> None:
        if self.crop_px < 32:
            raise ValueError(f"crop_px must be at least 32, one cell of the last stage, not {self.crop_px}")
        if not 0 < self.area_min <= self.area_max <= 1:
            raise ValueError(f"areas need 0 < area_min <= area_max <= 1, not {self.area_min} and {self.area_max}")
        for name in ("jittered", "brightness", "contrast", "saturation", "grey", "blurred"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], not {getattr(self, name)}")
        if not 0 <= self.hue <= 0.5:
            raise ValueError(f"hue must lie in [0, 0.5], not {self.hue}")
        if not 0 < self.blur_min_px <= self.blur_max_px:
            raise ValueError(f"blurs need 0 < min <= max, not {self.blur_min_px} and {self.blur_max_px}")


def draw_views(
    tiles: Sequence[Pixels], settings: ViewSettings, generator: torch.Generator, device: torch.device
) -> Tensor:
    """One view of each tile (H, W, 3): (B, 3, crop_px, crop_px) in [0, 1] on the device.

    All that is sampled comes from the generator, on the CPU, so that it is the same whatever the device.
    """
    crops = torch.stack([_crop(tile, settings, generator) for tile in tiles]).to(device)
    coloured = jitter(crops, settings, generator)
    return blur(_grey(coloured, settings, generator), settings, generator)


def _crop(tile_HW3: Pixels, settings: ViewSettings, generator: torch.Generator) -> Tensor:
    """A random part of a tile (3, crop_px, crop_px), turned and flipped."""
    height, width = tile_HW3.shape[:2]
    area, stretch, down, across, flip = torch.rand(5, generator=generator).tolist()
    area = height * width * _between(settings.area_min, settings.area_max, area)
    aspect = math.exp(_between(math.log(_ASPECTS[0]), math.log(_ASPECTS[1]), stretch))
    rows = min(height, max(1, round(math.sqrt(area / aspect))))
    columns = min(width, max(1, round(math.sqrt(area * aspect))))
    top, left = round(down * (height - rows)), round(across * (width - columns))
    part = torch.from_numpy(np.ascontiguousarray(tile_HW3[top : top + rows, left : left + columns]))
    size = (settings.crop_px, settings.crop_px)
    planes = part.permute(2, 0, 1)[None].float() / 255
    view = functional.interpolate(planes, size=size, mode="bilinear", align_corners=False, antialias=True)[0]
    if settings.flips_and_turns:
        view = torch.rot90(view, int(torch.randint(0, 4, (), generator=generator)), dims=(1, 2))
        view = view.flip(2) if flip < 0.5 else view
    return view


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


def jitter(tiles_BCHW: Tensor, settings: ViewSettings, generator: torch.Generator) -> Tensor:
    """Each tile with colours of its own, in [0, 1]; the order of the four changes is sampled once for all tiles."""
    changes: tuple[tuple[Callable[[Tensor, Tensor], Tensor], float, float], ...] = (
        (_brighten, 1.0, settings.brightness),
        (_contrast, 1.0, settings.contrast),
        (_saturate, 1.0, settings.saturation),
        (turn_hue, 0.0, settings.hue),
    )
    count = len(tiles_BCHW)
    chosen_B111 = _share(count, settings.jittered, generator).to(tiles_BCHW.device).view(-1, 1, 1, 1)
    jittered = tiles_BCHW
    for index in torch.randperm(len(changes), generator=generator).tolist():
        change, middle, spread = changes[index]
        amounts_B = middle + spread * (2 * torch.rand(count, generator=generator) - 1)
        if spread > 0:
            jittered = change(jittered, amounts_B.to(tiles_BCHW.device).view(-1, 1, 1, 1)).clamp(0, 1)
    return torch.where(chosen_B111, jittered, tiles_BCHW)


def _share(count: int, share: float, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) < share


def _brighten(tiles_BCHW: Tensor, factors_B111: Tensor) -> Tensor:
    return tiles_BCHW * factors_B111


def _contrast(tiles_BCHW: Tensor, factors_B111: Tensor) -> Tensor:
    means_B111 = _luminance(tiles_BCHW).mean(dim=(1, 2, 3), keepdim=True)
    return means_B111 + factors_B111 * (tiles_BCHW - means_B111)


def _saturate(tiles_BCHW: Tensor, factors_B111: Tensor) -> Tensor:
    grey_B1HW = _luminance(tiles_BCHW)
    return grey_B1HW + factors_B111 * (tiles_BCHW - grey_B1HW)


def _luminance(tiles_BCHW: Tensor) -> Tensor:
    return (tiles_BCHW * tiles_BCHW.new_tensor(_LUMINANCE).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def turn_hue(tiles_BCHW: Tensor, turns_B111: Tensor) -> Tensor:
    """The hue of HSV turned by so much of the colour circle; value and saturation stay."""
    value, lowest = tiles_BCHW.amax(dim=1, keepdim=True), tiles_BCHW.amin(dim=1, keepdim=True)
    chroma = value - lowest
    red, green, blue = (tiles_BCHW / chroma.clamp(min=_NO_COLOUR)).chunk(3, dim=1)
    top = torch.maximum(torch.maximum(red, green), blue)
    sextant = torch.where(top == red, green - blue, torch.where(top == green, 2 + blue - red, 4 + red - green))
    sextant = sextant + 6 * turns_B111
    planes = []
    for offset in (5, 3, 1):  # of red, green, blue
        place = (offset + sextant) % 6
        planes.append(value - chroma * torch.minimum(place, 4 - place).clamp(0, 1))
    return torch.cat(planes, dim=1)


def _grey(tiles_BCHW: Tensor, settings: ViewSettings, generator: torch.Generator) -> Tensor:
    chosen_B111 = _share(len(tiles_BCHW), settings.grey, generator).to(tiles_BCHW.device).view(-1, 1, 1, 1)
    return torch.where(chosen_B111, _luminance(tiles_BCHW), tiles_BCHW)


def blur(tiles_BCHW: Tensor, settings: ViewSettings, generator: torch.Generator) -> Tensor:
    """A share of the tiles blurred, each by a Gaussian of its own, cut off at twice the widest."""
    count = len(tiles_BCHW)
    chosen = _share(count, settings.blurred, generator)
    width_px = settings.blur_max_px - settings.blur_min_px
    sigmas_B = settings.blur_min_px + width_px * torch.rand(count, generator=generator)
    if not chosen.any():
        return tiles_BCHW
    radius = math.ceil(2 * settings.blur_max_px)
    offsets = torch.arange(-radius, radius + 1)
    kernels_NK = torch.exp(-(offsets**2) / (2 * sigmas_B[chosen, None] ** 2))
    kernels_NK = (kernels_NK / kernels_NK.sum(dim=1, keepdim=True)).to(tiles_BCHW.device)
    chosen = chosen.to(tiles_BCHW.device)
    blurred = tiles_BCHW.clone()
    blurred[chosen] = _convolved(tiles_BCHW[chosen], kernels_NK, radius)
    return blurred


def _convolved(tiles_NCHW: Tensor, kernels_NK: Tensor, radius: int) -> Tensor:
    """Each tile with its own kernel, along both axes, mirrored at the edges."""
    count, planes, height, width = tiles_NCHW.shape
    kernels = kernels_NK.repeat_interleave(planes, dim=0)[:, None]
    padded = functional.pad(tiles_NCHW, (radius, radius, radius, radius), mode="reflect")
    flat = padded.reshape(1, count * planes, height + 2 * radius, width + 2 * radius)
    flat = functional.conv2d(flat, kernels[:, :, None, :], groups=count * planes)
    flat = functional.conv2d(flat, kernels[:, :, :, None], groups=count * planes)
    return flat.reshape(count, planes, height, width)
