"""What every subject of a project has at hand: its folder, its classes, its database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.store import rows

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.store.project_database import Database


class ProjectPart:
    """One subject of an open project; `Project` is all of them."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self._database = database
        row = database.one("SELECT * FROM project")
        self.name: str = row["name"]
        self.scheme = rows.scheme_from_json(row["scheme"])

    def _check_label(self, label: str | None) -> None:
        if label is not None and label not in self.scheme.label_names:
            raise ValueError(f"no label {label!r}; there are {', '.join(self.scheme.label_names)}")
