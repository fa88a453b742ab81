"""Annotations that are deleted count no longer, and come back when that is taken back."""

from __future__ import annotations

import numpy as np
import pytest

from histoloop.annotations.records import AnnotationStatus, Patch, QueryStatus
from histoloop.geometry import Region
from histoloop.store.project import Project
from histoloop.store.records import NewQuery, StepKind

DONE = AnnotationStatus.DONE


def stroke(value: int = 2) -> Patch:
    return Patch(1, 2, np.full((3, 4), value, np.uint8))


@pytest.fixture
def done(project, start):
    """Do the n-th region, painted."""

    def do(number=0, **options):
        draft = start(number, **options)
        project.drafts.append_patch(draft.id, stroke())
        return project.drafts.finish(draft.id, DONE)

    return do


def listed(project: Project) -> list[int]:
    return sorted(record.id for record in project.annotations.listed())


def test_what_is_deleted_counts_no_longer_and_its_files_stay(project, done):
    one, two = done(0), done(1)
    files = sorted(path.name for path in project.annotations.folder.iterdir())
    project.deletions.delete([one.id], person="Ada")
    assert [record.id for record in project.annotations.finished()] == [two.id]
    assert [record.id for record in project.annotations.all()] == [two.id]
    assert listed(project) == [two.id]
    assert sorted(path.name for path in project.annotations.folder.iterdir()) == files


def test_nothing_that_was_held_out_and_deleted_judges_a_model(project, done):
    records = [done(number) for number in range(3)]
    assert [record.held_out for record in records] == [False, False, True]
    project.deletions.delete([records[2].id], person="Ada")
    assert not any(record.held_out for record in project.annotations.with_mask())


def test_with_a_region_go_the_versions_that_were_done_of_it_before(project, done):
    first = done()
    again = project.drafts.reopen(first.id)
    project.drafts.append_patch(again.id, stroke(1))
    second = project.drafts.finish(again.id, DONE)
    project.deletions.delete([second.id], person="Ada")
    assert project.annotations.finished() == []
    project.history.undo("Ada")
    assert [record.id for record in project.annotations.finished()] == [second.id]


def test_several_are_deleted_in_one_step_which_is_taken_back_after_the_project_was_closed(project, done):
    ids = [done(number).id for number in range(3)]
    project.deletions.delete(ids[:2], person="Ada")
    project.close()
    with Project.open(project.folder) as again:
        step = again.history.undo("Ada")
        assert (step.kind, step.undone) == (StepKind.DELETED, True)
        assert listed(again) == ids
        again.history.redo("Ada")
        assert listed(again) == ids[2:]


def test_a_question_whose_answer_is_deleted_may_be_asked_anew_and_is_answered_again_when_that_is_taken_back(
    project, slide, done
):
    (query,) = project.queries.add([NewQuery(slide.id, Region(0, 0, 12, 9), "entropy", 0.6, 1, {}, "benign")])
    record = done(query_id=query.id)
    project.deletions.delete([record.id], person="Ada")
    assert project.queries.get(query.id).status is QueryStatus.SUPERSEDED
    project.history.undo("Ada")
    assert project.queries.get(query.id).status is QueryStatus.ANNOTATED


def test_a_draft_that_is_deleted_is_not_gone_on_with(project, slide, start):
    draft = start()
    project.drafts.append_patch(draft.id, stroke())
    project.deletions.delete([draft.id], person="Ada")
    assert project.drafts.find(slide.id, draft.region) is None
    assert project.drafts.begun(slide.id) == []
    assert listed(project) == []


def test_what_was_done_in_an_annotation_that_is_deleted_is_not_taken_back(project, done):
    record = done()
    project.deletions.delete([record.id], person="Bo")
    assert project.history.undo("Ada") is None
    project.history.undo("Bo")
    assert project.history.undo("Ada").annotation_id == record.id


def test_deleting_what_is_deleted_is_no_step(project, done):
    record = done()
    project.deletions.delete([record.id], person="Ada")
    project.deletions.delete([record.id], person="Ada")
    project.history.undo("Ada")
    assert listed(project) == [record.id]


def test_a_mask_of_a_deleted_annotation_comes_with_no_label_given_later(project, done):
    record = done()
    project.deletions.delete([record.id], person="Ada")
    labelled = project.annotations.add(record.slide_id, record.region, label="benign", size=None, person="Bo")
    assert not labelled.has_mask


def test_a_region_done_in_the_place_of_a_deleted_one_goes_where_that_one_went(project, done):
    held_out = [done(number) for number in range(3)][2]
    project.deletions.delete([held_out.id], person="Ada")
    assert done(2).held_out is True


def test_the_list_has_drafts_with_work_and_how_each_region_ended(project, start, done):
    empty, skipped = start(0), start(1)
    project.drafts.finish(skipped.id, AnnotationStatus.SKIPPED)
    finished = done(2)
    reopened = project.drafts.reopen(finished.id)
    assert listed(project) == [skipped.id, finished.id]
    project.drafts.append_patch(reopened.id, stroke(1))
    assert listed(project) == [skipped.id, finished.id, reopened.id]
    project.drafts.append_patch(empty.id, stroke(1))
    assert empty.id in listed(project)
    done(1)
    assert skipped.id not in listed(project)
