"""Masks of regions and slides out of the maps of a model and the annotations of people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.annotations.records import AnnotationStatus, ClassScheme, Mask
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


def predicted_mask(slide_map: SlideMap, scheme: ClassScheme, region: Region, *, threshold: float) -> Mask:
    """The model's mask of a region at level-0 resolution, (region.height, region.width).

    Probabilities, not masks, are upsampled (bilinearly), so that edges are smooth.
    """
    pixel = slide_map.downsample
    window = region.grown(round(2 * pixel) + 1)
    left, top = int(np.floor(window.x / pixel)), int(np.floor(window.y / pixel))
    foreground = slide_map.read_foreground(window)
    box = ((region.x / pixel) - left, (region.y / pixel) - top)
    corner = (box[0] + region.width / pixel, box[1] + region.height / pixel)
    size = (region.width, region.height)
    smooth = np.asarray(Image.fromarray(foreground).resize(size, Image.Resampling.BILINEAR, box=(*box, *corner)))
    classes = _classes_of(slide_map, scheme, left=left, top=top, shape=foreground.shape)
    nearest = np.asarray(Image.fromarray(classes).resize(size, Image.Resampling.NEAREST, box=(*box, *corner)))
    return np.where(smooth > threshold, nearest, 0).astype(np.uint8)


def _classes_of(slide_map: SlideMap, scheme: ClassScheme, *, left: int, top: int, shape: tuple[int, ...]) -> Mask:
    everything = np.ones(shape, np.float32)
    return mask_from_maps(
        everything, np.asarray(slide_map.labels), scheme, threshold=0.5, stride_px=slide_map.stride_px, x=left, y=top
    )


def mask_of_slide(project: Project, slide_id: int) -> SlideMask | None:
    """The current model's mask of a slide with what people painted on top; None before the first prediction."""
    folder = project.map_folder(slide_id)
    if folder is None:
        return None
    slide_map = open_map(folder)
    threshold = project.current_card().threshold
    mask = mask_of_map(slide_map, project.scheme, threshold=threshold)
    for annotation in project.annotations(slide_id=slide_id, status=AnnotationStatus.DONE):
        painted, _origin = project.load_mask(annotation.id)
        _lay_over(mask, painted, annotation.region, slide_map.downsample)
    return SlideMask(mask, slide_map.downsample)


def mask_of_map(slide_map: SlideMap, scheme: ClassScheme, *, threshold: float) -> Mask:
    """The model's mask of a whole slide at map resolution, without the padding of its last cells."""
    height = round(slide_map.slide_height / slide_map.downsample)
    width = round(slide_map.slide_width / slide_map.downsample)
    foreground = np.asarray(slide_map.foreground(0)[: max(1, height), : max(1, width)], np.float32)
    return mask_from_maps(
        foreground, np.asarray(slide_map.labels), scheme, threshold=threshold, stride_px=slide_map.stride_px, x=0, y=0
    )


def _lay_over(mask: Mask, painted: Mask, region: Region, downsample: float) -> None:
    """Write a region's level-0 mask into a slide's mask, nearest neighbour, in place."""
    rows = np.arange(mask.shape[0])
    columns = np.arange(mask.shape[1])
    source_rows = np.floor((rows + 0.5) * downsample).astype(int) - region.y
    source_columns = np.floor((columns + 0.5) * downsample).astype(int) - region.x
    inside_rows = (source_rows >= 0) & (source_rows < region.height)
    inside_columns = (source_columns >= 0) & (source_columns < region.width)
    patch = painted[np.ix_(source_rows[inside_rows], source_columns[inside_columns])]
    mask[np.ix_(rows[inside_rows], columns[inside_columns])] = patch
