"""Regions of which the strokes alone count: what is kept of them, taken back, reopened."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from histoloop.annotations.records import AnnotationStatus, Counts, Origin, Patch
from histoloop.errors import ProjectError
from histoloop.store.project import DATABASE, Project
from histoloop.store.records import CountedStep, PaintedStep

DONE = AnnotationStatus.DONE
STROKES, REGION = Counts.STROKES, Counts.REGION


def stroke(value: int = 2, origin: Origin = Origin.HUMAN) -> Patch:
    return Patch(1, 2, np.full((3, 4), value, np.uint8), np.full((3, 4), origin, np.uint8))


def origins(project: Project, annotation_id: int) -> dict[int, int]:
    """How many pixels come from where."""
    values, counts = np.unique(project.annotations.load_mask(annotation_id)[1], return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def test_a_region_counts_as_a_whole_unless_something_else_is_said(project, start):
    assert start().counts is REGION
    assert start(1, counts=STROKES).counts is STROKES


def test_of_strokes_that_are_done_all_else_is_left_out_and_background_in_the_mask(project, start):
    draft = start(value=1, counts=STROKES)
    project.drafts.append_patch(draft.id, stroke(value=2))
    done = project.drafts.finish(draft.id, DONE)
    mask, _origin = project.annotations.load_mask(done.id)
    assert done.counts is STROKES
    assert sorted(np.unique(mask).tolist()) == [0, 2]
    assert np.count_nonzero(mask == 2) == 12
    assert origins(project, done.id) == {Origin.HUMAN: 12, Origin.LEFT_OUT: 96}


def test_a_stroke_of_background_counts(project, start):
    draft = start(value=1, counts=STROKES)
    project.drafts.append_patch(draft.id, stroke(value=0))
    done = project.drafts.finish(draft.id, DONE)
    assert not project.annotations.load_mask(done.id)[0].any()
    assert origins(project, done.id)[Origin.HUMAN] == 12


def test_a_stroke_of_what_is_predicted_counts(project, start):
    draft = start(value=1, counts=STROKES)
    project.drafts.append_patch(draft.id, stroke(value=1))
    done = project.drafts.finish(draft.id, DONE)
    assert origins(project, done.id)[Origin.HUMAN] == 12


def test_strokes_without_any_are_not_done_and_the_words_say_why(project, start):
    draft = start(counts=STROKES)
    with pytest.raises(ProjectError, match="Nothing is painted in this region") as refused:
        project.drafts.finish(draft.id, DONE)
    assert refused.value.advice == "Paint something, or let the whole region count."
    assert project.annotations.get(draft.id).status is AnnotationStatus.DRAFT
    assert project.drafts.finish(draft.id, DONE, label="benign", with_mask=False).has_mask is False


def test_what_counts_is_taken_back_and_done_again_after_the_project_was_closed(project, start):
    draft = start()
    project.drafts.append_patch(draft.id, stroke())
    project.drafts.count(draft.id, STROKES)
    project.close()
    with Project.open(project.folder) as again:
        steps = again.drafts.steps(draft.id)
        assert [type(step) for step in steps.done] == [PaintedStep, CountedStep]
        assert steps.done[1] == CountedStep(REGION, STROKES)
        again.history.undo("Ada")
        assert again.annotations.get(draft.id).counts is REGION
        assert [type(step) for step in again.drafts.steps(draft.id).undone] == [CountedStep]
        again.history.redo_in(draft.id)
        assert again.annotations.get(draft.id).counts is STROKES


def test_steps_of_strokes_have_the_origins_of_before_and_after(project, start):
    draft = start(value=2, counts=STROKES)
    project.drafts.append_patch(draft.id, stroke(value=2))
    (step,) = project.drafts.steps(draft.id).done
    assert np.unique(step.before.origins).tolist() == [Origin.UNTOUCHED]
    assert np.unique(step.after.origins).tolist() == [Origin.HUMAN]


def test_what_was_done_is_a_draft_of_strokes_again_when_it_is_taken_back(project, start):
    draft = start(value=1, counts=STROKES)
    project.drafts.append_patch(draft.id, stroke())
    project.drafts.finish(draft.id, DONE)
    project.history.undo("Ada")
    assert project.annotations.get(draft.id).counts is STROKES
    assert origins(project, draft.id) == {Origin.UNTOUCHED: 96, Origin.HUMAN: 12}
    project.history.redo("Ada")
    assert origins(project, draft.id) == {Origin.LEFT_OUT: 96, Origin.HUMAN: 12}


def test_the_whole_region_is_accepted_and_taken_back_to_strokes(project, start):
    draft = start(value=1, counts=STROKES)
    done = project.drafts.finish(draft.id, DONE, counts=REGION)
    assert (done.counts, origins(project, draft.id)) == (REGION, {Origin.ACCEPTED: 108})
    project.history.undo("Ada")
    assert project.annotations.get(draft.id).counts is STROKES
    project.history.redo("Ada")
    assert project.annotations.get(draft.id).counts is REGION


def test_reopened_strokes_go_on_from_what_lay_beneath_them_and_can_become_the_whole_region(project, start):
    draft = start(value=1, counts=STROKES)
    project.drafts.append_patch(draft.id, stroke(value=2))
    project.drafts.finish(draft.id, DONE)
    again = project.drafts.reopen(draft.id)
    assert again.counts is STROKES
    assert origins(project, again.id) == {Origin.UNTOUCHED: 96, Origin.HUMAN: 12}
    project.drafts.count(again.id, REGION)
    whole = project.drafts.finish(again.id, DONE)
    mask, _origin = project.annotations.load_mask(whole.id)
    assert (np.count_nonzero(mask == 1), np.count_nonzero(mask == 2)) == (96, 12)
    assert origins(project, whole.id) == {Origin.ACCEPTED: 96, Origin.HUMAN: 12}


def test_reopened_strokes_count_in_place_of_those_before(project, start):
    draft = start(counts=STROKES)
    project.drafts.append_patch(draft.id, stroke(value=2))
    project.drafts.finish(draft.id, DONE)
    again = project.drafts.reopen(draft.id)
    project.drafts.append_patch(again.id, stroke(value=1))
    done = project.drafts.finish(again.id, DONE)
    assert [record.id for record in project.annotations.finished()] == [done.id]
    assert np.unique(project.annotations.load_mask(done.id)[0]).tolist() == [0, 1]


def test_a_label_given_later_leaves_the_strokes_what_they_are(project, start):
    draft = start(counts=STROKES)
    project.drafts.append_patch(draft.id, stroke())
    done = project.drafts.finish(draft.id, DONE)
    labelled = project.annotations.add(done.slide_id, done.region, label="benign", size=None, person="Bo")
    assert (labelled.counts, labelled.has_mask) == (STROKES, True)


def test_all_that_a_project_of_version_4_holds_counts_as_a_whole(tmp_path):
    folder = tmp_path / "old"
    for part in (folder, folder / "masks", folder / "maps", folder / "models"):
        part.mkdir()
    dump = Path(__file__).parent / "schemas" / "version-4.sql"
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        database.executescript(dump.read_text(encoding="utf-8"))
        steps = database.execute("SELECT id, kind, created FROM step ORDER BY id").fetchall()
    with Project.open(folder) as project:
        (record,) = project.annotations.all()
        assert record.counts is REGION
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        assert database.execute("SELECT id, kind, created FROM step ORDER BY id").fetchall() == steps
        assert database.execute("SELECT deleted FROM annotation").fetchall() == [(None,)]
        assert all(row == (None,) for row in database.execute("SELECT origins FROM patch"))
