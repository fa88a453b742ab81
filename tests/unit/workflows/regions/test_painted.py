"""What a person painted, at the size that a network sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from histoloop.annotations.records import AnnotationStatus, Counts, Origin, Patch
from histoloop.geometry import Region
from histoloop.inference.features import Features
from histoloop.store.array_cache import ArrayCache
from histoloop.training.samples import TrainingTile
from histoloop.workflows.contents.rounds import training_counts
from histoloop.workflows.contents.weak_annotations import size_of, weak_annotations
from histoloop.workflows.regions.kept_features import KeptFeatures
from histoloop.workflows.regions.tiles import painted_mask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from histoloop.annotations.records import Mask
    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord, SlideRecord

PIXELS = np.zeros((20, 30, 3), np.uint8)


@pytest.fixture
def paint(project: Project, add_slide: Callable[..., SlideRecord]) -> Callable[[Mask], int]:
    """Annotate 60 x 40 pixels, of which the left half is tumour, with these origins."""
    slide = add_slide()

    def painted(origin: Mask) -> int:
        mask = np.zeros((40, 60), np.uint8)
        mask[:, :30] = 2
        planes = [(Region(0, 0, 60, 40), mask, origin)]
        (record,) = project.annotations.add_with_masks(
            slide.id, planes, label=None, size=None, person="Ada", query_id=None
        )
        return record.id

    return painted


def test_without_an_annotation_there_is_no_mask(project: Project) -> None:
    assert painted_mask(project, None, PIXELS) == (None, None)


def test_a_mask_that_leaves_nothing_out_is_known_everywhere(project: Project, paint: Callable[[Mask], int]) -> None:
    mask, known = painted_mask(project, paint(np.full((40, 60), Origin.HUMAN, np.uint8)), PIXELS)
    assert known is None
    assert mask is not None
    assert mask.tolist() == [[True] * 15 + [False] * 15] * 20


def test_a_pixel_is_known_when_more_than_half_of_it_is(project: Project, paint: Callable[[Mask], int]) -> None:
    origin = np.full((40, 60), Origin.HUMAN, np.uint8)
    origin[:, :21] = Origin.LEFT_OUT  # half of the eleventh pixel
    _mask, known = painted_mask(project, paint(origin), PIXELS)
    assert known is not None
    assert known.tolist() == [[False] * 11 + [True] * 19] * 20


def test_where_all_was_left_out_there_is_no_mask(project: Project, paint: Callable[[Mask], int]) -> None:
    assert painted_mask(project, paint(np.full((40, 60), Origin.LEFT_OUT, np.uint8)), PIXELS) == (None, None)


def test_with_classes_the_values_are_kept(project: Project, paint: Callable[[Mask], int]) -> None:
    origin = np.full((40, 60), Origin.HUMAN, np.uint8)
    origin[:20] = Origin.LEFT_OUT
    mask, known = painted_mask(project, paint(origin), PIXELS, classes=True)
    assert mask is not None
    assert known is not None
    assert mask.dtype == np.uint8
    assert mask[10:].tolist() == [[2] * 15 + [0] * 15] * 10
    assert known.tolist() == [[False] * 30] * 10 + [[True] * 30] * 10


@pytest.fixture
def stroke(project: Project, add_slide: Callable[..., SlideRecord]) -> Callable[..., AnnotationRecord]:
    """Do a region of 60 x 40 pixels, predicted as gland, of which strokes alone count: tumour, and background."""
    slide = add_slide()

    def painted(rows: slice = slice(10, 20), background: slice = slice(30, 40), **options: object) -> AnnotationRecord:
        draft = project.drafts.start(
            slide.id,
            Region(0, 0, 60, 40),
            mask=np.ones((40, 60), np.uint8),
            origin_model=None,
            person="Ada",
            counts=Counts.STROKES,
        )
        for place, value in ((rows, 2), (background, 0)):
            values = np.full((place.stop - place.start, 60), value, np.uint8)
            project.drafts.append_patch(
                draft.id, Patch(0, place.start, values, np.full_like(values, np.uint8(Origin.HUMAN)))
            )
        return project.drafts.finish(draft.id, AnnotationStatus.DONE, **options)  # type: ignore[arg-type]

    return painted


def test_of_strokes_only_what_was_painted_is_known(project: Project, stroke: Callable[..., AnnotationRecord]) -> None:
    mask, known = painted_mask(project, stroke().id, PIXELS, classes=True)
    assert mask is not None
    assert known is not None
    assert mask[:, 0].tolist() == [0] * 5 + [2] * 5 + [0] * 10
    assert known[:, 0].tolist() == [False] * 5 + [True] * 5 + [False] * 5 + [True] * 5


def test_a_stroke_thinner_than_a_pixel_of_the_model_counts(
    project: Project, stroke: Callable[..., AnnotationRecord]
) -> None:
    mask, known = painted_mask(project, stroke(slice(11, 12), slice(30, 31)).id, PIXELS[:4], classes=True)
    assert mask is not None
    assert known is not None
    assert mask[:, 0].tolist() == [0, 2, 0, 0]
    assert known[:, 0].tolist() == [False, True, False, True]


def test_a_pixel_that_is_painted_in_part_is_of_the_class_that_was_painted(
    project: Project, paint: Callable[[Mask], int]
) -> None:
    origin = np.full((40, 60), Origin.HUMAN, np.uint8)
    origin[:, 22:] = Origin.LEFT_OUT
    for classes, tumour in ((False, True), (True, 2)):
        mask, known = painted_mask(project, paint(origin), PIXELS[:, :15], classes=classes)
        assert mask is not None
        assert known is not None
        assert mask[0, :6].tolist() == [tumour] * 6
        assert known[0].tolist() == [True] * 5 + [False] * 10


def test_strokes_state_no_size_unless_somebody_gave_one(
    project: Project, stroke: Callable[..., AnnotationRecord]
) -> None:
    assert size_of(project, stroke()) is None
    assert size_of(project, stroke(size=0.25)) == 0.25


def test_strokes_are_a_mask_to_learn_from_and_no_size(
    project: Project, stroke: Callable[..., AnnotationRecord]
) -> None:
    stroke()
    there = training_counts(project)
    assert (there.masks, there.sizes, there.only_sized) == (1, 0, 0)
    stroke(size=0.25)
    there = training_counts(project)
    assert (there.masks, there.sizes, there.only_sized) == (1, 1, 0)


def test_the_region_before_the_strokes_were_done_anew_is_not_learned_from(
    project: Project, stroke: Callable[..., AnnotationRecord]
) -> None:
    stroke()
    newest = stroke(slice(0, 5), slice(5, 6))
    assert [one.mask_id for one in weak_annotations(project)] == [newest.id]
    mask, _known = painted_mask(project, newest.id, PIXELS[:, :15], classes=True)
    assert mask is not None
    assert mask[:, 0].tolist() == [2] * 2 + [0] * 18  # of the pixel painted in both, neither more


def test_features_that_were_kept_come_with_the_strokes_of_today(
    project: Project, stroke: Callable[..., AnnotationRecord], tmp_path: Path
) -> None:
    kept = KeptFeatures(_Counted(), ArrayCache(tmp_path), key="k")  # type: ignore[arg-type]
    shown = []
    for rows in (slice(10, 20), slice(20, 26)):
        mask, known = painted_mask(project, stroke(rows).id, PIXELS, classes=True)
        tile = TrainingTile(PIXELS, None, mask, "a", known=known)
        (found,) = kept.views("a", tile, seed=0, count=1, stain=0.0)
        assert found.mask is not None
        shown.append(np.flatnonzero(found.mask[:, 0] == 2).tolist())
    assert shown == [[5, 6, 7, 8, 9], [10, 11, 12]]
    assert _Counted.passes == 1


class _Counted:
    """A model that counts how often it looks."""

    passes = 0

    def features(self, pixels: NDArray[np.uint8]) -> Features:
        _Counted.passes += 1
        stages = tuple(torch.zeros(2, side, side, dtype=torch.half) for side in (16, 8, 4, 2))
        return Features(stages, torch.zeros(2), pixels.shape[0], pixels.shape[1])
