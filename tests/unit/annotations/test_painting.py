"""A region in hand as a canvas shows and changes it: all of it counts, or the strokes alone."""

from __future__ import annotations

import numpy as np
import pytest

from histoloop.annotations.painting import PAINTED_BACKGROUND, PaintedRegion
from histoloop.annotations.records import LEFT_OUT_VALUE, Counts, Origin, Patch

UNTOUCHED, ACCEPTED, HUMAN, LEFT_OUT = Origin


def region(counts: Counts) -> PaintedRegion:
    """Four pixels: predicted gland, accepted tumour, painted background, left out; the model predicts gland in all."""
    mask = np.array([[1, 2, 0, 0]], np.uint8)
    origin = np.array([[UNTOUCHED, ACCEPTED, HUMAN, LEFT_OUT]], np.uint8)
    return PaintedRegion(mask, origin, predicted=np.ones((1, 4), np.uint8), counts=counts)


def change(own: PaintedRegion, values: list[int]) -> tuple[Patch, Patch]:
    """Paint the whole canvas plane."""
    return own.take(Patch(0, 0, np.array([values], np.uint8)), Patch(0, 0, own.plane))


@pytest.mark.parametrize(
    ("counts", "plane"),
    [(Counts.REGION, [1, 2, 0, LEFT_OUT_VALUE]), (Counts.STROKES, [0, 0, PAINTED_BACKGROUND, 0])],
)
def test_strokes_show_what_a_person_painted_and_a_region_all_but_what_was_left_out(counts, plane):
    assert region(counts).plane.tolist() == [plane]


@pytest.mark.parametrize(
    ("counts", "values", "mask", "origin"),
    [
        # Painting what is there already says something only where nothing counts unless it is painted.
        (Counts.REGION, [1, 1, 0, 255], [1, 1, 0, 0], [UNTOUCHED, HUMAN, HUMAN, LEFT_OUT]),
        (Counts.STROKES, [1, 0, 254, 0], [1, 2, 0, 0], [HUMAN, ACCEPTED, HUMAN, LEFT_OUT]),
        # Background painted over what was left out, and over what nobody painted.
        (Counts.REGION, [1, 2, 0, 0], [1, 2, 0, 0], [UNTOUCHED, ACCEPTED, HUMAN, HUMAN]),
        (Counts.STROKES, [254, 254, 254, 254], [0, 0, 0, 0], [HUMAN] * 4),
        # The eraser leaves background, or what the model predicts and nobody painted.
        (Counts.REGION, [0, 0, 0, 255], [0, 0, 0, 0], [HUMAN, HUMAN, HUMAN, LEFT_OUT]),
        (Counts.STROKES, [0, 0, 0, 0], [1, 2, 1, 0], [UNTOUCHED, ACCEPTED, UNTOUCHED, LEFT_OUT]),
    ],
)
def test_what_a_person_changes_on_the_canvas_is_theirs(counts, values, mask, origin):
    own = region(counts)
    change(own, values)
    assert own.mask.tolist() == [mask]
    assert own.origin.tolist() == [origin]


@pytest.mark.parametrize("counts", Counts)
def test_a_stroke_is_put_back_and_made_again_whatever_counts_then(counts):
    own = region(counts)
    before, after = change(own, [2, 2, 2, 2])
    assert own.put(before).values.tolist() == region(counts).plane.tolist() == own.plane.tolist()
    own.counts = Counts.STROKES
    assert own.put(after).values.tolist() == [[2, 0 if counts is Counts.REGION else 2, 2, 2]]
    assert own.mask.tolist() == [[2, 2, 2, 2]]


def test_a_region_without_a_stroke_knows_that_it_has_none():
    plane = np.zeros((2, 2), np.uint8)
    own = PaintedRegion(plane, plane + np.uint8(ACCEPTED), predicted=plane, counts=Counts.STROKES)
    assert not own.has_strokes
    own.take(Patch(1, 1, np.array([[PAINTED_BACKGROUND]], np.uint8)), Patch(1, 1, np.array([[0]], np.uint8)))
    assert own.has_strokes


def test_the_class_to_go_on_with_is_the_one_that_covers_most_and_the_first_where_there_is_none() -> None:
    mask = np.array([[1, 2, 2, 0]], np.uint8)
    origin = np.full(mask.shape, UNTOUCHED, np.uint8)
    assert PaintedRegion(mask, origin, predicted=mask, counts=Counts.REGION).likeliest(3) == 2
    assert PaintedRegion(mask * 0, origin, predicted=mask, counts=Counts.REGION).likeliest(3) == 1
