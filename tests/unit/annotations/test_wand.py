"""The wand: what looks like a place and is connected with it."""

from __future__ import annotations

import numpy as np

from histoloop.annotations.wand import connected, resampled, unlikeness

PINK, PURPLE = (226, 170, 200), (120, 70, 140)


def test_what_is_alike_but_not_connected_is_not_taken() -> None:
    pixels = np.full((60, 100, 3), PINK, np.uint8)
    pixels[20:40, 10:40] = pixels[20:40, 60:90] = PURPLE
    part = connected(unlikeness(pixels, (25, 30)), (25, 30), 15)
    assert part[23:37, 13:37].all()
    assert not part[:, 45:].any()
    assert not part[:15].any()


def test_more_tolerance_takes_no_less() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    away = unlikeness(pixels, (5, 7))
    few, more = connected(away, (5, 7), 10), connected(away, (5, 7), 40)
    assert few[7, 5]
    assert not (few & ~more).any()
    assert connected(away, (5, 7), 1e6).all()


def test_texture_tells_what_has_the_same_colour_apart() -> None:
    pixels = np.full((60, 120, 3), 150, np.uint8)
    rough = np.random.default_rng(0).integers(-90, 90, (60, 60, 1))
    pixels[:, 60:] = np.clip(150 + rough, 0, 255)
    away = unlikeness(pixels, (20, 30))
    assert away[:, :45].max() < 1
    assert np.median(away[:, 75:]) > 5


def test_a_place_at_the_edge_is_taken() -> None:
    pixels = np.full((20, 20, 3), PINK, np.uint8)
    assert connected(unlikeness(pixels, (0, 19)), (0, 19), 1).all()


def test_a_part_of_a_view_lies_where_it_was_seen() -> None:
    part = np.array([[True, False], [False, True]])
    mask = resampled(part, downsample=2, offset=(1, 0), size=(6, 5))
    assert mask.astype(int).tolist() == [
        [0, 1, 1, 0, 0, 0],
        [0, 1, 1, 0, 0, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 0],
    ]


def test_what_of_a_view_lies_outside_of_the_mask_is_cut_off() -> None:
    mask = resampled(np.ones((4, 4), bool), downsample=1, offset=(-2, -3), size=(3, 3))
    assert mask.astype(int).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]
