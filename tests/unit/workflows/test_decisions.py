"""The figures decide about a retrained model, or a person does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histoloop.errors import ProjectError
from histoloop.store.records import ModelStatus
from histoloop.workflows.contents.rounds import CandidateModel
from histoloop.workflows.decisions import decide_by_figures, use_again

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.store.project import Project


@pytest.mark.parametrize(
    ("old", "new", "change", "held_out", "decision", "status"),
    [
        (0.5, 0.75, (0.02, 0.48), 3, "kept", ModelStatus.CURRENT),
        (0.5, 0.75, (-0.02, 0.52), 3, "waits", ModelStatus.CANDIDATE),
        (0.5, 0.75, (-0.02, 0.52), 30, "waits", ModelStatus.CANDIDATE),
        (0.5, 0.75, None, 1, "waits", ModelStatus.CANDIDATE),
        (0.5, 0.49, (-0.05, 0.03), 9, "waits", ModelStatus.CANDIDATE),
        (0.5, 0.49, (-0.015, -0.005), 9, "rolled back", ModelStatus.ROLLED_BACK),
        (0.5, float("nan"), None, 3, "rolled back", ModelStatus.ROLLED_BACK),
        (None, None, None, 0, "waits", ModelStatus.CANDIDATE),
    ],
)
def test_a_candidate_is_kept_or_rolled_back_only_where_the_interval_lies_on_one_side_of_zero(
    project: Project,
    old: float | None,
    new: float | None,
    change: tuple[float, float] | None,
    held_out: int,
    decision: str,
    status: ModelStatus,
) -> None:
    before = project.models.current()
    made = project.models.add("round-001-00000000", hash="x", parent=before.id, round=1)
    candidate = CandidateModel(made.id, 1, old, new, held_out=held_out, annotations=5, change=change)
    assert decide_by_figures(project, candidate) == decision
    assert project.models.get(made.id).status is status
    assert (project.models.current().id == before.id) is (status is not ModelStatus.CURRENT)


def test_a_model_of_an_earlier_round_is_used_again_once_nothing_waits(
    project: Project, make_model: Callable[..., Path]
) -> None:
    before = project.models.current()
    set_aside = make_model(project.models.folder / "round-001-00000000")
    earlier = project.models.add(set_aside.name, hash="x", parent=before.id, round=1, status=ModelStatus.ROLLED_BACK)
    waiting = project.models.add("round-002-00000000", hash="y", parent=before.id, round=2)
    with pytest.raises(ProjectError, match="waits for a decision"):
        use_again(project, earlier.id)
    project.models.set_status(waiting.id, ModelStatus.ROLLED_BACK)
    use_again(project, earlier.id)
    assert project.models.current().id == earlier.id
    assert project.models.get(before.id).status is ModelStatus.KEPT
