from __future__ import annotations

import pytest

from histoloop.annotations.records import QueryStatus
from histoloop.errors import ProjectError
from histoloop.geometry import Region
from histoloop.store.records import ModelStatus, NewQuery


@pytest.fixture
def base(project):
    return project.models.add("base", hash="aa", parent=None, round=0, status="current")


def candidate(project, base):
    return project.models.add("round-1", hash="bb", parent=base.id, round=1)


def new_query(slide, score=0.5, **options):
    values = {"strategy": "entropy", "round": 1, "evidence": {"share": 0.25}, "class_name": "benign", **options}
    return NewQuery(slide_id=slide.id, region=Region(0, 0, 10, 10), score=score, **values)


def test_a_project_without_a_model_says_so(project):
    with pytest.raises(ProjectError, match="no such model"):
        project.models.current()


def test_a_model_lies_in_the_project_or_where_its_path_says(project, tmp_path):
    inside = project.models.add("base", hash="aa", parent=None, round=0)
    outside = project.models.add(str(tmp_path / "shipped"), hash="bb", parent=None, round=0)
    assert inside.folder == project.models.folder / "base"
    assert outside.folder == tmp_path / "shipped"
    assert project.models.all() == [inside, outside]


def test_a_new_model_waits_as_a_candidate(project, base):
    model = candidate(project, base)
    assert model.status is ModelStatus.CANDIDATE
    assert project.models.current() == base


def test_a_model_made_current_leaves_the_old_one_kept(project, base):
    model = candidate(project, base)
    project.models.make_current(model.id)
    assert project.models.current().id == model.id
    assert project.models.get(base.id).status is ModelStatus.KEPT
    assert project.models.first().id == base.id


def test_a_kept_model_can_be_current_again(project, base):
    model = candidate(project, base)
    project.models.make_current(model.id)
    project.models.make_current(base.id)
    assert project.models.current().id == base.id
    assert project.models.get(model.id).status is ModelStatus.KEPT


def test_a_candidate_can_be_rolled_back(project, base):
    model = candidate(project, base)
    project.models.set_status(model.id, ModelStatus.ROLLED_BACK)
    assert project.models.get(model.id).status is ModelStatus.ROLLED_BACK
    assert project.models.current() == base


def test_a_status_that_does_not_exist_is_refused(project, base):
    with pytest.raises(ValueError, match="best"):
        project.models.add("x", hash="x", parent=None, round=0, status="best")
    with pytest.raises(ValueError, match="best"):
        project.models.set_status(base.id, "best")


def test_a_model_needs_a_parent_that_exists(project):
    with pytest.raises(ValueError, match="FOREIGN KEY"):
        project.models.add("x", hash="x", parent=77, round=1)
    assert project.models.all() == []


def test_a_slide_shows_the_newest_prediction_of_the_current_model(project, slide, base):
    model = candidate(project, base)
    project.predictions.add(slide.id, base.id, {"benign": 0.1, "malignant": 0.9})
    project.predictions.add(slide.id, base.id, {"benign": 0.3, "malignant": 0.7})
    project.predictions.add(slide.id, model.id, {"benign": 0.8, "malignant": 0.2})
    assert project.slides.get(slide.id).predicted == {"benign": 0.3, "malignant": 0.7}
    assert project.predictions.find(slide.id, model.id) == {"benign": 0.8, "malignant": 0.2}

    project.models.make_current(model.id)
    assert project.slides.get(slide.id).predicted == {"benign": 0.8, "malignant": 0.2}


def test_a_slide_without_a_prediction_of_a_model_has_none(project, slide, base):
    assert project.predictions.find(slide.id, base.id) is None


def test_a_prediction_of_a_label_outside_the_scheme_is_refused(project, slide, base):
    with pytest.raises(ValueError, match="sarcoma"):
        project.predictions.add(slide.id, base.id, {"sarcoma": 1.0})


def test_a_model_that_is_not_in_use_may_have_labels_of_its_own(project, slide, base):
    other = project.models.add("other", hash="bb", parent=None, round=0, status="kept")
    project.predictions.add(slide.id, other.id, {"sarcoma": 1.0})
    assert project.predictions.find(slide.id, other.id) == {"sarcoma": 1.0}
    assert project.slides.get(slide.id).predicted is None


