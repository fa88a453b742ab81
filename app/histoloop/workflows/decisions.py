"""Decide about a retrained model: keep it, or roll back to the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.errors import ProjectError
from histoloop.language import tr
from histoloop.store.records import ModelStatus

if TYPE_CHECKING:
    from histoloop.store.project import Project


def keep(project: Project, model_id: int) -> None:
    """Make a candidate the current model."""
    _check_open(project, model_id)
    project.models.make_current(model_id)


def roll_back(project: Project, model_id: int) -> None:
    """Set a candidate aside; the current model stays."""
    _check_open(project, model_id)
    project.models.set_status(model_id, ModelStatus.ROLLED_BACK)


def _check_open(project: Project, model_id: int) -> None:
    if project.models.get(model_id).status is not ModelStatus.CANDIDATE:
        raise ProjectError(tr("This model was decided about already."), advice=tr("Retrain to get a new candidate."))
