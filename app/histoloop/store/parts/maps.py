"""The maps of a project: which folder holds the maps of a slide by a model."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.store.project_database import timestamp

if TYPE_CHECKING:
    from histoloop.store.project_database import Database

DAMAGED = "damaged"
"""A file of this name in the folder of a map says that it could not be read."""


class Maps:
    """Maps by slide and model; `folder` is where they are, each in a folder of its own."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self._database = database

    def new_folder(self, slide_id: int, model_id: int) -> Path:
        """A name under `folder` that nothing uses yet; the folder is not made."""
        self._database.check_writable()
        return self.folder / f"slide-{slide_id:04d}-model-{model_id:04d}-{secrets.token_hex(4)}"

    def folder_names(self) -> frozenset[str]:
        """The names of all folders under `folder` that are kept."""
        return frozenset(row["folder"] for row in self._database.all("SELECT folder FROM map"))

    def add(self, slide_id: int, model_id: int, folder_name: str) -> None:
        """Keep which folder under `folder` holds the maps of a slide by a model; the newest counts."""
        with self._database.transaction():
            self._database.insert("map", slide_id=slide_id, model_id=model_id, folder=folder_name, created=timestamp())

    def find(self, slide_id: int, model_id: int | None = None) -> Path | None:
        """The folder of the newest maps of a slide by a model (None: the current one).

        None when there are none, or when they were found to be damaged.
        """
        row = self._database.first(
            """SELECT map.folder FROM map JOIN model ON model.id = map.model_id
            WHERE map.slide_id = ? AND (model.id = ? OR ? IS NULL AND model.status = 'current')
            ORDER BY map.id DESC LIMIT 1""",
            slide_id,
            model_id,
            model_id,
        )
        if row is None:
            return None
        folder = self.folder / Path(str(row["folder"])).name  # never a place outside
        return folder if folder.is_dir() and not (folder / DAMAGED).exists() else None

    def forget(self, slide_id: int, model_id: int | None = None) -> None:
        """Let no map of a slide (by a model; None: by any) count any more; the folders stay."""
        with self._database.transaction():
            sql = "DELETE FROM map WHERE slide_id = ?1 AND (?2 IS NULL OR model_id = ?2)"
            self._database.run(sql, slide_id, model_id)
