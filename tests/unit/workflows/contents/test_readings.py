"""Two readers: the second is blinded, what is painted so counts only once it is chosen, and figures are exact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from histoloop.annotations.records import Patch
from histoloop.errors import ProjectError
from histoloop.geometry import Region
from histoloop.store.project import Project
from histoloop.workflows import annotate
from histoloop.workflows.contents.earlier_work import replaced_by
from histoloop.workflows.contents.masks import painted_regions
from histoloop.workflows.contents.readings import (
    ReviewState,
    agreements,
    begin_reading,
    choose,
    over_all,
    regions_to_read,
    take_back_choice,
)
from histoloop.workflows.contents.review import Review, SlideReview, ToReview, review_of, states_on_slide

if TYPE_CHECKING:
    from collections.abc import Callable

    from histoloop.annotations.records import Mask
    from histoloop.store.records import AnnotationRecord, SlideRecord

REGION = Region(16, 8, 40, 20)


def rows_of(value: int, rows: int) -> Mask:
    """A mask of the region whose first rows have a class."""
    mask = np.zeros((REGION.height, REGION.width), np.uint8)
    mask[:rows] = value
    return mask


def painted(project: Project, slide: SlideRecord, mask: Mask, person: str) -> AnnotationRecord:
    draft = project.drafts.start(slide.id, REGION, mask=mask, origin_model="abc", person=person)
    return annotate.finish(project, draft.id)


def read(project: Project, first: AnnotationRecord, mask: Mask, person: str) -> AnnotationRecord:
    draft = begin_reading(project, first.id, person=person)
    project.drafts.append_patch(draft.id, Patch(0, 0, mask))
    return annotate.finish(project, draft.id)


@pytest.fixture
def first(project: Project, add_slide: Callable[..., SlideRecord]) -> AnnotationRecord:
    """Ada's gland in the upper half of a region."""
    return painted(project, add_slide(), rows_of(1, 10), "Ada")


def test_a_second_reader_sees_neither_strokes_nor_prediction(
    project: Project, first: AnnotationRecord, add_map: Callable[..., object]
) -> None:
    add_map(project.slides.get(first.slide_id), 1.0)
    assert [one.id for one in regions_to_read(project, "Bo")] == [first.id]
    draft = begin_reading(project, first.id, person="Bo")
    mask, _origin = project.annotations.load_mask(draft.id)
    assert not mask.any()
    assert (draft.region, draft.model_hash, draft.continues) == (REGION, None, None)
    assert begin_reading(project, first.id, person="Bo").id == draft.id
    assert replaced_by(project, draft) == []


@pytest.mark.parametrize("person", ["Ada", ""])
def test_nobody_is_their_own_second_reader(project: Project, first: AnnotationRecord, person: str) -> None:
    with pytest.raises(ProjectError, match="somebody else than the first"):
        begin_reading(project, first.id, person=person)
    if person:
        assert regions_to_read(project, person) == []


def test_what_is_not_done_cannot_be_read_anew(project: Project, first: AnnotationRecord) -> None:
    draft = begin_reading(project, first.id, person="Bo")
    with pytest.raises(ProjectError, match="no finished mask"):
        begin_reading(project, draft.id, person="Cy")


def test_a_second_reading_does_not_count_until_it_is_chosen(project: Project, first: AnnotationRecord) -> None:
    second = read(project, first, rows_of(1, 20), "Bo")
    assert [one.id for one in project.annotations.finished()] == [first.id]
    assert [one.id for one in project.annotations.listed()] == [first.id]
    assert regions_to_read(project, "Bo") == []
    assert regions_to_read(project, "Cy") == []
    choose(project, second.id, person="Cy")
    (counts,) = project.annotations.finished()
    assert (counts.id, counts.adjudicator, counts.held_out) == (second.id, "Cy", first.held_out)
    ((_region, mask),) = painted_regions(project, first.slide_id)
    assert (mask == 1).all()
    choose(project, first.id, person="Cy")
    assert [one.id for one in project.annotations.finished()] == [first.id]
    assert project.annotations.finished_by_slide() == {first.slide_id: 1}


