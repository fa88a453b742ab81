"""Augmentation of batches: tissue has no up, stains vary from day to day, scanners differ in scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.functional import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation

from histoloop.training.ranks import ALONE, Ranks
from histoloop.training.samples import Batch, collate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from histoloop.training.samples import TrainingTile

_OPAQUE = 1 / 255


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """What is varied. Scales above 1 enlarge tissue; `crop_px` 0 keeps the tile's size.

    Tiles are flipped and turned by right angles; without `turns` flipped alone, both ways (label-prop Tab. 5).

    `stain` is the standard deviation of the random linear mix of optical densities, `brightness` that of the exponent.
    `colour_jitter` multiplies brightness, contrast and saturation by 1 +- so much, `hue` turns the colour circle by so
    much of it: what the papers do (thesis 2.1.3.1: 0.5 and 0.05).
    """

    flips_and_turns: bool = True
    turns: bool = True
    scale_min: float = 0.8
    scale_max: float = 1.25
    crop_px: int = 0
    stain: float = 0.1
    brightness: float = 0.1
    colour_jitter: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.scale_min <= self.scale_max:
            raise ValueError(f"scales need 0 < scale_min <= scale_max, not {self.scale_min} and {self.scale_max}")
        if self.crop_px < 0:
            raise ValueError(f"crop_px must be 0 or a size in pixels, not {self.crop_px}")
        if not 0 <= self.colour_jitter <= 1 or not 0 <= self.hue <= 0.5:
            raise ValueError(
                f"colour_jitter must lie in [0, 1] and hue in [0, 0.5], not {self.colour_jitter}, {self.hue}"
            )


@dataclass(frozen=True, slots=True)
class Places:
    """Which tiles of a step a batch has: those from `first` on, of `count`. Each is varied as in a batch of all."""

    first: int
    count: int

    def of(self, drawn: Tensor, tiles: int) -> Tensor:
        """What was drawn for the tiles of the batch, of what was drawn for all."""
        return drawn[self.first : self.first + tiles]

    def has(self, place: int, tiles: int) -> bool:
        """Whether the batch has the tile at a place of the step."""
        return self.first <= place < self.first + tiles


def augment(
    batch: Batch,
    settings: AugmentSettings,
    generator: torch.Generator,
    *,
    multiple_px: int,
    places: Places | None = None,
) -> Batch:
    """A varied copy of the batch: one scale and turn per batch, crops and colours per tile; on the CPU."""
    places = places or Places(0, len(batch.tiles_BCHW))
    tiles = vary_stain(batch.tiles_BCHW, settings, generator, places)
    tiles = jitter(tiles, settings, generator, places)
    masks = _MaskPlanes.of(batch.masks_BHW)
    where = [plane[:, None].float() for plane in (batch.valid_BHW, batch.known_BHW)]
    planes = torch.cat([tiles, *where, masks.planes_BMHW], dim=1)
    planes = _rescale(planes, settings, generator)
    planes = _crop(planes, settings.crop_px, generator, places)
    if settings.flips_and_turns:
        planes = (_flip_and_turn if settings.turns else _flip)(planes, generator, places)
    planes = _pad(planes, multiple_px)
    return Batch(
        tiles_BCHW=planes[:, :3].contiguous(),
        masks_BHW=masks.read(planes[:, 5:]),
        valid_BHW=planes[:, 3] > 0.5,
        known_BHW=planes[:, 4] > 0.5,
        labels_B=batch.labels_B,
        targets_BK=batch.targets_BK,
        weights_B=batch.weights_B,
        sizes_B=batch.sizes_B,
        masked_B=batch.masked_B,
        share=batch.share,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _MaskPlanes:
    """Masks as planes that can be resampled: one of foregrounds, or one of each of the `values_M` that occur."""

    planes_BMHW: Tensor
    values_M: Tensor | None

    @staticmethod
    def of(masks_BHW: Tensor) -> _MaskPlanes:
        if masks_BHW.dtype != torch.uint8:
            return _MaskPlanes(masks_BHW[:, None], None)
        values_M = torch.unique(masks_BHW)
        return _MaskPlanes((masks_BHW[:, None] == values_M[:, None, None]).float(), values_M)

    def read(self, planes_BMHW: Tensor) -> Tensor:
        """What more than half of a pixel is, or the value that most of it has."""
        if self.values_M is None:
            return (planes_BMHW[:, 0] > 0.5).float()
        return self.values_M[planes_BMHW.argmax(dim=1)]


def augmented_batches(
    tiles: Sequence[TrainingTile],
    order: NDArray[np.int64],
    settings: AugmentSettings,
    generator: torch.Generator,
    *,
    batch_size: int,
    multiple_px: int,
    ranks: Ranks = ALONE,
) -> Iterator[Batch]:
    """Batches of tiles in the given order, each varied anew; the last may be smaller.

    Of several processes each gets its part of every batch, varied as it would be in the whole; one that has no part of
    a small last batch gets its first tile, with a share of nothing.
    """
    for start in range(0, len(order), batch_size):
        whole = [tiles[index] for index in order[start : start + batch_size]]
        part = ranks.part(len(whole))
        own = whole[part] or whole[:1]
        places = Places(part.start if whole[part] else 0, len(whole))
        batch = collate(own, multiple_px=multiple_px, among=whole, share=ranks.share(len(whole)))
        yield augment(batch, settings, generator, multiple_px=multiple_px, places=places)


def vary_stain(
    tiles_BCHW: Tensor, settings: AugmentSettings, generator: torch.Generator, places: Places | None = None
) -> Tensor:
    """Mix each tile's optical densities by a random matrix near the identity; white (density 0) stays white."""
    if settings.stain == 0 and settings.brightness == 0:
        return tiles_BCHW
    density = -torch.log(tiles_BCHW.clamp(min=_OPAQUE))
    places = places or Places(0, len(tiles_BCHW))
    mix = torch.eye(3) + settings.stain * torch.randn(places.count, 3, 3, generator=generator)
    strength = torch.exp(settings.brightness * torch.randn(places.count, 1, 1, generator=generator))
    varied = torch.einsum("bij,bjhw->bihw", places.of(mix * strength, len(tiles_BCHW)), density)
    return torch.exp(-varied.clamp(min=0))


