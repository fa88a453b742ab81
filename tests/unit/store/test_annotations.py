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
from histoloop.store.parts.finish_order import is_held_out
from histoloop.store.project import Project
from histoloop.store.records import NewQuery

DONE = AnnotationStatus.DONE


def patch(x=1, y=2, height=3, width=4, value=1):
    return Patch(x, y, np.full((height, width), value, np.uint8))


def ask(project, slide):
    return project.queries.add([NewQuery(slide.id, Region(0, 0, 12, 9), "random", 0.0, 1, {}, "")])[0]


def test_a_draft_starts_from_the_mask_given(project, slide, start):
    mask = np.arange(108, dtype=np.uint8).reshape(9, 12) % 3
    draft = start(mask=mask, origin_model="abc")
    loaded, origin = project.annotations.load_mask(draft.id)
    assert np.array_equal(loaded, mask)
    assert (origin == Origin.UNTOUCHED).all()
    assert (draft.slide_id, draft.region, draft.mask_downsample) == (slide.id, Region(0, 0, 12, 9), 1.0)
    assert (draft.status, draft.person, draft.model_hash, draft.held_out) == ("draft", "Ada", "abc", False)


def test_a_mask_drawn_elsewhere_is_human_from_the_start(project, start):
    _, origin = project.annotations.load_mask(start(origin=Origin.HUMAN).id)
    assert (origin == Origin.HUMAN).all()


def test_a_mask_may_be_coarser_than_the_region(project, start):
    draft = start(region=Region(0, 0, 48, 36))
    project.drafts.append_patch(draft.id, patch())
    assert draft.mask_downsample == 4.0
    assert project.annotations.load_mask(draft.id)[0].shape == (9, 12)


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
        project.drafts.start(99, Region(0, 0, 1, 1), mask=np.zeros((1, 1), np.uint8), origin_model=None, person="Ada")
    assert not list(project.annotations.folder.iterdir())


def test_patches_are_replayed_and_only_what_changed_is_human(project, start):
    draft = start(value=1)
    project.drafts.append_patch(draft.id, patch(value=1))
    project.drafts.append_patch(draft.id, patch(x=5, y=5, height=1, width=1, value=2))
    mask, origin = project.annotations.load_mask(draft.id)
    expected = np.ones((9, 12), np.uint8)
    expected[5, 5] = 2
    assert np.array_equal(mask, expected)
    assert np.array_equal(origin == Origin.HUMAN, expected == 2)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_journal_gives_the_mask_that_was_painted(project, start, data):
    draft = start()
    painted = np.zeros((9, 12), np.uint8)
    for _ in range(data.draw(st.integers(0, 5))):
        x, y = data.draw(st.integers(0, 11)), data.draw(st.integers(0, 8))
        width, height = data.draw(st.integers(1, 12 - x)), data.draw(st.integers(1, 9 - y))
        change = patch(x, y, height, width, data.draw(st.integers(0, 2)))
        project.drafts.append_patch(draft.id, change)
        painted[y : y + height, x : x + width] = change.values
    assert np.array_equal(project.annotations.load_mask(draft.id)[0], painted)
    project.drafts.finish(draft.id, DONE)
    assert np.array_equal(project.annotations.load_mask(draft.id)[0], painted)


def test_a_part_of_a_larger_mask_can_be_a_patch(project, start):
    draft = start()
    larger = np.arange(200, dtype=np.uint8).reshape(10, 20) % 3
    project.drafts.append_patch(draft.id, Patch(0, 0, larger[1:8:2, 3:9:2]))
    assert np.array_equal(project.annotations.load_mask(draft.id)[0][:4, :3], larger[1:8:2, 3:9:2])


@pytest.mark.parametrize("wrong", [patch(x=-1), patch(y=-1), patch(x=9), patch(y=7), patch(value=3)])
def test_a_patch_that_does_not_fit_is_refused(project, start, wrong):
    draft = start()
    with pytest.raises(ValueError, match="mask"):
        project.drafts.append_patch(draft.id, wrong)
    assert not project.annotations.load_mask(draft.id)[0].any()


def test_what_nobody_touched_of_a_finished_mask_is_accepted(project, start):
    draft = start(value=1)
    project.drafts.append_patch(draft.id, patch(value=2))
    record = project.drafts.finish(draft.id, DONE, label="benign", size=0.25)
    mask, origin = project.annotations.load_mask(draft.id)
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
    assert project.queries.open() == [query]
    assert project.drafts.finish(draft.id, status).status is status
    assert project.queries.get(query.id).status is query_status


