"""Mend what can be mended in a project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from histoloop.errors import PlaceError
from histoloop.progress import Progress, Work
from histoloop.workflows.boundary import prepare_folder, why_it_failed
from histoloop.workflows.project_checks import CHECKS, Trouble
from histoloop.workflows.status import troubles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from histoloop.store.project import Project


@dataclass(frozen=True, slots=True)
class MendReport:
    """What was mended, and what is left."""

    mended: tuple[Trouble, ...]
    left: tuple[Trouble, ...]


def mend_project(project: Project, *, look_in: Sequence[Path] = ()) -> Work[MendReport]:
    """Find what is broken and mend it: thumbnails, maps, leftovers, moved slides (also under `look_in`), trainings.

    Nothing that a person made is removed. PlaceError where the project cannot be written.
    """
    prepare_folder(project.folder)
    mended: list[Trouble] = []
    left: list[Trouble] = []
    for number, check in enumerate(CHECKS):
        yield Progress("Mending", number, len(CHECKS), check.title)
        found = troubles(project, check)
        if not found:
            continue
        remaining = found
        if check.mend is not None:
            try:
                check.mend(project, found, look_in)
            except PlaceError:
                raise
            except Exception as error:
                why_it_failed(error, writing_to=[project.folder])  # found again below, and named as left
            remaining = troubles(project, check)
        mended += [trouble for trouble in found if trouble not in remaining]
        left += remaining
    yield Progress("Mending", len(CHECKS), len(CHECKS))
    return MendReport(tuple(mended), tuple(left))
