"""What people can take back and do again: in a project, across regions, and whatever the program was closed since."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from histoloop.annotations.records import Counts, QueryStatus
from histoloop.store import rows
from histoloop.store.records import StepKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histoloop.store.parts.deletions import Deletions
    from histoloop.store.parts.drafts import Drafts
    from histoloop.store.parts.journal import Journal
    from histoloop.store.parts.queries import Queries
    from histoloop.store.parts.steps import Steps
    from histoloop.store.project_database import Database
    from histoloop.store.records import Step


class History:
    """Takes back the steps of a person, the newest first, and does them again.

    What others have changed since (a query that was answered, a region that somebody reopened) is passed over. Nothing
    that was painted is lost by it: what was finished becomes the draft it was made of, with all its strokes.
    """

    def __init__(
        self,
        database: Database,
        *,
        queries: Queries,
        drafts: Drafts,
        deletions: Deletions,
        journal: Journal,
        steps: Steps,
    ) -> None:
        self._database, self._queries, self._drafts = database, queries, drafts
        self._deletions, self._journal, self._steps = deletions, journal, steps

    def to_undo(self, person: str, *, beside: int | None = None) -> Step | None:
        """The step that `undo` would take back; None when there is none. `beside`: steps of this draft do not count."""
        row = self._steps.to_undo(person, beside=beside)
        return None if row is None else rows.step_of(row)

    def to_redo(self, person: str, *, beside: int | None = None) -> Step | None:
        """The step that `redo` would do again; None when there is none, or the person did something else since.

        `beside`: strokes, labels and sizes of this draft do not count.
        """
        row = self._steps.to_redo(person, beside=beside)
        return None if row is None else rows.step_of(row)

    def undo(self, person: str) -> Step | None:
        """Take back what a person did last, in whichever region; the step, or None when there was none."""
        with self._database.transaction():
            row = self._steps.to_undo(person)
            return None if row is None else self._undo(row)

    def redo(self, person: str) -> Step | None:
        """Do again what a person took back last; the step, or None when there was none."""
        with self._database.transaction():
            row = self._steps.to_redo(person)
            return None if row is None else self._redo(row)

    def undo_in(self, annotation_id: int) -> Step | None:
        """Take back what was done last in a draft: a stroke, a label or size, what counts."""
        with self._database.transaction():
            done = [row for row in self._steps.in_draft(annotation_id) if row["undone"] is None]
            return self._undo(done[-1]) if done else None

    def redo_in(self, annotation_id: int) -> Step | None:
        """Do again what was taken back last in a draft."""
        with self._database.transaction():
            undone = [row for row in self._steps.in_draft(annotation_id) if row["undone"] is not None]
            return self._redo(undone[0]) if undone else None

    def _undo(self, row: rows.Row) -> Step:
        kind, detail = row["kind"], json.loads(row["detail"])
        self._steps.set_undone(row["id"], undone=True)
        if kind == StepKind.ASSESSED:
            self._assess(row, detail["before"])
        elif kind == StepKind.COUNTED:
            self._drafts.count_again(row["annotation_id"], Counts(detail["before"]))
        elif kind == StepKind.DELETED:
            self._deletions.bring_back(detail)
        elif kind == StepKind.IMPORTED:
            self._set_imported(row, detail, there=False)
        elif kind == StepKind.LEFT_OUT:
            self._queries.set_status(row["query_id"], QueryStatus(detail["before"]))
        elif kind == StepKind.ENDED:
            self._drafts.make_again(row["annotation_id"], detail)
        return dataclasses.replace(rows.step_of(row), undone=True)

    def _redo(self, row: rows.Row) -> Step:
        kind, detail = row["kind"], json.loads(row["detail"])
        self._steps.set_undone(row["id"], undone=False)
        if kind == StepKind.ASSESSED:
            self._assess(row, detail["after"])
        elif kind == StepKind.COUNTED:
            self._drafts.count_again(row["annotation_id"], Counts(detail["after"]))
        elif kind == StepKind.DELETED:
            self._deletions.delete_again(detail)
        elif kind == StepKind.IMPORTED:
            self._set_imported(row, detail, there=True)
        elif kind == StepKind.LEFT_OUT:
            self._queries.set_status(row["query_id"], QueryStatus(detail["after"]))
        elif kind == StepKind.ENDED:
            self._drafts.finish_again(row["annotation_id"], detail)
        return dataclasses.replace(rows.step_of(row), undone=False)

    def _set_imported(self, row: rows.Row, detail: Mapping[str, Any], *, there: bool) -> None:
        """Let annotations that came from elsewhere count, or what counted before them."""
        change = self._deletions.bring_back if there else self._deletions.delete_again
        change({"ids": detail["ids"], "queries": []})
        if row["query_id"] is not None:
            status = QueryStatus.ANNOTATED if there else QueryStatus(detail["query_before"])
            self._queries.set_status(row["query_id"], status)

    def _assess(self, row: rows.Row, values: list[str | float | None]) -> None:
        label, size = values
        self._journal.assess(
            row["annotation_id"],
            label=None if label is None else str(label),
            size=None if size is None else float(size),
            person=row["person"],
        )
