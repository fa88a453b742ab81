"""Whether the maps of a slide are whole; maps that are not are set aside, so that predicting makes new ones."""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from histoloop.errors import ProjectError
from histoloop.language import tr
from histoloop.store.maps import open_map

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.store.maps import SlideMap
    from histoloop.store.project import Project

_log = logging.getLogger(__name__)

_ROWS = 512


def check_map(folder: Path) -> SlideMap:
    """Read all of the maps in a folder; ProjectError where they are missing or damaged, OSError of the disk."""
    try:
        slide_map = open_map(folder)
        arrays = [slide_map.foreground(level) for level in range(len(slide_map.level_downsamples))]
        for array in (*arrays, slide_map.maps, slide_map.covered):
            for top in range(0, array.shape[-2], _ROWS):
                values = np.asarray(array[..., top : top + _ROWS, :])
                if not np.isfinite(values).all():
                    raise ValueError("it holds values that are no numbers")
    except (OSError, MemoryError, ProjectError):
        raise
    except Exception as error:
        raise ProjectError(
            tr("The maps in {folder} are damaged ({reason}).", folder=folder, reason=_first_line(error)),
            advice=tr("Predict the slide again."),
        ) from error
    return slide_map


def has_whole_map(project: Project, slide_id: int, model_id: int, *, every_chunk: bool) -> bool:
    """Whether a slide has maps by a model that can be opened (with `every_chunk`: read whole), and their prediction."""
    folder = project.maps.find(slide_id, model_id)
    if folder is None or project.predictions.find(slide_id, model_id) is None:
        return False
    try:
        if every_chunk:
            check_map(folder)
        else:
            open_map(folder)
    except OSError:
        raise
    except Exception:  # what damage makes of the files that describe maps cannot be foreseen
        _log.info("maps of slide %d by model %d are damaged", slide_id, model_id, exc_info=True)
        return False
    return True


def set_map_aside(project: Project, slide_id: int, model_id: int) -> None:
    """Let the maps of a slide by a model count no more, and remove their folder; nothing where there are none."""
    folder = project.maps.find(slide_id, model_id)
    if folder is None:
        return
    project.maps.forget(slide_id, model_id)
    if folder.parent == project.maps.folder and not folder.is_symlink():
        shutil.rmtree(folder, ignore_errors=True)
    _log.info("maps of slide %d by model %d are set aside", slide_id, model_id)


def set_aside_if_damaged(project: Project, slide_id: int) -> None:
    """Set the current model's maps of a slide aside where reading them fails; not where the project cannot be written.

    What fails for want of memory or a disk is no damage.
    """
    model_id = project.models.current().id
    if (folder := project.maps.find(slide_id, model_id)) is None:
        return
    try:
        check_map(folder)
    except ProjectError:
        with suppress(ProjectError):
            set_map_aside(project, slide_id, model_id)
    except (OSError, MemoryError):
        return


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
