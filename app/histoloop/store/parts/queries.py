"""The queries of a project: regions a model asks about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from histoloop.annotations.records import QueryStatus
from histoloop.store import rows
from histoloop.store.project_database import timestamp
from histoloop.store.records import StepKind
from histoloop.store.schema import SELECT_QUERIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from histoloop.store.parts.steps import Steps
    from histoloop.store.project_database import Database
    from histoloop.store.records import NewQuery, QueryRecord


class Queries:
    """The queue, and the queries that left it."""

    def __init__(self, database: Database, *, steps: Steps) -> None:
        self._database, self._steps = database, steps

    def add(self, queries: Iterable[NewQuery]) -> list[QueryRecord]:
        """Put regions into the queue, all or none."""
        now = timestamp()
        with self._database.transaction():
            ids = [
                self._database.insert(
                    "query",
                    slide_id=query.slide_id,
                    **rows.edges_of(query.region),
                    strategy=query.strategy,
                    score=float(query.score),
                    round=query.round,
                    evidence=json.dumps(dict(query.evidence)),
                    class_name=query.class_name,
                    status=QueryStatus.OPEN,
                    created=now,
                    updated=now,
                )
                for query in queries
            ]
        return [self.get(query_id) for query_id in ids]

    def all(self, *, status: QueryStatus | None = None, slide_id: int | None = None) -> list[QueryRecord]:
        """Queries (of a status, of a slide); newest round first, then highest score."""
        found = self._database.all(
            f"""{SELECT_QUERIES} AND (?1 IS NULL OR query.status = ?1) AND (?2 IS NULL OR slide_id = ?2)
            ORDER BY round DESC, score DESC, query.id""",
            status,
            slide_id,
        )
        return [rows.query_of(row) for row in found]

    def open(self) -> list[QueryRecord]:
        """The queue: queries that wait for an answer, in the same order."""
        return self.all(status=QueryStatus.OPEN)

    def get(self, query_id: int) -> QueryRecord:
        """One query."""
        return rows.query_of(self._database.one("SELECT * FROM query WHERE id = ?", query_id))

    def set_status(self, query_id: int, status: QueryStatus) -> None:
        """Set where a query stands; only open ones are in the queue."""
        self.get(query_id)
        with self._database.transaction():
            self._database.update("query", query_id, status=QueryStatus(status), updated=timestamp())

    def leave_out(self, query_id: int, status: QueryStatus, *, person: str) -> None:
        """Take a query off the queue without an annotation, as a step of a person that can be taken back."""
        query = self.get(query_id)
        with self._database.transaction():
            self.set_status(query_id, status)
            self._steps.add(
                StepKind.LEFT_OUT,
                slide_id=query.slide_id,
                query_id=query_id,
                person=person,
                detail={"before": query.status, "after": status},
            )

    def supersede_open(self) -> int:
        """Close the queries nobody answered, because new ones are asked; how many there were."""
        with self._database.transaction():
            sql = "UPDATE query SET status = ?, updated = ? WHERE status = ?"
            return self._database.run(sql, QueryStatus.SUPERSEDED, timestamp(), QueryStatus.OPEN)
