"""The predictions of a project: the probability per label that a model gave a slide."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from histoloop.store import rows
from histoloop.store.parts.checks import check_label
from histoloop.store.project_database import timestamp
from histoloop.store.records import ModelStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histoloop.store.parts.classes import Classes
    from histoloop.store.parts.models import Models
    from histoloop.store.project_database import Database


class Predictions:
    """Predictions by slide and model."""

    def __init__(self, database: Database, *, classes: Classes, models: Models) -> None:
        self._database, self._classes, self._models = database, classes, models

    def add(
        self, slide_id: int, model_id: int, probabilities: Mapping[str, float], *, unlike: float | None = None
    ) -> None:
        """Keep the probability per label that a model gave a slide; the newest of a model counts.

        The labels of the current model are the project's (ValueError otherwise); a model brought in to compare with
        may have labels of its own. `unlike` is how far the slide is from what the model was trained on, above 1
        unlike it; None where that is not known.
        """
        if self._models.get(model_id).status is ModelStatus.CURRENT:
            for name in probabilities:
                check_label(name, self._classes.scheme)
        text = json.dumps({name: float(value) for name, value in probabilities.items()}, allow_nan=False)
        with self._database.transaction():
            self._database.insert(
                "prediction",
                slide_id=slide_id,
                model_id=model_id,
                probabilities=text,
                unlike=unlike,
                created=timestamp(),
            )

    def find(self, slide_id: int, model_id: int) -> dict[str, float] | None:
        """The probability per label that a model gave a slide; None when it has not been predicted with it."""
        row = self._database.first(
            "SELECT probabilities FROM prediction WHERE slide_id = ? AND model_id = ? ORDER BY id DESC LIMIT 1",
            slide_id,
            model_id,
        )
        return None if row is None else rows.numbers_of(row["probabilities"])

    def forget(self, slide_id: int) -> None:
        """Let no prediction of a slide count any more."""
        with self._database.transaction():
            self._database.run("DELETE FROM prediction WHERE slide_id = ?", slide_id)
