from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from histoloop.annotations.records import AnnotationStatus, Origin, Patch, QueryStatus
from histoloop.errors import ProjectError
from histoloop.geometry import Region
from histoloop.store.project import Project
from histoloop.store.project_annotations import is_held_out
from histoloop.store.records import NewQuery

DONE = AnnotationStatus.DONE


def patch(x=1, y=2, height=3, width=4, value=1):
    return Patch(x, y, np.full((height, width), value, np.uint8))


def ask(project, slide):
    return project.add_queries([NewQuery(slide.id, Region(0, 0, 12, 9), "random", 0.0, 1, {}, "")])[0]


def test_a_draft_starts_from_the_mask_given(project, slide, start):
    mask = np.arange(108, dtype=np.uint8).reshape(9, 12) % 3
    draft = start(mask=mask, origin_model="abc")
    loaded, origin = project.load_mask(draft.id)
    assert np.array_equal(loaded, mask)
    assert (origin == Origin.UNTOUCHED).all()
    assert (draft.slide_id, draft.region, draft.mask_downsample) == (slide.id, Region(0, 0, 12, 9), 1.0)
    assert (draft.status, draft.person, draft.model_hash, draft.held_out) == ("draft", "Ada", "abc", False)


def test_a_mask_drawn_elsewhere_is_human_from_the_start(project, start):
    _, origin = project.load_mask(start(origin=Origin.HUMAN).id)
    assert (origin == Origin.HUMAN).all()


def test_a_mask_may_be_coarser_than_the_region(project, start):
    draft = start(region=Region(0, 0, 48, 36))
    project.append_patch(draft.id, patch())
    assert draft.mask_downsample == 4.0
    assert project.load_mask(draft.id)[0].shape == (9, 12)


@pytest.mark.parametrize("shape", [(9, 11), (12, 9), (18, 24), (0, 12), (9,), (9, 12, 1)])
def test_a_mask_that_is_not_the_regions_is_refused(start, shape):
    with pytest.raises(ValueError, match="mask"):
        start(mask=np.zeros(shape, np.uint8))


@pytest.mark.parametrize("mask", [np.zeros((9, 12), np.int64), np.full((9, 12), 3, np.uint8)])
def test_values_outside_the_scheme_are_refused(start, mask):
    with pytest.raises(ValueError, match="mask"):
        start(mask=mask)


def test_an_annotation_of_a_slide_that_is_not_there_is_refused(project, start):
    with pytest.raises(ValueError, match="99"):
        project.start_annotation(
            99, Region(0, 0, 1, 1), mask=np.zeros((1, 1), np.uint8), origin_model=None, person="Ada"
        )
    assert not list(project.masks_folder.iterdir())


def test_patches_are_replayed_and_only_what_changed_is_human(project, start):
    draft = start(value=1)
    project.append_patch(draft.id, patch(value=1))
    project.append_patch(draft.id, patch(x=5, y=5, height=1, width=1, value=2))
    mask, origin = project.load_mask(draft.id)
    expected = np.ones((9, 12), np.uint8)
    expected[5, 5] = 2
    assert np.array_equal(mask, expected)
    assert np.array_equal(origin == Origin.HUMAN, expected == 2)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_journal_gives_the_mask_that_was_painted(project, start, data):
    draft = start()
    painted = np.zeros((9, 12), np.uint8)
    for _ in range(data.draw(st.integers(0, 5))):
        x, y = data.draw(st.integers(0, 11)), data.draw(st.integers(0, 8))
        width, height = data.draw(st.integers(1, 12 - x)), data.draw(st.integers(1, 9 - y))
        change = patch(x, y, height, width, data.draw(st.integers(0, 2)))
        project.append_patch(draft.id, change)
        painted[y : y + height, x : x + width] = change.values
    assert np.array_equal(project.load_mask(draft.id)[0], painted)
    project.finish_annotation(draft.id, DONE)
    assert np.array_equal(project.load_mask(draft.id)[0], painted)


def test_a_part_of_a_larger_mask_can_be_a_patch(project, start):
    draft = start()
    larger = np.arange(200, dtype=np.uint8).reshape(10, 20) % 3
    project.append_patch(draft.id, Patch(0, 0, larger[1:8:2, 3:9:2]))
    assert np.array_equal(project.load_mask(draft.id)[0][:4, :3], larger[1:8:2, 3:9:2])


