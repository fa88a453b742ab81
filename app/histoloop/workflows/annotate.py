"""What a person does with a region or slide: paint from the model's mask on, say label and size, skip, bring along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoloop.annotations.raster import fill_polygon
from histoloop.annotations.records import AnnotationStatus, Counts, Mask, Origin, Patch, QueryStatus, is_known
from histoloop.errors import DataError, ProjectError
from histoloop.language import tr, tr_plural
from histoloop.workflows.contents.earlier_work import is_of_another, painted_by, replaced_by_import
from histoloop.workflows.contents.import_regions import (
    ONE_REGION_PX,
    has_tissue,
    is_one_region,
    parts_of,
    tissue_of,
)
from histoloop.workflows.contents.live_masks import LIVE_ORIGIN
from histoloop.workflows.contents.mask_files import MaskFile, MaskSource, remember_classes, source_of
from histoloop.workflows.contents.masks import map_in_project, predicted_mask
from histoloop.workflows.contents.slides import check_not_replaced, open_project_slide, slide_called
from histoloop.workflows.reports import ImportedAnnotation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from histoloop.exchange.outlines.placing import Frame
    from histoloop.geometry import Region
    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord, SlideRecord


def begin(
    project: Project,
    *,
    slide_id: int,
    region: Region,
    query_id: int | None = None,
    person: str,
    live: Mask | None = None,
    line: NDArray[np.float64] | None = None,
) -> AnnotationRecord:
    """Start annotating a region from the current model's mask of it (empty where there is no map yet).

    With `live`, the live mask (region.height, region.width) that is shown of it, from that one. With a `line` (N, 2)
    around it, in level-0 pixels, what lies outside is left out: nothing is learned or measured there.
    An open draft of the same region by the same person is resumed, and a finished annotation of it reopened, instead:
    it counts until the new one is done. What the person left out, or finished without its mask, goes on from what was
    painted then, another's annotation without a mask from its label and size, and from the model's mask.
    ReplacedSlideError where another file is in the slide's place.
    """
    check_not_replaced(project.slides.get(slide_id))
    finished = _finished(project, slide_id, region)
    draft = project.drafts.find(slide_id, region, person=person)
    if draft is not None and not _is_outdated(project, draft, finished):
        return draft if query_id is None else project.drafts.attach(draft.id, query_id)
    painted = painted_by(project, slide_id, region, person)
    if painted is not None and (finished is None or not finished.has_mask or finished.id == painted.id):
        return project.drafts.reopen(painted.id, person=person, query_id=query_id)
    if finished is not None and finished.has_mask:
        return project.drafts.reopen(finished.id, person=person, query_id=query_id)
    mask, model_hash = starting_mask(project, slide_id, region) if live is None else (live, LIVE_ORIGIN)
    origin: Mask | Origin = Origin.UNTOUCHED
    if line is not None:
        origin = np.full(mask.shape, Origin.LEFT_OUT, np.uint8)
        fill_polygon(origin, [line - (region.x, region.y)], Origin.UNTOUCHED)
        mask = np.where(origin == Origin.LEFT_OUT, np.uint8(0), mask)
    return project.drafts.start(
        slide_id,
        region,
        mask=mask,
        origin=origin,
        origin_model=model_hash,
        person=person,
        query_id=query_id,
        continues=finished,
    )


def go_on(project: Project, annotation_id: int, *, person: str, query_id: int | None = None) -> AnnotationRecord:
    """Go on with an annotation that was begun or finished: with one's own draft, else with a draft that begins with it.

    What another person began, or anybody finished, stays as it is.
    """
    record = project.annotations.get(annotation_id)
    if record.status is AnnotationStatus.DRAFT and not is_of_another(record, person):
        return record if query_id is None else project.drafts.attach(record.id, query_id)
    if record.status is AnnotationStatus.DRAFT:
        return project.drafts.reopen(record.id, person=person, query_id=query_id)
    return begin(project, slide_id=record.slide_id, region=record.region, query_id=query_id, person=person)


def _is_outdated(project: Project, draft: AnnotationRecord, finished: AnnotationRecord | None) -> bool:
    """Whether nothing was done in a draft before its region was finished by somebody."""
    if finished is None or finished.id == draft.continues or finished.updated <= draft.created:
        return False
    return all(begun.id != draft.id for begun in project.drafts.begun(draft.slide_id))


def _finished(project: Project, slide_id: int, region: Region) -> AnnotationRecord | None:
    """The label and size of just this region."""
    said = project.annotations.finished()
    return next((record for record in said if record.slide_id == slide_id and record.region == region), None)


def starting_mask(project: Project, slide_id: int, region: Region) -> tuple[Mask, str | None]:
    """The current model's mask of a region at level-0 resolution, and that model's hash; empty before a prediction."""
    found = map_in_project(project, slide_id)
    if found is None:
        return np.zeros((region.height, region.width), np.uint8), None
    mask = predicted_mask(found.slide_map, found.classes, region, threshold=found.card.threshold)
    return mask, found.slide_map.model_hash


def finish(
    project: Project,
    annotation_id: int,
    *,
    label: str | None = None,
    size: float | None = None,
    with_mask: bool = True,
    last_patch: Patch | None = None,
    counts: Counts | None = None,
) -> AnnotationRecord:
    """Call a draft done: pixels nobody painted count as accepted, or not at all; its query leaves the queue.

    Without `with_mask` only its label and size (foreground fraction) are done, and the mask of the draft is not used.
    `last_patch` is a change of the mask that is part of it, `counts` what of the mask counts from now on (None: as
    before). ProjectError where the strokes alone count and there are none.
    """
    return project.drafts.finish(
        annotation_id,
        AnnotationStatus.DONE,
        label=label,
        size=size,
        with_mask=with_mask,
        last_patch=last_patch,
        counts=counts,
    )


def skip(project: Project, query_id: int, *, person: str) -> None:
    """Take a query off the queue; it is not asked again unless that is taken back."""
    project.queries.leave_out(query_id, QueryStatus.SKIPPED, person=person)


def cannot_tell(project: Project, query_id: int, *, person: str) -> None:
    """Take a query off the queue as one that no one could answer, unless that is taken back."""
    project.queries.leave_out(query_id, QueryStatus.CANNOT_TELL, person=person)


def label_slide(project: Project, *, slide_name: str, label: str, person: str) -> SlideRecord:
    """Say what a slide is as a whole, in the words of the project's classes."""
    _check_label(project, label)
    slide = slide_called(project, slide_name)
    check_not_replaced(slide)
    project.slides.set_label(slide.id, label, person=person)
    return project.slides.get(slide.id)


