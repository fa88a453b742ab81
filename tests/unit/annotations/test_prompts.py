"""One object from a click or a box."""

from __future__ import annotations

import numpy as np
import pytest

from histoloop.annotations.prompts import Prompts, segment

PINK, PURPLE = (226, 170, 200), (120, 70, 140)


def dish(*, size: int = 200, radius: float = 40, hole: float = 0) -> tuple[np.ndarray, np.ndarray]:
    """A purple disc on pink, with noise (seed 0), its middle pink up to `hole`; and where it is."""
    y, x = np.mgrid[:size, :size] + 0.5
    away = np.hypot(y - size / 2, x - size / 2)
    disc = away < radius
    pixels = np.where((disc & (away >= hole))[..., None], PURPLE, PINK) + np.random.default_rng(0).normal(
        0, 8, (size, size, 3)
    )
    return np.clip(pixels, 0, 255).astype(np.uint8), disc


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def test_a_box_finds_the_disc_in_it() -> None:
    pixels, disc = dish()
    assert dice(segment(pixels, Prompts(box=(55, 55, 145, 145))), disc) > 0.95


def test_a_box_with_a_triangle_finds_more_of_it_than_an_ellipse_would() -> None:
    pixels, _disc = dish()
    pixels[:] = PINK
    triangle = np.tril(np.ones((80, 80), bool))
    pixels[60:140, 60:140][triangle] = PURPLE
    found = segment(pixels, Prompts(box=(57, 57, 143, 143)))
    truth = np.zeros(found.shape, bool)
    truth[60:140, 60:140] = triangle
    y, x = np.mgrid[:200, :200] + 0.5
    assert dice(found, truth) > dice(np.hypot(x - 100, y - 100) < 43, truth) + 0.08


@pytest.mark.parametrize("radius", [25, 50])
def test_a_click_finds_the_disc_around_it(radius: float) -> None:
    pixels, disc = dish()
    assert dice(segment(pixels, Prompts(inside=((100, 100),), radius_px=radius)), disc) > 0.85


def test_what_is_found_has_no_holes_and_is_one_part() -> None:
    pixels, disc = dish(hole=12)
    found = segment(pixels, Prompts(box=(55, 55, 145, 145)))
    assert found[100, 100]
    assert dice(found, disc) > 0.95


def test_a_place_outside_is_outside_and_one_inside_is_inside() -> None:
    pixels, _disc = dish()
    found = segment(pixels, Prompts(inside=((100, 100), (70, 100)), outside=((125, 100),)))
    assert found[100, 70]
    assert not found[100, 125]


def test_nothing_outside_of_a_box_is_found() -> None:
    pixels, _disc = dish()
    found = segment(pixels, Prompts(box=(90, 90, 130, 130)))
    found[90:130, 90:130] = False
    assert not found.any()


@pytest.mark.parametrize("box", [(-50, -50, -10, -10), (300, 300, 400, 400), (100, 100, 100.5, 100.5)])
def test_a_box_with_hardly_a_pixel_in_it_finds_little(box: tuple[float, float, float, float]) -> None:
    pixels, _disc = dish()
    assert np.count_nonzero(segment(pixels, Prompts(box=box))) <= 4


def test_prompts_need_a_box_or_a_place_inside() -> None:
    with pytest.raises(ValueError, match="a box or a place inside"):
        Prompts(outside=((1, 1),))
