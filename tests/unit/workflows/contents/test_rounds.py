"""A retrained model is decided about once: kept or rolled back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histoloop.errors import ProjectError
from histoloop.store.project import Project
from histoloop.store.records import ModelStatus
from histoloop.workflows.contents.rounds import CandidateModel, Measured, measured_rounds, open_candidate
from histoloop.workflows.decisions import keep, roll_back

if TYPE_CHECKING:
    from collections.abc import Callable

FIGURES = {"dice_before": 0.61, "dice": 0.74, "held_out": 2.0, "loss": 0.3}


def retrained(project: Project, figures: dict[str, float] | None = None, *, annotations: int = 6) -> int:
    """What a retraining leaves behind: a candidate and its round; the candidate's id."""
    parent = project.models.current().id
    number = len(project.rounds.all()) + 1
    model = project.models.add(f"round-{number}", hash=f"hash-{number}", parent=parent, round=number)
    project.rounds.add(model.id, parent, FIGURES if figures is None else figures, annotations)
    return model.id


def statuses(project: Project) -> list[ModelStatus]:
    return [model.status for model in project.models.all()]


def test_before_the_first_retraining_there_is_nothing_to_decide(project: Project) -> None:
    assert open_candidate(project) is None


def test_the_candidate_of_the_last_round_waits_for_a_decision_with_its_figures(project: Project) -> None:
    model_id = retrained(project)
    assert open_candidate(project) == CandidateModel(
        model_id, round=1, old_dice=0.61, new_dice=0.74, held_out=2, annotations=6
    )


def test_the_dice_of_classes_comes_with_the_candidate_where_it_was_measured(project: Project) -> None:
    figures = {"dice_before": 0.61, "dice": 0.74, "class_dice_before": 0.4, "class_dice": 0.7, "held_out": 2}
    retrained(project, figures)
    candidate = open_candidate(project)
    assert candidate is not None
    assert (candidate.old_class_dice, candidate.new_class_dice) == (0.4, 0.7)


def test_without_held_out_annotations_there_is_no_dice(project: Project) -> None:
    retrained(project, {"loss": 0.3}, annotations=2)
    candidate = open_candidate(project)
    assert candidate is not None
    assert (candidate.old_dice, candidate.new_dice, candidate.held_out) == (None, None, 0)


def test_keeping_makes_the_candidate_current_and_keeps_the_one_before(project: Project) -> None:
    model_id = retrained(project)
    keep(project, model_id)
    assert project.models.current().id == model_id
    assert statuses(project) == [ModelStatus.KEPT, ModelStatus.CURRENT]
    assert open_candidate(project) is None


def test_rolling_back_leaves_the_current_model_and_sets_the_candidate_aside(project: Project) -> None:
    first = project.models.current().id
    model_id = retrained(project)
    roll_back(project, model_id)
    assert project.models.current().id == first
    assert statuses(project) == [ModelStatus.CURRENT, ModelStatus.ROLLED_BACK]
    assert open_candidate(project) is None


@pytest.mark.parametrize("first", [keep, roll_back])
@pytest.mark.parametrize("second", [keep, roll_back])
def test_deciding_twice_is_refused_and_changes_nothing(
    project: Project, first: Callable[[Project, int], None], second: Callable[[Project, int], None]
) -> None:
    model_id = retrained(project)
    first(project, model_id)
    before = statuses(project)
    with pytest.raises(ProjectError, match="decided about already") as caught:
        second(project, model_id)
    assert "Retrain" in caught.value.advice
    assert statuses(project) == before


@pytest.mark.parametrize("decide", [keep, roll_back])
def test_the_model_that_the_project_began_with_is_no_candidate(
    project: Project, decide: Callable[[Project, int], None]
) -> None:
    with pytest.raises(ProjectError):
        decide(project, project.models.current().id)
    assert statuses(project) == [ModelStatus.CURRENT]


def test_after_a_roll_back_the_next_round_is_decided_about(project: Project) -> None:
    first = retrained(project)
    roll_back(project, first)
    second = retrained(project, annotations=9)
    candidate = open_candidate(project)
    assert candidate is not None
    assert (candidate.model_id, candidate.round, candidate.annotations) == (second, 2, 9)
    keep(project, second)
    assert statuses(project) == [ModelStatus.KEPT, ModelStatus.ROLLED_BACK, ModelStatus.CURRENT]


def test_a_candidate_is_still_open_after_the_project_was_closed_and_opened(project: Project) -> None:
    model_id = retrained(project)
    with Project.open(project.folder) as again:
        candidate = open_candidate(again)
        assert candidate is not None
        keep(again, candidate.model_id)
    assert project.models.current().id == model_id


def test_rounds_that_were_measured_make_the_learning_curve(project: Project) -> None:
    retrained(project, {"loss": 0.3}, annotations=2)
    roll_back(project, project.models.all()[-1].id)
    retrained(project, annotations=5)
    roll_back(project, project.models.all()[-1].id)
    assert measured_rounds(project) == [Measured(round=2, annotations=5, dice=0.74, held_out=2)]
