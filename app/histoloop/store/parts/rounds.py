"""The rounds of a project: what was retrained, and what came of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from histoloop.store import rows
from histoloop.store.project_database import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histoloop.store.parts.models import Models
    from histoloop.store.project_database import Database
    from histoloop.store.records import RoundRecord


class Rounds:
    """Retrainings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, model_id: int, parent: int | None, figures: Mapping[str, float], annotations: int, *, person: str = ""
    ) -> RoundRecord:
        """Keep a retraining: the model made, the one before, its figures, and how many annotations it learned from.

        `person` is who asked for it.
        """
        with self._database.transaction():
            number = self.next_number()
            round_id = self._database.insert(
                "round",
                number=number,
                model_id=model_id,
                parent=parent,
                figures=json.dumps(dict(figures)),
                annotations=annotations,
                person=person,
                created=timestamp(),
            )
        return rows.round_of(self._database.one("SELECT * FROM round WHERE id = ?", round_id))

    def add_candidate(
        self,
        models: Models,
        folder_name: str,
        *,
        hash: str,
        parent: int | None,
        figures: Mapping[str, float],
        annotations: int,
        person: str = "",
    ) -> RoundRecord:
        """Keep a model that a retraining made, and the retraining with it: both, or neither."""
        with self._database.transaction():
            number = self.next_number()
            model = models.add(folder_name, hash=hash, parent=parent, round=number)
            return self.add(model.id, parent, figures, annotations, person=person)

    def set_figures(self, number: int, figures: Mapping[str, float]) -> None:
        """Keep figures of a retraining in place of those it has."""
        with self._database.transaction():
            row = self._database.one("SELECT id FROM round WHERE number = ?", number)
            self._database.update("round", row["id"], figures=json.dumps(dict(figures)))

    def next_number(self) -> int:
        """The number of the next retraining."""
        number: int = self._database.one("SELECT COALESCE(MAX(number), 0) + 1 AS next FROM round")["next"]
        return number

    def all(self) -> list[RoundRecord]:
        """The retrainings, oldest first; numbered from 1."""
        return [rows.round_of(row) for row in self._database.all("SELECT * FROM round ORDER BY number")]
