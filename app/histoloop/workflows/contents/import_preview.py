"""What a file of annotations would become on a slide: looked at before anything of it is kept.

Nothing is changed by it. The pictures are simplified, the counts and regions are exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoloop.annotations.class_names import folded
from histoloop.annotations.raster import crosses_itself
from histoloop.annotations.records import LEFT_OUT_NAME, LEFT_OUT_VALUE, Counts
from histoloop.exchange.mask_pictures import open_mask_picture
from histoloop.exchange.mask_values import meaning_of_chosen, values_of_picture
from histoloop.exchange.outlines.classes import BACKGROUND, NAMELESS, NOTHING, Area, value_of
from histoloop.exchange.outlines.filling import FilledOutlines, ring_area
from histoloop.exchange.outlines.placing import boxes_of
from histoloop.exchange.outlines.read import holds_outlines
from histoloop.exchange.outlines.simplified import SimplifiedOutlines, simplified
from histoloop.geometry import Region
from histoloop.language import tr, tr_plural
from histoloop.progress import Progress
from histoloop.store.records import AnnotationRecord
from histoloop.workflows.contents.earlier_work import replaced_by_import
from histoloop.workflows.contents.import_regions import has_tissue, is_one_region, parts_of, tissue_of
from histoloop.workflows.contents.mask_files import (
    check_inside,
    ground_of,
    notes_on_reading,
    placed_outlines,
    placed_picture,
    remembered_classes,
    skipped_in_words,
)
from histoloop.workflows.contents.slides import check_not_replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from histoloop.annotations.records import Mask
    from histoloop.exchange.mask_pictures import MaskPicture
    from histoloop.exchange.mask_placing import PlacedPicture
    from histoloop.exchange.mask_values import ForeignValue, Meaning
    from histoloop.exchange.outlines.placing import Ground
    from histoloop.exchange.outlines.records import Outlines
    from histoloop.progress import Work
    from histoloop.slides.tissue import TissueMask
    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord
    from histoloop.workflows.contents.mask_files import MaskFile

MEASURED_PX = 4_000_000
"""An outline that crosses itself is filled in so many pixels at most to measure it."""

PICTURE_PX = 1600
"""Side of the picture of a mask that is looked at, at most."""


@dataclass(frozen=True, slots=True)
class ForeignClass:
    """A class of a file as it is there: of outlines by its `names` (empty: none), of a picture by a value or colour.

    `count` outlines (of a picture: pixels of it) cover `area_px` level-0 pixels. `means` is what it is here without
    asking: a class of the project, 'background', 'Ignore*' or '-' (left out), None where somebody must say;
    `is_remembered`: because it was said before. `colour` is the file's, '#rrggbb' or empty.
    """

    names: tuple[str, ...]
    count: int
    area_px: float
    means: str | None
    is_remembered: bool = False
    colour: str = ""


@dataclass(frozen=True, slots=True)
class PreviewPart:
    """A region that would be annotated if it has tissue or foreground; `classes` are numbers of those that reach it."""

    region: Region
    has_tissue: bool
    classes: frozenset[int]


@dataclass(frozen=True, slots=True, eq=False)
class PreviewPicture:
    """The number of the class of each pixel (h, w), -1 for none, over a level-0 region."""

    classes_HW: NDArray[np.int8]
    region: Region


@dataclass(frozen=True, slots=True, eq=False)
class FilePreview:
    """A file on a slide.

    `stamp` tells whether it has changed since; `notes` are sentences on what was assumed or mended, `skipped` on what
    is left out. `parts` are all that may become regions: see `regions_of`. `earlier` are the
    finished annotations with a mask in them. `has_bounds`: the slide has some, from which outlines may count;
    `slide_is_there`: its file is.
    """

    path: Path
    stamp: tuple[int, int]
    slide_id: int
    is_picture: bool
    classes: tuple[ForeignClass, ...]
    parts: tuple[PreviewPart, ...]
    is_one_region: bool
    earlier: tuple[AnnotationRecord, ...]
    notes: tuple[str, ...]
    skipped: tuple[str, ...]
    has_bounds: bool
    slide_is_there: bool
    outlines: SimplifiedOutlines | None = None
    picture: PreviewPicture | None = None


def stamp_of(path: Path) -> tuple[int, int]:
    """What tells one content of a file from another: its size and when it was changed; (0, 0) where there is none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def regions_of(preview: FilePreview, chosen: Sequence[str | None], *, counts: Counts = Counts.REGION) -> list[Region]:
    """The regions that a file would become with what was chosen for its classes (None: not yet, counts as a class)."""
    if preview.is_one_region:
        return [part.region for part in preview.parts]
    only_outlined = counts is Counts.STROKES
    passed = {NOTHING} if only_outlined else {NOTHING, BACKGROUND}
    return [
        part.region
        for part in preview.parts
        if (part.has_tissue and not only_outlined) or any(chosen[number] not in passed for number in part.classes)
    ]


