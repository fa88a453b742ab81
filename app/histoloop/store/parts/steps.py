"""The steps of people: what was done to regions and queries, in order, each with what it takes to take it back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from histoloop.store.project_database import timestamp
from histoloop.store.schema import SELECT_STEP_TO_REDO, SELECT_STEP_TO_UNDO, SELECT_STEPS_IN_HAND

if TYPE_CHECKING:
    from histoloop.store import rows
    from histoloop.store.project_database import Database
    from histoloop.store.records import StepKind


class Steps:
    """Rows that are added and, when a step is taken back or done again, marked; none is ever removed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        kind: StepKind,
        *,
        slide_id: int,
        person: str,
        annotation_id: int | None = None,
        query_id: int | None = None,
        patch_id: int | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Note a step, within the transaction that does it; `detail` is a JSON object."""
        self._database.insert(
            "step",
            kind=kind,
            slide_id=slide_id,
            annotation_id=annotation_id,
            query_id=query_id,
            patch_id=patch_id,
            person=person,
            detail=json.dumps(detail or {}),
            created=timestamp(),
        )

    def set_undone(self, step_id: int, *, undone: bool) -> None:
        """Note that a step was taken back, or done again."""
        self._database.update("step", step_id, undone=timestamp() if undone else None)

    def to_undo(self, person: str, *, beside: int | None = None) -> rows.Row | None:
        """What a person did last, `beside` a draft (by id), and can take back."""
        return self._database.first(SELECT_STEP_TO_UNDO, person, beside)

    def to_redo(self, person: str, *, beside: int | None = None) -> rows.Row | None:
        """What a person took back last, `beside` what was done in a draft (by id), and can do again."""
        return self._database.first(SELECT_STEP_TO_REDO, person, beside)

    def in_draft(self, annotation_id: int) -> list[Any]:
        """What was done in a draft, oldest first: strokes, labels, sizes, what counts; and what can be done again."""
        return self._database.all(SELECT_STEPS_IN_HAND, annotation_id)
