"""What was begun or finished already where somebody wants to annotate, and what would be replaced by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.annotations.records import AnnotationStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from histoloop.geometry import Region
    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord


def earlier_work(project: Project, slide_id: int, region: Region) -> list[AnnotationRecord]:
    """The finished annotations and the drafts with work in them that share a pixel with a region.

    One of just this region comes first, drafts before what is finished; then those that share most.
    """
    drafts = project.drafts.begun(slide_id)
    finished = [record for record in project.annotations.finished() if record.slide_id == slide_id]
    there = [record for record in (*reversed(drafts), *reversed(finished)) if record.region.overlaps(region)]
    return sorted(there, key=lambda record: (record.region != region, -_shared_px(record.region, region)))


def is_of_another(record: AnnotationRecord, person: str) -> bool:
    """Whether an annotation was begun by somebody else by name."""
    return record.person not in ("", person)


def replaced_by(project: Project, draft: AnnotationRecord, *, with_mask: bool = True) -> list[AnnotationRecord]:
    """The finished annotations that a draft would replace or cover if it were done now.

    Those of just its region, and those that share a pixel with it and were finished after it was begun: of all others
    its person knew. Without a mask only what was said of just its region is replaced.
    """
    if draft.reading_of is not None:  # of a second reader: it does not count until it is chosen
        return []
    finished = [record for record in project.annotations.finished() if record.slide_id == draft.slide_id]
    if not with_mask:
        return [record for record in finished if record.region == draft.region and _says(record)]
    return [
        record
        for record in finished
        if record.region == draft.region
        or (record.has_mask and record.region.overlaps(draft.region) and record.updated > draft.created)
    ]


def replaced_by_import(
    project: Project,
    slide_id: int,
    regions: Iterable[Region],
    *,
    with_mask: bool,
    label: str | None = None,
    size: float | None = None,
) -> list[AnnotationRecord]:
    """The finished annotations whose mask, label or size would no longer count, wholly or where regions cover them."""
    regions = list(regions)
    finished = [record for record in project.annotations.finished() if record.slide_id == slide_id]
    return [
        record
        for record in finished
        if (with_mask and record.has_mask and any(record.region.overlaps(region) for region in regions))
        or (
            record.region in regions
            and (
                (label is not None and record.label not in (None, label))
                or (size is not None and record.size not in (None, size))
            )
        )
    ]


def painted_by(project: Project, slide_id: int, region: Region, person: str) -> AnnotationRecord | None:
    """What a person left out, or finished without its mask, last of just this region, if there are strokes in it."""
    records = [
        record
        for record in project.annotations.all(slide_id=slide_id)
        if record.region == region and record.status is not AnnotationStatus.DRAFT and not is_of_another(record, person)
    ]
    if not records or records[-1].has_mask or not project.drafts.has_strokes(records[-1].id):
        return None
    return records[-1]


def _says(record: AnnotationRecord) -> bool:
    return (record.label, record.size) != (None, None)


def _shared_px(one: Region, other: Region) -> int:
    shared = one.intersection(other)
    return 0 if shared is None else shared.area