@pytest.mark.parametrize("wrong", [patch(x=-1), patch(y=-1), patch(x=9), patch(y=7), patch(value=3)])
def test_a_patch_that_does_not_fit_is_refused(project, start, wrong):
    draft = start()
    with pytest.raises(ValueError, match="mask"):
        project.append_patch(draft.id, wrong)
    assert not project.load_mask(draft.id)[0].any()


def test_what_nobody_touched_of_a_finished_mask_is_accepted(project, start):
    draft = start(value=1)
    project.append_patch(draft.id, patch(value=2))
    record = project.finish_annotation(draft.id, DONE, label="benign", size=0.25)
    mask, origin = project.load_mask(draft.id)
    assert (record.status, record.label, record.size) == (DONE, "benign", 0.25)
    assert np.array_equal(origin == Origin.HUMAN, mask == 2)
    assert np.array_equal(origin == Origin.ACCEPTED, mask == 1)


@pytest.mark.parametrize(
    ("status", "query_status"),
    [
        (AnnotationStatus.DONE, QueryStatus.ANNOTATED),
        (AnnotationStatus.SKIPPED, QueryStatus.SKIPPED),
        (AnnotationStatus.CANNOT_TELL, QueryStatus.CANNOT_TELL),
    ],
)
def test_a_finished_annotation_closes_its_query(project, slide, start, status, query_status):
    query = ask(project, slide)
    draft = start(query_id=query.id)
    assert project.queries() == [query]
    assert project.finish_annotation(draft.id, status).status is status
    assert project.query(query.id).status is query_status


@pytest.mark.parametrize("status", [AnnotationStatus.SKIPPED, AnnotationStatus.CANNOT_TELL])
def test_what_was_not_answered_trains_nothing_but_is_kept(project, start, status):
    draft = start()
    project.append_patch(draft.id, patch())
    project.finish_annotation(draft.id, status)
    assert project.training_annotations() == []
    assert project.load_mask(draft.id)[0].any()


@pytest.mark.parametrize("options", [{"label": "sarcoma"}, {"size": -0.1}, {"size": 1.1}, {"size": float("nan")}])
def test_a_label_or_size_that_cannot_be_is_refused(project, start, options):
    draft = start()
    with pytest.raises(ValueError, match=r"label|size"):
        project.finish_annotation(draft.id, DONE, **options)
    assert project.annotation(draft.id).status is AnnotationStatus.DRAFT


# --- labels and sizes -------------------------------------------------------------------------------------------------


def test_a_region_may_be_done_with_a_label_and_a_size_and_no_mask(project, slide, start):
    query = ask(project, slide)
    draft = start(value=1, query_id=query.id, origin_model="abc")
    project.append_patch(draft.id, patch(value=2))

    record = project.finish_annotation(draft.id, DONE, label="benign", size=0.4, with_mask=False)

    assert (record.status, record.label, record.size, record.has_mask) == (DONE, "benign", 0.4, False)
    assert (record.mask_downsample, record.model_hash) == (None, None)
    assert project.query(query.id).status is QueryStatus.ANNOTATED
    assert project.finished_annotations() == [record]
    assert project.training_annotations() == []
    with pytest.raises(ValueError, match="without a mask"):
        project.load_mask(record.id)


@pytest.mark.parametrize("said", [{"label": "benign"}, {"size": 0.0}, {"size": 1.0}])
def test_a_label_or_a_size_alone_is_enough(project, start, said):
    record = project.finish_annotation(start().id, DONE, with_mask=False, **said)
    assert (record.label, record.size) == (said.get("label"), said.get("size"))


def test_without_mask_label_and_size_there_is_nothing_to_finish(project, slide, start):
    draft = start()
    with pytest.raises(ValueError, match="needs a label or a size"):
        project.finish_annotation(draft.id, DONE, with_mask=False)
    with pytest.raises(ValueError, match="needs a label or a size"):
        project.add_annotation_without_mask(slide.id, draft.region, label=None, size=None, person="Ada")
    assert project.annotations() == [draft]


def test_a_label_or_size_brought_along_writes_no_mask_file(project, slide):
    query = ask(project, slide)
    record = project.add_annotation_without_mask(
        slide.id, query.region, label="malignant", size=0.7, person="Bo", query_id=query.id
    )
    assert (record.status, record.label, record.size, record.has_mask) == (DONE, "malignant", 0.7, False)
    assert (record.person, record.query_id) == ("Bo", query.id)
    assert project.query(query.id).status is QueryStatus.ANNOTATED
    assert not list(project.masks_folder.iterdir())