def which_overlap(regions: Sequence[Region], others: Sequence[Region]) -> list[bool]:
    """Whether each of some regions shares a pixel with one of the others."""
    left, top, right, bottom = _edges(others)
    return [
        bool(((left < one.right) & (right > one.x) & (top < one.bottom) & (bottom > one.y)).any()) for one in regions
    ]


def which_lie_in(regions: Sequence[Region], others: Sequence[Region]) -> list[bool]:
    """Whether each of some regions lies wholly in one of the others."""
    left, top, right, bottom = _edges(others)
    return [
        bool(((left <= one.x) & (right >= one.right) & (top <= one.y) & (bottom >= one.bottom)).any())
        for one in regions
    ]


def _edges(regions: Sequence[Region]) -> NDArray[np.int64]:
    """(4, N) left, top, right and bottom."""
    edges = [(region.x, region.y, region.right, region.bottom) for region in regions]
    return np.array(edges, np.int64).reshape(-1, 4).T


def look_at_file(project: Project, file: MaskFile, slide: SlideRecord) -> Work[FilePreview]:
    """Read a file and find out what it would become on a slide; DataError for what cannot be read or does not fit."""
    stage = tr("Reading {name}", name=file.path.name)
    yield Progress(stage, 0, 4)
    check_not_replaced(slide)
    stamp = stamp_of(file.path)
    ground = ground_of(slide)
    if holds_outlines(file.path):
        outlines, placed = placed_outlines(file, ground)
        check_inside(FilledOutlines(placed.areas), slide.extent, file.path, ground)
        yield Progress(stage, 1, 4)
        tissue = tissue_of(slide)
        yield Progress(stage, 2, 4)
        found = _of_outlines(project, file, slide, ground, outlines, placed.areas, tissue, (stamp, placed.assumed))
        yield Progress(stage, 3, 4)
        return found
    with open_mask_picture(file.path) as picture:
        at = placed_picture(picture, file, ground, slide.extent)
        yield Progress(stage, 1, 4)
        values = values_of_picture(picture, project.scheme)
        yield Progress(stage, 2, 4)
        tissue = tissue_of(slide)
        yield Progress(stage, 3, 4)
        return _of_picture(project, slide, ground, at, values, tissue, stamp)


# --- outlines ---------------------------------------------------------------------------------------------------------


def _of_outlines(
    project: Project,
    file: MaskFile,
    slide: SlideRecord,
    ground: Ground,
    outlines: Outlines,
    areas: Sequence[Area],
    tissue: TissueMask | None,
    known: tuple[tuple[int, int], str],
) -> FilePreview:
    stamp, assumed = known
    numbers: dict[tuple[str, ...], int] = {}
    class_of = np.array([numbers.setdefault(shape.names, len(numbers)) for shape in outlines.shapes], np.int32)
    boxes_N4 = boxes_of(areas)
    parts, is_one = _parts(slide.extent, tissue, lambda region: _classes_near(boxes_N4, class_of, region))
    return FilePreview(
        file.path,
        stamp,
        slide.id,
        False,
        tuple(_foreign_classes(project, outlines, areas, class_of, list(numbers))),
        parts,
        is_one,
        _earlier(project, slide, parts),
        tuple(filter(None, (assumed, *notes_on_reading(outlines, slide_is_there=slide.exists())))),
        (*skipped_in_words(outlines.skipped), *_outside(boxes_N4, ground)),
        ground.bounds is not None,
        slide.exists(),
        outlines=simplified([area.rings for area in areas], class_of.tolist()),
    )


def _foreign_classes(
    project: Project,
    outlines: Outlines,
    areas: Sequence[Area],
    class_of: NDArray[np.int32],
    names: Sequence[tuple[str, ...]],
) -> Iterable[ForeignClass]:
    values = {name: number for number, name in enumerate(project.scheme.mask_names, start=1)}
    own = {0: BACKGROUND, LEFT_OUT_VALUE: LEFT_OUT_NAME, **{value: name for name, value in values.items()}}
    remembered = remembered_classes(project)
    counts = np.bincount(class_of, minlength=len(names))
    measured = _measured if outlines.repaired else _area
    sizes = np.bincount(class_of, weights=[measured(area) for area in areas], minlength=len(names))
    for number, each in enumerate(names):
        value = value_of(each, values, remembered)
        means = own[value] if isinstance(value, int) else None if value is None or not each else NOTHING
        if not each and any(folded(name) == folded(NAMELESS) for name in remembered):
            means = remembered[folded(NAMELESS)]
        is_remembered = value != value_of(each, values) or (not each and means is not None)
        yield ForeignClass(
            each, int(counts[number]), float(sizes[number]), means, is_remembered, outlines.colours.get(each, "")
        )


