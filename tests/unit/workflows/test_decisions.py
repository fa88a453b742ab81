"""The figures decide about a retrained model, or a person does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histoloop.store.records import ModelStatus
from histoloop.workflows.contents.rounds import CandidateModel
from histoloop.workflows.decisions import decide_by_figures

if TYPE_CHECKING:
    from histoloop.store.project import Project


@pytest.mark.parametrize(
    ("old", "new", "decision", "status"),
    [
        (0.5, 0.75, "kept", ModelStatus.CURRENT),
        (0.5, 0.5, "kept", ModelStatus.CURRENT),
        (0.5, 0.49, "rolled back", ModelStatus.ROLLED_BACK),
        (0.5, float("nan"), "rolled back", ModelStatus.ROLLED_BACK),
        (None, None, "waits", ModelStatus.CANDIDATE),
    ],
)
def test_a_candidate_is_kept_only_if_it_is_not_worse_on_held_out_regions(
    project: Project, old: float | None, new: float | None, decision: str, status: ModelStatus
) -> None:
    before = project.models.current()
    made = project.models.add("round-001-00000000", hash="x", parent=before.id, round=1)
    held_out = 0 if old is None else 3
    candidate = CandidateModel(made.id, 1, old, new, held_out=held_out, annotations=5)
    assert decide_by_figures(project, candidate) == decision
    assert project.models.get(made.id).status is status
    assert (project.models.current().id == before.id) is (status is not ModelStatus.CURRENT)
