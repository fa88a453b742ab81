from __future__ import annotations

import pytest

from histoloop.annotations.records import QueryStatus
from histoloop.errors import ProjectError
from histoloop.geometry import Region
from histoloop.store.records import ModelStatus, NewQuery


@pytest.fixture
def base(project):
    return project.add_model("base", hash="aa", parent=None, round=0, status="current")


def candidate(project, base):
    return project.add_model("round-1", hash="bb", parent=base.id, round=1)


def new_query(slide, score=0.5, **options):
    values = {"strategy": "entropy", "round": 1, "evidence": {"share": 0.25}, "class_name": "benign", **options}
    return NewQuery(slide_id=slide.id, region=Region(0, 0, 10, 10), score=score, **values)


def test_a_project_without_a_model_says_so(project):
    with pytest.raises(ProjectError, match="no such model"):
        project.current_model()


def test_a_model_lies_in_the_project_or_where_its_path_says(project, tmp_path):
    inside = project.add_model("base", hash="aa", parent=None, round=0)
    outside = project.add_model(str(tmp_path / "shipped"), hash="bb", parent=None, round=0)
    assert inside.folder == project.models_folder / "base"
    assert outside.folder == tmp_path / "shipped"
    assert project.models() == [inside, outside]


def test_a_new_model_waits_as_a_candidate(project, base):
    model = candidate(project, base)
    assert model.status is ModelStatus.CANDIDATE
    assert project.current_model() == base


def test_a_model_made_current_leaves_the_old_one_kept(project, base):
    model = candidate(project, base)
    project.make_current(model.id)
    assert project.current_model().id == model.id
    assert project.model(base.id).status is ModelStatus.KEPT
    assert project.base_model().id == base.id


def test_a_kept_model_can_be_current_again(project, base):
    model = candidate(project, base)
    project.make_current(model.id)
    project.make_current(base.id)
    assert project.current_model().id == base.id
    assert project.model(model.id).status is ModelStatus.KEPT


def test_a_candidate_can_be_rolled_back(project, base):
    model = candidate(project, base)
    project.set_model_status(model.id, ModelStatus.ROLLED_BACK)
    assert project.model(model.id).status is ModelStatus.ROLLED_BACK
    assert project.current_model() == base


def test_a_status_that_does_not_exist_is_refused(project, base):
    with pytest.raises(ValueError, match="best"):
        project.add_model("x", hash="x", parent=None, round=0, status="best")
    with pytest.raises(ValueError, match="best"):
        project.set_model_status(base.id, "best")


def test_a_model_needs_a_parent_that_exists(project):
    with pytest.raises(ValueError, match="FOREIGN KEY"):
        project.add_model("x", hash="x", parent=77, round=1)
    assert project.models() == []


def test_a_slide_shows_the_newest_prediction_of_the_current_model(project, slide, base):
    model = candidate(project, base)
    project.set_prediction(slide.id, base.id, {"benign": 0.1, "malignant": 0.9})
    project.set_prediction(slide.id, base.id, {"benign": 0.3, "malignant": 0.7})
    project.set_prediction(slide.id, model.id, {"benign": 0.8, "malignant": 0.2})
    assert project.slide(slide.id).predicted == {"benign": 0.3, "malignant": 0.7}
    assert project.prediction(slide.id, model.id) == {"benign": 0.8, "malignant": 0.2}

    project.make_current(model.id)
    assert project.slide(slide.id).predicted == {"benign": 0.8, "malignant": 0.2}


def test_a_slide_without_a_prediction_of_a_model_has_none(project, slide, base):
    assert project.prediction(slide.id, base.id) is None


def test_a_prediction_of_a_label_outside_the_scheme_is_refused(project, slide, base):
    with pytest.raises(ValueError, match="sarcoma"):
        project.set_prediction(slide.id, base.id, {"sarcoma": 1.0})


def test_a_model_that_is_not_in_use_may_have_labels_of_its_own(project, slide, base):
    other = project.add_model("other", hash="bb", parent=None, round=0, status="kept")
    project.set_prediction(slide.id, other.id, {"sarcoma": 1.0})
    assert project.prediction(slide.id, other.id) == {"sarcoma": 1.0}
    assert project.slide(slide.id).predicted is None


