"""Annotations start from the map, go on where they were left, and can be brought along as files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from histoloop.annotations.records import AnnotationStatus, Origin, Patch, QueryStatus
from histoloop.errors import DataError, HistoLoopError, ProjectError
from histoloop.geometry import Region
from histoloop.progress import finish as run_to_its_end
from histoloop.slides.reader import Slide
from histoloop.store import planes
from histoloop.store.project import Project
from histoloop.store.records import NewQuery
from histoloop.workflows.annotate import (
    begin,
    cannot_tell,
    finish,
    go_on,
    import_annotation,
    label_slide,
    skip,
    starting_mask,
)
from histoloop.workflows.contents.earlier_work import earlier_work, replaced_by
from histoloop.workflows.contents.weak_annotations import size_of
from histoloop.workflows.export import export_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.annotations.records import Mask
    from histoloop.store.records import AnnotationRecord, QueryRecord, SlideRecord
    from histoloop.workflows.reports import ImportedAnnotation

REGION = Region(20, 10, 40, 30)
ELSEWHERE = Region(80, 10, 40, 30)


@pytest.fixture
def slide(add_slide: Callable[..., SlideRecord]) -> SlideRecord:
    """A slide of 160 x 96 pixels."""
    return add_slide("a.png")


@pytest.fixture
def query(project: Project, slide: SlideRecord) -> QueryRecord:
    (record,) = project.queries.add([NewQuery(slide.id, REGION, "entropy", 0.6, 1, {}, "benign")])
    return record


def begun(project: Project, slide: SlideRecord, region: Region = REGION, **options: Any) -> AnnotationRecord:
    return begin(project, slide_id=slide.id, region=region, **{"person": "Ada", **options})


def painted(value: int = 2) -> Patch:
    return Patch(3, 4, np.full((5, 6), value, np.uint8))


def picture(path: Path, mask: Mask) -> Path:
    Image.fromarray(mask).save(path)
    return path


def two_classes(region: Region = REGION) -> Mask:
    mask = np.zeros((region.height, region.width), np.uint8)
    mask[: region.height // 2] = 1
    mask[:, : region.width // 4] = 2
    return mask


# --- begin ------------------------------------------------------------------------------------------------------------


def test_before_a_prediction_a_region_starts_empty_and_names_no_model(project: Project, slide: SlideRecord) -> None:
    record = begun(project, slide)
    mask, origin = project.annotations.load_mask(record.id)
    assert mask.shape == (30, 40)
    assert not mask.any()
    assert (origin == Origin.UNTOUCHED).all()
    assert (record.status, record.region, record.person) == (AnnotationStatus.DRAFT, REGION, "Ada")
    assert record.model_hash is None


def test_a_region_starts_from_the_mask_of_the_map_and_names_its_model(
    project: Project, slide: SlideRecord, add_map: Callable[..., Path]
) -> None:
    foreground = np.zeros((96, 160), np.float32)
    foreground[15:25, 30:200] = 0.9
    add_map(slide, foreground, labels="malignant")
    record = begun(project, slide)
    mask, origin = project.annotations.load_mask(record.id)
    expected = np.zeros((30, 40), np.uint8)
    expected[5:15, 10:] = 2
    assert np.array_equal(mask, expected)
    assert (origin == Origin.UNTOUCHED).all()
    assert record.model_hash == project.models.current().hash


def test_the_starting_mask_has_level_0_pixels_whatever_the_map_has(
    project: Project, slide: SlideRecord, add_map: Callable[..., Path]
) -> None:
    foreground = np.zeros((24, 40), np.float32)
    foreground[:, 10:] = 1.0
    add_map(slide, foreground, downsample=4.0)
    mask, model_hash = starting_mask(project, slide.id, REGION)
    assert mask.shape == (30, 40)
    assert np.array_equal(np.unique(mask), [0, 1])
    assert not mask[:, :18].any()
    assert mask[:, 22:].all()
    assert model_hash == project.models.current().hash


@pytest.mark.parametrize(("threshold", "value"), [(0.5, 1), (0.7, 0)])
def test_the_starting_mask_is_cut_at_the_threshold_of_the_model(
    project: Project,
    slide: SlideRecord,
    add_map: Callable[..., Path],
    make_model: Callable[..., Path],
    threshold: float,
    value: int,
) -> None:
    make_model(project.models.folder / "other", threshold=threshold)
    model = project.models.add("other", hash="other", parent=None, round=1)
    project.models.make_current(model.id)
    add_map(slide, 0.6)
    mask, _hash = starting_mask(project, slide.id, REGION)
    assert (mask == value).all()


def test_maps_of_a_model_that_is_not_current_are_not_started_from(
    project: Project, slide: SlideRecord, add_map: Callable[..., Path]
) -> None:
    candidate = project.models.add("candidate", hash="candidate", parent=None, round=1)
    add_map(slide, 1.0, model_id=candidate.id)
    mask, model_hash = starting_mask(project, slide.id, REGION)
    assert not mask.any()
    assert model_hash is None


def test_a_draft_is_resumed_with_what_was_painted(
    project: Project, slide: SlideRecord, add_map: Callable[..., Path]
) -> None:
    first = begun(project, slide)
    project.drafts.append_patch(first.id, painted())
    add_map(slide, 1.0)  # a prediction meanwhile does not paint over it
    again = begun(project, slide)
    assert again.id == first.id
    mask, origin = project.annotations.load_mask(again.id)
    assert (mask == 2).sum() == 30
    assert not (mask == 1).any()
    assert (origin == Origin.HUMAN).sum() == 30
    assert len(project.annotations.all()) == 1


def test_a_draft_is_resumed_after_the_project_was_closed_and_opened(project: Project, slide: SlideRecord) -> None:
    first = begun(project, slide)
    project.drafts.append_patch(first.id, painted())
    with Project.open(project.folder) as again:
        assert begun(again, slide).id == first.id
        assert (again.annotations.load_mask(first.id)[0] == 2).sum() == 30


def test_another_region_is_another_annotation(project: Project, slide: SlideRecord) -> None:
    first = begun(project, slide)
    assert begun(project, slide, ELSEWHERE).id != first.id
    overlapping = Region(REGION.x, REGION.y, REGION.width, REGION.height - 1)
    assert begun(project, slide, overlapping).id != first.id


def test_the_same_region_of_another_slide_is_another_annotation(
    project: Project, slide: SlideRecord, add_slide: Callable[..., SlideRecord]
) -> None:
    first = begun(project, slide)
    other = begun(project, add_slide("b.png"))
    assert other.id != first.id
    assert other.slide_id != slide.id


def test_a_finished_region_is_reopened_with_what_was_painted(project: Project, slide: SlideRecord) -> None:
    first = begun(project, slide)
    project.drafts.append_patch(first.id, painted())
    finish(project, first.id, label="malignant")
    again = begun(project, slide)
    assert again.id != first.id
    assert (again.status, again.continues, again.label) == (AnnotationStatus.DRAFT, first.id, "malignant")
    assert np.array_equal(project.annotations.load_mask(again.id)[0], project.annotations.load_mask(first.id)[0])
    assert (project.annotations.load_mask(again.id)[0] == 2).sum() == 30


def test_a_reopened_region_is_resumed_and_not_reopened_again(project: Project, slide: SlideRecord) -> None:
    finish(project, begun(project, slide).id)
    again = begun(project, slide)
    assert begun(project, slide).id == again.id
    assert len(project.annotations.all()) == 2


def test_an_annotation_knows_the_query_it_answers(project: Project, slide: SlideRecord, query: QueryRecord) -> None:
    assert begun(project, slide, query_id=query.id).query_id == query.id
    assert begun(project, slide, ELSEWHERE).query_id is None


# --- finish, skip, cannot tell ----------------------------------------------------------------------------------------


def test_finishing_accepts_what_nobody_painted_and_takes_the_query_off_the_queue(
    project: Project, slide: SlideRecord, query: QueryRecord
) -> None:
    draft = begun(project, slide, query_id=query.id)
    project.drafts.append_patch(draft.id, painted())
    done = finish(project, draft.id, label="benign")
    assert (done.id, done.status, done.label) == (draft.id, AnnotationStatus.DONE, "benign")
    _mask, origin = project.annotations.load_mask(draft.id)
    assert np.unique(origin).tolist() == [Origin.ACCEPTED, Origin.HUMAN]
    assert (origin == Origin.HUMAN).sum() == 30
    assert project.queries.get(query.id).status is QueryStatus.ANNOTATED
    assert project.queries.open() == []
    assert [record.id for record in project.annotations.with_mask()] == [draft.id]


@pytest.mark.parametrize(("close", "status"), [(skip, QueryStatus.SKIPPED), (cannot_tell, QueryStatus.CANNOT_TELL)])
def test_a_query_that_nobody_answers_leaves_the_queue(
    project: Project,
    query: QueryRecord,
    slide: SlideRecord,
    close: Callable[..., None],
    status: QueryStatus,
) -> None:
    (other,) = project.queries.add([NewQuery(slide.id, ELSEWHERE, "entropy", 0.5, 1, {}, "benign")])
    close(project, query.id, person="Ada")
    assert project.queries.get(query.id).status is status
    assert [record.id for record in project.queries.open()] == [other.id]
    assert project.annotations.with_mask() == []


# --- what was begun or finished there already -------------------------------------------------------------------------

OVERLAPPING = Region(40, 20, 40, 30)


def done_by(project: Project, slide: SlideRecord, person: str, region: Region = REGION, **how: Any) -> AnnotationRecord:
    draft = begun(project, slide, region, person=person)
    project.drafts.append_patch(draft.id, painted())
    return finish(project, draft.id, **how)


def test_a_person_begins_a_draft_of_her_own_beside_that_of_another(project: Project, slide: SlideRecord) -> None:
    hers = begun(project, slide)
    project.drafts.append_patch(hers.id, painted())
    own = begun(project, slide, person="Bo")
    assert own.id != hers.id
    assert not project.annotations.load_mask(own.id)[0].any()
    finish(project, own.id)
    assert project.annotations.get(hers.id).status is AnnotationStatus.DRAFT


def test_going_on_with_the_draft_of_another_leaves_it_as_it_is(project: Project, slide: SlideRecord) -> None:
    hers = begun(project, slide)
    project.drafts.append_patch(hers.id, painted())
    own = go_on(project, hers.id, person="Bo")
    assert (own.person, own.continues) == ("Bo", hers.id)
    project.drafts.append_patch(own.id, painted(1))
    finish(project, own.id)
    assert (project.annotations.load_mask(hers.id)[0] == 2).sum() == 30
    assert project.annotations.get(hers.id).status is AnnotationStatus.DRAFT
    assert go_on(project, hers.id, person="Ada").id == hers.id


def test_a_draft_of_nobody_by_name_is_gone_on_with_by_anybody(project: Project, slide: SlideRecord) -> None:
    draft = begun(project, slide, person="")
    assert begun(project, slide).id == draft.id


def test_what_was_left_out_goes_on_from_its_strokes(project: Project, slide: SlideRecord) -> None:
    draft = begun(project, slide)
    project.drafts.append_patch(draft.id, painted())
    project.drafts.finish(draft.id, AnnotationStatus.SKIPPED)
    again = begun(project, slide)
    assert (project.annotations.load_mask(again.id)[0] == 2).sum() == 30
    assert not project.annotations.load_mask(begun(project, slide, person="Bo").id)[0].any()


def test_strokes_set_aside_for_a_label_are_gone_on_with(project: Project, slide: SlideRecord) -> None:
    done_by(project, slide, "Ada", label="benign", with_mask=False)
    again = begun(project, slide)
    assert again.label == "benign"
    assert (project.annotations.load_mask(again.id)[0] == 2).sum() == 30


def test_a_draft_in_which_nothing_was_done_gives_way_to_what_was_finished_since(
    project: Project, slide: SlideRecord
) -> None:
    looked_at = begun(project, slide)
    finished = done_by(project, slide, "Bo")
    again = begun(project, slide)
    assert again.id != looked_at.id
    assert again.continues == finished.id


def test_work_in_a_place_is_found_just_there_first_and_then_by_what_it_shares(
    project: Project, slide: SlideRecord
) -> None:
    finished = done_by(project, slide, "Bo", OVERLAPPING)
    begun(project, slide, Region(30, 10, 40, 30))  # nothing was done in it
    draft = begun(project, slide)
    project.drafts.append_patch(draft.id, painted())
    done_by(project, slide, "Bo", ELSEWHERE)
    assert [record.id for record in earlier_work(project, slide.id, REGION)] == [draft.id, finished.id]
    near = Region(42, 22, 38, 28)
    assert [record.id for record in earlier_work(project, slide.id, near)] == [finished.id, draft.id]


def test_what_a_draft_replaces_is_what_was_finished_just_there_or_since_it_was_begun(
    project: Project, slide: SlideRecord
) -> None:
    known = done_by(project, slide, "Bo", OVERLAPPING)
    draft = begun(project, slide)
    assert replaced_by(project, draft) == []
    same = done_by(project, slide, "Bo")
    assert [record.id for record in replaced_by(project, draft)] == [same.id]
    since = done_by(project, slide, "Cy", Region(30, 12, 40, 30))
    assert [record.id for record in replaced_by(project, draft)] == [same.id, since.id]
    assert replaced_by(project, draft, with_mask=False) == []
    assert known.id not in [record.id for record in replaced_by(project, draft)]


@pytest.mark.parametrize("region", [REGION, OVERLAPPING])
def test_a_mask_is_brought_along_over_a_finished_one_only_when_that_is_said(
    project: Project, slide: SlideRecord, tmp_path: Path, region: Region
) -> None:
    finished = done_by(project, slide, "Ada")
    file = picture(tmp_path / "m.png", two_classes(region))
    with pytest.raises(DataError, match=r"already finished there: 20,10,40,30, by Ada on \d{4}-") as caught:
        brought(project, file, slide_name=slide.name, region=region)
    assert "--replace" in caught.value.advice
    assert [record.id for record in project.annotations.finished()] == [finished.id]
    record = brought(project, file, slide_name=slide.name, region=region, replace=True)
    assert record.id in [record.id for record in project.annotations.finished()]


def test_a_label_that_was_given_is_changed_only_when_that_is_said(project: Project, query: QueryRecord) -> None:
    brought(project, None, query_id=query.id, label="benign")
    brought(project, None, query_id=query.id, label="benign", size=0.5)
    for other in ({"label": "malignant"}, {"size": 0.25}):
        with pytest.raises(DataError, match="already finished there"):
            brought(project, None, query_id=query.id, **other)
    assert brought(project, None, query_id=query.id, label="malignant", replace=True).label == "malignant"


# --- masks from files -------------------------------------------------------------------------------------------------


def test_label_and_size_can_be_brought_along_without_a_mask(project: Project, query: QueryRecord) -> None:
    record = brought(project, None, query_id=query.id, label="malignant", size=0.4)
    assert (record.status, record.region, record.query_id) == (AnnotationStatus.DONE, REGION, query.id)
    assert (record.label, record.size, record.has_mask, record.person) == ("malignant", 0.4, False, "Bo")
    assert project.queries.get(query.id).status is QueryStatus.ANNOTATED


def test_nothing_to_bring_along_is_refused(project: Project, query: QueryRecord) -> None:
    with pytest.raises(DataError, match="No annotation was given"):
        brought(project, None, query_id=query.id)


def test_what_is_not_brought_along_stays_as_it_was_said_and_a_new_mask_says_its_own_size(
    project: Project, query: QueryRecord, tmp_path: Path
) -> None:
    brought(project, None, query_id=query.id, label="malignant")
    both = brought(project, None, query_id=query.id, size=0.4)
    assert (both.label, both.size) == ("malignant", 0.4)
    masked = brought(project, picture(tmp_path / "m.png", two_classes()), query_id=query.id)
    assert (masked.label, masked.size, masked.has_mask) == ("malignant", None, True)
    again = brought(project, None, query_id=query.id, label="benign", replace=True)
    assert (again.label, again.has_mask) == ("benign", True)
    assert np.array_equal(project.annotations.load_mask(again.id)[0], two_classes())


def test_a_region_done_with_label_and_size_goes_on_from_them_and_the_models_mask(
    project: Project, slide: SlideRecord, add_map: Callable[..., Path]
) -> None:
    add_map(slide, 1.0)
    first = begun(project, slide)
    finish(project, first.id, label="benign", size=0.2, with_mask=False)
    again = begun(project, slide)
    assert (again.label, again.size, again.continues) == ("benign", 0.2, first.id)
    assert project.annotations.load_mask(again.id)[0].all()


def test_a_slide_is_labelled_by_its_name(project: Project, slide: SlideRecord) -> None:
    assert label_slide(project, slide_name="a", label="malignant", person="Bo").label == "malignant"
    assert project.slides.get(slide.id).given_label.person == "Bo"
    with pytest.raises(DataError, match="no label 'sarcoma'"):
        label_slide(project, slide_name="a", label="sarcoma", person="Bo")
    with pytest.raises(ProjectError, match="No slides are called"):
        label_slide(project, slide_name="z", label="benign", person="Bo")
    assert project.annotations.all() == []


def brought(project: Project, mask_file: Path | None, **options: Any) -> AnnotationRecord:
    return import_annotation(project, mask_file=mask_file, **{"person": "Bo", **options}).record


def test_a_picture_becomes_the_finished_annotation_of_a_query(
    project: Project, query: QueryRecord, tmp_path: Path
) -> None:
    record = brought(project, picture(tmp_path / "m.png", two_classes()), query_id=query.id, label="malignant")
    assert (record.status, record.region, record.query_id) == (AnnotationStatus.DONE, REGION, query.id)
    assert (record.person, record.label, record.model_hash) == ("Bo", "malignant", None)
    mask, origin = project.annotations.load_mask(record.id)
    assert np.array_equal(mask, two_classes())
    assert (origin == Origin.HUMAN).all()
    assert project.queries.get(query.id).status is QueryStatus.ANNOTATED


@pytest.mark.parametrize("name", ["m.geojson", "m.JSON"])
def test_geojson_in_slide_pixels_becomes_the_annotation_of_a_region(
    project: Project, slide: SlideRecord, tmp_path: Path, name: str
) -> None:
    ring = [[30, 15], [50, 15], [50, 20], [30, 20], [30, 15]]
    content = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"classification": {"name": "Tumour"}},
    }
    (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    record = brought(project, tmp_path / name, slide_name=slide.name, region=REGION)
    expected = np.zeros((30, 40), np.uint8)
    expected[5:10, 10:30] = 2
    mask, origin = project.annotations.load_mask(record.id)
    assert np.array_equal(mask, expected)
    assert (origin == Origin.HUMAN).all()


@pytest.mark.parametrize("called", ["name", "stem", "path"])
def test_without_a_region_the_mask_is_of_the_whole_slide_that_is_named(
    project: Project, slide: SlideRecord, add_slide: Callable[..., SlideRecord], tmp_path: Path, called: str
) -> None:
    add_slide("b.png")
    name = {"name": "a.png", "stem": "a", "path": str(slide.path)}[called]
    mask = two_classes(slide.extent)
    record = brought(project, picture(tmp_path / "m.png", mask), slide_name=name)
    assert (record.slide_id, record.region) == (slide.id, slide.extent)
    assert np.array_equal(project.annotations.load_mask(record.id)[0], mask)


def test_a_mask_of_half_the_size_is_enlarged_without_new_values(
    project: Project, query: QueryRecord, tmp_path: Path
) -> None:
    small = two_classes(Region(0, 0, 20, 15))
    record = brought(project, picture(tmp_path / "m.png", small), query_id=query.id)
    mask, _origin = project.annotations.load_mask(record.id)
    assert np.array_equal(mask, small.repeat(2, axis=0).repeat(2, axis=1))


@pytest.mark.parametrize("size", [(30, 40), (40, 40), (40, 28), (160, 96)])
def test_a_mask_of_other_proportions_is_refused_with_both_sizes(
    project: Project, query: QueryRecord, tmp_path: Path, size: tuple[int, int]
) -> None:
    width, height = size
    path = picture(tmp_path / "m.png", np.ones((height, width), np.uint8))
    with pytest.raises(DataError) as caught:
        brought(project, path, query_id=query.id)
    assert f"{width} x {height} pixels; the region is 40 x 30" in caught.value.message
    assert str(path) in caught.value.message
    assert "size or proportions" in caught.value.advice


def test_a_value_that_is_no_class_is_refused_with_the_way_out(
    project: Project, query: QueryRecord, tmp_path: Path
) -> None:
    mask = two_classes()
    mask[0, 0] = 3
    with pytest.raises(DataError, match="value 3; the project has 2 mask classes") as caught:
        brought(project, picture(tmp_path / "m.png", mask), query_id=query.id)
    assert "--mask-class gland or tumour" in caught.value.advice


def test_with_a_mask_class_all_foreground_is_of_that_class(
    project: Project, query: QueryRecord, tmp_path: Path
) -> None:
    mask = np.where(two_classes() > 0, 77, 0).astype(np.uint8)
    mask[-1, -1] = 12
    record = brought(project, picture(tmp_path / "m.png", mask), query_id=query.id, mask_class="tumour")
    assert np.array_equal(project.annotations.load_mask(record.id)[0], np.where(mask > 0, 2, 0))


def test_a_mask_class_that_does_not_exist_is_refused_with_the_choices(
    project: Project, query: QueryRecord, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"'stroma'.*gland, tumour"):
        brought(project, picture(tmp_path / "m.png", two_classes()), query_id=query.id, mask_class="stroma")


def test_a_query_that_does_not_exist_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no query 99") as caught:
        brought(project, picture(tmp_path / "m.png", two_classes()), query_id=99)
    assert "histoloop query" in caught.value.advice


def test_a_slide_that_does_not_exist_is_refused_with_those_that_do(
    project: Project, slide: SlideRecord, add_slide: Callable[..., SlideRecord], tmp_path: Path
) -> None:
    add_slide("b.png")
    with pytest.raises(ProjectError, match="No slides are called 'c'") as caught:
        brought(project, picture(tmp_path / "m.png", two_classes()), slide_name="c")
    assert f"{slide.name}, b.png" in caught.value.advice


def test_a_name_that_two_slides_have_is_refused(
    project: Project, add_slide: Callable[..., SlideRecord], tmp_path: Path
) -> None:
    add_slide("a.png")
    add_slide("again/a.png")
    with pytest.raises(ProjectError, match="2 slides are called 'a'"):
        brought(project, picture(tmp_path / "m.png", two_classes()), slide_name="a", region=REGION)


@pytest.mark.parametrize("region", [Region(-1, 0, 40, 30), Region(121, 0, 40, 30), Region(0, 67, 40, 30)])
def test_a_region_that_reaches_past_the_slide_is_refused(
    project: Project, slide: SlideRecord, tmp_path: Path, region: Region
) -> None:
    with pytest.raises(DataError, match="160 x 96 pixels"):
        brought(project, picture(tmp_path / "m.png", two_classes()), slide_name=slide.name, region=region)


@pytest.mark.parametrize("name", ["broken.png", "broken.geojson", "absent.png"])
def test_a_mask_that_cannot_be_read_begins_no_annotation_and_leaves_the_query_open(
    project: Project, query: QueryRecord, tmp_path: Path, name: str
) -> None:
    if not name.startswith("absent"):
        (tmp_path / name).write_bytes(b"neither")
    with pytest.raises(HistoLoopError, match=name.replace(".", r"\.")):
        brought(project, tmp_path / name, query_id=query.id)
    assert project.annotations.all() == []
    assert project.queries.open() == [query]


def test_a_mask_of_the_wrong_size_begins_no_annotation_and_leaves_the_query_open(
    project: Project, query: QueryRecord, tmp_path: Path
) -> None:
    with pytest.raises(DataError):
        brought(project, picture(tmp_path / "m.png", np.ones((9, 9), np.uint8)), query_id=query.id)
    assert project.annotations.all() == []
    assert project.queries.open() == [query]


def test_what_is_reopened_is_the_newest_of_a_region(project: Project, slide: SlideRecord) -> None:
    finish(project, begun(project, slide).id)
    second = begun(project, slide, person="Bo")
    project.drafts.append_patch(second.id, painted())
    finish(project, second.id)
    third = begun(project, slide, person="Cy")
    assert (third.continues, third.person) == (second.id, "Cy")
    assert project.annotations.load_mask(third.id)[0].sum() == painted().values.sum()


def test_a_draft_of_ones_own_choice_answers_the_query_that_is_asked_about_it_later(
    project: Project, slide: SlideRecord, query: QueryRecord
) -> None:
    draft = begun(project, slide)
    assert begun(project, slide, query_id=query.id).id == draft.id
    finish(project, draft.id)
    assert project.queries.get(query.id).status is QueryStatus.ANNOTATED


def test_an_unknown_label_is_refused_and_leaves_nothing_behind(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    file = picture(tmp_path / "mask.png", two_classes())
    with pytest.raises(DataError, match=r"nonsense.*Name one of benign"):
        import_annotation(project, mask_file=file, slide_name=slide.name, region=REGION, label="nonsense", person="Ada")
    assert project.annotations.all() == []


# --- outlines of other programs ---------------------------------------------------------------------------------------


def outlined(path: Path, *features: tuple[str | None, list[int]]) -> Path:
    """Rectangles (class, [x, y, width, height]) as GeoJSON."""
    content = []
    for name, (x, y, width, height) in features:
        ring = [[x, y], [x + width, y], [x + width, y + height], [x, y + height], [x, y]]
        classification = None if name is None else {"name": name}
        geometry = {"type": "Polygon", "coordinates": [ring]}
        content.append({"type": "Feature", "geometry": geometry, "properties": {"classification": classification}})
    path.write_text(json.dumps({"type": "FeatureCollection", "features": content}), encoding="utf-8")
    return path


def imported(project: Project, slide: SlideRecord, file: Path, **options: Any) -> ImportedAnnotation:
    return import_annotation(project, mask_file=file, slide_name=slide.name, **{"person": "Bo", **options})


TUMOUR = ("Tumor", [20, 10, 30, 20])


def test_what_is_left_out_and_what_is_assumed_is_told(project: Project, slide: SlideRecord, tmp_path: Path) -> None:
    file = outlined(tmp_path / "a.geojson", TUMOUR, (None, [0, 0, 90, 90]), ("Ignore*", [100, 10, 20, 20]))
    found = imported(project, slide, file)
    assert found.left_out == ("1 left out: outlines without a class.",)
    assert found.notes == ("1 outline of Ignore*: not used to train or measure.",)
    mask, origin = project.annotations.load_mask(found.record.id)
    assert (mask == 2).sum() == 600
    assert (origin == Origin.LEFT_OUT).sum() == 400
    assert (origin[10:30, 100:120] == Origin.LEFT_OUT).all()
    assert not mask[10:30, 100:120].any()


IGNORED = ("Ignore*", [100, 10, 20, 20])


def test_what_was_left_out_stays_so_when_the_region_is_taken_up_again_but_where_it_is_painted(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    record = imported(project, slide, outlined(tmp_path / "a.geojson", TUMOUR, IGNORED)).record
    again = begin(project, slide_id=slide.id, region=record.region, person="Ada")
    project.drafts.append_patch(again.id, Patch(100, 10, np.full((20, 5), 1, np.uint8)))
    done = finish(project, again.id)
    mask, origin = project.annotations.load_mask(done.id)
    assert (origin[10:30, 100:105] == Origin.HUMAN).all()
    assert (mask[10:30, 100:105] == 1).all()
    assert (origin == Origin.LEFT_OUT).sum() == 300


def test_the_size_of_a_region_is_that_of_the_pixels_that_were_not_left_out(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    record = imported(project, slide, outlined(tmp_path / "a.geojson", TUMOUR, IGNORED)).record
    assert size_of(project, record) == 600 / (160 * 96 - 400)


@pytest.mark.parametrize("kind", [".geojson", "-mask.png", "-mask.tiff"])
def test_what_was_left_out_is_exported_and_comes_back(
    project: Project, slide: SlideRecord, tmp_path: Path, add_map: Callable[..., Path], kind: str
) -> None:
    add_map(slide, 0.0)
    first = imported(project, slide, outlined(tmp_path / "a.geojson", TUMOUR, IGNORED)).record
    before = project.annotations.load_mask(first.id)
    run_to_its_end(export_project(project, tmp_path / "out"))
    file = tmp_path / "out" / f"a{kind}"
    second = imported(project, slide, file, replace=True).record
    for plane, expected in zip(project.annotations.load_mask(second.id), before, strict=True):
        assert np.array_equal(plane, expected)
    if kind == ".geojson":
        features = json.loads(file.read_text(encoding="utf-8"))["features"]
        classes = [feature["properties"].get("classification") for feature in features]
        assert {"name": "Ignore*", "color": [180, 180, 180]} in classes


def test_a_foreign_class_is_refused_before_anything_is_saved_and_a_map_is_remembered(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    file = outlined(tmp_path / "a.geojson", ("Nests of cells", [20, 10, 30, 20]))
    with pytest.raises(DataError, match="--map-class 'Nests of cells'=gland"):
        imported(project, slide, file)
    assert project.annotations.all() == []
    imported(project, slide, file, class_map={"nests of Cell": "Tumor"})
    again = imported(project, slide, file, replace=True)
    assert (project.annotations.load_mask(again.record.id)[0] == 2).sum() == 600
    other = imported(project, slide, file, class_map={"Nests of cells": "gland"}, replace=True)
    assert (project.annotations.load_mask(other.record.id)[0] == 1).sum() == 600


def test_a_map_that_came_to_nothing_is_not_remembered(project: Project, slide: SlideRecord, tmp_path: Path) -> None:
    file = outlined(tmp_path / "a.geojson", ("Nest", [2000, 10, 30, 20]))
    with pytest.raises(DataError):
        imported(project, slide, file, class_map={"Nest": "tumour"})
    assert project.settings.get("foreign classes") is None


def test_outlines_without_a_class_take_the_mask_class(project: Project, slide: SlideRecord, tmp_path: Path) -> None:
    file = outlined(tmp_path / "a.geojson", (None, [20, 10, 30, 20]))
    with pytest.raises(DataError, match=r"no outline that can be used. 1 left out: outlines without a class"):
        imported(project, slide, file)
    found = imported(project, slide, file, mask_class="tumour")
    assert (project.annotations.load_mask(found.record.id)[0] == 2).sum() == 600


@pytest.mark.parametrize(
    ("rectangle", "region", "words"),
    [
        ([500, 500, 30, 20], None, "Most outlines of .* lie outside of a.png: they reach from 500, 500 to 530, 520"),
        ([80, 50, 30, 20], REGION, "No outline of .* lies in the region, 20, 10 to 60, 40: they reach from 80, 50"),
        ([0, 0, 0, 0], None, "No outline"),
    ],
)
def test_outlines_that_lie_elsewhere_annotate_nothing(
    project: Project, slide: SlideRecord, tmp_path: Path, rectangle: list[int], region: Region | None, words: str
) -> None:
    file = outlined(tmp_path / "a.geojson", ("tumour", rectangle))
    with pytest.raises(DataError, match=words):
        imported(project, slide, file, region=region)
    assert project.annotations.all() == []


def test_outlines_without_a_pixel_are_refused_with_the_unit_that_would_fit(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    ring = [[0.01, 0.01], [0.04, 0.01], [0.04, 0.03], [0.01, 0.03]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]},
               "properties": {"classification": "tumour"}}  # fmt: skip
    (tmp_path / "mm.geojson").write_text(json.dumps(feature))
    with pytest.raises(DataError, match=r"millimetres: --mask-mpp 1000") as caught:
        imported(project, slide, tmp_path / "mm.geojson")
    assert "0.01, 0.01 to 0.04, 0.03" in caught.value.message
    found = imported(project, slide, tmp_path / "mm.geojson", units_um=1000.0)
    assert (project.annotations.load_mask(found.record.id)[0] == 2).sum() == 60 * 40


def test_outlines_beside_the_region_are_counted(project: Project, slide: SlideRecord, tmp_path: Path) -> None:
    file = outlined(tmp_path / "a.geojson", TUMOUR, ("gland", [100, 50, 9, 9]))
    assert imported(project, slide, file, region=REGION).notes == ("1 outline lies outside the region.",)


@pytest.fixture
def with_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slides whose scanned area is 120 x 60 pixels at (30, 20)."""
    stated = {"x": "30", "y": "20", "width": "120", "height": "60"}
    properties = {f"openslide.bounds-{name}": value for name, value in stated.items()}
    whole = Slide.__init__

    def opened(self: Slide, *given: Any, **options: Any) -> None:
        whole(self, *given, **options)
        self.properties = properties

    monkeypatch.setattr(Slide, "__init__", opened)


