"""What training on labels and sizes needs of a project: weak annotations. Needs neither torch nor Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histoloop.annotations.records import Counts, is_known
from histoloop.geometry import Region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord, SlideRecord


@dataclass(frozen=True, slots=True)
class WeakAnnotation:
    """Label and size that people gave to a region (level-0 pixels; the whole slide where they labelled the slide).

    `label` is an index into the labels of the project's scheme and `size` the foreground fraction of the region, 0..1;
    at least one of them is known. `mask_id` is the annotation whose mask `Project.load_mask` reads, None without one.
    `held_out` ones must not be trained on: they hold pixels that judge models. `counts` says what of the mask counts:
    strokes state no size of the region.
    """

    slide_id: int
    region: Region
    label: int | None
    size: float | None
    mask_id: int | None
    held_out: bool
    counts: Counts = Counts.REGION


def weak_annotations(project: Project) -> Sequence[WeakAnnotation]:
    """All labels and sizes that people gave to regions, in the order of finishing, then of whole slides.

    The size of a region with a mask and no size of its own is the foreground fraction of the mask, unless the strokes
    alone count. A region or slide
    without a mask is held out when it shares a pixel with a mask that is held out; training always starts again from
    the project's first model, so a region may become held out later. A slide whose whole extent was annotated counts
    once, with the slide's label where the annotation has none.
    """
    slides = {slide.id: slide for slide in project.slides.all()}
    finished = project.annotations.finished()
    judging = [record for record in finished if record.has_mask and record.held_out]
    regions = [_of_region(project, slides[record.slide_id], record, judging) for record in finished]
    whole = {record.slide_id for record in finished if record.region == slides[record.slide_id].extent}
    labelled = [slide for slide in slides.values() if slide.label is not None and slide.id not in whole]
    return (*regions, *(_of_slide(project, slide, judging) for slide in labelled))


def size_of(project: Project, record: AnnotationRecord) -> float | None:
    """The foreground fraction of an annotated region as it was given, else that of its mask; None without either.

    Of a mask those pixels count that were not left out; one of strokes states no size.
    """
    if record.size is not None or not record.has_mask or record.counts is Counts.STROKES:
        return record.size
    mask, origin = project.annotations.load_mask(record.id)
    known = is_known(origin)
    return np.count_nonzero(mask[known]) / np.count_nonzero(known) if known.any() else None


def _of_region(
    project: Project, slide: SlideRecord, record: AnnotationRecord, judging: Sequence[AnnotationRecord]
) -> WeakAnnotation:
    label = slide.label if record.label is None and record.region == slide.extent else record.label
    return WeakAnnotation(
        slide_id=slide.id,
        region=record.region,
        label=_index(project, label),
        size=size_of(project, record),
        mask_id=record.id if record.has_mask else None,
        held_out=record.held_out if record.has_mask else _touches(slide.id, record.region, judging),
        counts=record.counts,
    )


def _of_slide(project: Project, slide: SlideRecord, judging: Sequence[AnnotationRecord]) -> WeakAnnotation:
    held_out = _touches(slide.id, slide.extent, judging)
    return WeakAnnotation(slide.id, slide.extent, _index(project, slide.label), None, None, held_out)


def _touches(slide_id: int, region: Region, judging: Sequence[AnnotationRecord]) -> bool:
    return any(record.slide_id == slide_id and record.region.overlaps(region) for record in judging)


def _index(project: Project, label: str | None) -> int | None:
    return None if label is None else project.scheme.label_names.index(label)