@pytest.mark.parametrize("status", [AnnotationStatus.SKIPPED, AnnotationStatus.CANNOT_TELL])
def test_what_was_not_answered_trains_nothing_but_is_kept(project, start, status):
    draft = start()
    project.drafts.append_patch(draft.id, patch())
    project.drafts.finish(draft.id, status)
    assert project.annotations.with_mask() == []
    assert project.annotations.load_mask(draft.id)[0].any()


@pytest.mark.parametrize("options", [{"label": "sarcoma"}, {"size": -0.1}, {"size": 1.1}, {"size": float("nan")}])
def test_a_label_or_size_that_cannot_be_is_refused(project, start, options):
    draft = start()
    with pytest.raises(ValueError, match=r"label|size"):
        project.drafts.finish(draft.id, DONE, **options)
    assert project.annotations.get(draft.id).status is AnnotationStatus.DRAFT


# --- labels and sizes -------------------------------------------------------------------------------------------------


def test_a_region_may_be_done_with_a_label_and_a_size_and_no_mask(project, slide, start):
    query = ask(project, slide)
    draft = start(value=1, query_id=query.id, origin_model="abc")
    project.drafts.append_patch(draft.id, patch(value=2))

    record = project.drafts.finish(draft.id, DONE, label="benign", size=0.4, with_mask=False)

    assert (record.status, record.label, record.size, record.has_mask) == (DONE, "benign", 0.4, False)
    assert (record.mask_downsample, record.model_hash) == (None, None)
    assert project.queries.get(query.id).status is QueryStatus.ANNOTATED
    assert project.annotations.finished() == [record]
    assert project.annotations.with_mask() == []
    with pytest.raises(ValueError, match="without a mask"):
        project.annotations.load_mask(record.id)


@pytest.mark.parametrize("said", [{"label": "benign"}, {"size": 0.0}, {"size": 1.0}])
def test_a_label_or_a_size_alone_is_enough(project, start, said):
    record = project.drafts.finish(start().id, DONE, with_mask=False, **said)
    assert (record.label, record.size) == (said.get("label"), said.get("size"))


def test_without_mask_label_and_size_there_is_nothing_to_finish(project, slide, start):
    draft = start()
    with pytest.raises(ValueError, match="needs a label or a size"):
        project.drafts.finish(draft.id, DONE, with_mask=False)
    with pytest.raises(ValueError, match="needs a label or a size"):
        project.annotations.add(slide.id, draft.region, label=None, size=None, person="Ada")
    assert project.annotations.all() == [draft]


def test_a_label_or_size_brought_along_writes_no_mask_file(project, slide):
    query = ask(project, slide)
    record = project.annotations.add(
        slide.id, query.region, label="malignant", size=0.7, person="Bo", query_id=query.id
    )
    assert (record.status, record.label, record.size, record.has_mask) == (DONE, "malignant", 0.7, False)
    assert (record.person, record.query_id) == ("Bo", query.id)
    assert project.queries.get(query.id).status is QueryStatus.ANNOTATED
    assert not list(project.annotations.folder.iterdir())


@pytest.mark.parametrize(("label", "size"), [("sarcoma", 0.5), (None, -0.1), (None, 1.01), ("benign", float("nan"))])
def test_what_cannot_be_is_refused_for_drafts_and_without_a_mask(project, slide, start, label, size):
    draft = start()
    with pytest.raises(ValueError, match=r"label|size"):
        project.drafts.assess(draft.id, label=label, size=size)
    with pytest.raises(ValueError, match=r"label|size"):
        project.annotations.add(slide.id, draft.region, label=label, size=size, person="Ada")
    assert project.annotations.all() == [draft]


def test_label_and_size_of_a_draft_are_journaled_and_can_be_taken_back(project, start):
    draft = start()
    project.drafts.assess(draft.id, label="benign", size=None)
    project.drafts.assess(draft.id, label="benign", size=0.3, person="Bo")
    with Project.open(project.folder) as again:
        assert (again.annotations.get(draft.id).label, again.annotations.get(draft.id).size) == ("benign", 0.3)
    project.drafts.assess(draft.id, label=None, size=0.3)
    record = project.drafts.finish(draft.id, DONE)
    assert (record.label, record.size) == (None, 0.3)
    history = [(said.label, said.size, said.person) for said in project.annotations.assessments(draft.id)]
    assert history == [("benign", None, "Ada"), ("benign", 0.3, "Bo"), (None, 0.3, "Ada")]


