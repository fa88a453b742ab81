"""The models of a project: which there are, and which one predicts and asks now."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from histoloop.errors import ProjectError
from histoloop.language import tr
from histoloop.store import rows
from histoloop.store.cards import Card, load_card
from histoloop.store.project_database import timestamp
from histoloop.store.records import ModelRecord, ModelStatus

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.store.project_database import Database


class Models:
    """Models; `folder` is where those made in this project are."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self._database = database

    def new_folder(self, round_number: int) -> Path:
        """A name under `folder` that nothing uses yet; the folder is not made."""
        self._database.check_writable()
        return self.folder / f"round-{round_number:03d}-{secrets.token_hex(4)}"

    def add(
        self,
        folder_name: str,
        *,
        hash: str,
        parent: int | None,
        round: int,
        status: ModelStatus | str = ModelStatus.CANDIDATE,
    ) -> ModelRecord:
        """Keep a model: its folder's name under `folder`, or the absolute path of one that lies elsewhere."""
        with self._database.transaction():
            if ModelStatus(status) is ModelStatus.CURRENT:
                self._keep_current()
            model_id = self._database.insert(
                "model",
                folder=folder_name,
                hash=hash,
                parent=parent,
                round=round,
                status=ModelStatus(status),
                created=timestamp(),
            )
        return self.get(model_id)

    def add_first(self, folder_name: str, hash: str) -> ModelRecord:
        """Keep the model that a project begins with, which becomes the current one."""
        return self.add(folder_name, hash=hash, parent=None, round=0, status=ModelStatus.CURRENT)

    def all(self) -> list[ModelRecord]:
        """The models, in the order they were added."""
        return [rows.model_of(row, self.folder) for row in self._database.all("SELECT * FROM model ORDER BY id")]

    def get(self, model_id: int) -> ModelRecord:
        """One model."""
        return rows.model_of(self._database.one("SELECT * FROM model WHERE id = ?", model_id), self.folder)

    def current(self) -> ModelRecord:
        """The model that predicts and asks now; ProjectError before the first."""
        return self._only("SELECT * FROM model WHERE status = 'current'")

    def current_card(self) -> Card:
        """The card of the current model."""
        return load_card(self.current().folder)

    def first(self) -> ModelRecord:
        """The start model (theta_0) that the project began with: every retraining starts from it again."""
        return self._only("SELECT * FROM model WHERE parent IS NULL ORDER BY id LIMIT 1")

    def make_current(self, model_id: int) -> None:
        """Let this model predict and ask from now on; the one that did is kept."""
        self.set_status(model_id, ModelStatus.CURRENT)

    def set_status(self, model_id: int, status: ModelStatus) -> None:
        """Set where a model stands; when it becomes the current one, the one that was is kept."""
        self.get(model_id)
        with self._database.transaction():
            if ModelStatus(status) is ModelStatus.CURRENT:
                self._keep_current()
            self._database.update("model", model_id, status=ModelStatus(status))

    def _only(self, sql: str) -> ModelRecord:
        row = self._database.first(sql)
        if row is None:
            raise ProjectError(
                tr("{folder} has no such model yet.", folder=self.folder.parent),
                advice=tr("Choose a model for the project."),
            )
        return rows.model_of(row, self.folder)

    def _keep_current(self) -> None:
        self._database.run("UPDATE model SET status = ? WHERE status = ?", ModelStatus.KEPT, ModelStatus.CURRENT)
