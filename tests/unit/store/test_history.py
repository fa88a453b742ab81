"""What a person did is taken back and done again: across regions, by person, and after the project was closed."""

from __future__ import annotations

import numpy as np
import pytest

from histoloop.annotations.records import AnnotationStatus, Origin, Patch, QueryStatus
from histoloop.geometry import Region
from histoloop.store.project import Project
from histoloop.store.project_database import Database
from histoloop.store.records import AssessedStep, NewQuery, PaintedStep, StepKind

DONE, DRAFT = AnnotationStatus.DONE, AnnotationStatus.DRAFT
SKIPPED, CANNOT_TELL = AnnotationStatus.SKIPPED, AnnotationStatus.CANNOT_TELL


def stroke(value: int = 2, x: int = 1) -> Patch:
    return Patch(x, 2, np.full((3, 4), value, np.uint8))


def painted(project: Project, annotation_id: int) -> int:
    """How many pixels of a draft are not background."""
    return int((project.annotations.load_mask(annotation_id)[0] > 0).sum())


@pytest.fixture
def query(project, slide):
    (record,) = project.queries.add([NewQuery(slide.id, Region(0, 0, 12, 9), "entropy", 0.6, 1, {}, "benign")])
    return record


@pytest.mark.parametrize(
    ("status", "answered"),
    [(DONE, QueryStatus.ANNOTATED), (SKIPPED, QueryStatus.SKIPPED), (CANNOT_TELL, QueryStatus.CANNOT_TELL)],
)
def test_what_ended_a_draft_is_taken_back_with_its_strokes_label_and_query(project, start, query, status, answered):
    draft = start(query_id=query.id)
    project.drafts.append_patch(draft.id, stroke())
    project.drafts.assess(draft.id, label="benign", size=0.5)
    project.drafts.finish(draft.id, status)
    step = project.history.undo("Ada")
    assert (step.kind, step.annotation_id, step.status, step.undone) == (StepKind.ENDED, draft.id, status, True)
    again = project.annotations.get(draft.id)
    assert (again.status, again.label, again.size, again.has_mask) == (DRAFT, "benign", 0.5, False)
    assert painted(project, draft.id) == 12
    assert project.queries.get(query.id).status is QueryStatus.OPEN
    assert project.annotations.finished() == []
    step = project.history.redo("Ada")
    assert (step.annotation_id, step.undone) == (draft.id, False)
    assert project.annotations.get(draft.id).status is status
    assert project.queries.get(query.id).status is answered


def test_taking_back_goes_from_the_last_step_to_the_first_whatever_the_region(project, start):
    one, two = start(0), start(1)
    project.drafts.append_patch(one.id, stroke())
    project.drafts.append_patch(two.id, stroke())
    project.drafts.assess(one.id, label="benign", size=None)
    project.drafts.finish(two.id, DONE)
    taken = [project.history.undo("Ada") for _step in range(5)]
    assert [(step.kind, step.annotation_id) for step in taken[:4]] == [
        (StepKind.ENDED, two.id),
        (StepKind.ASSESSED, one.id),
        (StepKind.PAINTED, two.id),
        (StepKind.PAINTED, one.id),
    ]
    assert taken[4] is None
    assert (painted(project, one.id), painted(project, two.id)) == (0, 0)
    assert project.annotations.get(one.id).label is None
    again = [project.history.redo("Ada") for _step in range(5)]
    assert [step.id for step in again[:4]] == [step.id for step in reversed(taken[:4])]
    assert again[4] is None
    assert project.annotations.get(two.id).status is DONE
    assert project.annotations.get(one.id).label == "benign"


def test_nothing_is_done_again_once_something_else_was_done(project, start):
    draft = start()
    project.drafts.append_patch(draft.id, stroke(1))
    project.history.undo("Ada")
    project.drafts.append_patch(draft.id, stroke(2))
    assert project.history.redo("Ada") is None
    assert set(np.unique(project.annotations.load_mask(draft.id)[0])) == {0, 2}


def test_history_is_of_a_person_and_outlives_the_program(project, start):
    mine, theirs = start(0), start(1, person="Bo")
    project.drafts.append_patch(mine.id, stroke())
    project.drafts.finish(mine.id, DONE)
    project.drafts.append_patch(theirs.id, stroke())
    project.close()
    with Project.open(project.folder) as again:
        assert again.history.to_undo("Ada").annotation_id == mine.id
        assert again.history.to_undo("Cy") is None
        assert again.history.undo("Ada").status is DONE
        assert painted(again, theirs.id) == 12


def test_a_pixel_whose_stroke_was_taken_back_was_touched_by_nobody(project, start):
    draft = start()
    project.drafts.append_patch(draft.id, stroke())
    project.history.undo_in(draft.id)
    mask, origin = project.annotations.load_mask(draft.id)
    assert not mask.any()
    assert (origin == Origin.UNTOUCHED).all()


