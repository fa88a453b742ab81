"""Where there is tissue on a slide."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

if TYPE_CHECKING:
    from histoloop.geometry import Region
    from histoloop.slides.reader import Slide

RULE = 2
"""Goes up with every change of what is found: masks by another rule are not taken for these."""

_LEAST_SATURATION, _MOST_SATURATION = 0.04, 0.12
"""Otsu's threshold is kept between these: on a field full of tissue it would split tissue from tissue, on blank glass
noise from noise."""

_DARK = 0.1
"""Below this brightness unsaturated pixels are coverslip edges, dust or pen, not tissue."""

_SMALLEST_FRACTION = 2e-4
"""Specks and holes below this share of the slide are removed."""

_ABOVE_PALEST = 0.035
_MOST_SATURATED_GLASS = 0.165
"""What is more saturated than the palest twentieth of the bright pixels by so much is stained. Where there is glass
these are of it, whatever the tint of the lamp, up to this saturation."""

_BRIGHT = 0.6

GLASS_RADIUS_UM = 125.0
"""What holds a disc of this radius without touching anything stained is glass: lumens, fat cells and mucin are
narrower. With these lengths no annotated pixel of GlaS and EBHI-Seg is on glass (docs/results.md)."""

BAY_RADIUS_UM = 40.0
"""From there glass goes on wherever a disc of this radius can move: into bays and cracks of the tissue, but not through
the mouths of crypts."""

BESIDE_UM = 500.0
"""No lumen is cut by the border of a picture over such a length: what is empty there is the glass around a section."""

_EDGE_UM = 6.0
"""Glass ends so far from what is stained."""

_FINEST_UM = 4.0
"""Width of the pixels by which the border of glass is found, at least, where the slide is larger than the survey."""

_SPECK_UM = 25.0
"""What is stained and not larger than a square of this side is dust."""

_UNKNOWN_MPP = 0.5
"""Of slides that state no resolution: lengths are taken as at 20x."""


@dataclass(frozen=True, slots=True, eq=False)
class TissueMask:
    """`mask` (h, w) is True on tissue; a mask pixel is `downsample` level-0 pixels wide."""

    mask: NDArray[np.bool_]
    downsample: float

    def fraction(self, region: Region) -> float:
        """Share of a level-0 region that is tissue, in [0, 1]; outside the slide there is none."""
        left, top, right, bottom = self._pixels(region)
        inside = self.mask[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        return float(inside.sum()) / ((right - left) * (bottom - top))

    def extent(self, region: Region) -> tuple[float, float, float, float] | None:
        """Left, top, right, bottom in level-0 pixels of the tissue in a level-0 region; None without any.

        By whole mask pixels, which may reach out of the region.
        """
        left, top, right, bottom = (max(0, edge) for edge in self._pixels(region))
        rows, columns = (np.flatnonzero(self.mask[top:bottom, left:right].any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return None
        edges = (left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1)
        x, y, past_x, past_y = (float(edge) * self.downsample for edge in edges)
        return x, y, past_x, past_y

    def _pixels(self, region: Region) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the mask pixels that a level-0 region touches, one at the least."""
        left, top = math.floor(region.x / self.downsample), math.floor(region.y / self.downsample)
        right = max(left + 1, math.ceil(region.right / self.downsample))
        bottom = max(top + 1, math.ceil(region.bottom / self.downsample))
        return left, top, right, bottom

    def without_holes(self) -> TissueMask:
        """The tissue with all that it encloses: lumens belong to their glands, glass beside the tissue does not."""
        filled: NDArray[np.bool_] = ndimage.binary_fill_holes(self.mask)
        return TissueMask(filled, self.downsample)

    def within(self, region: Region, *, height: int, width: int) -> NDArray[np.bool_]:
        """The mask over a level-0 region as (height, width) pixels, by the nearest; outside the slide there is none."""
        rows_y = region.y + (np.arange(height) + 0.5) * region.height / height
        columns_x = region.x + (np.arange(width) + 0.5) * region.width / width
        return self.at(rows_y, columns_x)

    def at(self, rows_y: NDArray[np.floating], columns_x: NDArray[np.floating]) -> NDArray[np.bool_]:
        """The mask (h, w) at level-0 coordinates of rows and columns; outside the slide there is none."""
        rows = np.floor(rows_y / self.downsample).astype(int)
        columns = np.floor(columns_x / self.downsample).astype(int)
        inside = np.zeros((len(rows), len(columns)), bool)
        there_h = (rows >= 0) & (rows < self.mask.shape[0])
        there_w = (columns >= 0) & (columns < self.mask.shape[1])
        inside[np.ix_(there_h, there_w)] = self.mask[np.ix_(rows[there_h], columns[there_w])]
        return inside

    @property
    def area_level0_px(self) -> float:
        """Level-0 pixels of tissue."""
        return float(self.mask.sum()) * self.downsample**2


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What is on a slide: `tissue` is what is stained well, `specimen` is all but glass.

    The specimen has what is pale too, and what belongs to the tissue without being stained, as lumens and fat do: masks
    may lie there and nowhere else.
    """

    tissue: TissueMask
    specimen: TissueMask


def find_tissue(slide: Slide, *, max_size_px: int = 1024) -> TissueMask:
    """Tissue by Otsu's threshold on saturation (Otsu 1979) of a thumbnail, with guards for full and blank fields."""
    downsample = max(1.0, max(slide.width, slide.height) / max_size_px)
    width, height = math.ceil(slide.width / downsample), math.ceil(slide.height / downsample)
    return TissueMask(tissue_of(slide.read_scaled(0, 0, width, height, downsample=downsample)), downsample)