@pytest.mark.parametrize(("label", "size"), [("sarcoma", 0.5), (None, -0.1), (None, 1.01), ("benign", float("nan"))])
def test_what_cannot_be_is_refused_for_drafts_and_without_a_mask(project, slide, start, label, size):
    draft = start()
    with pytest.raises(ValueError, match=r"label|size"):
        project.assess_annotation(draft.id, label=label, size=size)
    with pytest.raises(ValueError, match=r"label|size"):
        project.add_annotation_without_mask(slide.id, draft.region, label=label, size=size, person="Ada")
    assert project.annotations() == [draft]


def test_label_and_size_of_a_draft_are_journaled_and_can_be_taken_back(project, start):
    draft = start()
    project.assess_annotation(draft.id, label="benign", size=None)
    project.assess_annotation(draft.id, label="benign", size=0.3, person="Bo")
    with Project.open(project.folder) as again:
        assert (again.annotation(draft.id).label, again.annotation(draft.id).size) == ("benign", 0.3)
    project.assess_annotation(draft.id, label=None, size=0.3)
    record = project.finish_annotation(draft.id, DONE)
    assert (record.label, record.size) == (None, 0.3)
    history = [(said.label, said.size, said.person) for said in project.assessments(draft.id)]
    assert history == [("benign", None, "Ada"), ("benign", 0.3, "Bo"), (None, 0.3, "Ada")]


def test_label_and_size_of_a_finished_annotation_are_not_changed(project, start):
    draft = start()
    project.finish_annotation(draft.id, DONE)
    with pytest.raises(ValueError, match="reopen"):
        project.assess_annotation(draft.id, label="benign", size=None)


def test_a_mask_painted_before_stays_when_only_label_and_size_are_done(project, slide, start):
    painted = start(value=1, origin_model="abc")
    project.finish_annotation(painted.id, DONE)
    mask, origin = project.load_mask(painted.id)
    again = project.reopen_annotation(painted.id)
    project.append_patch(again.id, patch(value=2))

    record = project.finish_annotation(again.id, DONE, size=0.9, with_mask=False)

    assert (record.has_mask, record.size, record.model_hash) == (True, 0.9, "abc")
    assert np.array_equal(project.load_mask(record.id)[0], mask)
    assert np.array_equal(project.load_mask(record.id)[1], origin)
    brought = project.add_annotation_without_mask(slide.id, painted.region, label="benign", size=None, person="Bo")
    assert [one.id for one in project.training_annotations()] == [brought.id]
    assert np.array_equal(project.load_mask(brought.id)[0], mask)


def test_a_region_without_a_mask_is_gone_on_with_from_its_label_and_size(project, start):
    record = project.finish_annotation(start().id, DONE, label="benign", size=0.2, with_mask=False)
    with pytest.raises(ValueError, match="without a mask"):
        project.reopen_annotation(record.id)
    again = start(value=1, continues=record)
    assert (again.status, again.label, again.size, again.continues) == ("draft", "benign", 0.2, record.id)
    done = project.finish_annotation(again.id, DONE)
    assert (done.label, done.size, done.has_mask) == ("benign", 0.2, True)


def test_only_masks_count_towards_the_held_out(project, start):
    for number in range(3):
        record = project.finish_annotation(start(number).id, DONE, size=0.5, with_mask=False)
        assert not record.held_out
    held_out = [project.finish_annotation(start(number).id, DONE).held_out for number in range(2, 5)]
    assert held_out == [False, False, True]


def test_a_region_with_a_held_out_mask_stays_held_out_when_its_size_is_said(project, start):
    for number in range(3):
        record = project.finish_annotation(start(number).id, DONE)
    again = project.reopen_annotation(record.id)
    assert project.finish_annotation(again.id, DONE, size=0.1, with_mask=False).held_out


def test_an_annotation_is_not_finished_as_a_draft(project, start):
    with pytest.raises(ValueError, match="draft"):
        project.finish_annotation(start().id, AnnotationStatus.DRAFT)


def test_a_finished_annotation_is_not_changed(project, start):
    draft = start()
    project.finish_annotation(draft.id, DONE)
    with pytest.raises(ValueError, match="reopen"):
        project.append_patch(draft.id, patch())
    with pytest.raises(ValueError, match="reopen"):
        project.finish_annotation(draft.id, DONE)


def test_a_draft_needs_no_reopening(project, start):
    with pytest.raises(ValueError, match="draft"):
        project.reopen_annotation(start().id)