def test_label_and_size_of_a_finished_annotation_are_not_changed(project, start):
    draft = start()
    project.drafts.finish(draft.id, DONE)
    with pytest.raises(ValueError, match="reopen"):
        project.drafts.assess(draft.id, label="benign", size=None)


def test_a_mask_painted_before_stays_when_only_label_and_size_are_done(project, slide, start):
    painted = start(value=1, origin_model="abc")
    project.drafts.finish(painted.id, DONE)
    mask, origin = project.annotations.load_mask(painted.id)
    again = project.drafts.reopen(painted.id)
    project.drafts.append_patch(again.id, patch(value=2))

    record = project.drafts.finish(again.id, DONE, size=0.9, with_mask=False)

    assert (record.has_mask, record.size, record.model_hash) == (True, 0.9, "abc")
    assert np.array_equal(project.annotations.load_mask(record.id)[0], mask)
    assert np.array_equal(project.annotations.load_mask(record.id)[1], origin)
    brought = project.annotations.add(slide.id, painted.region, label="benign", size=None, person="Bo")
    assert [one.id for one in project.annotations.with_mask()] == [brought.id]
    assert np.array_equal(project.annotations.load_mask(brought.id)[0], mask)


def test_a_region_without_a_mask_is_gone_on_with_from_its_label_and_size(project, start):
    record = project.drafts.finish(start().id, DONE, label="benign", size=0.2, with_mask=False)
    with pytest.raises(ValueError, match="without a mask"):
        project.drafts.reopen(record.id)
    again = start(value=1, continues=record)
    assert (again.status, again.label, again.size, again.continues) == ("draft", "benign", 0.2, record.id)
    done = project.drafts.finish(again.id, DONE)
    assert (done.label, done.size, done.has_mask) == ("benign", 0.2, True)


def test_only_masks_count_towards_the_held_out(project, start):
    for number in range(3):
        record = project.drafts.finish(start(number).id, DONE, size=0.5, with_mask=False)
        assert not record.held_out
    held_out = [project.drafts.finish(start(number).id, DONE).held_out for number in range(2, 5)]
    assert held_out == [False, False, True]


def test_a_region_with_a_held_out_mask_stays_held_out_when_its_size_is_said(project, start):
    for number in range(3):
        record = project.drafts.finish(start(number).id, DONE)
    again = project.drafts.reopen(record.id)
    assert project.drafts.finish(again.id, DONE, size=0.1, with_mask=False).held_out


def test_an_annotation_is_not_finished_as_a_draft(project, start):
    with pytest.raises(ValueError, match="draft"):
        project.drafts.finish(start().id, AnnotationStatus.DRAFT)


def test_a_finished_annotation_is_not_changed(project, start):
    draft = start()
    project.drafts.finish(draft.id, DONE)
    with pytest.raises(ValueError, match="reopen"):
        project.drafts.append_patch(draft.id, patch())
    with pytest.raises(ValueError, match="reopen"):
        project.drafts.finish(draft.id, DONE)


def test_a_draft_needs_no_reopening(project, start):
    with pytest.raises(ValueError, match="draft"):
        project.drafts.reopen(start().id)


def test_a_reopened_annotation_goes_on_from_its_mask_and_origins(project, slide, start):
    draft = start(query_id=ask(project, slide).id, origin_model="abc")
    project.drafts.append_patch(draft.id, patch())
    project.drafts.finish(draft.id, DONE, label="malignant", size=0.5)
    mask, origin = project.annotations.load_mask(draft.id)

    again = project.drafts.reopen(draft.id, person="Bob")

    assert (again.status, again.continues, again.person) == (AnnotationStatus.DRAFT, draft.id, "Bob")
    assert (again.label, again.size, again.model_hash, again.query_id) == ("malignant", 0.5, "abc", draft.query_id)
    loaded, origins = project.annotations.load_mask(again.id)
    assert np.array_equal(loaded, mask)
    assert np.array_equal(origins, origin)


def test_a_finished_annotation_counts_until_the_reopened_one_is_done(project, start):
    draft = start()
    project.drafts.finish(draft.id, DONE)
    again = project.drafts.reopen(draft.id)
    project.drafts.append_patch(again.id, patch())
    assert [record.id for record in project.annotations.with_mask()] == [draft.id]

    project.drafts.finish(again.id, DONE)

    assert [record.id for record in project.annotations.with_mask()] == [again.id]
    assert not project.annotations.load_mask(draft.id)[0].any()
    assert len(project.annotations.all()) == 2


