"""Second readings of a project: annotations that were painted without sight of another's, and which of two counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.annotations.records import AnnotationStatus
from histoloop.store import rows
from histoloop.store.project_database import timestamp
from histoloop.store.schema import SELECT_ANNOTATIONS

if TYPE_CHECKING:
    from histoloop.store.parts.finish_order import FinishOrder
    from histoloop.store.project_database import Database
    from histoloop.store.records import AnnotationRecord


class Readings:
    """What second readers annotated. It does not count, neither trains nor judges, until it is chosen."""

    def __init__(self, database: Database, *, order: FinishOrder) -> None:
        self._database, self._order = database, order

    def done(self) -> list[AnnotationRecord]:
        """The second readings that were done with a mask, of each person the newest, in the order they were begun."""
        found = self._database.all(
            f"""{SELECT_ANNOTATIONS} AND annotation.reading_of IS NOT NULL AND annotation.status = 'done'
            AND annotation.mask_file IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM annotation AS newer WHERE newer.reading_of = annotation.reading_of
                AND newer.person = annotation.person AND newer.status = 'done' AND newer.deleted IS NULL
                AND newer.id > annotation.id
            ) ORDER BY annotation.id"""
        )
        return [rows.annotation_of(row) for row in found]

    def choose(self, annotation_id: int, *, person: str) -> None:
        """Let this annotation count for its region from now on, whatever counted before; who chose it is kept.

        ValueError for one that is not done with a mask.
        """
        with self._database.transaction():
            row = self._database.one("SELECT * FROM annotation WHERE id = ? AND deleted IS NULL", annotation_id)
            if row["status"] != AnnotationStatus.DONE or row["mask_file"] is None:
                raise ValueError(f"annotation {annotation_id} is not done with a mask")
            place = self._order.with_mask(row["slide_id"], rows.region_of(row), row["query_id"])
            self._database.update(
                "annotation",
                annotation_id,
                adjudicated=timestamp(),
                adjudicator=person,
                finish_order=place["finish_order"],
            )

    def take_back(self, annotation_id: int) -> None:
        """Let what counted before this annotation was chosen count again.

        Without the choice a second reading does not count, and the first one was done before all others of its region:
        the newest of these counts then, where one does. ValueError for an annotation that nobody chose.
        """
        with self._database.transaction():
            row = self._database.one("SELECT * FROM annotation WHERE id = ? AND deleted IS NULL", annotation_id)
            if row["adjudicated"] is None:
                raise ValueError(f"annotation {annotation_id} was not chosen")
            self._database.update("annotation", annotation_id, adjudicated=None, adjudicator="")
            before = self._database.first(
                f"""{SELECT_ANNOTATIONS} AND annotation.status = 'done' AND annotation.mask_file IS NOT NULL
                AND (annotation.reading_of IS NULL OR annotation.adjudicated IS NOT NULL) AND annotation.id <> :id
                AND annotation.slide_id = :slide_id AND annotation.x = :x AND annotation.y = :y
                AND annotation.width = :width AND annotation.height = :height
                ORDER BY annotation.finish_order DESC LIMIT 1""",
                id=annotation_id,
                slide_id=row["slide_id"],
                **rows.edges_of(rows.region_of(row)),
            )
            if before is not None and row["reading_of"] is None:
                place = self._order.with_mask(row["slide_id"], rows.region_of(row), row["query_id"])
                self._database.update("annotation", before["id"], finish_order=place["finish_order"])