def import_annotation(
    project: Project,
    *,
    mask_file: Path | None = None,
    query_id: int | None = None,
    slide_name: str | None = None,
    region: Region | None = None,
    mask_class: str | None = None,
    class_map: Mapping[str, str] | None = None,
    frame: Frame = "auto",
    units_um: float | None = None,
    label: str | None = None,
    size: float | None = None,
    person: str,
    replace: bool = False,
    counts: Counts = Counts.REGION,
) -> ImportedAnnotation:
    """Take mask, label and size, or some of them, as the finished annotation of a query's region, a region, or a slide.

    The mask is a file of outlines (exchange/outlines/read.py) or a picture (exchange/mask_values.py says what its
    values mean). `mask_class` is the class of a picture's foreground, and of outlines where none of a file has a class.
    `class_map` gives foreign classes one of the project, 'background' or '-'; the project remembers it. `frame` says
    whether coordinates count from the corner of the slide or of its bounds, `units_um` how many micrometres a pixel or
    unit of the file is. A place larger than `ONE_REGION_PX` becomes several regions, those without tissue and outline
    left out; it takes no size, and no label unless it is the whole slide. Pixels count as human, those of Ignore* as
    left out. Where the strokes alone count (`counts`), all that has no class is left out too. `size` is the foreground
    fraction of the region. What is not given stays as it was, except that a new mask has its own size. DataError when
    nothing can be taken, and without `replace` when something finished there would no longer count: then nothing is
    changed.
    """
    project.check_writable()
    slide, place = _place(project, query_id=query_id, slide_name=slide_name, region=region)
    check_not_replaced(slide)
    _check_label(project, label)
    before = _finished(project, slide.id, place)
    if mask_file is None:
        label = before.label if before is not None and label is None else label
        size = before.size if before is not None and size is None else size
        if label is None and size is None:
            raise DataError(tr("No annotation was given."), advice=tr("Give a mask, a label or a size."))
        replaced = replaced_by_import(project, slide.id, [place], with_mask=False, label=label, size=size)
        _check_replaced(slide, replaced, replace=replace)
        record = project.annotations.add(slide.id, place, label=label, size=size, person=person, query_id=query_id)
        return ImportedAnnotation((record,), _unlike_training(slide))
    file = MaskFile(mask_file, mask_class, class_map or {}, frame, units_um, counts)
    with source_of(file, project, slide, place) as source:
        if not is_one_region(place):
            _check_assessment_of_parts(place, slide, label, size)
            regions = [part for part in _parts(source, slide) if counts is Counts.REGION or _is_painted(source, part)]
            if not regions:
                raise DataError(
                    tr("{slide} has neither tissue nor foreground to annotate.", slide=slide.name),
                    advice=tr("Check that the mask belongs to this slide."),
                )
            said: tuple[str | None, float | None] = (None, None)
        else:
            regions = [source.place]
            if counts is Counts.STROKES and not _is_painted(source, source.place):
                raise DataError(
                    tr("{path} ignores all of the region: nothing is annotated.", path=mask_file),
                    advice=tr("Paint something in it, or let the whole region count (--counts region)."),
                )
            same = _finished(project, slide.id, source.place)
            said = (same.label if same is not None and label is None else label, size)
        replaced = replaced_by_import(project, slide.id, regions, with_mask=True, label=label, size=size)
        _check_replaced(slide, replaced, replace=replace)
        masks = (source.planes(part) for part in regions)
        records = project.annotations.add_with_masks(
            slide.id, masks, label=said[0], size=said[1], person=person, query_id=query_id, counts=counts
        )
    if len(records) > 1 and label is not None:
        project.slides.set_label(slide.id, label, person=person)
    remember_classes(project, source.class_map)
    return ImportedAnnotation(tuple(records), (*source.notes, *_unlike_training(slide)), source.left_out)


