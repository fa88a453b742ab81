"""Views change what may change, by the amounts of the paper, and the same seed draws the same ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.functional import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    gaussian_blur,
)

from histoloop.training.views import ViewSettings, blur, draw_views, jitter, turn_hue

CPU = torch.device("cpu")
PLAIN = ViewSettings(crop_px=32, jittered=0, grey=0, blurred=0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tile(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_views_of_tiles_of_any_size_are_square_and_in_range() -> None:
    views = draw_views([tile(50, 70), tile(20, 300), tile(64, 64)], ViewSettings(crop_px=48), generator(), CPU)
    assert views.shape == (3, 3, 48, 48)
    assert views.min() >= 0
    assert views.max() <= 1
    assert torch.isfinite(views).all()


def test_the_same_seed_draws_the_same_views_and_another_draws_others() -> None:
    tiles = [tile(60, 60, seed) for seed in range(4)]
    first, again, other = (draw_views(tiles, ViewSettings(crop_px=32), generator(seed), CPU) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_whole_square_tile_is_only_turned_and_flipped() -> None:
    whole = dataclasses.replace(PLAIN, area_min=1.0)
    square = tile(32, 32)
    square[:] = np.arange(32, dtype=np.uint8)[:, None, None]  # a crop of another aspect keeps all rows or all columns
    seen = {tuple((255 * draw_views([square], whole, generator(seed), CPU)[0, 0]).round().int().unique().tolist())
            for seed in range(8)}  # fmt: skip
    assert any(values == tuple(range(32)) for values in seen)


def test_without_flips_a_crop_stands_as_the_tile_does() -> None:
    upright = dataclasses.replace(PLAIN, flips_and_turns=False)
    ramp = np.repeat(np.linspace(0, 255, 80).astype(np.uint8)[None, :, None], 80, axis=0).repeat(3, axis=2)
    for seed in range(5):
        view = draw_views([ramp], upright, generator(seed), CPU)[0, 0]
        assert (view.diff(dim=1) >= -1e-6).all()
        assert view.diff(dim=0).abs().max() < 1e-5


def test_each_colour_change_is_that_of_torchvision() -> None:
    tiles = torch.rand(1, 3, 16, 16, generator=generator(3))
    nothing = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    for name, change, middle in (
        ("brightness", adjust_brightness, 1.0),
        ("contrast", adjust_contrast, 1.0),
        ("saturation", adjust_saturation, 1.0),
        ("hue", adjust_hue, 0.0),
    ):
        found = jitter(tiles, ViewSettings(jittered=1, **(nothing | {name: 0.3})), generator(5))
        errors = [
            float((change(tiles, middle + 0.3 * amount) - found).abs().max())
            for amount in torch.linspace(-1, 1, 401).tolist()
        ]
        assert min(errors) < 5e-3, name
        assert not torch.equal(found, tiles)


@settings(deadline=None, max_examples=20)
@given(st.floats(-0.5, 0.5), st.integers(0, 1000))
def test_turning_the_hue_agrees_with_torchvision_and_greys_stay(turn: float, seed: int) -> None:
    tiles = torch.rand(2, 3, 8, 8, generator=generator(seed))
    tiles[0, :, :4] = tiles[0, :1, :4]  # greys, black and white among them
    tiles[0, :, 0, 0], tiles[0, :, 0, 1] = 0.0, 1.0
    turned = turn_hue(tiles, torch.tensor(turn).view(1, 1, 1, 1))
    torch.testing.assert_close(turned, adjust_hue(tiles, turn), atol=1e-4, rtol=0)
    torch.testing.assert_close(turned[0, :, :4], tiles[0, :, :4], atol=1e-6, rtol=0)


def test_a_share_of_views_loses_its_colours() -> None:
    tiles = [tile(40, 40, seed) for seed in range(200)]
    views = draw_views(tiles, dataclasses.replace(PLAIN, grey=0.2), generator(), CPU)
    grey = (views[:, 0] - views[:, 1]).abs().amax(dim=(1, 2)) < 1e-6
    assert 0.1 < grey.float().mean() < 0.3


def test_blurring_is_that_of_a_gaussian_of_the_given_width() -> None:
    tiles = torch.rand(3, 3, 32, 32, generator=generator(1))
    narrow = ViewSettings(blurred=1, blur_min_px=1.5, blur_max_px=1.5)
    torch.testing.assert_close(blur(tiles, narrow, generator()), gaussian_blur(tiles, [7, 7], [1.5, 1.5]))


def test_each_tile_is_blurred_by_its_own_width_and_some_are_not() -> None:
    tiles = torch.rand(1, 3, 32, 32, generator=generator(1)).repeat(40, 1, 1, 1)
    blurred = blur(tiles, ViewSettings(blurred=0.5), generator())
    untouched = (blurred == tiles).flatten(1).all(dim=1)
    assert 8 < int(untouched.sum()) < 32
    assert len(blurred.flatten(1).std(dim=1).unique()) > 5


@pytest.mark.parametrize(
    "wrong", [{"crop_px": 8}, {"area_min": 0}, {"area_max": 1.5}, {"hue": 0.6}, {"grey": 2}, {"blur_min_px": 0}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).split("_")[0]):
        ViewSettings(**wrong)
