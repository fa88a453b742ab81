"""Whether the maps of a slide are whole; maps that are not are set aside, so that predicting makes new ones."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING

from histoloop.errors import ProjectError
from histoloop.store.maps import check_map, open_map

if TYPE_CHECKING:
    from histoloop.store.project import Project

_log = logging.getLogger(__name__)


def has_whole_map(project: Project, slide_id: int, model_id: int, *, every_chunk: bool) -> bool:
    """Whether a slide has maps by a model that can be opened (with `every_chunk`: read whole), and their prediction.

    ProjectError where they cannot be read just now, though they may be whole: the disk fails.
    """
    folder = project.maps.find(slide_id, model_id)
    if folder is None or project.predictions.find(slide_id, model_id) is None:
        return False
    try:
        if every_chunk:
            check_map(folder)
        else:
            open_map(folder)
    except ProjectError as error:
        if not is_damage(error):
            raise
        _log.info("maps of slide %d by model %d are damaged", slide_id, model_id, exc_info=True)
        return False
    return True


def is_damage(error: ProjectError) -> bool:
    """Whether a map cannot be read because of what it holds or lacks; not where memory or the disk fails."""
    cause = error.__cause__
    return isinstance(cause, FileNotFoundError) or not isinstance(cause, OSError | MemoryError)


def set_map_aside(project: Project, slide_id: int, model_id: int) -> None:
    """Let the maps of a slide by a model count no more, and remove their folder."""
    folder = project.maps.find(slide_id, model_id)
    project.maps.forget(slide_id, model_id)
    if folder is not None and folder.parent == project.maps.folder and not folder.is_symlink():
        shutil.rmtree(folder, ignore_errors=True)
    _log.info("maps of slide %d by model %d are set aside", slide_id, model_id)
