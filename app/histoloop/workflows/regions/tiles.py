"""Regions of a project read as training tiles at a model's resolution: annotated ones, and unlabelled ones."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from histoloop.acquisition.grid import candidate_regions
from histoloop.annotations.records import Counts, is_known
from histoloop.geometry import Region
from histoloop.language import tr
from histoloop.progress import Progress, Work
from histoloop.slides.tiling import working_downsample
from histoloop.training.readers.tiles import shrink_classes, shrink_foreground, shrink_strokes
from histoloop.training.samples import TrainingTile
from histoloop.workflows.contents.candidate_regions import region_side_px, settled_regions
from histoloop.workflows.contents.kept_tissue import tissue_of_slide
from histoloop.workflows.contents.slides import is_readable, open_project_slide
from histoloop.workflows.contents.weak_annotations import WeakAnnotation, weak_annotations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from histoloop.slides.reader import Pixels
    from histoloop.slides.tissue import TissueMask
    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord
    from histoloop.training.samples import TileMask
    from histoloop.workflows.prediction.loaded_model import LoadedModel

    Place = tuple[SlideRecord, Region]

WHOLE_PX = 1024
"""A labelled slide or region up to this side, at the model's resolution, is one tile; of larger ones some tiles are
taken, each with the label of the whole."""
PART_PX = 512
PARTS = 6
MIN_TISSUE = 0.3


def annotated_tiles(
    project: Project, model: LoadedModel, *, classes: bool = False
) -> Work[tuple[list[TrainingTile], list[TrainingTile]]]:
    """Tiles with all that people annotated: those to train on, and those held out to measure with.

    Masks are foregrounds, or with `classes` values of the project's mask classes. Held-out tiles all have masks. A
    region or slide too large for one tile gives several, in its tissue, without size or mask.
    """
    training: list[TrainingTile] = []
    held_out: list[TrainingTile] = []
    found = weak_annotations(project)
    slides = {record.id: record for record in project.slides.all()}
    for number, annotation in enumerate(found):
        yield Progress(tr("Reading annotations"), number, len(found))
        if annotation.held_out and annotation.mask_id is None:
            continue  # it shares pixels with what measures
        tiles = _read(project, slides[annotation.slide_id], annotation, model, classes=classes)
        if annotation.held_out:
            held_out.extend(tile for tile in tiles if tile.mask is not None)
        else:
            training.extend(tiles)
    return training, held_out


def _read(
    project: Project, record: SlideRecord, annotation: WeakAnnotation, model: LoadedModel, *, classes: bool
) -> Iterator[TrainingTile]:
    downsample = working_downsample(record.mpp, model.card.mpp)
    region = annotation.region
    with open_project_slide(record) as slide:
        if annotation.mask_id is None and max(region.width, region.height) > WHOLE_PX * downsample:
            for number, part in enumerate(_parts(tissue_of_slide(project, record, slide=slide), region, downsample)):
                name = f"{record.name}, part {number + 1}"
                yield TrainingTile(
                    slide.read_region_scaled(part, downsample=downsample), annotation.label, None, name, record.name
                )
            return
        pixels = slide.read_region_scaled(region, downsample=downsample)
    mask, known = painted_mask(project, annotation.mask_id, pixels, classes=classes)
    name = _name(record, region)
    yield TrainingTile(
        pixels,
        annotation.label,
        mask,
        name,
        record.name,
        size=annotation.size,
        known=known,
        states_size=annotation.counts is Counts.REGION,
    )


def painted_mask(
    project: Project, annotation_id: int | None, pixels: Pixels, *, classes: bool = False
) -> tuple[TileMask | None, NDArray[np.bool_] | None]:
    """What a person painted in a region, and where that is known, (H, W) each at the size of its pixels (H, W, 3).

    The foreground, or with `classes` the mask values. Without an annotation, and where all of it was left out, there is
    no mask; None where all of it is known. A pixel is known when more than half of its area is, or any of it where the
    strokes alone count.
    """
    if annotation_id is None:
        return None, None
    painted, origin = project.annotations.load_mask(annotation_id)
    height, width = pixels.shape[:2]
    values = painted if classes else (painted > 0).astype(np.uint8)
    if (all_known := is_known(origin)).all():
        if classes:
            return shrink_classes(values, height=height, width=width), None
        return shrink_foreground(painted > 0, height=height, width=width), None
    mask = shrink_classes(values, height=height, width=width, known_HW=all_known)
    shrink = shrink_strokes if project.annotations.get(annotation_id).counts is Counts.STROKES else shrink_foreground
    known = shrink(all_known, height=height, width=width)
    return (mask if classes else mask > 0, known) if known.any() else (None, None)


def _name(record: SlideRecord, region: Region) -> str:
    return f"{record.name}, {region.width} x {region.height} at {region.x}, {region.y}"


def _parts(tissue: TissueMask, region: Region, downsample: float) -> list[Region]:
    """Up to `PARTS` squares of a region with tissue in them, spread evenly; the same ones each time."""
    side = round(PART_PX * downsample)
    columns, rows = max(1, region.width // side), max(1, region.height // side)
    squares = [
        Region(region.x + column * side, region.y + row * side, side, side)
        for row in range(rows)
        for column in range(columns)
    ]
    good = [square for square in squares if tissue.fraction(square) >= MIN_TISSUE] or squares
    chosen = np.linspace(0, len(good) - 1, min(PARTS, len(good))).round().astype(int)
    return [good[index] for index in sorted(set(chosen.tolist()))]


# --- what nobody annotated --------------------------------------------------------------------------------------------


def unlabelled_regions(project: Project, *, mpp: float, count: int, seed: int) -> Work[list[Place]]:
    """Up to `count` regions with tissue that share no pixel with one that was asked about, spread over the slides.

    Their size is that of queries to a model of resolution `mpp`. Slides take turns; which regions of a slide come
    first is sampled with the seed, and does not change as regions are annotated or slides come after.
    """
    slides = [slide for slide in project.slides.all() if is_readable(slide)]
    free: list[list[Place]] = []
    for number, record in enumerate(slides):
        yield Progress(tr("Looking for regions"), number, len(slides), record.name)
        asked = settled_regions(project, record.id)
        tissue = tissue_of_slide(project, record)
        side = region_side_px(working_downsample(record.mpp, mpp))
        regions = candidate_regions(width=record.width, height=record.height, region_px=side, tissue=tissue)
        order = np.random.default_rng((seed, record.id)).permutation(len(regions))
        own = [regions[index] for index in order if not any(regions[index].overlaps(other) for other in asked)]
        free.append([(record, region) for region in own])
    turns = itertools.zip_longest(*free)
    return [place for turn in turns for place in turn if place is not None][:count]


def unlabelled_tiles(places: Sequence[Place], model: LoadedModel) -> Work[list[TrainingTile]]:
    """The regions as tiles of which nothing is known."""
    tiles: list[TrainingTile] = []
    for number, (record, region) in enumerate(places):
        yield Progress(tr("Reading regions"), number, len(places), record.name)
        with open_project_slide(record) as slide:
            pixels = slide.read_region_scaled(region, downsample=working_downsample(record.mpp, model.card.mpp))
        tiles.append(TrainingTile(pixels, None, None, _name(record, region), record.name))
    return tiles
