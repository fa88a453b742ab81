"""Annotations that people delete: they count no longer; rows and files stay, so that it can be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from histoloop.annotations.records import AnnotationStatus, QueryStatus
from histoloop.store import rows
from histoloop.store.project_database import timestamp
from histoloop.store.records import StepKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histoloop.store.parts.annotations import Annotations
    from histoloop.store.parts.queries import Queries
    from histoloop.store.parts.steps import Steps
    from histoloop.store.project_database import Database
    from histoloop.store.records import AnnotationRecord


class Deletions:
    """Marks annotations as deleted. Nothing learns from them or is measured by them, and no list has them."""

    def __init__(self, database: Database, *, annotations: Annotations, queries: Queries, steps: Steps) -> None:
        self._database, self._annotations, self._queries, self._steps = database, annotations, queries, steps

    def delete(self, annotation_ids: Sequence[int], *, person: str) -> None:
        """Delete annotations, as one step of a person; one that is deleted already stays so.

        With what was done of a region all that was done of just this region before goes too: none of it counts again.
        The questions that they answered may be asked anew.
        """
        chosen = [record for record in map(self._annotations.get, annotation_ids) if not self._is_deleted(record.id)]
        if not chosen:
            return
        ids = sorted({number for record in chosen for number in self._versions(record)})
        before = {
            query_id: self._queries.get(query_id).status
            for number in ids
            if (query_id := self._annotations.get(number).query_id) is not None
        }
        closed = {number: status for number, status in before.items() if status is not QueryStatus.OPEN}
        detail = {"ids": ids, "queries": [[number, str(status)] for number, status in closed.items()]}
        with self._database.transaction():
            self._steps.add(
                StepKind.DELETED,
                slide_id=chosen[0].slide_id,
                annotation_id=ids[0],
                person=person,
                detail=detail,
            )
            self.delete_again(detail)

    def delete_again(self, detail: Mapping[str, Any]) -> None:
        """Delete what a step did, within a transaction."""
        for number in detail["ids"]:
            self._database.update("annotation", number, deleted=timestamp())
        for number, _status in detail["queries"]:
            self._queries.set_status(number, QueryStatus.SUPERSEDED)

    def bring_back(self, detail: Mapping[str, Any]) -> None:
        """Take back what a step deleted, within a transaction."""
        for number in detail["ids"]:
            self._database.update("annotation", number, deleted=None)
        for number, status in detail["queries"]:
            self._queries.set_status(number, QueryStatus(status))

    def _is_deleted(self, annotation_id: int) -> bool:
        return self._database.one("SELECT deleted FROM annotation WHERE id = ?", annotation_id)["deleted"] is not None

    def _versions(self, record: AnnotationRecord) -> list[int]:
        """An annotation, and with one that was done the others done of just its region."""
        if record.status is not AnnotationStatus.DONE:
            return [record.id]
        found = self._database.all(
            """SELECT id FROM annotation WHERE status = 'done' AND deleted IS NULL AND slide_id = ?
            AND x = ? AND y = ? AND width = ? AND height = ?""",
            record.slide_id,
            *rows.edges_of(record.region).values(),
        )
        return [row["id"] for row in found]
