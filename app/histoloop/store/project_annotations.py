"""Annotations as they are finished, and those that count: what trains models and what judges them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from histoloop.annotations.records import AnnotationStatus, Origin, QueryStatus
from histoloop.errors import ProjectError
from histoloop.language import tr
from histoloop.store import rows
from histoloop.store.planes import write_plane
from histoloop.store.project_database import timestamp
from histoloop.store.project_drafts import ProjectDrafts, check_size, stem_of
from histoloop.store.schema import (
    COUNT_DRAWN_DONE,
    NEWEST_DONE,
    SELECT_ANNOTATIONS,
    SELECT_DRAWN,
    SELECT_EARLIEST_OVERLAP,
    SELECT_MASK_OF_REGION,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from histoloop.annotations.records import Mask
    from histoloop.geometry import Region
    from histoloop.store.records import AnnotationRecord

_QUERY_STATUS_AFTER = {
    AnnotationStatus.DONE: QueryStatus.ANNOTATED,
    AnnotationStatus.SKIPPED: QueryStatus.SKIPPED,
    AnnotationStatus.CANNOT_TELL: QueryStatus.CANNOT_TELL,
}


def is_held_out(number: int, *, drawn: bool = False, drawn_before: int = 0) -> bool:
    """Whether the region that is done as the `number`-th (from 1) judges models instead of training them.

    Every fourth, from the third: 3, 7, 11, ... A quarter is held out, and three annotations are enough to begin. Where
    some questions were drawn at random among others, these judge, for they alone stand for all tissue: of the `drawn`
    regions every other one, beginning with the first (`drawn_before` are done already), and none that a strategy chose.
    """
    if drawn:
        return drawn_before % 2 == 0
    return number % 4 == 3 and not drawn_before


class _Planes:
    """Planes on their way into a project; those of one value and size share a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._even: dict[tuple[tuple[int, ...], int], str] = {}
        self._written: list[str] = []

    def write(self, plane: Mask, stem: str) -> str:
        """The name of a file that holds the plane."""
        key = (plane.shape, int(plane.flat[0])) if plane.min() == plane.max() else None
        if key is not None and key in self._even:
            return self._even[key]
        name = write_plane(self._folder, plane, stem=stem)
        self._written.append(name)
        if key is not None:
            self._even[key] = name
        return name

    def remove(self) -> None:
        """Take them all back."""
        for name in self._written:
            (self._folder / name).unlink(missing_ok=True)