def test_maps_are_found_by_slide_and_model_and_the_newest_counts(project, slide, base):
    model = candidate(project, base)
    for name, owner in (("one", base), ("two", base), ("three", model)):
        (project.maps.folder / name).mkdir()
        project.maps.add(slide.id, owner.id, name)
    assert project.maps.find(slide.id) == project.maps.folder / "two"
    assert project.maps.find(slide.id, model.id) == project.maps.folder / "three"
    assert project.maps.find(slide.id + 1) is None


def test_maps_whose_folder_is_gone_are_not_there(project, slide, base):
    project.maps.add(slide.id, base.id, "deleted")
    assert project.maps.find(slide.id) is None


def test_maps_of_slides_or_models_that_do_not_exist_are_refused(project, slide, base):
    with pytest.raises(ValueError, match="FOREIGN KEY"):
        project.maps.add(slide.id, 77, "x")


def test_rounds_are_numbered_in_order(project, base):
    model = candidate(project, base)
    first = project.rounds.add(model.id, base.id, {"dice": 0.7}, 4)
    second = project.rounds.add(model.id, model.id, {}, 8, person="Ada")
    assert (first.person, second.person) == ("", "Ada")
    assert project.rounds.all() == [first, second]
    assert [(entry.number, entry.parent, entry.annotations) for entry in (first, second)] == [
        (1, base.id, 4),
        (2, model.id, 8),
    ]
    assert first.figures == {"dice": 0.7}


def test_the_queue_has_the_newest_round_first_then_the_highest_score(project, slide):
    project.queries.add([new_query(slide, 0.2), new_query(slide, 0.9), new_query(slide, 0.1, round=2)])
    assert [(query.round, query.score) for query in project.queries.open()] == [(2, 0.1), (1, 0.9), (1, 0.2)]


def test_a_query_keeps_what_it_was_asked_with(project, slide):
    (query,) = project.queries.add([new_query(slide, 0.25)])
    assert project.queries.get(query.id) == query
    assert (query.region, query.strategy, query.evidence) == (Region(0, 0, 10, 10), "entropy", {"share": 0.25})
    assert (query.class_name, query.status) == ("benign", QueryStatus.OPEN)


def test_queries_are_told_apart_by_slide_and_class(project, slide, add_slide):
    other = add_slide(project, "b.svs", b"other")
    project.queries.add([new_query(slide), new_query(other), new_query(other, class_name="malignant")])
    assert len(project.queries.all(slide_id=other.id)) == 2
    assert [query.slide_id for query in project.queries.open() if query.class_name == "malignant"] == [other.id]


@pytest.mark.parametrize("status", [QueryStatus.ANNOTATED, QueryStatus.SKIPPED, QueryStatus.CANNOT_TELL])
def test_a_query_that_was_dealt_with_leaves_the_queue(project, slide, status):
    first, second = project.queries.add([new_query(slide, 0.9), new_query(slide)])
    project.queries.set_status(first.id, status)
    assert project.queries.open() == [second]
    assert [query.id for query in project.queries.all(status=status)] == [first.id]
    assert len(project.queries.all()) == 2


def test_new_questions_supersede_the_open_ones_only(project, slide):
    first, second, _ = project.queries.add([new_query(slide, score) for score in (0.9, 0.5, 0.1)])
    project.queries.set_status(first.id, QueryStatus.SKIPPED)
    assert project.queries.supersede_open() == 2
    assert project.queries.open() == []
    assert project.queries.get(first.id).status is QueryStatus.SKIPPED
    assert project.queries.get(second.id).status is QueryStatus.SUPERSEDED


def test_queries_are_added_all_or_none(project, slide):
    wrong = NewQuery(99, Region(0, 0, 1, 1), "random", 0.0, 1, {}, "")
    with pytest.raises(ValueError, match="FOREIGN KEY"):
        project.queries.add([new_query(slide), wrong])
    assert project.queries.open() == []


def test_queries_of_a_removed_slide_are_not_asked(project, slide):
    project.queries.add([new_query(slide)])
    project.slides.remove(slide.id)
    assert project.queries.open() == []
