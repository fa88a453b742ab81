"""The annotations of a project: all ever begun, and those that count, which train models and judge them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from histoloop.annotations.raster import apply_patch
from histoloop.annotations.records import AnnotationStatus, Counts, Mask, Origin, QueryStatus
from histoloop.store import rows
from histoloop.store.files import written_to
from histoloop.store.parts.checks import check_assessment, check_mask
from histoloop.store.planes import PlaneWriter, read_plane, stem_of
from histoloop.store.project_database import timestamp
from histoloop.store.records import StepKind
from histoloop.store.schema import (
    COUNT_FINISHED_BY_SLIDE,
    NEWEST_DONE,
    SELECT_ANNOTATIONS,
    SELECT_EVERY_ANNOTATION,
    SELECT_LISTED,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from histoloop.annotations.records import Patch
    from histoloop.geometry import Region
    from histoloop.store.parts.classes import Classes
    from histoloop.store.parts.finish_order import FinishOrder
    from histoloop.store.parts.journal import Journal
    from histoloop.store.parts.queries import Queries
    from histoloop.store.parts.slides import Slides
    from histoloop.store.parts.steps import Steps
    from histoloop.store.project_database import Database
    from histoloop.store.records import AnnotationRecord, Assessment


class Annotations:
    """Annotations, drafts too; `folder` is where their masks are."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        *,
        classes: Classes,
        slides: Slides,
        queries: Queries,
        journal: Journal,
        order: FinishOrder,
        steps: Steps,
    ) -> None:
        self.folder = folder
        self._database, self._classes = database, classes
        self._slides, self._queries, self._journal, self._order = slides, queries, journal, order
        self._steps = steps

    def all(self, *, status: AnnotationStatus | None = None, slide_id: int | None = None) -> list[AnnotationRecord]:
        """All annotations ever begun (of a status, of a slide), oldest first."""
        found = self._database.all(
            f"""{SELECT_ANNOTATIONS} AND (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR slide_id = ?2)
            ORDER BY annotation.id""",
            status,
            slide_id,
        )
        return [rows.annotation_of(row) for row in found]

    def get(self, annotation_id: int) -> AnnotationRecord:
        """One annotation."""
        return rows.annotation_of(self._row(annotation_id))

    def finished(self) -> list[AnnotationRecord]:
        """The annotations that count, in order of finishing: of each region the newest done, with a mask or without."""
        found = self._database.all(f"{SELECT_ANNOTATIONS} AND {NEWEST_DONE} ORDER BY finish_order")
        return [rows.annotation_of(row) for row in found]

    def finished_by_slide(self) -> dict[int, int]:
        """How many annotations count on each slide (by id) that has any."""
        found = self._database.all(COUNT_FINISHED_BY_SLIDE)
        return {row["slide_id"]: row["count"] for row in found}

    def listed(self) -> list[AnnotationRecord]:
        """What a person would call the annotations, the newest first.

        They are the drafts with work in them, and of each region the newest that was done, or how it was left out.
        """
        return [rows.annotation_of(row) for row in self._database.all(SELECT_LISTED)]

    def with_mask(self) -> list[AnnotationRecord]:
        """Those of them that have a mask; held-out ones too."""
        return [record for record in self.finished() if record.has_mask]

    def load_mask(self, annotation_id: int, *, painted: bool = False) -> tuple[Mask, Mask]:
        """Mask and origin (values of `Origin`) of an annotation, both (H, W): for a draft its journal replayed.

        One of a class that was removed is LEFT_OUT. ValueError for one that was done without a mask, unless what was
        `painted` in it, and not used, is wanted.
        """
        if self._row(annotation_id)["status"] == AnnotationStatus.DRAFT:
            self._classes.note_values()
        values = self._classes.values()
        ids, origin = self.load_ids(annotation_id, painted=painted)
        with rows.damage_explained():
            return values.planes_of(ids, origin)

    def load_ids(self, annotation_id: int, *, painted: bool = False) -> tuple[Mask, Mask]:
        """As `load_mask`, but with the permanent ids of the classes, and the origins as they were kept."""
        row = self._row(annotation_id)
        if row["mask_file"] is not None:
            ids = read_plane(self.folder / row["mask_file"])
            return ids, read_plane(self.folder / row["origin_file"])
        if row["base_mask_file"] is None or (row["status"] == AnnotationStatus.DONE and not painted):
            raise ValueError(f"annotation {annotation_id} was done without a mask")
        return self.load_painted_ids(annotation_id)

    def load_painted(self, annotation_id: int) -> tuple[Mask, Mask]:
        """Mask and origin, both (H, W), as they were painted: the journal replayed, whatever was kept of it.

        What was not made by painting is as it was kept.
        """
        with rows.damage_explained():
            return self._classes.values().planes_of(*self.load_painted_ids(annotation_id))

    def load_painted_ids(self, annotation_id: int) -> tuple[Mask, Mask]:
        """As `load_painted`, but with the permanent ids of the classes, and the origins as they were kept."""
        if self._row(annotation_id)["base_mask_file"] is None:
            return self.load_ids(annotation_id)
        ids, origin = self.load_base_ids(annotation_id)
        for patch in self._journal.patches(annotation_id):
            with rows.damage_explained():
                paint(ids, origin, patch)
        return ids, origin

    def load_base(self, annotation_id: int) -> tuple[Mask, Mask]:
        """Mask and origin, both (H, W), that painting an annotation began with."""
        with rows.damage_explained():
            return self._classes.values().planes_of(*self.load_base_ids(annotation_id))

    def load_base_ids(self, annotation_id: int) -> tuple[Mask, Mask]:
        """As `load_base`, but with the permanent ids of the classes, and the origins as they were kept."""
        row = self._row(annotation_id)
        return read_plane(self.folder / row["base_mask_file"]), read_plane(self.folder / row["base_origin_file"])

    def load_outside(self, annotation_id: int) -> NDArray[np.bool_] | None:
        """What of a region lies outside the line that was drawn around it, (H, W); None where none was.

        It is what was left out when the first annotation of those that this one continues was begun. One that was made
        elsewhere was begun by nobody.
        """
        row = first = self._row(annotation_id)
        while row["continues"] is not None:
            row = self._row(row["continues"])
            if row["base_mask_file"] is not None or row["mask_file"] is not None:
                first = row
        if first["base_origin_file"] is None:
            return None
        outside: NDArray[np.bool_] = read_plane(self.folder / first["base_origin_file"]) == Origin.LEFT_OUT
        return outside if outside.any() else None

    def assessments(self, annotation_id: int) -> list[Assessment]:
        """Every label and size that was ever given to an annotation, oldest first; the last one counts."""
        return self._journal.assessments(annotation_id)

    def add(
        self,
        slide_id: int,
        region: Region,
        *,
        label: str | None,
        size: float | None,
        person: str,
        query_id: int | None = None,
    ) -> AnnotationRecord:
        """Keep a label, a size (foreground fraction), or both, of a region as a finished annotation; closes its query.

        A mask that the region was given before stays its mask. With a new mask an annotation begins as a draft.
        """
        self._slides.get(slide_id)
        check_assessment(label, size, self._classes.scheme)
        now = timestamp()
        with self._database.transaction():
            annotation_id = self._database.insert(
                "annotation",
                slide_id=slide_id,
                **rows.edges_of(region),
                **self._order.without_mask(slide_id, region, query_id),
                status=AnnotationStatus.DONE,
                person=person,
                query_id=query_id,
                created=now,
                updated=now,
            )
            self._journal.assess(annotation_id, label=label, size=size, person=person)
            if query_id is not None:
                self._queries.set_status(query_id, QueryStatus.ANNOTATED)
        return self.get(annotation_id)

    def add_with_masks(
        self,
        slide_id: int,
        masks: Iterable[tuple[Region, Mask, Mask]],
        *,
        label: str | None = None,
        size: float | None = None,
        person: str,
        query_id: int | None = None,
        counts: Counts = Counts.REGION,
    ) -> list[AnnotationRecord]:
        """Keep masks that were made elsewhere as finished annotations, all of them or none; closes their query.

        `masks` are (region, mask, origin) with level-0 planes (region.height, region.width), taken one at a time.
        Origins stay as they are: UNTOUCHED is what nobody annotated. ProjectPlaceError when a file cannot be written.
        """
        adding = self.adding_masks(
            slide_id, masks, label=label, size=size, person=person, query_id=query_id, counts=counts
        )
        with closing(adding):
            while True:
                try:
                    next(adding)
                except StopIteration as stop:
                    records: list[AnnotationRecord] = stop.value
                    return records

    def adding_masks(
        self,
        slide_id: int,
        masks: Iterable[tuple[Region, Mask, Mask]],
        *,
        label: str | None = None,
        size: float | None = None,
        person: str,
        query_id: int | None = None,
        counts: Counts = Counts.REGION,
    ) -> Generator[int, None, list[AnnotationRecord]]:
        """The same step by step: gives how many masks are written, and nothing stays of them when it is closed."""
        self._database.check_writable()
        self._slides.get(slide_id)
        check_assessment(label, size, self._classes.scheme, needed=False)
        planes = PlaneWriter(self.folder)
        try:
            files = []
            revision, values, scheme = self._classes.revision(), self._classes.values(), self._classes.scheme
            for region, mask, origin in masks:
                check_mask(mask, scheme)
                stem = stem_of(slide_id, region)
                with written_to(self.folder):
                    ids_file = planes.write(values.ids_of(mask), stem)
                    files.append((region, ids_file, planes.write(origin, f"{stem}-origin")))
                yield len(files)
            with self._database.transaction():
                self._classes.check_revision(revision)
                ids = [
                    self._insert_done(slide_id, *of_region, person=person, query_id=query_id, counts=counts)
                    for of_region in files
                ]
                for annotation_id in ids if (label, size) != (None, None) else ():
                    self._journal.assess(annotation_id, label=label, size=size, person=person)
                self._note_imported(slide_id, ids, person=person, query_id=query_id)
                if query_id is not None:
                    self._queries.set_status(query_id, QueryStatus.ANNOTATED)
        except BaseException:  # which may have come after the rows were kept
            planes.remove(but=self.kept_files())
            raise
        return [self.get(annotation_id) for annotation_id in ids]

    def will_judge(self, slide_id: int, region: Region, query_id: int | None = None) -> bool:
        """Whether a region judges models instead of training them once it is done with a mask, were that the next one.

        Settled is it only then: another region that is done before may take its turn.
        """
        return bool(self._order.with_mask(slide_id, region, query_id)["held_out"])

    def _note_imported(self, slide_id: int, ids: Sequence[int], *, person: str, query_id: int | None) -> None:
        """Note that annotations came from elsewhere, so that it can be taken back as one step."""
        before = None if query_id is None else self._queries.get(query_id).status
        self._steps.add(
            StepKind.IMPORTED,
            slide_id=slide_id,
            annotation_id=ids[0],
            query_id=query_id,
            person=person,
            detail={"ids": list(ids), "query_before": before},
        )

    def kept_files(self) -> frozenset[str]:
        """The names of the files of masks and origins that annotations are of."""
        found = self._database.all("SELECT mask_file, origin_file FROM annotation WHERE mask_file IS NOT NULL")
        return frozenset(name for row in found for name in row)

    def _insert_done(
        self,
        slide_id: int,
        region: Region,
        mask_file: str,
        origin_file: str,
        *,
        person: str,
        query_id: int | None,
        counts: Counts,
    ) -> int:
        now = timestamp()
        return self._database.insert(
            "annotation",
            slide_id=slide_id,
            **rows.edges_of(region),
            **self._order.with_mask(slide_id, region, query_id),
            status=AnnotationStatus.DONE,
            mask_downsample=1.0,
            mask_file=mask_file,
            origin_file=origin_file,
            person=person,
            query_id=query_id,
            counts=counts,
            created=now,
            updated=now,
        )

    def _row(self, annotation_id: int) -> rows.Row:
        return self._database.one(f"{SELECT_EVERY_ANNOTATION} WHERE annotation.id = ?", annotation_id)


def paint(mask: Mask, origin: Mask, patch: Patch) -> None:
    """Make a person's change to a mask and its origins (values of `Origin`), both (H, W), in place.

    A pixel of another value is of HUMAN origin then, unless the change has origins of its own.
    """
    height, width = patch.values.shape
    place = np.s_[patch.y : patch.y + height, patch.x : patch.x + width]
    changed = mask[place] != patch.values
    apply_patch(mask, patch)
    if patch.origins is None:
        origin[place][changed] = Origin.HUMAN
    else:
        origin[place] = patch.origins
