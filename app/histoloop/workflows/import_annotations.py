"""Annotations of other programs become annotations here, as was chosen for them: all of a file or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from histoloop.errors import DataError, ProjectError
from histoloop.geometry import Region
from histoloop.language import tr, tr_plural
from histoloop.progress import Progress
from histoloop.workflows.contents.earlier_work import replaced_by_import
from histoloop.workflows.contents.import_preview import stamp_of
from histoloop.workflows.contents.mask_files import MaskFile, remember_classes, source_of
from histoloop.workflows.contents.slides import check_not_replaced, check_slide
from histoloop.workflows.reports import ImportedAnnotation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from histoloop.annotations.records import Mask
    from histoloop.progress import Work
    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord, SlideRecord
    from histoloop.workflows.contents.mask_files import MaskSource


@dataclass(frozen=True, slots=True)
class PlannedImport:
    """A file as it was looked at, with what was chosen for it (`MaskFile.chosen`), and the `regions` that it becomes.

    `slide_was_there`: the file of its slide was, which says whether there are bounds to count from. `seen` are the
    finished annotations that the person saw in its place, by id; of these `kept` stay as they are: a region that one of
    them covers is left to it, and where they share a part, that part of the new one is theirs. `remember` is what the
    project remembers of foreign classes, by name.
    """

    file: MaskFile
    stamp: tuple[int, int]
    slide_id: int
    regions: tuple[Region, ...]
    slide_was_there: bool = True
    seen: frozenset[int] = frozenset()
    kept: frozenset[int] = frozenset()
    remember: Mapping[str, str] = field(default_factory=dict)


def import_file(project: Project, planned: PlannedImport, *, person: str) -> Work[ImportedAnnotation]:
    """Take a file as finished annotations of its slide; what they replace stays as an earlier version.

    DataError when nothing can be taken, or something has changed since it was looked at: the file, the classes of the
    project, what is finished in the place. Then, and when the work is closed, nothing is changed.
    """
    project.check_writable()
    slide = _slide(project, planned)
    stage = tr("Importing {name}", name=planned.file.path.name)
    yield Progress(stage, 0, 1)
    if stamp_of(planned.file.path) != planned.stamp:
        raise DataError(
            tr("{path} has changed, or is gone, since it was checked.", path=planned.file.path),
            advice=tr("Check it again, and then import it."),
        )
    with source_of(planned.file, project, slide, slide.extent) as source:
        kept = _kept(project, planned, slide, planned.regions)
        regions = [region for region in planned.regions if not any(record.region.contains(region) for record in kept)]
        if not regions:
            raise _nothing_left(planned, kept)
        masks = _masks(project, source, regions, kept)
        adding = project.annotations.adding_masks(slide.id, masks, person=person, counts=planned.file.counts)
        with closing(adding):
            while True:
                try:
                    done = next(adding)
                except StopIteration as stop:
                    records = stop.value
                    break
                yield Progress(stage, done, len(regions))
    remember_classes(project, planned.remember)
    return ImportedAnnotation(tuple(records), source.notes, source.left_out)


def _slide(project: Project, planned: PlannedImport) -> SlideRecord:
    try:
        slide = project.slides.get(planned.slide_id)
    except ValueError as error:
        raise ProjectError(
            tr("The slide is no longer in the project."), advice=tr("Add it again, or choose another slide.")
        ) from error
    if planned.slide_was_there:
        check_slide(slide)
    else:
        check_not_replaced(slide)
    return slide


def _kept(
    project: Project, planned: PlannedImport, slide: SlideRecord, regions: Sequence[Region]
) -> list[AnnotationRecord]:
    """The finished annotations that stay; DataError where there are some that the person did not see."""
    earlier = replaced_by_import(project, slide.id, regions, with_mask=True)
    if unseen := [record for record in earlier if record.id not in planned.seen]:
        raise DataError(
            tr_plural(
                "{count} region of {slide} was finished since {name} was checked.",
                "{count} regions of {slide} were finished since {name} was checked.",
                len(unseen),
                slide=slide.name,
                name=planned.file.path.name,
            ),
            advice=tr("Check it again, and choose what to keep there."),
        )
    return [record for record in earlier if record.id in planned.kept]


def _nothing_left(planned: PlannedImport, kept: Sequence[AnnotationRecord]) -> DataError:
    if kept:
        return DataError(
            tr(
                "Nothing of {path} is left to import: all of it lies in regions that stay as they are.",
                path=planned.file.path,
            ),
            advice=tr("To use the file there, choose to replace these regions."),
        )
    return DataError(
        tr("{path} has neither tissue nor foreground to annotate.", path=planned.file.path),
        advice=tr("Check that the mask belongs to this slide."),
    )


def _masks(
    project: Project, source: MaskSource, regions: Sequence[Region], kept: Sequence[AnnotationRecord]
) -> Iterator[tuple[Region, Mask, Mask]]:
    """The masks and origins of regions, with what stays of earlier ones in them as it is."""
    for region in regions:
        _region, mask, origin = source.planes(region)
        for record in kept:
            shared = record.region.intersection(region)
            if shared is not None:
                here, there = _window(shared, region), _window(shared, record.region)
                for plane, earlier in zip((mask, origin), project.annotations.load_mask(record.id), strict=True):
                    plane[here] = _at_level_0(earlier, record.region)[there]
        yield region, mask, origin


def _window(part: Region, whole: Region) -> tuple[slice, slice]:
    top, left = part.y - whole.y, part.x - whole.x
    return slice(top, top + part.height), slice(left, left + part.width)


def _at_level_0(plane: Mask, region: Region) -> Mask:
    """A plane of a region, each of its pixels as large as it is."""
    if plane.shape == (region.height, region.width):
        return plane
    rows = np.minimum(np.arange(region.height) * plane.shape[0] // region.height, plane.shape[0] - 1)
    columns = np.minimum(np.arange(region.width) * plane.shape[1] // region.width, plane.shape[1] - 1)
    enlarged: Mask = plane[np.ix_(rows, columns)]
    return enlarged
