"""Where the pictures of a project's questions are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.store.project import Project


def query_thumbnail_path(project: Project, query_id: int) -> Path:
    """Where the picture of a query is kept (PNG)."""
    return project.folder / "thumbnails" / f"query-{query_id}.png"


def query_evidence_path(project: Project, query_id: int) -> Path:
    """Where the picture of why a query is asked is kept (PNG); there is none where a strategy has nothing to show."""
    return project.folder / "thumbnails" / f"query-{query_id}-why.png"