def test_steps_of_a_draft_say_what_was_there_before_them(project, start):
    draft = start(value=1)
    project.drafts.append_patch(draft.id, stroke(2))
    project.drafts.assess(draft.id, label="benign", size=0.25)
    project.drafts.append_patch(draft.id, stroke(0, x=2))
    project.history.undo_in(draft.id)
    steps = project.drafts.steps(draft.id)
    first, second = steps.done
    (third,) = steps.undone
    assert isinstance(first, PaintedStep)
    assert isinstance(third, PaintedStep)
    assert second == AssessedStep((None, None), ("benign", 0.25))
    assert (first.before.values == 1).all()
    assert (first.after.values == 2).all()
    assert np.array_equal(third.before.values, np.array([[2, 2, 2, 1]] * 3))
    assert (third.after.values == 0).all()
    project.history.redo_in(draft.id)
    assert project.drafts.steps(draft.id).undone == ()


def test_the_last_patch_of_a_finish_goes_with_it_and_leaves_the_strokes(project, start):
    draft = start()
    project.drafts.append_patch(draft.id, stroke())
    done = project.drafts.finish(draft.id, DONE, last_patch=Patch(0, 0, np.ones((9, 12), np.uint8)))
    assert (project.annotations.load_mask(done.id)[0] == 1).all()
    project.history.undo("Ada")
    assert painted(project, draft.id) == 12
    project.history.redo("Ada")
    assert (project.annotations.load_mask(done.id)[0] == 1).all()


def test_what_was_finished_before_counts_again_when_what_replaced_it_is_taken_back(project, start):
    first = start(value=1)
    project.drafts.finish(first.id, DONE)
    second = project.drafts.reopen(first.id)
    project.drafts.append_patch(second.id, stroke())
    project.drafts.finish(second.id, DONE)
    assert [record.id for record in project.annotations.finished()] == [second.id]
    project.history.undo("Ada")
    assert [record.id for record in project.annotations.finished()] == [first.id]


def test_a_held_out_region_stays_held_out_when_it_is_taken_back_and_others_are_done_meanwhile(project, start):
    drafts = [start(number) for number in range(5)]
    for draft in drafts[:3]:
        project.drafts.finish(draft.id, DONE)
    assert project.annotations.get(drafts[2].id).held_out
    project.history.undo("Ada")
    over = start(region=Region(45, 3, 12, 9))
    assert project.drafts.finish(over.id, DONE).held_out  # it shares pixels with a region that judges
    assert not project.drafts.finish(drafts[3].id, DONE).held_out
    assert project.drafts.finish(drafts[2].id, DONE).held_out


def test_a_query_left_out_is_taken_back_unless_somebody_answered_it_since(project, query):
    project.queries.leave_out(query.id, QueryStatus.SKIPPED, person="Ada")
    assert project.history.undo("Ada").status is SKIPPED
    assert project.queries.get(query.id).status is QueryStatus.OPEN
    assert project.history.redo("Ada").query_id == query.id
    project.queries.set_status(query.id, QueryStatus.ANNOTATED)
    assert project.history.undo("Ada") is None
    assert project.queries.get(query.id).status is QueryStatus.ANNOTATED


def test_what_was_done_on_a_slide_that_was_removed_is_passed_over(project, slide, start):
    draft = start()
    project.drafts.append_patch(draft.id, stroke())
    project.slides.remove(slide.id)
    assert project.history.to_undo("Ada") is None


def test_label_and_size_alone_are_taken_back_with_the_strokes_that_were_set_aside(project, start):
    draft = start()
    project.drafts.append_patch(draft.id, stroke())
    project.drafts.finish(draft.id, DONE, label="benign", with_mask=False)
    project.history.undo("Ada")
    assert painted(project, draft.id) == 12
    assert project.drafts.finish(draft.id, DONE).has_mask


@pytest.mark.parametrize("steps", range(1, 9))
def test_any_number_of_steps_back_and_forth_gives_what_was_there(project, start, steps):
    draft = start()
    random = np.random.default_rng(steps)
    states = [project.annotations.load_mask(draft.id)]
    for _step in range(steps):
        x, y, value = (int(random.integers(most)) for most in (8, 6, 3))
        project.drafts.append_patch(draft.id, Patch(x, y, np.full((3, 4), value, np.uint8)))
        states.append(project.annotations.load_mask(draft.id))
    for mask, origin in reversed(states[:-1]):
        project.history.undo("Ada")
        assert all(map(np.array_equal, project.annotations.load_mask(draft.id), (mask, origin)))
    for mask, origin in states[1:]:
        project.history.redo("Ada")
        assert all(map(np.array_equal, project.annotations.load_mask(draft.id), (mask, origin)))


def test_finishing_that_fails_leaves_the_draft_and_no_files(project, start, monkeypatch):
    draft = start(value=1)
    project.drafts.append_patch(draft.id, stroke())
    before = sorted(path.name for path in project.annotations.folder.iterdir())

    def full(*_arguments, **_columns):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Database, "update", full)
        with pytest.raises(OSError, match="No space left"):
            project.drafts.finish(draft.id, DONE)
    assert sorted(path.name for path in project.annotations.folder.iterdir()) == before
    assert project.annotations.get(draft.id).status is DRAFT
    assert project.history.to_undo("Ada").kind is StepKind.PAINTED
    assert project.drafts.finish(draft.id, DONE).has_mask