def test_a_reopened_annotation_goes_on_from_its_mask_and_origins(project, slide, start):
    draft = start(query_id=ask(project, slide).id, origin_model="abc")
    project.append_patch(draft.id, patch())
    project.finish_annotation(draft.id, DONE, label="malignant", size=0.5)
    mask, origin = project.load_mask(draft.id)

    again = project.reopen_annotation(draft.id, person="Bob")

    assert (again.status, again.continues, again.person) == (AnnotationStatus.DRAFT, draft.id, "Bob")
    assert (again.label, again.size, again.model_hash, again.query_id) == ("malignant", 0.5, "abc", draft.query_id)
    loaded, origins = project.load_mask(again.id)
    assert np.array_equal(loaded, mask)
    assert np.array_equal(origins, origin)


def test_a_finished_annotation_counts_until_the_reopened_one_is_done(project, start):
    draft = start()
    project.finish_annotation(draft.id, DONE)
    again = project.reopen_annotation(draft.id)
    project.append_patch(again.id, patch())
    assert [record.id for record in project.training_annotations()] == [draft.id]

    project.finish_annotation(again.id, DONE)

    assert [record.id for record in project.training_annotations()] == [again.id]
    assert not project.load_mask(draft.id)[0].any()
    assert len(project.annotations()) == 2


def test_the_annotation_of_a_region_finished_last_counts(project, start):
    first, second = start(), start()
    project.finish_annotation(second.id, DONE)
    project.finish_annotation(first.id, DONE)
    assert [record.id for record in project.training_annotations()] == [first.id]


def test_annotations_are_told_apart_by_slide_and_status(project, slide, start):
    done, draft = start(0), start(1)
    project.finish_annotation(done.id, DONE)
    assert [record.id for record in project.annotations(slide.id, DONE)] == [done.id]
    assert project.annotations(status=AnnotationStatus.DRAFT) == [draft]
    assert project.annotations(slide.id + 1) == []


def test_an_unfinished_draft_is_found_by_its_region(project, slide, start):
    draft = start()
    assert project.find_draft(slide.id, draft.region) == draft
    assert project.find_draft(slide.id, Region(0, 0, 1, 1)) is None
    project.finish_annotation(draft.id, AnnotationStatus.SKIPPED)
    assert project.find_draft(slide.id, draft.region) is None


def test_mask_files_are_written_once(project, start):
    draft = start()
    before = {path: path.read_bytes() for path in project.masks_folder.iterdir()}
    project.append_patch(draft.id, patch())
    project.finish_annotation(draft.id, DONE)
    again = project.reopen_annotation(draft.id)
    project.finish_annotation(again.id, DONE)
    assert {path: path.read_bytes() for path in before} == before
    assert len(list(project.masks_folder.iterdir())) == 8


def test_a_mask_file_that_is_gone_or_broken_is_named(project, start):
    draft = start()
    (path,) = (path for path in project.masks_folder.iterdir() if "origin" not in path.name)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ProjectError, match=path.name):
        project.load_mask(draft.id)
    path.unlink()
    with pytest.raises(ProjectError, match=path.name):
        project.load_mask(draft.id)


@given(st.integers(1, 10_000))
def test_a_quarter_is_held_out_from_the_third_on(number):
    assert is_held_out(number) == (number in range(3, 10_001, 4))


def test_where_questions_were_drawn_at_random_among_others_every_other_of_those_judges_and_none_else(project, start):
    place = Region(0, 0, 50, 50)
    slide_id = start(0).slide_id
    kinds = ["random", "entropy", "random", "entropy", "random", "entropy", "entropy"]
    queries = project.add_queries([NewQuery(slide_id, place, kind, 0.5, 1, {}, "") for kind in kinds])
    held_out = []
    for number, query in enumerate(queries):
        draft = project.attach_query(start(number + 1).id, query.id)
        held_out.append(project.finish_annotation(draft.id, DONE).held_out)
    assert held_out == [True, False, False, False, True, False, False]


def test_random_questions_alone_are_held_out_like_any(project, start):
    place = Region(0, 0, 50, 50)
    queries = project.add_queries([NewQuery(start(0).slide_id, place, "random", 0.5, 1, {}, "") for _ in range(4)])
    drafts = [project.attach_query(start(number + 1).id, query.id) for number, query in enumerate(queries)]
    assert [project.finish_annotation(draft.id, DONE).held_out for draft in drafts] == [False, False, True, False]


def test_annotations_are_held_out_in_the_order_they_are_done(project, start):
    drafts = [start(number) for number in range(8)]
    order = [7, 6, 5, 4, 3, 2, 1, 0]
    done = [project.finish_annotation(drafts[number].id, DONE) for number in order]
    assert [record.held_out for record in done] == [False, False, True, False, False, False, True, False]
    assert [record.id for record in project.training_annotations()] == [record.id for record in done]


