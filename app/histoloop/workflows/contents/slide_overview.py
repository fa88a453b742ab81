"""What a page says of a slide's mask: a small picture of it, areas and counts, in one pass over its bands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoloop.annotations.records import Mask
from histoloop.errors import SlideError
from histoloop.exchange.tables import mask_areas
from histoloop.localisation.contours import Outliner
from histoloop.workflows.contents.export_choices import HAND_NUMBERS, drawn_in_band, finished_on
from histoloop.workflows.contents.masks import lay_over, mask_of_slide, said_mask
from histoloop.workflows.contents.slides import open_project_slide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.localisation.contours import Polygon
    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord, SlideRecord
    from histoloop.workflows.contents.masks import SlideMask

MIN_PART_PX = 64
"""Mask pixels below which a part is not counted, as it is left out of exported outlines."""
GREY = 238


@dataclass(frozen=True, slots=True, eq=False)
class SlideOverview:
    """A slide at a glance.

    `pixels` (h, w, 3) and `mask` (h, w) are alike in size; `is_seen` is False where the slide's file could not be read,
    and the pixels are grey then. By class: `areas_px` level-0 pixels, `by_people_px` what of these was painted or
    accepted by a person, `parts` how many separate parts of at least `MIN_PART_PX` mask pixels. Of a slide that is not
    `predicted` there is what people painted alone.
    """

    pixels: NDArray[np.uint8]
    mask: Mask
    is_seen: bool
    predicted: bool
    areas_px: Mapping[str, float]
    by_people_px: Mapping[str, float]
    parts: Mapping[str, int]


def slide_overview(project: Project, slide: SlideRecord, *, side_px: int) -> SlideOverview:
    """Look at a slide and its mask, at most `side_px` wide and high."""
    try:
        with open_project_slide(slide) as opened:
            pixels, is_seen = opened.thumbnail(side_px), True
    except SlideError:
        scale = min(1.0, side_px / max(slide.width, slide.height))
        shape = max(1, round(slide.height * scale)), max(1, round(slide.width * scale)), 3
        pixels, is_seen = np.full(shape, GREY, np.uint8), False
    painted = finished_on(project, slide.id)
    found = mask_of_slide(project, slide.id)
    if found is None:
        return _of_painted(project, slide, painted, pixels, is_seen)
    return _of_mask(project, slide, found, painted, pixels, is_seen)


def _of_mask(
    project: Project,
    slide: SlideRecord,
    found: SlideMask,
    painted: Sequence[AnnotationRecord],
    pixels: NDArray[np.uint8],
    is_seen: bool,
) -> SlideOverview:
    scheme, downsample = project.scheme, found.downsample
    height, width = pixels.shape[:2]
    rows = np.minimum(
        ((np.arange(height) + 0.5) * slide.height / height / downsample).astype(int), found.bands.height - 1
    )
    columns = np.minimum(
        ((np.arange(width) + 0.5) * slide.width / width / downsample).astype(int), found.bands.width - 1
    )
    mask = np.zeros((height, width), np.uint8)
    counts = np.zeros((max(HAND_NUMBERS.values()) + 1, 256), np.int64)
    parts = dict.fromkeys(scheme.mask_names, 0)
    outliner = Outliner(found.bands.width, downsample=downsample, min_area_px=MIN_PART_PX, simplify_px=0.0)
    top = 0
    for band in found.bands:
        here = np.flatnonzero((rows >= top) & (rows < top + len(band)))
        mask[here] = band[np.ix_(rows[here] - top, columns)]
        hands = drawn_in_band(project, painted, band.shape, top=top, downsample=downsample)
        counts += np.bincount(hands.ravel().astype(np.int64) * 256 + band.ravel(), minlength=counts.size).reshape(
            -1, 256
        )
        _count(parts, outliner.add(band), scheme.mask_names)
        top += len(band)
    _count(parts, outliner.close(), scheme.mask_names)
    people = counts[HAND_NUMBERS["person"]] + counts[HAND_NUMBERS["accepted"]]
    return SlideOverview(
        pixels,
        mask,
        is_seen,
        True,
        mask_areas(dict(enumerate(counts.sum(axis=0).tolist())), scheme, downsample=downsample),
        mask_areas(dict(enumerate(people.tolist())), scheme, downsample=downsample),
        parts,
    )


def _of_painted(
    project: Project,
    slide: SlideRecord,
    painted: Sequence[AnnotationRecord],
    pixels: NDArray[np.uint8],
    is_seen: bool,
) -> SlideOverview:
    """Regions are counted one by one: where they overlap, their common area counts for each."""
    names = project.scheme.mask_names
    mask, counts = np.zeros(pixels.shape[:2], np.uint8), np.zeros(256, np.float64)
    parts = dict.fromkeys(names, 0)
    for one in painted:
        own = said_mask(project, one)
        lay_over(mask, own, one.region, downsample=slide.width / pixels.shape[1])
        pixel = one.region.width / own.shape[1]
        counts += np.bincount(own.ravel(), minlength=256) * pixel**2
        outliner = Outliner(own.shape[1], downsample=pixel, min_area_px=MIN_PART_PX, simplify_px=0.0)
        _count(parts, [*outliner.add(own), *outliner.close()], names)
    areas = {name: float(counts[value]) for value, name in enumerate(names, start=1)}
    return SlideOverview(pixels, mask, is_seen, False, areas, areas, parts)


def _count(parts: dict[str, int], polygons: Sequence[Polygon], names: Sequence[str]) -> None:
    for polygon in polygons:
        if polygon.value <= len(names):
            parts[names[polygon.value - 1]] += 1
