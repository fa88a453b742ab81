"""The models of a project, what they predicted, and the rounds they were made in."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from histoloop.errors import ProjectError
from histoloop.language import tr
from histoloop.store import rows
from histoloop.store.cards import Card, load_card
from histoloop.store.project_database import timestamp
from histoloop.store.project_part import ProjectPart
from histoloop.store.records import ModelRecord, ModelStatus, RoundRecord

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class ProjectModels(ProjectPart):
    """Models, their predictions and maps, and rounds."""

    @property
    def models_folder(self) -> Path:
        """Where the models made in this project are."""
        return self.folder / "models"

    def new_model_folder(self, round_number: int) -> Path:
        """A name under `models_folder` that nothing uses yet; the folder is not made."""
        return self.models_folder / f"round-{round_number:03d}-{secrets.token_hex(4)}"

    def add_model(
        self,
        folder_name: str,
        *,
        hash: str,
        parent: int | None,
        round: int,
        status: ModelStatus | str = ModelStatus.CANDIDATE,
    ) -> ModelRecord:
        """Keep a model: its folder's name under `models_folder`, or the absolute path of one that lies elsewhere."""
        with self._database.transaction():
            if ModelStatus(status) is ModelStatus.CURRENT:
                self._keep_current_model()
            model_id = self._database.insert(
                "model",
                folder=folder_name,
                hash=hash,
                parent=parent,
                round=round,
                status=ModelStatus(status),
                created=timestamp(),
            )
        return self.model(model_id)

    def models(self) -> list[ModelRecord]:
        """The models, in the order they were added."""
        return [rows.model_of(row, self.models_folder) for row in self._database.all("SELECT * FROM model ORDER BY id")]

    def model(self, model_id: int) -> ModelRecord:
        """One model."""
        return rows.model_of(self._database.one("SELECT * FROM model WHERE id = ?", model_id), self.models_folder)

    def current_model(self) -> ModelRecord:
        """The model that predicts and asks now; ProjectError before the first."""
        return self._first_model("SELECT * FROM model WHERE status = 'current'")

    def current_card(self) -> Card:
        """The card of the current model."""
        return load_card(self.current_model().folder)

    def base_model(self) -> ModelRecord:
        """The model that the project began with: theta_0, from which every retraining starts again."""
        return self._first_model("SELECT * FROM model WHERE parent IS NULL ORDER BY id LIMIT 1")

    def make_current(self, model_id: int) -> None:
        """Let this model predict and ask from now on; the one that did is kept."""
        self.set_model_status(model_id, ModelStatus.CURRENT)

    def set_model_status(self, model_id: int, status: ModelStatus) -> None:
        """Say where a model stands; when it becomes the current one, the one that was is kept."""
        self.model(model_id)
        with self._database.transaction():
            if ModelStatus(status) is ModelStatus.CURRENT:
                self._keep_current_model()
            self._database.update("model", model_id, status=ModelStatus(status))

    def _first_model(self, sql: str) -> ModelRecord:
        row = self._database.first(sql)
        if row is None:
            raise ProjectError(
                tr("{folder} has no such model yet.", folder=self.folder), advice=tr("Choose a model for the project.")
            )
        return rows.model_of(row, self.models_folder)

    def _keep_current_model(self) -> None:
        self._database.run("UPDATE model SET status = ? WHERE status = ?", ModelStatus.KEPT, ModelStatus.CURRENT)

    # What models said of slides

    @property
    def maps_folder(self) -> Path:
        """Where the maps of slides are, each in a folder of its own."""
        return self.folder / "maps"

    def new_map_folder(self, slide_id: int, model_id: int) -> Path:
        """A name under `maps_folder` that nothing uses yet; the folder is not made."""
        return self.maps_folder / f"slide-{slide_id:04d}-model-{model_id:04d}-{secrets.token_hex(4)}"

    def add_map(self, slide_id: int, model_id: int, folder_name: str) -> None:
        """Keep which folder under `maps_folder` holds the maps of a slide by a model; the newest counts."""
        with self._database.transaction():
            self._database.insert("map", slide_id=slide_id, model_id=model_id, folder=folder_name, created=timestamp())

    def map_folder(self, slide_id: int, model_id: int | None = None) -> Path | None:
        """The folder of the newest maps of a slide by a model (None: the current one); None when there are none."""
        row = self._database.first(
            """SELECT map.folder FROM map JOIN model ON model.id = map.model_id
            WHERE map.slide_id = ? AND (model.id = ? OR ? IS NULL AND model.status = 'current')
            ORDER BY map.id DESC LIMIT 1""",
            slide_id,
            model_id,
            model_id,
        )
        folder = None if row is None else self.maps_folder / row["folder"]
        return folder if folder is not None and folder.is_dir() else None

    def set_prediction(self, slide_id: int, model_id: int, probabilities: Mapping[str, float]) -> None:
        """Keep the probability per label that a model gave a slide; the newest of a model counts.

        The labels of the current model are the project's (ValueError otherwise); a model brought in to compare with
        may have labels of its own.
        """
        if self.model(model_id).status is ModelStatus.CURRENT:
            for name in probabilities:
                self._check_label(name)
        text = json.dumps({name: float(value) for name, value in probabilities.items()})
        with self._database.transaction():
            self._database.insert(
                "prediction", slide_id=slide_id, model_id=model_id, probabilities=text, created=timestamp()
            )

    def prediction(self, slide_id: int, model_id: int) -> dict[str, float] | None:
        """The probability per label that a model gave a slide; None when it has not been predicted with it."""
        row = self._database.first(
            "SELECT probabilities FROM prediction WHERE slide_id = ? AND model_id = ? ORDER BY id DESC LIMIT 1",
            slide_id,
            model_id,
        )
        return None if row is None else dict(json.loads(row["probabilities"]))

    # Rounds

    def add_round(
        self, model_id: int, parent: int | None, figures: Mapping[str, float], annotations: int
    ) -> RoundRecord:
        """Keep a retraining: the model made, the one before, its figures, and how many annotations it learned from."""
        with self._database.transaction():
            number = self._database.one("SELECT COALESCE(MAX(number), 0) + 1 AS next FROM round")["next"]
            round_id = self._database.insert(
                "round",
                number=number,
                model_id=model_id,
                parent=parent,
                figures=json.dumps(dict(figures)),
                annotations=annotations,
                created=timestamp(),
            )
        return rows.round_of(self._database.one("SELECT * FROM round WHERE id = ?", round_id))

    def rounds(self) -> list[RoundRecord]:
        """The retrainings, oldest first; numbered from 1."""
        return [rows.round_of(row) for row in self._database.all("SELECT * FROM round ORDER BY number")]
