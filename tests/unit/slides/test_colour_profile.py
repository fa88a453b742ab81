"""Colour profiles are found in every kind of file, change what is seen, and nothing that is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from made_profile import make_profile
from PIL import Image

from histoloop.slides.colour_profile import ColourProfile, profile_of
from histoloop.slides.reader import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LINEAR = make_profile(gamma=1.0)
SWAPPED = make_profile(order="bgr")


def save(path: Path, pixels: np.ndarray, profile: bytes | None) -> Path:
    if path.suffix == ".png":
        Image.fromarray(pixels).save(path, **({} if profile is None else {"icc_profile": profile}))
        return path
    extra = () if profile is None else ((34675, 7, len(profile), profile, True),)
    description = "Aperio Image Library v1\r\n128x96|MPP = 0.25" if path.suffix == ".svs" else None
    levels = [(pixels.astype(np.uint16) * 257) if path.name == "deep.tif" else pixels]
    tifffile.imwrite(
        path, levels[0], tile=(32, 32), photometric="rgb", compression="deflate", extratags=extra, metadata=None,
        description=description,
    )  # fmt: skip
    return path


@pytest.mark.parametrize("name", ["a.svs", "a.tif", "deep.tif", "a.png"])
def test_a_slide_has_its_profile_and_its_pixels_as_they_are(
    tmp_path: Path, blocks: Callable[..., np.ndarray], name: str
) -> None:
    pixels = blocks(128, 96, cell=8)
    with open_slide(save(tmp_path / name, pixels, SWAPPED)) as slide:
        assert slide.icc_profile == SWAPPED
        np.testing.assert_array_equal(slide.read_region(slide.extent), pixels)
    with open_slide(save(tmp_path / f"without-{name}", pixels, None)) as slide:
        assert slide.icc_profile is None


def test_the_colours_are_what_the_profile_means(blocks: Callable[..., np.ndarray]) -> None:
    pixels = blocks(60, 40, cell=4)
    swapped = ColourProfile(make_profile(gamma=2.2, order="bgr")).to_srgb(pixels)
    plain = ColourProfile(make_profile(gamma=2.2)).to_srgb(np.ascontiguousarray(pixels[..., ::-1]))
    assert np.abs(swapped.astype(int) - plain).max() <= 1
    value = np.full((1, 1, 3), 55, np.uint8)  # 55 / 255 of the light is 128 in sRGB
    np.testing.assert_allclose(ColourProfile(LINEAR).to_srgb(value), 128, atol=1)
    assert swapped.shape == pixels.shape
    assert swapped.dtype == np.uint8


def test_white_and_black_stay_as_they_are() -> None:
    ends = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    np.testing.assert_allclose(ColourProfile(LINEAR).to_srgb(ends), ends, atol=1)


@pytest.mark.parametrize("profile", [b"", b"no profile", LINEAR[:200], LINEAR.replace(b"RGB ", b"CMYK")])
def test_what_is_no_profile_of_red_green_and_blue_is_none(profile: bytes) -> None:
    with pytest.raises(ValueError, match="no profile"):
        ColourProfile(profile)
    assert profile_of(profile) is None
    assert profile_of(None) is None


@pytest.mark.parametrize("name", ["a.svs", "a.tif", "deep.tif", "a.png"])
def test_a_broken_profile_takes_no_slide_away(tmp_path: Path, blocks: Callable[..., np.ndarray], name: str) -> None:
    pixels = blocks(128, 96, cell=8)
    with open_slide(save(tmp_path / name, pixels, b"broken" * 20)) as slide:
        np.testing.assert_array_equal(slide.read_region(slide.extent), pixels)
        assert profile_of(slide.icc_profile) is None