def test_the_annotation_of_a_region_finished_last_counts(project, start):
    first, second = start(), start()
    project.drafts.finish(second.id, DONE)
    project.drafts.finish(first.id, DONE)
    assert [record.id for record in project.annotations.with_mask()] == [first.id]


def test_annotations_are_told_apart_by_slide_and_status(project, slide, start):
    done, draft = start(0), start(1)
    project.drafts.finish(done.id, DONE)
    assert [record.id for record in project.annotations.all(slide_id=slide.id, status=DONE)] == [done.id]
    assert project.annotations.all(status=AnnotationStatus.DRAFT) == [draft]
    assert project.annotations.all(slide_id=slide.id + 1) == []


def test_an_unfinished_draft_is_found_by_its_region(project, slide, start):
    draft = start()
    assert project.drafts.find(slide.id, draft.region) == draft
    assert project.drafts.find(slide.id, Region(0, 0, 1, 1)) is None
    project.drafts.finish(draft.id, AnnotationStatus.SKIPPED)
    assert project.drafts.find(slide.id, draft.region) is None


def test_mask_files_are_written_once(project, start):
    draft = start()
    before = {path: path.read_bytes() for path in project.annotations.folder.iterdir()}
    project.drafts.append_patch(draft.id, patch())
    project.drafts.finish(draft.id, DONE)
    again = project.drafts.reopen(draft.id)
    project.drafts.finish(again.id, DONE)
    assert {path: path.read_bytes() for path in before} == before
    assert len(list(project.annotations.folder.iterdir())) == 8


def test_a_mask_file_that_is_gone_or_broken_is_named(project, start):
    draft = start()
    (path,) = (path for path in project.annotations.folder.iterdir() if "origin" not in path.name)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ProjectError, match=path.name):
        project.annotations.load_mask(draft.id)
    path.unlink()
    with pytest.raises(ProjectError, match=path.name):
        project.annotations.load_mask(draft.id)


@given(st.integers(1, 10_000))
def test_a_quarter_is_held_out_from_the_third_on(number):
    assert is_held_out(number) == (number in range(3, 10_001, 4))


def test_where_questions_were_drawn_at_random_among_others_every_other_of_those_judges_and_none_else(project, start):
    place = Region(0, 0, 50, 50)
    slide_id = start(0).slide_id
    kinds = ["random", "entropy", "random", "entropy", "random", "entropy", "entropy"]
    queries = project.queries.add([NewQuery(slide_id, place, kind, 0.5, 1, {}, "") for kind in kinds])
    held_out = []
    for number, query in enumerate(queries):
        draft = project.drafts.attach(start(number + 1).id, query.id)
        held_out.append(project.drafts.finish(draft.id, DONE).held_out)
    assert held_out == [True, False, False, False, True, False, False]


def test_random_questions_alone_are_held_out_like_any(project, start):
    place = Region(0, 0, 50, 50)
    queries = project.queries.add([NewQuery(start(0).slide_id, place, "random", 0.5, 1, {}, "") for _ in range(4)])
    drafts = [project.drafts.attach(start(number + 1).id, query.id) for number, query in enumerate(queries)]
    assert [project.drafts.finish(draft.id, DONE).held_out for draft in drafts] == [False, False, True, False]


def test_annotations_are_held_out_in_the_order_they_are_done(project, start):
    drafts = [start(number) for number in range(8)]
    order = [7, 6, 5, 4, 3, 2, 1, 0]
    done = [project.drafts.finish(drafts[number].id, DONE) for number in order]
    assert [record.held_out for record in done] == [False, False, True, False, False, False, True, False]
    assert [record.id for record in project.annotations.with_mask()] == [record.id for record in done]


def test_what_a_region_will_be_is_known_before_it_is_painted(project, slide, start):
    place = Region(500, 500, 12, 9)
    foretold = []
    for number in range(4):
        foretold.append(project.annotations.will_judge(slide.id, place))
        project.drafts.finish(start(number).id, DONE)
    assert foretold == [False, False, True, False]
    judging = project.annotations.with_mask()[2]
    assert project.annotations.will_judge(slide.id, judging.region)


