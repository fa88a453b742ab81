"""Annotations while they are made: drafts and their journals of strokes, labels and sizes."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from histoloop.annotations.raster import apply_patch
from histoloop.annotations.records import AnnotationStatus, Mask, Origin, Patch
from histoloop.store import rows
from histoloop.store.planes import read_plane, write_plane
from histoloop.store.project_database import timestamp
from histoloop.store.project_queries import ProjectQueries
from histoloop.store.project_slides import ProjectSlides
from histoloop.store.schema import SELECT_ANNOTATIONS, SELECT_EVERY_ANNOTATION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from histoloop.geometry import Region
    from histoloop.store.records import AnnotationRecord, Assessment


class ProjectDrafts(ProjectSlides, ProjectQueries):
    """Annotations from their first stroke on; every change is on disk before it is told as kept."""

    @property
    def masks_folder(self) -> Path:
        """Where the masks of annotations are."""
        return self.folder / "masks"

    def start_annotation(
        self,
        slide_id: int,
        region: Region,
        *,
        mask: Mask,
        origin_model: str | None,
        person: str,
        query_id: int | None = None,
        origin: Origin = Origin.UNTOUCHED,
        continues: AnnotationRecord | None = None,
    ) -> AnnotationRecord:
        """Begin a draft that starts from `mask` ((region.height, region.width), or both divided by one downsample).

        `origin_model` is the hash of the model that predicted the mask, `origin` where all of its pixels come from:
        HUMAN for a mask that was drawn elsewhere. `continues` is a finished annotation without a mask, whose label and
        size the draft begins with; one with a mask is reopened instead.
        """
        self.slide(slide_id)
        plane = np.full(mask.shape, origin, dtype=np.uint8)
        return self._insert_annotation(
            mask,
            plane,
            continues,
            slide_id=slide_id,
            region=region,
            model_hash=origin_model,
            person=person,
            query_id=query_id,
        )

    def reopen_annotation(self, annotation_id: int, *, person: str | None = None) -> AnnotationRecord:
        """A new draft that continues from a finished annotation, by the same person unless said.

        The finished one counts until the draft is done: the newest done of a region wins.
        """
        old = self.annotation(annotation_id)
        if old.status is AnnotationStatus.DRAFT:
            raise ValueError(f"annotation {annotation_id} is a draft; it needs no reopening")
        mask, origin = self.load_mask(annotation_id)
        return self._insert_annotation(
            mask,
            origin,
            old,
            slide_id=old.slide_id,
            region=old.region,
            model_hash=old.model_hash,
            person=old.person if person is None else person,
            query_id=old.query_id,
            held_out=old.held_out,
        )

    def attach_query(self, annotation_id: int, query_id: int) -> AnnotationRecord:
        """Let a draft answer a query, which leaves the queue with it."""
        self._draft_row(annotation_id)
        self.query(query_id)
        with self._database.transaction():
            self._database.update("annotation", annotation_id, query_id=query_id)
        return self.annotation(annotation_id)

    def append_patch(self, annotation_id: int, patch: Patch) -> None:
        """Add a change to the journal of a draft; on disk when this returns, whatever happens to the process."""
        row = self._draft_row(annotation_id)
        self._check_patch(row, patch)
        height, width = patch.values.shape
        now = timestamp()
        with self._database.transaction():
            self._database.insert(
                "patch",
                annotation_id=annotation_id,
                x=patch.x,
                y=patch.y,
                width=width,
                height=height,
                payload=zlib.compress(np.ascontiguousarray(patch.values).tobytes()),
                created=now,
            )
            self._database.run("UPDATE annotation SET updated = ? WHERE id = ?", now, annotation_id)

    def assess_annotation(
        self, annotation_id: int, *, label: str | None, size: float | None, person: str | None = None
    ) -> None:
        """Say label and size (foreground fraction) of a draft as they are now; None: not said, or taken back.

        On disk when this returns, whatever happens to the process; what was said before is kept.
        """
        row = self._draft_row(annotation_id)
        self._check_label(label)
        check_size(size)
        with self._database.transaction():
            self._say(annotation_id, label, size, row["person"] if person is None else person)
            self._database.update("annotation", annotation_id, updated=timestamp())

    def assessments(self, annotation_id: int) -> list[Assessment]:
        """Every label and size that was ever said of an annotation, oldest first; the last one counts."""
        found = self._database.all("SELECT * FROM assessment WHERE annotation_id = ? ORDER BY id", annotation_id)
        return [rows.assessment_of(row) for row in found]

    def load_mask(self, annotation_id: int) -> tuple[Mask, Mask]:
        """Mask and origin (values of `Origin`) of an annotation, both (H, W): for a draft its journal replayed.

        A pixel whose value a patch changed is of HUMAN origin. ValueError for one that was done without a mask.
        """
        row = self._annotation_row(annotation_id)
        if row["mask_file"] is not None:
            return read_plane(self.masks_folder / row["mask_file"]), read_plane(self.masks_folder / row["origin_file"])
        if row["status"] == AnnotationStatus.DONE:
            raise ValueError(f"annotation {annotation_id} was done without a mask")
        mask = read_plane(self.masks_folder / row["base_mask_file"])
        origin = read_plane(self.masks_folder / row["base_origin_file"])
        for patch in self._journal(annotation_id):
            before = mask.copy()
            apply_patch(mask, patch)
            origin[mask != before] = Origin.HUMAN
        return mask, origin

    def annotations(
        self, slide_id: int | None = None, status: AnnotationStatus | None = None
    ) -> list[AnnotationRecord]:
        """All annotations ever begun (of a slide, of a status), oldest first."""
        found = self._database.all(
            f"""{SELECT_ANNOTATIONS} AND (?1 IS NULL OR slide_id = ?1) AND (?2 IS NULL OR status = ?2)
            ORDER BY annotation.id""",
            slide_id,
            status,
        )
        return [rows.annotation_of(row) for row in found]

    def annotation(self, annotation_id: int) -> AnnotationRecord:
        """One annotation."""
        return rows.annotation_of(self._annotation_row(annotation_id))

    def find_draft(self, slide_id: int, region: Region) -> AnnotationRecord | None:
        """The newest draft of a region, to go on with after a crash; None when there is none."""
        drafts = self.annotations(slide_id, AnnotationStatus.DRAFT)
        return next((draft for draft in reversed(drafts) if draft.region == region), None)

    def _insert_annotation(
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
        downsample = _mask_downsample(region, mask)
        self._check_values(mask)
        stem = stem_of(slide_id, region)
        mask_file = write_plane(self.masks_folder, mask, stem=f"{stem}-start")
        origin_file = write_plane(self.masks_folder, origin, stem=f"{stem}-start-origin")
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
                self._say(annotation_id, continues.label, continues.size, person)
        return self.annotation(annotation_id)

    def _say(self, annotation_id: int, label: str | None, size: float | None, person: str) -> None:
        self._database.insert(
            "assessment",
            annotation_id=annotation_id,
            label=label,
            size=None if size is None else float(size),
            person=person,
            created=timestamp(),
        )

    def _journal(self, annotation_id: int) -> Iterator[Patch]:
        for row in self._database.all("SELECT * FROM patch WHERE annotation_id = ? ORDER BY id", annotation_id):
            values = np.frombuffer(zlib.decompress(row["payload"]), dtype=np.uint8)
            yield Patch(row["x"], row["y"], values.reshape(row["height"], row["width"]))

    def _annotation_row(self, annotation_id: int) -> rows.Row:
        return self._database.one(f"{SELECT_EVERY_ANNOTATION} WHERE annotation.id = ?", annotation_id)

    def _draft_row(self, annotation_id: int) -> rows.Row:
        row = self._annotation_row(annotation_id)
        if row["status"] != AnnotationStatus.DRAFT:
            raise ValueError(f"annotation {annotation_id} is {row['status']}, not a draft; reopen it to change it")
        return row

    def _check_patch(self, row: rows.Row, patch: Patch) -> None:
        height, width = patch.values.shape
        bottom, right = _mask_shape(rows.region_of(row), row["mask_downsample"])
        if min(patch.x, patch.y) < 0 or patch.x + width > right or patch.y + height > bottom:
            raise ValueError(f"a patch of {width} x {height} at ({patch.x}, {patch.y}) reaches past the mask")
        self._check_values(patch.values)

    def _check_values(self, mask: Mask) -> None:
        if mask.dtype != np.uint8 or mask.ndim != 2 or mask.size == 0:
            raise ValueError(f"a mask is (H, W) uint8, not {mask.shape} {mask.dtype}")
        if int(mask.max()) > len(self.scheme.masks):
            raise ValueError(f"mask value {mask.max()} where the highest class is {len(self.scheme.masks)}")


def stem_of(slide_id: int, region: Region) -> str:
    """How the names of the files of a region begin."""
    return f"slide-{slide_id:04d}-x{region.x}-y{region.y}"


def check_size(size: float | None) -> None:
    """Raise ValueError for what is no fraction of a region."""
    if size is not None and not 0 <= size <= 1:
        raise ValueError(f"size is a fraction of the region, between 0 and 1, not {size}")


def _mask_shape(region: Region, downsample: float) -> tuple[int, int]:
    return round(region.height / downsample), round(region.width / downsample)


def _mask_downsample(region: Region, mask: Mask) -> float:
    """Level-0 pixels per mask pixel; ValueError when the mask's shape is not the region's."""
    downsample = region.width / mask.shape[1] if mask.ndim == 2 and mask.size else 0.0
    if downsample < 1 or mask.shape != _mask_shape(region, downsample):
        raise ValueError(f"a mask of shape {mask.shape} for a region of {region.width} x {region.height} pixels")
    return downsample
