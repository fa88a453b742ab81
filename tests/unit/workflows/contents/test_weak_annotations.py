"""Labels and sizes are handed out for training with where they are and whether they may be trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from histoloop.annotations.records import AnnotationStatus
from histoloop.geometry import Region
from histoloop.workflows.contents.masks import mask_of_slide, painted_regions
from histoloop.workflows.contents.rounds import nothing_to_learn_from
from histoloop.workflows.contents.weak_annotations import WeakAnnotation, weak_annotations

if TYPE_CHECKING:
    from collections.abc import Callable

    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord, SlideRecord


@pytest.fixture
def slide(add_slide: Callable[..., SlideRecord]) -> SlideRecord:
    """A slide of 160 x 96 pixels."""
    return add_slide("a.png")


def region(number: int) -> Region:
    return Region(20 * number, 0, 16, 10)


def painted(project: Project, slide: SlideRecord, place: Region, *, columns: int, **said: Any) -> AnnotationRecord:
    """A finished annotation whose mask has foreground in its first columns."""
    mask = np.zeros((place.height, place.width), np.uint8)
    mask[:, :columns] = 2
    draft = project.drafts.start(slide.id, place, mask=mask, origin_model=None, person="Ada")
    return project.drafts.finish(draft.id, AnnotationStatus.DONE, **said)


def said(project: Project, slide: SlideRecord, place: Region, **what: Any) -> AnnotationRecord:
    what = {"label": None, "size": None, **what}
    return project.annotations.add(slide.id, place, person="Ada", **what)


def test_a_project_in_which_nothing_was_said_has_none(project: Project, slide: SlideRecord) -> None:
    project.drafts.start(slide.id, region(0), mask=np.zeros((10, 16), np.uint8), origin_model=None, person="Ada")
    assert weak_annotations(project) == ()


def test_the_size_is_the_one_said_or_else_the_masks(project: Project, slide: SlideRecord) -> None:
    rough = said(project, slide, region(0), label="malignant", size=0.4)
    exact = painted(project, slide, region(1), columns=4)
    both = painted(project, slide, region(2), columns=4, label="benign", size=0.3)
    assert weak_annotations(project) == (
        WeakAnnotation(slide.id, rough.region, 1, 0.4, None, False),
        WeakAnnotation(slide.id, exact.region, None, 0.25, exact.id, False),
        WeakAnnotation(slide.id, both.region, 0, 0.3, both.id, False),
    )


def test_what_was_said_of_a_region_last_counts(project: Project, slide: SlideRecord) -> None:
    said(project, slide, region(0), label="malignant", size=0.4)
    said(project, slide, region(0), label="malignant", size=0.6)
    (only,) = weak_annotations(project)
    assert only.size == 0.6


def test_a_labelled_slide_is_a_region_that_is_the_whole_slide(
    project: Project, slide: SlideRecord, add_slide: Callable[..., SlideRecord]
) -> None:
    other = add_slide("b.png")
    project.slides.set_label(other.id, "malignant", person="Ada")
    project.slides.set_label(slide.id, "benign", person="Ada")
    project.slides.set_label(slide.id, None, person="Ada")
    assert weak_annotations(project) == (WeakAnnotation(other.id, other.extent, 1, None, None, False),)


def test_a_slide_annotated_as_a_whole_is_told_once_with_the_slides_label(project: Project, slide: SlideRecord) -> None:
    project.slides.set_label(slide.id, "malignant", person="Ada")
    record = painted(project, slide, slide.extent, columns=40)
    assert weak_annotations(project) == (WeakAnnotation(slide.id, slide.extent, 1, 0.25, record.id, False),)


def test_what_shares_pixels_with_a_held_out_mask_is_held_out_whatever_came_first(
    project: Project, slide: SlideRecord, add_slide: Callable[..., SlideRecord]
) -> None:
    other = add_slide("b.png")
    for one in (slide, other):
        project.slides.set_label(one.id, "benign", person="Ada")
    overlapping = Region(45, 5, 16, 10)
    said(project, slide, overlapping, size=0.4)
    said(project, other, overlapping, size=0.4)
    said(project, slide, region(5), size=0.4)
    masks = [painted(project, slide, region(number), columns=1) for number in range(3)]
    assert [record.held_out for record in masks] == [False, False, True]
    held_out = {(one.slide_id, one.region) for one in weak_annotations(project) if one.held_out}
    assert held_out == {(slide.id, overlapping), (slide.id, masks[2].region), (slide.id, slide.extent)}


def test_a_removed_slide_hands_out_nothing(project: Project, slide: SlideRecord) -> None:
    project.slides.set_label(slide.id, "malignant", person="Ada")
    said(project, slide, region(0), size=0.4)
    project.slides.remove(slide.id)
    assert weak_annotations(project) == ()


def test_why_there_is_nothing_to_retrain_on_is_said(project: Project, slide: SlideRecord) -> None:
    assert "no annotation" in nothing_to_learn_from(project).message
    said(project, slide, region(0), label="benign")
    assert nothing_to_learn_from(project).message == "1 region has a label or a size, but no mask to train on."
    said(project, slide, region(1), size=0.2)
    assert nothing_to_learn_from(project).message.startswith("2 regions have a label or a size")
    assert "Paint" in nothing_to_learn_from(project).advice


def test_labels_and_sizes_are_not_painted_over_the_slide(
    project: Project, slide: SlideRecord, add_map: Callable[..., Any]
) -> None:
    add_map(slide, 1.0)
    said(project, slide, region(0), size=0.1)
    assert painted_regions(project, slide.id) == []
    assert mask_of_slide(project, slide.id).mask.all()