def survey(slide: Slide, *, max_size_px: int = 1024, sampled: bool = False) -> Survey:
    """Tissue as `find_tissue` has it, to a pixel at its border, and the specimen at up to twice that resolution.

    One thumbnail is read; with `sampled` a large slide without a pyramid is not read whole (`Slide.read_overview`).
    """
    downsample = max(1.0, max(slide.width, slide.height) / max_size_px)
    width, height = math.ceil(slide.width / downsample), math.ceil(slide.height / downsample)
    pixel_um = (slide.mpp or _UNKNOWN_MPP) * downsample
    finer = 2 if pixel_um / 2 >= _FINEST_UM and downsample >= 2 else 1
    read = slide.read_overview if sampled else slide.read_scaled
    fine = read(0, 0, finer * width, finer * height, downsample=downsample / finer)
    specimen = TissueMask(specimen_of(fine, pixel_um=pixel_um / finer), downsample / finer)
    return Survey(TissueMask(tissue_of(_reduced(fine, finer)), downsample), specimen)


def _reduced(pixels_HW3: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """The means of squares of `factor` pixels."""
    if factor == 1:
        return pixels_HW3
    height, width = pixels_HW3.shape[0] // factor, pixels_HW3.shape[1] // factor
    squares = pixels_HW3.reshape(height, factor, width, factor, 3)
    means: NDArray[np.uint8] = squares.mean(axis=(1, 3), dtype=np.float32).round().astype(np.uint8)
    return means


def specimen_of(pixels_HW3: NDArray[np.uint8], *, pixel_um: float) -> NDArray[np.bool_]:
    """All but glass (h, w) of RGB pixels that are `pixel_um` wide.

    Glass is the opening by reconstruction of what is not stained: where a disc of `GLASS_RADIUS_UM` fits, and on from
    there as far as one of `BAY_RADIUS_UM` can move, less a margin. What lies beyond the picture is unknown, so that
    lumens that it cuts are no glass either, but what lies along `BESIDE_UM` of one side, wide enough for the smaller
    disc, is. Where nothing is stained all is glass.
    """
    stained = _stained(pixels_HW3, pixel_um)
    if not stained.any():
        return stained
    away = ndimage.distance_transform_edt(~stained)
    radius = max(1.0, BAY_RADIUS_UM / pixel_um)
    places, count = ndimage.label(away > radius, structure=np.ones((3, 3)))
    wide = np.zeros(count + 1, np.bool_)
    wide[np.unique(places[away > GLASS_RADIUS_UM / pixel_um])] = True
    for side in (places[0], places[-1], places[:, 0], places[:, -1]):
        wide |= np.bincount(side, minlength=count + 1) > BESIDE_UM / pixel_um
    wide[0] = False
    middles = wide[places]
    if not middles.any():
        return np.ones_like(stained)
    edge = max(1.0, _EDGE_UM / pixel_um)
    specimen: NDArray[np.bool_] = ndimage.distance_transform_edt(~middles) > max(0.0, radius - edge)
    return specimen


def _stained(pixels_HW3: NDArray[np.uint8], pixel_um: float) -> NDArray[np.bool_]:
    """What has a colour that glass has not, also if it is pale, without dust."""
    saturation, brightest = _saturation(pixels_HW3)
    bright = saturation[brightest > _BRIGHT]
    palest = float(np.quantile(bright, 0.05)) if bright.size else 0.0
    threshold = max(_LEAST_SATURATION, min(palest, _MOST_SATURATED_GLASS) + _ABOVE_PALEST)
    stained = (saturation > threshold) & (brightest > _DARK)
    stained &= ~_small_parts(stained, max(4, int((_SPECK_UM / pixel_um) ** 2)))
    return stained


def tissue_of(pixels_HW3: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tissue mask (h, w) of RGB pixels."""
    saturation, brightest = _saturation(pixels_HW3)
    threshold = float(np.clip(_otsu(saturation), _LEAST_SATURATION, _MOST_SATURATION))
    tissue = (saturation > threshold) & (brightest > _DARK)
    return _tidied(tissue)


def _saturation(pixels_HW3: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Saturation, blurred by a pixel, and the brightest colour, (h, w) each in [0, 1]."""
    pixels = pixels_HW3.astype(np.float32) / 255
    brightest, darkest = pixels.max(axis=2), pixels.min(axis=2)
    return ndimage.gaussian_filter((brightest - darkest) / np.maximum(brightest, 1e-3), sigma=1), brightest


def _otsu(values: NDArray[np.float32]) -> float:
    return float(threshold_otsu(values)) if float(np.ptp(values)) > 0 else _MOST_SATURATION


def _tidied(tissue: NDArray[np.bool_]) -> NDArray[np.bool_]:
    smallest = max(4, int(_SMALLEST_FRACTION * tissue.size))
    without_specks = tissue & ~_small_parts(tissue, smallest)
    return without_specks | _small_parts(~without_specks, smallest)


def _small_parts(mask: NDArray[np.bool_], smallest: int) -> NDArray[np.bool_]:
    """Connected parts of fewer than `smallest` pixels."""
    labels, _count = ndimage.label(mask)
    small = np.bincount(labels.ravel()) < smallest
    small[0] = False
    found: NDArray[np.bool_] = small[labels]
    return found
