"""The settings of a project: small values by key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from histoloop.store import rows

if TYPE_CHECKING:
    from histoloop.store.project_database import Database


class Settings:
    """What is remembered with a project."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> Any:
        """A setting's JSON value; None when it was never set."""
        row = self._database.first("SELECT value FROM setting WHERE key = ?", key)
        if row is None:
            return None
        with rows.damage_explained():
            return json.loads(row["value"])

    def set(self, key: str, value: Any) -> None:
        """Keep a JSON value (TypeError for any other) under a key."""
        text = json.dumps(value)
        with self._database.transaction():
            self._database.run("INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)", key, text)
