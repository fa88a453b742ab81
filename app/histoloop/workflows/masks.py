"""Masks of regions and slides out of the maps of a model and the annotations of people."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from histoloop.annotations.records import ClassScheme, Mask
from histoloop.inference.stitcher import mask_from_maps
from histoloop.store.maps import SlideMap, open_map

if TYPE_CHECKING:
    from histoloop.geometry import Region
    from histoloop.store.project import Project


@dataclass(frozen=True, slots=True, eq=False)
class SlideMask:
    """A mask of a whole slide: `mask` (h, w) at `downsample` level-0 pixels per mask pixel."""

    mask: Mask
    downsample: float


@dataclass(frozen=True, slots=True, eq=False)
class MapView:
    """A model's maps of a region at some size: foreground probability and mask, (height, width) each."""

    foreground: NDArray[np.float32]
    mask: Mask


def predicted_mask(slide_map: SlideMap, scheme: ClassScheme, region: Region, *, threshold: float) -> Mask:
    """The model's mask of a region at level-0 resolution, (region.height, region.width)."""
    return view_map(slide_map, scheme, region, size=(region.width, region.height), threshold=threshold).mask


def view_map(
    slide_map: SlideMap, scheme: ClassScheme, region: Region, *, size: tuple[int, int], threshold: float
) -> MapView:
    """The maps of a region at a size (width, height), from the coarsest level that is fine enough.

    Probabilities, not masks, are resampled (bilinearly), so that edges are smooth.
    """
    wanted = region.width / size[0]
    level = max((n for n, own in enumerate(slide_map.level_downsamples) if own <= wanted), default=0)
    pixel = slide_map.level_downsamples[level]
    window = region.grown(round(2 * pixel) + 1)
    left, top = math.floor(window.x / pixel), math.floor(window.y / pixel)
    near = slide_map.read_foreground(window, level=level)
    x, y = region.x / pixel - left, region.y / pixel - top
    box = (x, y, x + region.width / pixel, y + region.height / pixel)
    foreground = np.asarray(Image.fromarray(near).resize(size, Image.Resampling.BILINEAR, box=box))
    classes = mask_from_maps(
        np.ones(near.shape, np.float32),
        np.asarray(slide_map.labels),
        scheme,
        threshold=0.5,
        stride_px=slide_map.stride_px / 2**level,
        x=left,
        y=top,
    )
    nearest = np.asarray(Image.fromarray(classes).resize(size, Image.Resampling.NEAREST, box=box))
    return MapView(foreground, np.where(foreground > threshold, nearest, 0).astype(np.uint8))


def mask_of_slide(project: Project, slide_id: int) -> SlideMask | None:
    """The current model's mask of a slide with what people painted on top; None before the first prediction."""
    folder = project.map_folder(slide_id)
    if folder is None:
        return None
    slide_map = open_map(folder)
    threshold = project.current_card().threshold
    mask = mask_of_map(slide_map, project.scheme, threshold=threshold)
    for region, painted in painted_regions(project, slide_id):
        lay_over(mask, painted, region, downsample=slide_map.downsample)
    return SlideMask(mask, slide_map.downsample)


def painted_regions(project: Project, slide_id: int) -> list[tuple[Region, Mask]]:
    """What people finished on a slide, level-0 masks in the order of finishing: later ones lie on top."""
    done = [record for record in project.training_annotations() if record.slide_id == slide_id]
    return [(record.region, project.load_mask(record.id)[0]) for record in done]


def mask_of_map(slide_map: SlideMap, scheme: ClassScheme, *, threshold: float) -> Mask:
    """The model's mask of a whole slide at map resolution, without the padding of its last cells."""
    height = round(slide_map.slide_height / slide_map.downsample)
    width = round(slide_map.slide_width / slide_map.downsample)
    foreground = np.asarray(slide_map.foreground(0)[: max(1, height), : max(1, width)], np.float32)
    return mask_from_maps(
        foreground, np.asarray(slide_map.labels), scheme, threshold=threshold, stride_px=slide_map.stride_px, x=0, y=0
    )


def lay_over(
    mask: Mask, painted: Mask, region: Region, *, downsample: float, origin: tuple[float, float] = (0.0, 0.0)
) -> None:
    """Write a region's level-0 mask into a coarser mask in place, nearest neighbour.

    The mask's pixels are `downsample` level-0 pixels wide and its first one lies at `origin` (x, y level-0).
    """
    rows, source_rows = _inside(mask.shape[0], origin[1], downsample, start=region.y, length=region.height)
    columns, source_columns = _inside(mask.shape[1], origin[0], downsample, start=region.x, length=region.width)
    mask[np.ix_(rows, columns)] = painted[np.ix_(source_rows, source_columns)]


def _inside(
    count: int, origin: float, downsample: float, *, start: int, length: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Along one axis: pixels whose middle lies in a region, and the region's pixels there."""
    source = np.floor(origin + (np.arange(count) + 0.5) * downsample).astype(np.intp) - start
    inside = np.flatnonzero((source >= 0) & (source < length))
    return inside, source[inside]