def test_maps_are_found_by_slide_and_model_and_the_newest_counts(project, slide, base):
    model = candidate(project, base)
    for name, owner in (("one", base), ("two", base), ("three", model)):
        (project.maps_folder / name).mkdir()
        project.add_map(slide.id, owner.id, name)
    assert project.map_folder(slide.id) == project.maps_folder / "two"
    assert project.map_folder(slide.id, model.id) == project.maps_folder / "three"
    assert project.map_folder(slide.id + 1) is None


def test_maps_whose_folder_is_gone_are_not_there(project, slide, base):
    project.add_map(slide.id, base.id, "deleted")
    assert project.map_folder(slide.id) is None


def test_maps_of_slides_or_models_that_do_not_exist_are_refused(project, slide, base):
    with pytest.raises(ValueError, match="FOREIGN KEY"):
        project.add_map(slide.id, 77, "x")


def test_rounds_are_numbered_in_order(project, base):
    model = candidate(project, base)
    first = project.add_round(model.id, base.id, {"dice": 0.7}, 4)
    second = project.add_round(model.id, model.id, {}, 8)
    assert project.rounds() == [first, second]
    assert [(entry.number, entry.parent, entry.annotations) for entry in (first, second)] == [
        (1, base.id, 4),
        (2, model.id, 8),
    ]
    assert first.figures == {"dice": 0.7}


def test_the_queue_has_the_newest_round_first_then_the_highest_score(project, slide):
    project.add_queries([new_query(slide, 0.2), new_query(slide, 0.9), new_query(slide, 0.1, round=2)])
    assert [(query.round, query.score) for query in project.queries()] == [(2, 0.1), (1, 0.9), (1, 0.2)]


def test_a_query_keeps_what_it_was_asked_with(project, slide):
    (query,) = project.add_queries([new_query(slide, 0.25)])
    assert project.query(query.id) == query
    assert (query.region, query.strategy, query.evidence) == (Region(0, 0, 10, 10), "entropy", {"share": 0.25})
    assert (query.class_name, query.status) == ("benign", QueryStatus.OPEN)


def test_queries_are_told_apart_by_slide_and_class(project, slide, add_slide):
    other = add_slide(project, "b.svs")
    project.add_queries([new_query(slide), new_query(other), new_query(other, class_name="malignant")])
    assert len(project.queries(slide_id=other.id)) == 2
    assert [query.slide_id for query in project.queries(class_name="malignant")] == [other.id]


@pytest.mark.parametrize("status", [QueryStatus.ANNOTATED, QueryStatus.SKIPPED, QueryStatus.CANNOT_TELL])
def test_a_query_that_was_dealt_with_leaves_the_queue(project, slide, status):
    first, second = project.add_queries([new_query(slide, 0.9), new_query(slide)])
    project.set_query_status(first.id, status)
    assert project.queries() == [second]
    assert [query.id for query in project.queries(status)] == [first.id]
    assert len(project.queries(None)) == 2


def test_new_questions_supersede_the_open_ones_only(project, slide):
    first, second, _ = project.add_queries([new_query(slide, score) for score in (0.9, 0.5, 0.1)])
    project.set_query_status(first.id, QueryStatus.SKIPPED)
    assert project.supersede_open_queries() == 2
    assert project.queries() == []
    assert project.query(first.id).status is QueryStatus.SKIPPED
    assert project.query(second.id).status is QueryStatus.SUPERSEDED


def test_queries_are_added_all_or_none(project, slide):
    wrong = NewQuery(99, Region(0, 0, 1, 1), "random", 0.0, 1, {}, "")
    with pytest.raises(ValueError, match="FOREIGN KEY"):
        project.add_queries([new_query(slide), wrong])
    assert project.queries() == []


def test_queries_of_a_removed_slide_are_not_asked(project, slide):
    project.add_queries([new_query(slide)])
    project.remove_slide(slide.id)
    assert project.queries() == []