def test_skipped_annotations_do_not_count_towards_the_held_out(project, start):
    for number, status in enumerate([DONE, AnnotationStatus.SKIPPED, DONE, AnnotationStatus.CANNOT_TELL]):
        project.finish_annotation(start(number).id, status)
    assert project.finish_annotation(start(9).id, DONE).held_out


def test_a_region_done_again_goes_where_it_went_before(project, start):
    records = [project.finish_annotation(start(number).id, DONE) for number in range(3)]
    again = project.reopen_annotation(records[2].id)
    assert again.held_out
    assert project.finish_annotation(again.id, DONE).held_out
    assert project.finish_annotation(start(2).id, DONE).held_out
    assert not project.finish_annotation(start(0).id, DONE).held_out
    assert not project.finish_annotation(start(3).id, DONE).held_out


def test_a_region_that_shares_pixels_with_a_held_out_one_is_held_out(project, start):
    for number in range(3):
        project.finish_annotation(start(number).id, DONE)
    touching, apart = Region(51, 8, 12, 9), Region(52, 9, 12, 9)
    assert not project.finish_annotation(start(region=apart).id, DONE).held_out
    assert project.finish_annotation(start(region=touching).id, DONE).held_out


STROKES = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    import numpy as np
    from histoloop.annotations.records import Patch
    from histoloop.store.project import Project

    folder, annotation, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    project = Project.open(folder)
    for number in range(100):
        project.append_patch(annotation, Patch(number % 12, number // 12, np.ones((1, 1), np.uint8)))
        print(number, flush=True)
        if number == last:
            os.kill(os.getpid(), signal.SIGKILL) if hasattr(signal, "SIGKILL") else os._exit(9)
    """
)


@pytest.mark.parametrize("last", [0, 17])
def test_every_stroke_that_was_announced_survives_a_kill(project, start, last):
    draft = start()
    project.close()
    command = [sys.executable, "-c", STROKES, str(project.folder), str(draft.id), str(last)]

    killed = subprocess.run(command, capture_output=True, text=True, timeout=120)

    announced = [int(line) for line in killed.stdout.split()]
    assert killed.returncode != 0, killed.stderr
    assert announced == list(range(last + 1))
    with Project.open(project.folder) as again:
        mask, origin = again.load_mask(draft.id)
        assert mask.ravel().nonzero()[0].tolist() == announced
        assert (origin.ravel().nonzero()[0] == announced).all()
        assert again.finish_annotation(draft.id, DONE).status is DONE


def test_a_size_that_was_announced_as_saved_survives_a_kill(project, start):
    draft = start()
    project.close()
    script = STROKES.replace(
        "project.append_patch(annotation, Patch(number % 12, number // 12, np.ones((1, 1), np.uint8)))",
        "project.assess_annotation(annotation, label='benign', size=number / 100)",
    )
    command = [sys.executable, "-c", script, str(project.folder), str(draft.id), "3"]

    killed = subprocess.run(command, capture_output=True, text=True, timeout=120)

    assert killed.stdout.split() == ["0", "1", "2", "3"], killed.stderr
    with Project.open(project.folder) as again:
        assert [said.size for said in again.assessments(draft.id)] == [0.0, 0.01, 0.02, 0.03]
        assert (again.annotation(draft.id).label, again.annotation(draft.id).size) == ("benign", 0.03)


def test_a_process_killed_within_a_transaction_leaves_nothing_half_done(project, start):
    draft = start()
    project.close()
    script = STROKES.replace("for number in range(100):", "for number in range(1):").replace(
        "project.append_patch(", "project._database.run('BEGIN IMMEDIATE'); project._journal_patch("
    )
    script = script.replace("project._journal_patch(annotation, ", "_unfinished(project, annotation, ").replace(
        "folder, annotation, last",
        textwrap.dedent(
            """
            def _unfinished(project, annotation, patch):
                project._database.insert(
                    "patch", annotation_id=annotation, x=0, y=0, width=1, height=1, payload=b"?", created=""
                )

            folder, annotation, last"""
        ),
        1,
    )
    command = [sys.executable, "-c", script, str(project.folder), str(draft.id), "0"]

    killed = subprocess.run(command, capture_output=True, text=True, timeout=120)

    assert killed.stdout.split() == ["0"], killed.stderr
    with Project.open(project.folder) as again:
        assert not again.load_mask(draft.id)[0].any()