class ProjectAnnotations(ProjectDrafts):
    """Drafts, and what becomes of them."""

    def finish_annotation(
        self,
        annotation_id: int,
        status: AnnotationStatus,
        *,
        label: str | None = None,
        size: float | None = None,
        with_mask: bool = True,
    ) -> AnnotationRecord:
        """Close a draft, and its query with it. A label or size that is None leaves what was said before.

        DONE writes the mask and its origins to files of their own, pixels nobody touched as ACCEPTED, and settles
        whether the region is held out (`is_held_out`): a region done before, or overlapping such a one, goes where
        that one went, so that no pixel both trains and judges. Without `with_mask` the draft's mask is set aside and
        only label and size are done; a mask that the region was given before stays its mask.
        """
        if status not in _QUERY_STATUS_AFTER:
            raise ValueError(f"an annotation is finished as done, skipped or cannot tell, not {status}")
        row = self._draft_row(annotation_id)
        label = row["label"] if label is None else label
        size = row["size"] if size is None else size
        done = status is AnnotationStatus.DONE
        self._check_said(label, size, needed=done and not with_mask)
        files = self._write_final_planes(row) if done and with_mask else {}
        with self._database.transaction():
            self._draft_row(annotation_id)
            changes = {"status": status, "updated": timestamp(), **files}
            if done and with_mask:
                changes |= self._place_in_order(row["slide_id"], rows.region_of(row), row["query_id"])
            elif done:
                changes |= self._finish_without_mask(row["slide_id"], rows.region_of(row), row["query_id"])
            self._database.update("annotation", annotation_id, **changes)
            if (label, size) != (row["label"], row["size"]):
                self._say(annotation_id, label, size, row["person"])
            if row["query_id"] is not None:
                self._set_query_status(row["query_id"], _QUERY_STATUS_AFTER[status])
        return self.annotation(annotation_id)

    def add_annotation_without_mask(
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

        A mask that the region was given before stays its mask.
        """
        self.slide(slide_id)
        self._check_said(label, size)
        now = timestamp()
        with self._database.transaction():
            place = self._finish_without_mask(slide_id, region, query_id)
            annotation_id = self._database.insert(
                "annotation",
                slide_id=slide_id,
                **rows.edges_of(region),
                **place,
                status=AnnotationStatus.DONE,
                person=person,
                query_id=query_id,
                created=now,
                updated=now,
            )
            self._say(annotation_id, label, size, person)
            if query_id is not None:
                self._set_query_status(query_id, QueryStatus.ANNOTATED)
        return self.annotation(annotation_id)

    def add_annotations_with_masks(
        self,
        slide_id: int,
        masks: Iterable[tuple[Region, Mask, Mask]],
        *,
        label: str | None = None,
        size: float | None = None,
        person: str,
        query_id: int | None = None,
    ) -> list[AnnotationRecord]:
        """Keep masks that were made elsewhere as finished annotations, all of them or none; closes their query.

        `masks` are (region, mask, origin) with level-0 planes (region.height, region.width), taken one at a time.
        Origins stay as they are: UNTOUCHED is what nobody annotated. ProjectError when a file cannot be written.
        """
        self.slide(slide_id)
        self._check_said(label, size, needed=False)
        planes = _Planes(self.masks_folder)
        try:
            files = []
            for region, mask, origin in masks:
                self._check_values(mask)
                stem = stem_of(slide_id, region)
                files.append((region, planes.write(mask, stem), planes.write(origin, f"{stem}-origin")))
            with self._database.transaction():
                ids = [
                    self._insert_finished(slide_id, *of_region, person=person, query_id=query_id) for of_region in files
                ]
                for annotation_id in ids if (label, size) != (None, None) else ():
                    self._say(annotation_id, label, size, person)
                if query_id is not None:
                    self._set_query_status(query_id, QueryStatus.ANNOTATED)
        except BaseException as error:
            planes.remove()
            if isinstance(error, OSError):
                raise ProjectError(
                    tr("{path} cannot be written: {reason}.", path=self.masks_folder, reason=error.strerror or error),
                    advice=tr("Check that the project's folder may be written to and that its disk is not full."),
                ) from error
            raise
        return [self.annotation(annotation_id) for annotation_id in ids]

    def _insert_finished(
        self, slide_id: int, region: Region, mask_file: str, origin_file: str, *, person: str, query_id: int | None
    ) -> int:
        now = timestamp()
        return self._database.insert(
            "annotation",
            slide_id=slide_id,
            **rows.edges_of(region),
            **self._place_in_order(slide_id, region, query_id),
            status=AnnotationStatus.DONE,
            mask_downsample=1.0,
            mask_file=mask_file,
            origin_file=origin_file,
            person=person,
            query_id=query_id,
            created=now,
            updated=now,
        )

    def finished_annotations(self) -> list[AnnotationRecord]:
        """The annotations that count, in order of finishing: of each region the newest done, with a mask or without."""
        found = self._database.all(f"{SELECT_ANNOTATIONS} AND {NEWEST_DONE} ORDER BY finish_order")
        return [rows.annotation_of(row) for row in found]

    def training_annotations(self) -> list[AnnotationRecord]:
        """Those of them that have a mask; held-out ones too."""
        return [record for record in self.finished_annotations() if record.has_mask]

    def _write_final_planes(self, row: rows.Row) -> dict[str, Any]:
        mask, origin = self.load_mask(row["id"])
        origin[origin == Origin.UNTOUCHED] = Origin.ACCEPTED
        stem = stem_of(row["slide_id"], rows.region_of(row))
        return {
            "mask_file": write_plane(self.masks_folder, mask, stem=stem),
            "origin_file": write_plane(self.masks_folder, origin, stem=f"{stem}-origin"),
        }

    def _finish_without_mask(self, slide_id: int, region: Region, query_id: int | None) -> dict[str, Any]:
        """What a region done with label or size alone is kept with: the mask it was given before, or none."""
        before = self._database.first(SELECT_MASK_OF_REGION, slide_id=slide_id, **rows.edges_of(region))
        if before is not None:
            return dict(before) | self._place_in_order(slide_id, region, query_id)
        nothing = {"mask_downsample": None, "model_hash": None, "held_out": False}
        return nothing | {"finish_order": self._last_done()["finish_order"] + 1}

    def _place_in_order(self, slide_id: int, region: Region, query_id: int | None) -> dict[str, Any]:
        """When a mask is done: its place among what is done, its region's number, whether it is held out."""
        last = self._last_done()
        earlier = self._database.first(SELECT_EARLIEST_OVERLAP, slide_id=slide_id, **rows.edges_of(region))
        place = {"finish_order": last["finish_order"] + 1}
        if earlier is not None:
            return place | {"region_number": earlier["region_number"], "held_out": bool(earlier["held_out"])}
        number = last["region_number"] + 1
        drawn = self._database.first(SELECT_DRAWN, id=query_id) is not None
        before = self._database.one(COUNT_DRAWN_DONE)["regions"]
        return place | {"region_number": number, "held_out": is_held_out(number, drawn=drawn, drawn_before=before)}

    def _last_done(self) -> rows.Row:
        return self._database.one(
            """SELECT COALESCE(MAX(finish_order), 0) AS finish_order, COALESCE(MAX(region_number), 0) AS region_number
            FROM annotation"""
        )

    def _check_said(self, label: str | None, size: float | None, *, needed: bool = True) -> None:
        self._check_label(label)
        check_size(size)
        if needed and label is None and size is None:
            raise ValueError("an annotation without a mask needs a label or a size")
