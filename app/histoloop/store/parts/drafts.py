"""The drafts of a project: annotations while they are made, from the first stroke until they are finished."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from histoloop.annotations.records import AnnotationStatus, Counts, Mask, Origin, Patch, QueryStatus
from histoloop.errors import ProjectError
from histoloop.language import tr
from histoloop.store import rows
from histoloop.store.parts.annotations import paint
from histoloop.store.parts.checks import check_assessment, check_mask
from histoloop.store.planes import PlaneWriter, stem_of, write_plane
from histoloop.store.project_database import timestamp
from histoloop.store.records import AssessedStep, CountedStep, DraftSteps, PaintedStep, StepInDraft, StepKind
from histoloop.store.schema import COUNT_BEGUN_BY_SLIDE, SELECT_ANNOTATIONS, SELECT_DRAFTS_OF_REGION, WORK_WAS_DONE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from histoloop.geometry import Region
    from histoloop.store.class_values import ClassValues
    from histoloop.store.parts.annotations import Annotations
    from histoloop.store.parts.classes import Classes
    from histoloop.store.parts.finish_order import FinishOrder
    from histoloop.store.parts.journal import Journal
    from histoloop.store.parts.queries import Queries
    from histoloop.store.parts.slides import Slides
    from histoloop.store.parts.steps import Steps
    from histoloop.store.project_database import Database
    from histoloop.store.records import AnnotationRecord

_QUERY_STATUS_AFTER = {
    AnnotationStatus.DONE: QueryStatus.ANNOTATED,
    AnnotationStatus.SKIPPED: QueryStatus.SKIPPED,
    AnnotationStatus.CANNOT_TELL: QueryStatus.CANNOT_TELL,
}


class Drafts:
    """Annotations that are not finished; every change is on disk before it is reported as kept."""

    def __init__(
        self,
        database: Database,
        *,
        classes: Classes,
        slides: Slides,
        queries: Queries,
        annotations: Annotations,
        journal: Journal,
        order: FinishOrder,
        steps: Steps,
    ) -> None:
        self._database, self._classes = database, classes
        self._slides, self._queries, self._annotations = slides, queries, annotations
        self._journal, self._order, self._steps = journal, order, steps

    def start(
        self,
        slide_id: int,
        region: Region,
        *,
        mask: Mask,
        origin_model: str | None,
        person: str,
        query_id: int | None = None,
        origin: Origin | Mask = Origin.UNTOUCHED,
        continues: AnnotationRecord | None = None,
        counts: Counts = Counts.REGION,
        reading_of: int | None = None,
    ) -> AnnotationRecord:
        """Begin a draft that starts from `mask` ((region.height, region.width), or both divided by one downsample).

        `origin_model` is the hash of the model that predicted the mask, `origin` where its pixels come from: HUMAN
        for a mask that was made elsewhere, a plane of its shape where not all come from one place. `continues` is a
        finished annotation without a mask, whose label and size the draft begins with; one with a mask is reopened
        instead. `reading_of` is the annotation that a second reader does not see: see `Readings`.
        """
        self._slides.get(slide_id)
        check_mask(mask, self._classes.scheme)
        plane = np.full(mask.shape, origin, dtype=np.uint8) if isinstance(origin, Origin) else origin
        return self._insert(
            self._classes.values().ids_of(mask),
            plane,
            continues,
            slide_id=slide_id,
            region=region,
            model_hash=origin_model,
            person=person,
            query_id=query_id,
            counts=counts,
            reading_of=reading_of,
        )

    def reopen(self, annotation_id: int, *, person: str | None = None, query_id: int | None = None) -> AnnotationRecord:
        """A new draft that continues from a finished annotation, or from another person's draft.

        It is by the same person unless another is given, and answers the same query. The one before stays as it is; a
        finished one counts until the draft is done: the newest done of a region wins. One that was done without its
        mask, or left out, goes on from what was painted in it, and one of which the strokes alone counted from these
        and from what lay beneath them.
        """
        old = self._annotations.get(annotation_id)
        person = old.person if person is None else person
        if old.status is AnnotationStatus.DRAFT and person == old.person:
            raise ValueError(f"annotation {annotation_id} is a draft; it needs no reopening")
        if old.counts is Counts.STROKES:
            ids, origin = self._annotations.load_painted_ids(annotation_id)
        else:
            ids, origin = self._annotations.load_ids(annotation_id, painted=self.has_strokes(annotation_id))
        return self._insert(
            ids,
            origin,
            old,
            slide_id=old.slide_id,
            region=old.region,
            model_hash=old.model_hash,
            person=person,
            query_id=old.query_id if query_id is None else query_id,
            held_out=old.held_out,
            counts=old.counts,
            reading_of=old.reading_of if old.adjudicated is None else None,
        )

    def find(self, slide_id: int, region: Region, *, person: str | None = None) -> AnnotationRecord | None:
        """The draft of a region (of a person, or of nobody by name) that was worked on last; None when there is none.

        It is gone on with after a crash, or when what was finished is taken back.
        """
        found = self._database.first(
            f"{SELECT_DRAFTS_OF_REGION} LIMIT 1",
            slide_id,
            *rows.edges_of(region).values(),
            person,
        )
        return None if found is None else rows.annotation_of(found)

    def begun(self, slide_id: int) -> list[AnnotationRecord]:
        """The drafts of a slide in which somebody painted, or gave a label or a size; oldest first."""
        found = self._database.all(
            f"{SELECT_ANNOTATIONS} AND status = 'draft' AND slide_id = ? AND {WORK_WAS_DONE} ORDER BY annotation.id",
            slide_id,
        )
        return [rows.annotation_of(row) for row in found]

    def begun_by_slide(self) -> dict[int, int]:
        """How many drafts with work in them each slide (by id) has that has any."""
        return {row["slide_id"]: row["count"] for row in self._database.all(COUNT_BEGUN_BY_SLIDE)}

    def has_strokes(self, annotation_id: int) -> bool:
        """Whether somebody painted in an annotation."""
        return next(self._journal.patches(annotation_id), None) is not None

    def steps(self, annotation_id: int) -> DraftSteps:
        """What was done in a draft and can be taken back, and what was taken back and can be done again."""
        ids, origin = self._annotations.load_base_ids(annotation_id)
        done: list[StepInDraft] = []
        undone: list[StepInDraft] = []
        values = self._classes.values()
        for row in self._steps.in_draft(annotation_id):
            (done if row["undone"] is None else undone).append(self._step_in_draft(row, ids, origin, values))
        return DraftSteps(tuple(done), tuple(undone))

    def _step_in_draft(self, row: rows.Row, ids: Mask, origin: Mask, values: ClassValues) -> StepInDraft:
        """A step; one that painted is made on the mask, which has the permanent ids of the classes, and its origins."""
        detail = json.loads(row["detail"])
        if row["kind"] == StepKind.ASSESSED:
            return AssessedStep(*(tuple(detail[when]) for when in ("before", "after")))
        if row["kind"] == StepKind.COUNTED:
            return CountedStep(Counts(detail["before"]), Counts(detail["after"]))
        patch = self._journal.patch(row["patch_id"])
        with rows.damage_explained():
            before = _cut(ids, origin, patch, values)
            paint(ids, origin, patch)
            return PaintedStep(before, _cut(ids, origin, patch, values))

    def attach(self, annotation_id: int, query_id: int) -> AnnotationRecord:
        """Let a draft answer a query, which leaves the queue with it."""
        self._draft(annotation_id)
        self._queries.get(query_id)
        with self._database.transaction():
            self._database.update("annotation", annotation_id, query_id=query_id)
        return self._annotations.get(annotation_id)

    def append_patch(self, annotation_id: int, patch: Patch) -> None:
        """Add a change to the journal of a draft; on disk when this returns, whatever happens to the process."""
        draft = self._draft(annotation_id)
        self._check_patch(draft, patch)
        with self._database.transaction():
            patch_id = self._journal.append_patch(annotation_id, self._patch_of_ids(draft, patch))
            self._note(StepKind.PAINTED, draft, patch_id=patch_id)

    def assess(self, annotation_id: int, *, label: str | None, size: float | None, person: str | None = None) -> None:
        """Give label and size (foreground fraction) of a draft as they are now; None: not given, or taken back.

        On disk when this returns, whatever happens to the process; what was given before is kept.
        """
        draft = self._draft(annotation_id)
        check_assessment(label, size, self._classes.scheme, needed=False)
        with self._database.transaction():
            self._journal.assess(
                annotation_id, label=label, size=size, person=draft.person if person is None else person
            )
            before_after = {"before": [draft.label, draft.size], "after": [label, size]}
            self._note(StepKind.ASSESSED, draft, detail=before_after)

    def count(self, annotation_id: int, counts: Counts) -> None:
        """Say what of a draft's mask counts; a step that can be taken back."""
        draft = self._draft(annotation_id)
        with self._database.transaction():
            self._note(StepKind.COUNTED, draft, detail={"before": draft.counts, "after": counts})
            self.count_again(annotation_id, counts)

    def count_again(self, annotation_id: int, counts: Counts) -> None:
        """Let something of a draft's mask count, within the transaction of `count` or `History`."""
        self._database.update("annotation", annotation_id, counts=counts)

    def finish(
        self,
        annotation_id: int,
        status: AnnotationStatus,
        *,
        label: str | None = None,
        size: float | None = None,
        with_mask: bool = True,
        last_patch: Patch | None = None,
        counts: Counts | None = None,
    ) -> AnnotationRecord:
        """Close a draft, and its query with it. A label or size that is None leaves what was given before.

        DONE writes the mask and its origins to files of their own and settles whether the region is held out
        (`is_held_out`): a region done before, or overlapping such a one, goes where that one went, so that no pixel
        both trains and judges. Pixels that nobody touched are ACCEPTED, or LEFT_OUT where the strokes alone count:
        ProjectError when there are none. `counts` says what counts from now on, None leaves that as it is. Without
        `with_mask` the draft's mask is set aside and only label and size are done; a mask that the region was given
        before stays its mask. `last_patch` changes the mask first, and is taken back together with the rest: `History`
        makes a draft of it again, with all its strokes.
        """
        if status not in _QUERY_STATUS_AFTER:
            raise ValueError(f"an annotation is finished as done, skipped or cannot tell, not {status}")
        self._database.check_writable()
        draft = self._draft(annotation_id)
        label = draft.label if label is None else label
        size = draft.size if size is None else size
        done = status is AnnotationStatus.DONE
        check_assessment(label, size, self._classes.scheme, needed=done and not with_mask)
        if last_patch is not None:
            self._check_patch(draft, last_patch)
            last_patch = self._patch_of_ids(draft, last_patch)
        counts = draft.counts if counts is None else counts
        finals = self._final_planes(draft, last_patch, counts, done and with_mask)
        with finals as files, self._database.transaction():
            self._draft(annotation_id)
            if (label, size) != (draft.label, draft.size):
                self.assess(annotation_id, label=label, size=size)
            query = None if draft.query_id is None else self._queries.get(draft.query_id)
            self._note(
                StepKind.ENDED,
                draft,
                patch_id=None if last_patch is None else self._journal.append_patch(annotation_id, last_patch),
                detail={
                    "status": status,
                    "with_mask": with_mask,
                    "query_before": None if query is None else query.status,
                    "mask_downsample": draft.mask_downsample,
                    "model_hash": draft.model_hash,
                    "counts": [draft.counts, counts],
                },
            )
            self._close(draft, status, with_mask=with_mask, files={"counts": counts, **files})
        return self._annotations.get(annotation_id)

    def make_again(self, annotation_id: int, detail: Mapping[str, Any]) -> None:
        """A draft again of what was finished, within the transaction of `History`; `detail` is that of the step.

        Its query stands where it stood. Whether the region is held out stays settled.
        """
        self._database.update(
            "annotation",
            annotation_id,
            status=AnnotationStatus.DRAFT,
            updated=timestamp(),
            mask_file=None,
            origin_file=None,
            finish_order=None,
            mask_downsample=detail["mask_downsample"],
            model_hash=detail["model_hash"],
            counts=_counts_of(detail)[0],
        )
        query_id = self._annotations.get(annotation_id).query_id
        if query_id is not None and detail["query_before"] is not None:
            self._queries.set_status(query_id, QueryStatus(detail["query_before"]))

    def finish_again(self, annotation_id: int, detail: Mapping[str, Any]) -> None:
        """Finish anew what `make_again` made a draft of, within the transaction of `History`."""
        draft, status = self._draft(annotation_id), AnnotationStatus(detail["status"])
        with_mask = bool(detail["with_mask"])
        counts = _counts_of(detail)[1]
        with self._final_planes(draft, None, counts, status is AnnotationStatus.DONE and with_mask) as files:
            self._close(draft, status, with_mask=with_mask, files={"counts": counts, **files})

    def _close(
        self, draft: AnnotationRecord, status: AnnotationStatus, *, with_mask: bool, files: Mapping[str, str]
    ) -> None:
        place: dict[str, Any] = {}
        if status is AnnotationStatus.DONE:
            placed = self._order.with_mask if with_mask else self._order.without_mask
            place = placed(draft.slide_id, draft.region, draft.query_id)
        self._database.update("annotation", draft.id, status=status, updated=timestamp(), **{**files, **place})
        if draft.query_id is not None:
            self._queries.set_status(draft.query_id, _QUERY_STATUS_AFTER[status])

    def _note(
        self,
        kind: StepKind,
        draft: AnnotationRecord,
        *,
        patch_id: int | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Note a step of the draft's person, within the transaction that does it."""
        self._steps.add(
            kind,
            slide_id=draft.slide_id,
            annotation_id=draft.id,
            query_id=draft.query_id,
            patch_id=patch_id,
            person=draft.person,
            detail=detail,
        )
        self._database.update("annotation", draft.id, updated=timestamp())

    def _insert(
        self,
        mask: Mask,
        origin: Mask,
        continues: AnnotationRecord | None,
        *,
        slide_id: int,
        region: Region,
        person: str,
        **values: float | str | None,
    ) -> AnnotationRecord:
        self._database.check_writable()
        downsample = _mask_downsample(region, mask)
        stem = stem_of(slide_id, region)
        mask_file = write_plane(self._annotations.folder, mask, stem=f"{stem}-start")
        origin_file = write_plane(self._annotations.folder, origin, stem=f"{stem}-start-origin")
        now = timestamp()
        with self._database.transaction():
            annotation_id = self._database.insert(
                "annotation",
                slide_id=slide_id,
                **rows.edges_of(region),
                **values,
                person=person,
                mask_downsample=downsample,
                status=AnnotationStatus.DRAFT,
                created=now,
                updated=now,
                base_mask_file=mask_file,
                base_origin_file=origin_file,
                continues=None if continues is None else continues.id,
            )
            if continues is not None and (continues.label, continues.size) != (None, None):
                self._journal.assess(annotation_id, label=continues.label, size=continues.size, person=person)
        return self._annotations.get(annotation_id)

    @contextmanager
    def _final_planes(
        self, draft: AnnotationRecord, last_patch: Patch | None, counts: Counts, wanted: bool
    ) -> Iterator[dict[str, str]]:
        """The files of a draft's mask and origins, by column; they are removed when the draft cannot be finished.

        `last_patch` has the permanent ids of the classes.
        """
        if not wanted:
            yield {}
            return
        mask, origin = self._annotations.load_ids(draft.id)
        if last_patch is not None:
            paint(mask, origin, last_patch)
        if counts is Counts.STROKES:
            _leave_out_unpainted(mask, origin)
        origin[origin == Origin.UNTOUCHED] = Origin.ACCEPTED
        planes, stem = PlaneWriter(self._annotations.folder), stem_of(draft.slide_id, draft.region)
        try:
            yield {"mask_file": planes.write(mask, stem), "origin_file": planes.write(origin, f"{stem}-origin")}
        except BaseException:  # which may have come after the row was kept
            planes.remove(but=self._annotations.kept_files())
            raise

    def _draft(self, annotation_id: int) -> AnnotationRecord:
        record = self._annotations.get(annotation_id)
        if record.status is not AnnotationStatus.DRAFT:
            raise ValueError(f"annotation {annotation_id} is {record.status}, not a draft; reopen it to change it")
        return record

    def _check_patch(self, draft: AnnotationRecord, patch: Patch) -> None:
        assert draft.mask_downsample is not None
        height, width = patch.values.shape
        bottom, right = _mask_shape(draft.region, draft.mask_downsample)
        if min(patch.x, patch.y) < 0 or patch.x + width > right or patch.y + height > bottom:
            raise ValueError(f"a patch of {width} x {height} at ({patch.x}, {patch.y}) reaches past the mask")
        check_mask(patch.values, self._classes.scheme)

    def _patch_of_ids(self, draft: AnnotationRecord, patch: Patch) -> Patch:
        """A change in the permanent ids of the classes; ProjectError where values mean others than when it was made.

        A pixel that it does not change keeps its id, though several ids may look alike.
        """
        self._classes.check_noted()
        values = self._classes.values()
        ids, origins = values.ids_of(patch.values), patch.origins
        if values.loses:
            all_ids, all_origins = self._annotations.load_ids(draft.id)
            before, origin_before = all_ids[_part(patch)], all_origins[_part(patch)]
            shown, shown_origin = values.planes_of(before, origin_before)
            same = shown == patch.values
            if origins is not None:
                same &= shown_origin == origins
                origins = np.where(same, origin_before, origins)
            ids = np.where(same, before, ids)
        return Patch(patch.x, patch.y, ids, origins)


def _cut(ids: Mask, origin: Mask, place: Patch, values: ClassValues) -> Patch:
    """What mask (in ids of classes) and origin, both (H, W), are where a change is, in mask values."""
    part = _part(place)
    return Patch(place.x, place.y, *values.planes_of(ids[part], origin[part].copy()))


def _part(patch: Patch) -> tuple[slice, slice]:
    height, width = patch.values.shape
    return slice(patch.y, patch.y + height), slice(patch.x, patch.x + width)


def _leave_out_unpainted(mask: Mask, origin: Mask) -> None:
    """Leave out, in place, what no person painted; ProjectError where that is everything."""
    painted = origin == Origin.HUMAN
    if not painted.any():
        raise ProjectError(
            tr("Nothing is painted in this region, and only painted areas count."),
            advice=tr("Paint something, or let the whole region count."),
        )
    mask[~painted] = 0
    origin[~painted] = Origin.LEFT_OUT


def _counts_of(detail: Mapping[str, Any]) -> list[Counts]:
    """What counted before a draft was finished, and then; before version 6 the whole region always did."""
    return [Counts(counts) for counts in detail.get("counts", (Counts.REGION, Counts.REGION))]


def _mask_shape(region: Region, downsample: float) -> tuple[int, int]:
    return round(region.height / downsample), round(region.width / downsample)


def _mask_downsample(region: Region, mask: Mask) -> float:
    """Level-0 pixels per mask pixel; ValueError when the mask's shape is not the region's."""
    downsample = region.width / mask.shape[1] if mask.ndim == 2 and mask.size else 0.0
    if downsample < 1 or mask.shape != _mask_shape(region, downsample):
        raise ValueError(f"a mask of shape {mask.shape} for a region of {region.width} x {region.height} pixels")
    return downsample