@pytest.mark.usefixtures("with_bounds")
def test_outlines_and_masks_of_a_slide_with_bounds_lie_where_qupath_shows_them(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    expected = np.zeros((96, 160), np.uint8)
    expected[30:50, 50:80] = 2
    found = imported(project, slide, outlined(tmp_path / "a.geojson", TUMOUR))
    assert np.array_equal(project.annotations.load_mask(found.record.id)[0], expected)
    assert "at their corner at 30, 20" in found.notes[0]
    shown = picture(tmp_path / "m.png", expected[20:80, 30:150])
    masked = imported(project, slide, shown, replace=True)
    assert masked.record.region == Region(30, 20, 120, 60)
    assert np.array_equal(project.annotations.load_mask(masked.record.id)[0], expected[20:80, 30:150])
    assert "bounds" in masked.notes[0]


# --- places larger than one region ------------------------------------------------------------------------------------


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histoloop.workflows.contents.import_regions.ONE_REGION_PX", 64)
    monkeypatch.setattr("histoloop.workflows.contents.import_regions.PART_PX", 40)


def assembled(project: Project, found: ImportedAnnotation) -> Mask:
    mask = np.full((96, 160), 9, np.uint8)
    for record in found.records:
        region = record.region
        mask[region.y : region.bottom, region.x : region.right] = project.annotations.load_mask(record.id)[0]
    return mask


@pytest.mark.usefixtures("small_parts")
def test_a_large_place_becomes_regions_that_cover_it_once(project: Project, slide: SlideRecord, tmp_path: Path) -> None:
    expected = np.zeros((96, 160), np.uint8)
    expected[10:30, 20:50] = 2
    found = imported(project, slide, outlined(tmp_path / "a.geojson", TUMOUR), label="malignant")
    assert len(found.records) == 12
    assert np.array_equal(assembled(project, found), expected)
    assert sum(record.region.area for record in found.records) == 160 * 96
    assert {record.held_out for record in found.records} == {False, True}
    assert all(record.status is AnnotationStatus.DONE and record.label is None for record in found.records)
    assert project.slides.get(slide.id).label == "malignant"
    again = imported(project, slide, picture(tmp_path / "m.png", expected), replace=True)
    assert np.array_equal(assembled(project, again), expected)
    small = picture(tmp_path / "s.png", expected[::2, ::2])
    doubled = expected[::2, ::2].repeat(2, axis=0).repeat(2, axis=1)
    assert np.array_equal(assembled(project, imported(project, slide, small, replace=True)), doubled)


@pytest.mark.usefixtures("small_parts")
def test_parts_of_glass_without_outlines_are_left_out(
    project: Project, add_slide: Callable[..., SlideRecord], tmp_path: Path
) -> None:
    slide = add_slide("glass.png", until=40)
    file = outlined(tmp_path / "a.geojson", TUMOUR, ("gland", [150, 90, 5, 5]))
    regions = {(record.region.x, record.region.y) for record in imported(project, slide, file).records}
    assert regions == {(0, 0), (0, 32), (0, 64), (40, 0), (120, 64)}


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("options", [{"size": 0.5}, {"label": "benign", "region": Region(0, 0, 100, 90)}])
def test_a_large_place_takes_no_size_and_only_a_slide_a_label(
    project: Project, slide: SlideRecord, tmp_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(DataError, match="cannot have a label or a size"):
        imported(project, slide, outlined(tmp_path / "a.geojson", TUMOUR), **options)
    assert project.annotations.all() == []


@pytest.mark.usefixtures("small_parts")
def test_a_large_place_is_annotated_whole_or_not_at_all(
    project: Project, slide: SlideRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    whole = planes.write_plane

    def failing(folder: Path, plane: Mask, *, stem: str) -> str:
        nonlocal written
        written += 1
        if written == 4:
            raise OSError(28, "No space left on device")
        return whole(folder, plane, stem=stem)

    monkeypatch.setattr(planes, "write_plane", failing)
    file = outlined(tmp_path / "a.geojson", ("tumour", [3, 3, 150, 80]))
    with pytest.raises(ProjectError, match="cannot be written: No space left") as caught:
        imported(project, slide, file)
    assert "disk is not full" in caught.value.advice
    assert project.annotations.all() == []
    assert list(project.annotations.folder.iterdir()) == []


def test_even_masks_of_a_size_share_a_file(project: Project, slide: SlideRecord) -> None:
    even = [(Region(x, 0, 10, 10), np.full((10, 10), 1, np.uint8), np.full((10, 10), 2, np.uint8)) for x in (0, 10, 20)]
    records = project.annotations.add_with_masks(slide.id, even, person="Bo")
    assert len(records) == 3
    assert len(list(project.annotations.folder.iterdir())) == 2
    assert all((project.annotations.load_mask(record.id)[0] == 1).all() for record in records)


def test_a_mask_without_foreground_is_taken_and_that_is_said(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    found = imported(project, slide, picture(tmp_path / "m.png", np.zeros((96, 160), np.uint8)))
    assert found.notes == (f"{tmp_path / 'm.png'} has no foreground: all of it is background.",)


def test_a_part_of_a_slide_that_a_mask_states_is_annotated(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    metadata = {
        "axes": "YX",
        "PhysicalSizeX": 1.0,
        "PhysicalSizeY": 1.0,
        "Plane": {"PositionX": 10.0, "PositionY": 5.0},
    }
    tifffile.imwrite(tmp_path / "m.ome.tif", np.ones((8, 12), np.uint8), ome=True, metadata=metadata)
    found = imported(project, slide, tmp_path / "m.ome.tif")
    assert found.record.region == Region(20, 10, 24, 16)
    assert project.annotations.load_mask(found.record.id)[0].all()
    assert "20, 10 to 44, 26" in found.notes[0]


def test_a_resolution_that_does_not_fit_is_a_question(project: Project, slide: SlideRecord, tmp_path: Path) -> None:
    pixels = np.ones((48, 80), np.uint8)  # half the slide's size, which has 0.5 um per pixel
    tifffile.imwrite(tmp_path / "m.tif", pixels, resolution=(20_000, 20_000), resolutionunit="CENTIMETER")
    with pytest.raises(DataError, match=r"states 0.5 um per pixel, but would need 1 um per pixel to cover") as caught:
        imported(project, slide, tmp_path / "m.tif")
    assert "--mask-mpp 1 to cover all of it, or --mask-mpp 0.5 from its corner" in caught.value.advice
    assert imported(project, slide, tmp_path / "m.tif", units_um=1.0).record.region == slide.extent
    assert imported(project, slide, tmp_path / "m.tif", units_um=0.5, replace=True).record.region == Region(
        0, 0, 80, 48
    )
    with pytest.raises(DataError, match="would reach from 0, 0 to 800, 480"):
        imported(project, slide, tmp_path / "m.tif", units_um=5.0, replace=True)
