"""Decide about a retrained model: keep it, roll back to the one before, or let the figures decide."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from histoloop.errors import ProjectError
from histoloop.language import tr
from histoloop.store.cards import load_card
from histoloop.store.records import ModelStatus
from histoloop.workflows.contents.verdict import Verdict, verdict_of

if TYPE_CHECKING:
    from histoloop.store.project import Project
    from histoloop.workflows.contents.rounds import CandidateModel

Decision = Literal["kept", "rolled back", "waits"]


def keep(project: Project, model_id: int) -> None:
    """Make a candidate the current model."""
    _check_open(project, model_id)
    project.models.make_current(model_id)


def roll_back(project: Project, model_id: int) -> None:
    """Set a candidate aside; the current model stays."""
    _check_open(project, model_id)
    project.models.set_status(model_id, ModelStatus.ROLLED_BACK)


def use_again(project: Project, model_id: int) -> None:
    """Make a model of an earlier round, or the one that the project began with, the current one again.

    ProjectError while a candidate waits for a decision, which is about the model in use, and for a model that has
    learned nothing or whose card cannot be read (ModelError).
    """
    if any(model.status is ModelStatus.CANDIDATE for model in project.models.all()):
        raise ProjectError(
            tr("The new model waits for a decision."), advice=tr("Keep it or roll back first; see the Training tab.")
        )
    if not load_card(project.models.get(model_id).folder).trained:
        raise ProjectError(
            tr("Nobody has trained this model: it draws no masks."), advice=tr("Choose the model of a round.")
        )
    project.models.make_current(model_id)


def decide_by_figures(project: Project, candidate: CandidateModel) -> Decision:
    """Keep a candidate that is better on the held-out regions, and roll back one that is worse.

    Both by the interval of the change, as the window's verdict (`verdict_of`). Where it tells neither, the candidate
    waits for a person to decide; the current model stays. The first model that has learned anything is in use already,
    and one whose figure is no number is rolled back.
    """
    if project.models.get(candidate.model_id).status is ModelStatus.CURRENT:
        return "kept"
    verdict = verdict_of(candidate)
    if verdict is Verdict.WORSE or (candidate.new_dice is not None and math.isnan(candidate.new_dice)):
        roll_back(project, candidate.model_id)
        return "rolled back"
    if verdict is Verdict.BETTER:
        keep(project, candidate.model_id)
        return "kept"
    return "waits"


def _check_open(project: Project, model_id: int) -> None:
    if project.models.get(model_id).status is not ModelStatus.CANDIDATE:
        raise ProjectError(tr("This model was decided about already."), advice=tr("Retrain to get a new candidate."))
