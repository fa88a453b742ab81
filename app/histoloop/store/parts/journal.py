"""The journal of annotations: every stroke, label and size as it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.store import rows
from histoloop.store.project_database import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.annotations.records import Patch
    from histoloop.store.project_database import Database
    from histoloop.store.records import Assessment


class Journal:
    """What annotations are made of; nothing in it is ever changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append_patch(self, annotation_id: int, patch: Patch) -> int:
        """Add a change of the mask; its id."""
        height, width = patch.values.shape
        with self._database.transaction():
            return self._database.insert(
                "patch",
                annotation_id=annotation_id,
                x=patch.x,
                y=patch.y,
                width=width,
                height=height,
                payload=rows.packed_plane(patch.values),
                origins=None if patch.origins is None else rows.packed_plane(patch.origins),
                created=timestamp(),
            )

    def patches(self, annotation_id: int) -> Iterator[Patch]:
        """The changes of a mask that were not taken back, oldest first."""
        for row in self._database.all(
            """SELECT * FROM patch WHERE annotation_id = ? AND NOT EXISTS (
                SELECT 1 FROM step WHERE step.patch_id = patch.id AND step.undone IS NOT NULL
            ) ORDER BY id""",
            annotation_id,
        ):
            yield rows.patch_of(row)

    def patch(self, patch_id: int) -> Patch:
        """One of the changes."""
        return rows.patch_of(self._database.one("SELECT * FROM patch WHERE id = ?", patch_id))

    def assess(self, annotation_id: int, *, label: str | None, size: float | None, person: str) -> None:
        """Add label and size (foreground fraction) as they are now; None: not given, or taken back."""
        with self._database.transaction():
            self._database.insert(
                "assessment",
                annotation_id=annotation_id,
                label=label,
                size=None if size is None else float(size),
                person=person,
                created=timestamp(),
            )

    def assessments(self, annotation_id: int) -> list[Assessment]:
        """Every label and size that was ever given to an annotation, oldest first; the last one counts."""
        found = self._database.all("SELECT * FROM assessment WHERE annotation_id = ? ORDER BY id", annotation_id)
        return [rows.assessment_of(row) for row in found]