def test_a_region_of_a_copy_of_a_slide_goes_where_that_of_the_slide_went(project, slide, start, add_slide):
    copy = add_slide(project, "copy.svs", b"copy")  # as earlier versions had it: two slides of one content
    project._database.update("slide", copy.id, fingerprint=slide.fingerprint)
    drafts = [start(number) for number in range(3)]
    held_out = [project.drafts.finish(draft.id, DONE).held_out for draft in drafts]
    assert held_out == [False, False, True]
    for draft in drafts:
        mask, _origin = project.annotations.load_mask(draft.id)
        again = project.drafts.start(copy.id, draft.region, mask=mask, origin_model=None, person="Ada")
        assert project.drafts.finish(again.id, DONE).held_out == (draft is drafts[2])


def test_skipped_annotations_do_not_count_towards_the_held_out(project, start):
    for number, status in enumerate([DONE, AnnotationStatus.SKIPPED, DONE, AnnotationStatus.CANNOT_TELL]):
        project.drafts.finish(start(number).id, status)
    assert project.drafts.finish(start(9).id, DONE).held_out


def test_a_region_done_again_goes_where_it_went_before(project, start):
    records = [project.drafts.finish(start(number).id, DONE) for number in range(3)]
    again = project.drafts.reopen(records[2].id)
    assert again.held_out
    assert project.drafts.finish(again.id, DONE).held_out
    assert project.drafts.finish(start(2).id, DONE).held_out
    assert not project.drafts.finish(start(0).id, DONE).held_out
    assert not project.drafts.finish(start(3).id, DONE).held_out


def test_a_region_that_shares_pixels_with_a_held_out_one_is_held_out(project, start):
    for number in range(3):
        project.drafts.finish(start(number).id, DONE)
    touching, apart = Region(51, 8, 12, 9), Region(52, 9, 12, 9)
    assert not project.drafts.finish(start(region=apart).id, DONE).held_out
    assert project.drafts.finish(start(region=touching).id, DONE).held_out


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
        project.drafts.append_patch(annotation, Patch(number % 12, number // 12, np.ones((1, 1), np.uint8)))
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
        mask, origin = again.annotations.load_mask(draft.id)
        assert mask.ravel().nonzero()[0].tolist() == announced
        assert (origin.ravel().nonzero()[0] == announced).all()
        assert again.drafts.finish(draft.id, DONE).status is DONE


def test_a_size_that_was_announced_as_saved_survives_a_kill(project, start):
    draft = start()
    project.close()
    script = STROKES.replace(
        "project.drafts.append_patch(annotation, Patch(number % 12, number // 12, np.ones((1, 1), np.uint8)))",
        "project.drafts.assess(annotation, label='benign', size=number / 100)",
    )
    command = [sys.executable, "-c", script, str(project.folder), str(draft.id), "3"]

    killed = subprocess.run(command, capture_output=True, text=True, timeout=120)

    assert killed.stdout.split() == ["0", "1", "2", "3"], killed.stderr
    with Project.open(project.folder) as again:
        assert [said.size for said in again.annotations.assessments(draft.id)] == [0.0, 0.01, 0.02, 0.03]
        assert (again.annotations.get(draft.id).label, again.annotations.get(draft.id).size) == ("benign", 0.03)


def test_a_stroke_asks_nothing_of_slides_or_their_files(project, slide, start, request):
    draft = start()
    watched = request.getfixturevalue("watched")
    with Project.connect(project.folder) as again:
        again.drafts.append_patch(draft.id, patch())
        again.drafts.assess(draft.id, label="benign", size=0.5)
    assert watched["paths"] == []
    assert not [sql for sql in watched["sql"] if "FROM slide" in sql or "JOIN slide" in sql]


UNFINISHED = """
def append_within_transaction(patch):
    database.run("BEGIN IMMEDIATE")
    database.insert("patch", annotation_id=annotation, x=0, y=0, width=1, height=1, payload=b"?", created="")

from histoloop.store.project_database import Database
database = Database(folder / "project.db")
for number in range(1):"""


def test_a_process_killed_within_a_transaction_leaves_nothing_half_done(project, start):
    draft = start()
    project.close()
    script = STROKES.replace("for number in range(100):", UNFINISHED).replace(
        "project.drafts.append_patch(annotation, ", "append_within_transaction("
    )
    command = [sys.executable, "-c", script, str(project.folder), str(draft.id), "0"]

    killed = subprocess.run(command, capture_output=True, text=True, timeout=120)

    assert killed.stdout.split() == ["0"], killed.stderr
    with Project.open(project.folder) as again:
        assert not again.annotations.load_mask(draft.id)[0].any()
