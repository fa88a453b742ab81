"""What a person painted, at the size that a network sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from histoloop.annotations.records import Origin
from histoloop.geometry import Region
from histoloop.workflows.regions.tiles import painted_mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from histoloop.annotations.records import Mask
    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord

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
    assert mask.tolist() == [[2] * 15 + [0] * 15] * 20
    assert known.tolist() == [[False] * 30] * 10 + [[True] * 30] * 10