def counting(project: Project) -> list[int]:
    return [one.id for one in project.annotations.finished()]


def test_a_choice_that_is_taken_back_leaves_the_region_as_it_was(project: Project, first: AnnotationRecord) -> None:
    second = read(project, first, rows_of(2, 20), "Bo")
    before = project.annotations.get(second.id)
    choose(project, second.id, person="Cy")
    take_back_choice(project, second.id)
    assert counting(project) == [first.id]
    assert states_on_slide(project, first.slide_id) == {REGION: ReviewState.DIFFERS}
    after = project.annotations.get(second.id)
    assert (after.adjudicated, after.adjudicator, after.held_out) == (None, "", before.held_out)
    ((_region, mask),) = painted_regions(project, first.slide_id)
    assert np.array_equal(mask, rows_of(1, 10))
    choose(project, second.id, person="Cy")
    assert counting(project) == [second.id]


def test_the_choice_before_counts_again_where_there_was_one(project: Project, first: AnnotationRecord) -> None:
    second = read(project, first, rows_of(2, 20), "Bo")
    choose(project, second.id, person="Cy")
    choose(project, first.id, person="Cy")
    take_back_choice(project, first.id)
    assert counting(project) == [second.id]
    assert states_on_slide(project, first.slide_id) == {REGION: ReviewState.DECIDED}
    take_back_choice(project, second.id)
    assert counting(project) == [first.id]
    assert project.annotations.finished_by_slide() == {first.slide_id: 1}


@pytest.mark.parametrize("of", ["first", "second"])
def test_a_third_painting_counts_again_when_the_choice_after_it_is_taken_back(
    project: Project, first: AnnotationRecord, of: str
) -> None:
    second = read(project, first, rows_of(2, 20), "Bo")
    third = annotate.finish(project, project.drafts.reopen(first.id, person="Cy").id)
    chosen = first.id if of == "first" else second.id
    choose(project, chosen, person="Cy")
    assert counting(project) == [chosen]
    take_back_choice(project, chosen)
    assert counting(project) == [third.id]


def test_what_nobody_chose_or_counts_no_longer_cannot_be_taken_back(project: Project, first: AnnotationRecord) -> None:
    second = read(project, first, rows_of(2, 20), "Bo")
    for number in (first.id, second.id):
        with pytest.raises(ProjectError, match="was not chosen"):
            take_back_choice(project, number)
        with pytest.raises(ValueError, match="was not chosen"):
            project.readings.take_back(number)
    choose(project, second.id, person="Cy")
    annotate.finish(project, project.drafts.reopen(second.id, person="Cy").id)
    with pytest.raises(ProjectError, match="was not chosen"):
        take_back_choice(project, second.id)


def test_a_label_given_later_keeps_the_mask_that_counts(project: Project, first: AnnotationRecord) -> None:
    read(project, first, rows_of(2, 20), "Bo")
    project.annotations.add(first.slide_id, REGION, label="benign", size=None, person="Ada")
    ((_region, mask),) = painted_regions(project, first.slide_id)
    assert np.array_equal(mask, rows_of(1, 10))


def test_figures_are_of_each_region_and_over_all(
    project: Project, first: AnnotationRecord, add_slide: Callable[..., SlideRecord]
) -> None:
    read(project, first, rows_of(1, 15), "Bo")
    other = painted(project, add_slide("b.png"), rows_of(2, 10), "Ada")
    read(project, other, rows_of(2, 10), "Bo")
    one, two = agreements(project)
    assert one.agreement.dice == {"gland": pytest.approx(2 * 10 / 25), "tumour": None}
    assert one.agreement.kappa == pytest.approx(0.5)  # observed 15/20, by chance 1/2
    assert two.agreement.dice == {"gland": None, "tumour": 1.0}
    assert (one.first.person, one.second.person) == ("Ada", "Bo")
    together = over_all(project, [one, two])
    assert together.pixels == 2 * REGION.area
    assert together.dice == {"gland": pytest.approx(0.8), "tumour": 1.0}


