from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histoloop.slides.stain import EOSIN, HAEMATOXYLIN, Stain, rgb_from_stains, varied_stain

AMOUNTS = st.floats(0, 2, width=32)


def one_pixel(haematoxylin: float, eosin: float, stain: Stain | None = None) -> list[int]:
    amounts = (np.full((1, 1), amount, np.float32) for amount in (haematoxylin, eosin))
    return rgb_from_stains(*amounts, stain or Stain())[0, 0].tolist()


@pytest.mark.parametrize("density", [HAEMATOXYLIN, EOSIN])
def test_the_reference_densities_have_unit_length(density: tuple[float, float, float]) -> None:
    assert math.hypot(*density) == pytest.approx(1, abs=1e-3)


def test_a_slide_is_stained_with_the_reference_unless_told_otherwise() -> None:
    assert (Stain().haematoxylin, Stain().eosin) == (HAEMATOXYLIN, EOSIN)


def test_glass_without_stain_is_white() -> None:
    pixels = rgb_from_stains(np.zeros((3, 5), np.float32), np.zeros((3, 5), np.float32), Stain())
    assert pixels.shape == (3, 5, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == 255).all()


def test_a_unit_of_a_stain_absorbs_its_density() -> None:
    assert one_pixel(1, 0) == [round(255 * math.exp(-density)) for density in HAEMATOXYLIN]
    assert one_pixel(0, 1) == [round(255 * math.exp(-density)) for density in EOSIN]


@given(AMOUNTS, AMOUNTS)
def test_densities_of_both_stains_add_up(haematoxylin: float, eosin: float) -> None:
    stain = Stain(haematoxylin=(0.6, 0.7, 0.4), eosin=(0.1, 0.9, 0.5))
    pairs = zip(stain.haematoxylin, stain.eosin, strict=True)
    expected = [255 * math.exp(-(haematoxylin * blue + eosin * pink)) for blue, pink in pairs]
    np.testing.assert_allclose(one_pixel(haematoxylin, eosin, stain), expected, atol=0.5 + 1e-3)


def test_each_pixel_has_its_own_amounts() -> None:
    haematoxylin = np.array([[0, 1], [0, 1]], np.float32)
    eosin = np.array([[0, 0], [1, 1]], np.float32)
    pixels = rgb_from_stains(haematoxylin, eosin, Stain())
    assert pixels.reshape(-1, 3).tolist() == [one_pixel(0, 0), one_pixel(1, 0), one_pixel(0, 1), one_pixel(1, 1)]


def test_haematoxylin_is_bluer_and_eosin_redder() -> None:
    red, _green, blue = one_pixel(1, 0)
    assert blue > red
    red, _green, blue = one_pixel(0, 1)
    assert red > blue


def test_the_same_generator_state_gives_the_same_stain() -> None:
    assert varied_stain(np.random.default_rng(3)) == varied_stain(np.random.default_rng(3))
    assert varied_stain(np.random.default_rng(3)) != varied_stain(np.random.default_rng(4))


def test_a_stain_of_no_strength_is_the_reference() -> None:
    stain = varied_stain(np.random.default_rng(0), strength=0)
    assert stain.haematoxylin == pytest.approx(HAEMATOXYLIN)
    assert stain.eosin == pytest.approx(EOSIN)


def test_densities_vary_about_the_reference_by_the_strength() -> None:
    rng = np.random.default_rng(0)
    stains = [varied_stain(rng, strength=0.1) for _ in range(2000)]
    scales = np.array([[*stain.haematoxylin, *stain.eosin] for stain in stains]) / (*HAEMATOXYLIN, *EOSIN)
    np.testing.assert_allclose(scales.mean(axis=0), 1, atol=0.02)
    np.testing.assert_allclose(scales.std(axis=0), 0.1, atol=0.01)
    off_diagonal = np.corrcoef(scales.T)[~np.eye(6, dtype=bool)]
    assert np.abs(off_diagonal).max() < 0.1  # each density on its own


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_varied_stain_always_absorbs_some_light(seed: int) -> None:
    stain = varied_stain(np.random.default_rng(seed), strength=3.0)
    assert min(*stain.haematoxylin, *stain.eosin) > 0