def _unlike_training(slide: SlideRecord) -> tuple[str, ...]:
    """Notes on a slide that models of stained tissue should not learn from; none where all is well."""
    if not slide.exists():
        return ()
    with open_project_slide(slide) as opened:
        if opened.is_brightfield:
            return ()
        return (
            tr(
                "{slide} is not a brightfield image (channels: {names}): a model trained on it learns that too.",
                slide=slide.name,
                names=", ".join(opened.channels),
            ),
        )


def _check_replaced(slide: SlideRecord, replaced: list[AnnotationRecord], *, replace: bool) -> None:
    """Refuse to replace what somebody finished, unless that is wanted."""
    if replace or not replaced:
        return
    last = max(replaced, key=lambda record: record.updated)
    region = f"{last.region.x},{last.region.y},{last.region.width},{last.region.height}"
    raise DataError(
        tr_plural(
            "{count} region of {slide} is already finished there: {region}, by {person} on {day}.",
            "{count} regions of {slide} are already finished there, the last one {region}, by {person} on {day}.",
            len(replaced),
            slide=slide.name,
            region=region,
            person=last.person or tr("someone"),
            day=last.updated[:10],
        ),
        advice=tr("To use this instead, add --replace. Otherwise name another region."),
    )


def _check_assessment_of_parts(place: Region, slide: SlideRecord, label: str | None, size: float | None) -> None:
    if size is not None or (label is not None and place != slide.extent):
        raise DataError(
            tr(
                "A region of {width} x {height} pixels cannot have a label or a size.",
                width=place.width,
                height=place.height,
            ),
            advice=tr("Give only the mask, or regions of at most {side} x {side} pixels.", side=ONE_REGION_PX),
        )


def _parts(source: MaskSource, slide: SlideRecord) -> Iterator[Region]:
    """The parts of a place that have tissue or foreground."""
    tissue = tissue_of(slide)
    return (part for part in parts_of(source.place) if source.has_foreground(part) or has_tissue(tissue, part))


def _is_painted(source: MaskSource, part: Region) -> bool:
    """Whether anything in a part counts."""
    return bool(is_known(source.planes(part)[2]).any())


def _check_label(project: Project, label: str | None) -> None:
    known = project.scheme.label_names
    if label is not None and not known:
        raise DataError(
            tr("This project has no labels."),
            advice=tr("Annotate with a mask; labels are set when a project is created."),
        )
    if label is not None and label not in known:
        raise DataError(
            tr("There is no label {label!r}.", label=label), advice=tr("Name one of {names}.", names=", ".join(known))
        )


def _place(
    project: Project, *, query_id: int | None, slide_name: str | None, region: Region | None
) -> tuple[SlideRecord, Region]:
    """The slide and region meant: a query's, or a named slide's region or whole."""
    if query_id is not None:
        try:
            query = project.queries.get(query_id)
        except ValueError as error:
            raise ProjectError(
                tr("There is no query {number}.", number=query_id), advice=tr("List them with: histoloop query.")
            ) from error
        return project.slides.get(query.slide_id), query.region
    slide = slide_called(project, slide_name or "")
    place = region or slide.extent
    if not slide.extent.contains(place):
        raise DataError(
            tr(
                "The region reaches past {slide} ({width} x {height} pixels).",
                slide=slide.name,
                width=slide.width,
                height=slide.height,
            ),
            advice=tr("Give x, y, width and height in level-0 pixels of the slide."),
        )
    return slide, place