@pytest.mark.parametrize(("rows", "state"), [(10, "agreed"), (16, "differs"), (14, "agreed")])
def test_two_readers_agree_or_differ(project: Project, first: AnnotationRecord, rows: int, state: str) -> None:
    assert review_of(project, person="Cy").read_twice == {}
    assert states_on_slide(project, first.slide_id) == {}
    read(project, first, rows_of(1, rows), "Bo")
    review = review_of(project, person="Cy")
    assert {number: one.state for number, one in review.read_twice.items()} == {first.id: state}
    assert states_on_slide(project, first.slide_id) == {REGION: state}
    differs = state == "differs"
    assert review.slides == {first.slide_id: SlideReview(int(differs), int(not differs), int(differs))}


def test_what_differs_is_decided_when_one_is_chosen_or_a_third_is_painted(
    project: Project, first: AnnotationRecord
) -> None:
    second = read(project, first, rows_of(2, 20), "Bo")
    assert states_on_slide(project, first.slide_id) == {REGION: ReviewState.DIFFERS}
    choose(project, first.id, person="Ada")
    assert states_on_slide(project, first.slide_id) == {REGION: ReviewState.DECIDED}
    draft = project.drafts.reopen(first.id, person="Cy")
    third = annotate.finish(project, draft.id)
    (compared,) = agreements(project)
    assert (compared.counts.id, compared.state) == (third.id, ReviewState.DECIDED)
    assert (compared.first.id, compared.second.id) == (first.id, second.id)
    assert review_of(project, person="Cy").slides == {first.slide_id: SlideReview(reviewed=1)}
    with pytest.raises(ProjectError, match="not one of two readings"):
        choose(project, third.id, person="Cy")


def test_a_region_waits_for_all_but_its_reader_and_for_everybody_where_two_differ(
    project: Project, first: AnnotationRecord
) -> None:
    waiting = ToReview(first.id, first.slide_id, REGION, ReviewState.ANNOTATED, ("Ada",))
    assert review_of(project, person="Ada").waiting == ()
    assert review_of(project, person="").waiting == ()
    assert review_of(project, person="Bo").waiting == (waiting,)
    assert review_of(project, person="Bo").slides == {first.slide_id: SlideReview(waiting=1)}
    read(project, first, rows_of(2, 20), "Bo")
    for person in ("Ada", "Bo", "Cy", ""):
        (differs,) = review_of(project, person=person).waiting
        assert (differs.state, differs.readers) == (ReviewState.DIFFERS, ("Ada", "Bo"))
    assert review_of(project, person="Cy").blinded() == Review()
    choose(project, first.id, person="Cy")
    assert review_of(project, person="Cy").waiting == ()


def test_masks_of_known_pairs_are_not_read_again(
    project: Project, first: AnnotationRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(project, first, rows_of(1, 16), "Bo")
    before = review_of(project, person="Cy")
    monkeypatch.setattr("histoloop.workflows.contents.readings.said_mask", None)
    assert review_of(project, person="Cy", known=before.pairs()) == before


def test_a_reading_that_is_reopened_stays_one_and_an_undone_one_is_a_draft_again(
    project: Project, first: AnnotationRecord
) -> None:
    second = read(project, first, rows_of(1, 15), "Bo")
    project.history.undo("Bo")
    assert agreements(project) == []
    project.history.redo("Bo")
    assert len(agreements(project)) == 1
    again = project.drafts.reopen(second.id, person="Bo")
    assert again.reading_of == first.id
    annotate.finish(project, again.id)
    (compared,) = agreements(project)
    assert compared.second.id == again.id
    assert [one.id for one in project.annotations.finished()] == [first.id]


def test_readings_are_there_after_a_restart_and_go_with_the_region(project: Project, first: AnnotationRecord) -> None:
    second = read(project, first, rows_of(1, 15), "Bo")
    choose(project, second.id, person="Cy")
    with Project.open(project.folder) as again:
        (compared,) = agreements(again)
        assert (compared.counts.id, compared.counts.adjudicator) == (second.id, "Cy")
    project.deletions.delete([second.id], person="Cy")
    assert agreements(project) == []
    assert project.annotations.finished() == []