def _area(area: Area) -> float:
    exterior, *holes = map(ring_area, area.rings)
    return max(0.0, exterior - sum(holes))


def _measured(area: Area) -> float:
    """The same of an outline that may cross itself: the pixels that filling it gives, whose signed areas cancel."""
    if not crosses_itself(area.rings[0]):
        return _area(area)
    (left, top), (right, bottom) = np.floor(area.rings[0].min(axis=0)), np.ceil(area.rings[0].max(axis=0))
    step = max(1.0, math.sqrt((right - left) * (bottom - top) / MEASURED_PX))
    small = Area(1, tuple((ring - (left, top)) / step for ring in area.rings))
    place = Region(0, 0, math.ceil((right - left) / step), math.ceil((bottom - top) / step))
    return float(np.count_nonzero(FilledOutlines([small]).read(place))) * step**2


def _classes_near(boxes_N4: NDArray[np.float64], class_of: NDArray[np.int32], region: Region) -> frozenset[int]:
    left, top, right, bottom = boxes_N4.T
    near = (left < region.right) & (right > region.x) & (top < region.bottom) & (bottom > region.y)
    return frozenset(np.unique(class_of[near]).tolist())


def _outside(boxes_N4: NDArray[np.float64], ground: Ground) -> Iterable[str]:
    inside = _classes_near(boxes_N4, np.arange(len(boxes_N4), dtype=np.int32), ground.extent)
    if count := len(boxes_N4) - len(inside):
        yield tr_plural("{count} outline lies outside the region.", "{count} outlines lie outside the region.", count)


# --- pictures ---------------------------------------------------------------------------------------------------------


def _of_picture(
    project: Project,
    slide: SlideRecord,
    ground: Ground,
    at: PlacedPicture,
    values: Sequence[ForeignValue],
    tissue: TissueMask | None,
    stamp: tuple[int, int],
) -> FilePreview:
    place = at.region.intersection(slide.extent)
    assert place is not None
    own = {0: BACKGROUND, LEFT_OUT_VALUE: LEFT_OUT_NAME, **dict(enumerate(project.scheme.mask_names, start=1))}
    numbered = meaning_of_chosen(at.picture, {value.name: number for number, value in enumerate(values, start=1)})
    pixel_px = at.region.area / (at.picture.width * at.picture.height)
    classes = tuple(
        ForeignClass(
            (value.name,),
            value.count,
            value.count * pixel_px,
            None if value.means is None else own[value.means],
            colour=value.colour,
        )
        for value in values
    )
    parts, is_one = _parts(
        place, tissue, lambda region: _classes_in(numbered(at.read(region))), is_one=is_one_region(slide.extent)
    )
    notes = [at.assumed]
    if place != slide.extent:
        notes.append(tr("The mask covers a part of the slide; the rest is not annotated."))
    if not values:
        notes.append(tr("{path} has no foreground: all of it is background.", path=at.picture.path))
    return FilePreview(
        at.picture.path,
        stamp,
        slide.id,
        True,
        classes,
        parts,
        is_one,
        _earlier(project, slide, parts),
        tuple(filter(None, notes)),
        (),
        ground.bounds is not None,
        slide.exists(),
        picture=PreviewPicture(_small(at.picture, numbered), at.region),
    )


def _classes_in(numbers_HW: Mask) -> frozenset[int]:
    return frozenset(int(number) - 1 for number in np.unique(numbers_HW) if number)


def _small(picture: MaskPicture, numbered: Meaning) -> NDArray[np.int8]:
    """Every so many pixels of a picture, so that it can be drawn at once."""
    step = math.ceil(max(picture.width, picture.height) / PICTURE_PX)
    rows = [
        numbered(picture.read(slice(top, top + 1), slice(0, picture.width))[:, ::step])
        for top in range(0, picture.height, step)
    ]
    return np.concatenate(rows).astype(np.int8) - np.int8(1)


# --- regions ----------------------------------------------------------------------------------------------------------


def _parts(
    place: Region,
    tissue: TissueMask | None,
    classes_in: Callable[[Region], frozenset[int]],
    *,
    is_one: bool | None = None,
) -> tuple[tuple[PreviewPart, ...], bool]:
    """What may become regions of a place, and whether it is one."""
    is_one = is_one_region(place) if is_one is None else is_one
    regions = [place] if is_one else parts_of(place)
    parts = (PreviewPart(region, is_one or has_tissue(tissue, region), classes_in(region)) for region in regions)
    return tuple(part for part in parts if part.has_tissue or part.classes), is_one


def _earlier(project: Project, slide: SlideRecord, parts: Sequence[PreviewPart]) -> tuple[AnnotationRecord, ...]:
    return tuple(replaced_by_import(project, slide.id, [part.region for part in parts], with_mask=True))