def jitter(
    tiles_BCHW: Tensor, settings: AugmentSettings, generator: torch.Generator, places: Places | None = None
) -> Tensor:
    """Each tile with a brightness, contrast, saturation and hue of its own, in [0, 1]."""
    if settings.colour_jitter == 0 and settings.hue == 0:
        return tiles_BCHW
    low, high = 1 - settings.colour_jitter, 1 + settings.colour_jitter
    places = places or Places(0, len(tiles_BCHW))
    jittered = []
    for place in range(places.count):
        brightness, contrast, saturation = (_uniform(generator, low, high) for _ in range(3))
        hue = _uniform(generator, -settings.hue, settings.hue)
        if not places.has(place, len(tiles_BCHW)):
            continue
        tile = adjust_brightness(tiles_BCHW[place - places.first], brightness)
        tile = adjust_saturation(adjust_contrast(tile, contrast), saturation)
        jittered.append(adjust_hue(tile, hue))
    return torch.stack(jittered)


def _uniform(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _rescale(planes: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    low, high = torch.tensor([settings.scale_min, settings.scale_max]).log().tolist()
    scale = float(torch.tensor(_uniform(generator, low, high)).exp())
    height, width = (round(side * scale) for side in planes.shape[-2:])
    if (height, width) == tuple(planes.shape[-2:]):
        return planes
    return functional.interpolate(
        planes, size=(max(1, height), max(1, width)), mode="bilinear", align_corners=False, antialias=scale < 1
    )


def _crop(planes: Tensor, crop_px: int, generator: torch.Generator, places: Places) -> Tensor:
    height, width = planes.shape[-2:]
    if crop_px == 0 or (height <= crop_px and width <= crop_px):
        return planes
    rows, columns = min(crop_px, height), min(crop_px, width)
    crops = []
    for place in range(places.count):
        top = int(torch.randint(0, height - rows + 1, (), generator=generator))
        left = int(torch.randint(0, width - columns + 1, (), generator=generator))
        if places.has(place, len(planes)):
            crops.append(planes[place - places.first, :, top : top + rows, left : left + columns])
    return torch.stack(crops)


def _flip_and_turn(planes: Tensor, generator: torch.Generator, places: Places) -> Tensor:
    turned = torch.rot90(planes, int(torch.randint(0, 4, (), generator=generator)), dims=(-2, -1)).clone()
    flipped = places.of(torch.rand(places.count, generator=generator) < 0.5, len(planes))
    turned[flipped] = turned[flipped].flip(-1)
    return turned


def _flip(planes: Tensor, generator: torch.Generator, places: Places) -> Tensor:
    flipped = planes.clone()
    for dim in (-1, -2):
        chosen = places.of(torch.rand(places.count, generator=generator) < 0.5, len(planes))
        flipped[chosen] = flipped[chosen].flip(dim)
    return flipped


def _pad(planes: Tensor, multiple_px: int) -> Tensor:
    """White tiles, empty masks, invalid pixels at the right and bottom."""
    height, width = planes.shape[-2:]
    below, right = -height % multiple_px, -width % multiple_px
    if not (below or right):
        return planes
    colours = functional.pad(planes[:, :3], (0, right, 0, below), value=1.0)
    return torch.cat([colours, functional.pad(planes[:, 3:], (0, right, 0, below))], dim=1)
