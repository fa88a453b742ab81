from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from histoloop.geometry import Region
from histoloop.slides.reader import open_slide
from histoloop.slides.synthetic import SyntheticSpec, SyntheticTissue
from histoloop.slides.tissue import TissueMask, find_tissue, specimen_of, survey, tissue_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PINK = (214, 140, 180)
PURPLE = (120, 80, 160)


def glass(width: int, height: int, *, level: int = 243, noise: float = 2.0) -> np.ndarray:
    """Light grey with the noise of a camera."""
    grains = np.random.default_rng(0).normal(level, noise, (height, width, 1)).repeat(3, axis=2)
    return grains.clip(0, 255).astype(np.uint8)


# --- masks ------------------------------------------------------------------------------------------------------------


def chequered() -> TissueMask:
    """6 x 4 mask pixels of 10 level-0 pixels, every other one tissue."""
    return TissueMask(np.indices((4, 6)).sum(axis=0) % 2 == 0, 10.0)


def test_the_extent_of_tissue_is_the_rectangle_around_its_pixels_in_a_region() -> None:
    mask = np.zeros((4, 6), bool)
    mask[1, 2] = mask[2, 4] = True
    tissue = TissueMask(mask, 10.0)
    assert tissue.extent(Region(0, 0, 60, 40)) == (20, 10, 50, 30)
    assert tissue.extent(Region(35, 0, 25, 40)) == (40, 20, 50, 30)
    assert tissue.extent(Region(0, 30, 60, 10)) is None
    assert tissue.extent(Region(-20, -20, 15, 15)) is None


def test_the_fraction_of_a_region_is_its_share_of_tissue() -> None:
    mask = np.zeros((4, 6), bool)
    mask[1, 2:4] = True
    tissue = TissueMask(mask, 10.0)
    assert tissue.fraction(Region(20, 10, 20, 10)) == 1
    assert tissue.fraction(Region(0, 0, 60, 40)) == pytest.approx(2 / 24)
    assert tissue.fraction(Region(30, 10, 20, 10)) == pytest.approx(1 / 2)
    assert tissue.fraction(Region(0, 20, 60, 20)) == 0


def test_the_mask_within_a_region_is_that_of_its_pixels_and_empty_beyond_the_slide() -> None:
    tissue = TissueMask(np.array([[True, False], [True, True]]), 10.0)
    within = tissue.within(Region(-10, 0, 40, 20), height=2, width=4)
    np.testing.assert_array_equal(within, [[False, True, False, False], [False, True, True, False]])
    finer = tissue.within(Region(5, 5, 10, 10), height=4, width=4)
    np.testing.assert_array_equal(finer, [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]])


def test_a_lumen_belongs_to_its_gland_and_glass_beside_it_does_not() -> None:
    ring = np.zeros((7, 9), bool)
    ring[1:6, 1:6] = True
    ring[3, 3] = False
    filled = TissueMask(ring, 2.0).without_holes()
    assert filled.mask[3, 3]
    assert filled.mask.sum() == 25
    assert filled.downsample == 2.0


@given(st.integers(-8, 10), st.integers(-8, 10), st.integers(1, 12), st.integers(1, 12))
def test_the_fraction_of_whole_mask_pixels_is_exact_and_counts_the_outside_as_empty(
    column: int, row: int, columns: int, rows: int
) -> None:
    tissue = chequered()
    wide = np.zeros((4 + 60, 6 + 60), bool)
    wide[30:34, 30:36] = tissue.mask
    expected = wide[row + 30 : row + 30 + rows, column + 30 : column + 30 + columns].mean()
    assert tissue.fraction(Region(column * 10, row * 10, columns * 10, rows * 10)) == pytest.approx(expected)


@given(st.integers(-100, 200), st.integers(-100, 200), st.integers(1, 300), st.integers(1, 300), st.floats(0.3, 40))
def test_a_fraction_lies_between_0_and_1(x: int, y: int, width: int, height: int, downsample: float) -> None:
    region = Region(x, y, width, height)
    assert 0 <= TissueMask(chequered().mask, downsample).fraction(region) <= 1
    everywhere = TissueMask(np.ones((4, 6), bool), downsample)
    slide = Region(0, 0, math.ceil(6 * downsample), math.ceil(4 * downsample))
    assert (everywhere.fraction(region) > 0) or not region.overlaps(slide)


@pytest.mark.parametrize("region", [Region(-50, 0, 50, 40), Region(60, 0, 9, 9), Region(0, 40, 10, 10)])
def test_outside_the_slide_there_is_no_tissue(region: Region) -> None:
    assert TissueMask(np.ones((4, 6), bool), 10.0).fraction(region) == 0


def test_a_region_within_one_mask_pixel_takes_its_value() -> None:
    assert chequered().fraction(Region(3, 4, 1, 1)) == 1
    assert chequered().fraction(Region(13, 4, 1, 1)) == 0


def test_the_area_is_in_level_0_pixels() -> None:
    assert chequered().area_level0_px == 12 * 100
    assert TissueMask(np.ones((2, 3), bool), 2.5).area_level0_px == pytest.approx(37.5)


# --- pixels -----------------------------------------------------------------------------------------------------------


def test_white_and_blank_glass_holds_no_tissue() -> None:
    assert not tissue_of(np.full((60, 80, 3), 255, np.uint8)).any()
    assert not tissue_of(glass(80, 60)).any()


def test_glass_with_a_faint_tint_and_noise_holds_no_tissue() -> None:
    tinted = glass(200, 150).astype(int) + np.random.default_rng(1).integers(-3, 4, (150, 200, 3))
    assert not tissue_of(tinted.clip(0, 255).astype(np.uint8)).any()


@pytest.mark.parametrize("colour", [PINK, PURPLE])
def test_a_field_full_of_one_colour_is_all_tissue(colour: tuple[int, int, int]) -> None:
    assert tissue_of(np.full((60, 80, 3), colour, np.uint8)).all()


def test_a_field_full_of_pale_and_dark_tissue_is_all_tissue() -> None:
    pixels = np.full((80, 100, 3), PINK, np.uint8)
    pixels[:, 40:] = PURPLE
    assert tissue_of(pixels).all()


@pytest.mark.parametrize("colour", [PINK, PURPLE])
def test_tissue_on_glass_is_found_where_it_lies(colour: tuple[int, int, int]) -> None:
    pixels = glass(200, 150)
    pixels[40:90, 60:160] = colour
    mask = tissue_of(pixels)
    assert mask.shape == (150, 200)
    assert mask.dtype == np.bool_
    assert mask[41:89, 61:159].all()
    around = np.ones_like(mask)
    around[36:94, 56:164] = False  # blurred by a few pixels
    assert not mask[around].any()


@pytest.mark.parametrize("grey", [0, 30, 80, 160])
def test_pen_dust_and_coverslip_edges_without_colour_are_no_tissue(grey: int) -> None:
    pixels = glass(200, 150)
    pixels[40:90, 60:160] = grey
    assert not tissue_of(pixels).any()


def test_nearly_black_pixels_are_no_tissue_even_when_coloured() -> None:
    pixels = glass(200, 150)
    pixels[40:90, 60:160] = (4, 4, 14)
    assert not tissue_of(pixels)[46:84, 66:154].any()


def test_specks_are_no_tissue() -> None:
    pixels = glass(600, 500)
    pixels[100:400, 200:500] = PINK
    pixels[40:45, 50:55] = PURPLE
    mask = tissue_of(pixels)
    assert not mask[:90, :190].any()
    assert mask[102:398, 202:498].all()


def test_small_holes_are_filled() -> None:
    pixels = glass(600, 500)
    pixels[100:400, 200:500] = PINK
    pixels[250:255, 300:305] = 255
    assert tissue_of(pixels)[102:398, 202:498].all()


def test_a_large_hole_stays_open() -> None:
    pixels = glass(400, 300)
    pixels[50:250, 50:350] = PINK
    pixels[100:200, 150:250] = 243
    mask = tissue_of(pixels)
    assert not mask[106:194, 156:244].any()
    assert mask[60:90, 60:340].all()


def test_synthetic_tissue_is_told_from_its_glass() -> None:
    pixels, _mask = SyntheticTissue(SyntheticSpec(seed=5, width=400, height=360, mpp=1.0, margin_um=30)).read(
        Region(0, 0, 400, 360)
    )
    mask = tissue_of(pixels)
    blank = (pixels == 255).all(axis=2)
    assert 0.2 < blank.mean() < 0.8
    assert mask[blank].mean() < 0.05
    assert mask[~blank].mean() > 0.9


# --- slides -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def half_full(tmp_path: Path, save_picture: Callable[..., Path]) -> Path:
    """600 x 400, tissue from column 300 on."""
    pixels = glass(600, 400)
    pixels[:, 300:] = PINK
    return save_picture(tmp_path / "half.png", pixels)


def test_tissue_is_found_in_level_0_coordinates(half_full: Path) -> None:
    with open_slide(half_full) as slide:
        tissue = find_tissue(slide, max_size_px=150)
    assert tissue.mask.shape == (100, 150)
    assert tissue.downsample == 4
    assert tissue.fraction(Region(320, 0, 280, 400)) == 1
    assert tissue.fraction(Region(0, 0, 280, 400)) == 0
    assert tissue.area_level0_px == pytest.approx(300 * 400, rel=0.05)


def test_the_mask_is_no_larger_than_the_slide(half_full: Path) -> None:
    with open_slide(half_full) as slide:
        tissue = find_tissue(slide)
    assert tissue.mask.shape == (400, 600)
    assert tissue.downsample == 1


@pytest.mark.parametrize("size", [(333, 217), (101, 400), (64, 63)])
def test_the_mask_reaches_over_the_whole_slide(
    tmp_path: Path, save_picture: Callable[..., Path], size: tuple[int, int]
) -> None:
    path = save_picture(tmp_path / "full.png", np.full((size[1], size[0], 3), PINK, np.uint8))
    with open_slide(path) as slide:
        tissue = find_tissue(slide, max_size_px=50)
        assert max(tissue.mask.shape) <= 50
        assert tissue.mask.shape[1] * tissue.downsample >= slide.width
        assert tissue.mask.shape[0] * tissue.downsample >= slide.height
        for x, y in ((0, 0), (slide.width - 1, 0), (0, slide.height - 1), (slide.width - 1, slide.height - 1)):
            assert tissue.fraction(Region(x, y, 1, 1)) == 1


def test_tissue_on_a_thin_slide_is_found_where_it_lies(tmp_path: Path, save_picture: Callable[..., Path]) -> None:
    pixels = glass(1000, 14)
    pixels[:, 900:] = PINK
    with open_slide(save_picture(tmp_path / "thin.png", pixels)) as slide:
        tissue = find_tissue(slide, max_size_px=100)
    assert tissue.fraction(Region(920, 0, 70, 10)) == 1
    assert tissue.fraction(Region(600, 0, 200, 10)) == 0


def test_tissue_of_a_real_slide_is_neither_all_nor_nothing(real_data: Path) -> None:
    with open_slide(real_data / "slides" / "CMU-1-Small-Region.svs") as slide:
        tissue = find_tissue(slide, max_size_px=400)
        height, width = tissue.mask.shape
        pixels = slide.read_scaled(0, 0, width, height, downsample=tissue.downsample)
    assert (height, width) == (400, 300)  # 299.3 pixels wide, rounded up
    found, left = pixels[tissue.mask], pixels[~tissue.mask]
    assert 0.1 < tissue.mask.mean() < 0.95
    assert found.mean() < left.mean() - 20  # glass is brighter
    assert tissue.area_level0_px == pytest.approx(tissue.mask.mean() * 2220 * 2967, rel=0.01)


# --- the specimen -----------------------------------------------------------------------------------------------------


def on_glass(height: int = 500, width: int = 700) -> np.ndarray:
    """Tissue over columns 0 to 299, glass from there on."""
    pixels = glass(width, height)
    pixels[:, :300] = PINK
    return pixels


def test_glass_beside_tissue_is_no_part_of_the_specimen_but_for_some_micrometres() -> None:
    found = specimen_of(on_glass(), pixel_um=1.0)
    assert found[:, :300].all()
    assert not found[:, 310:].any()


@pytest.mark.parametrize("radius", [40, 110])
def test_a_lumen_narrower_than_glass_is_part_of_the_specimen_also_at_the_border(radius: int) -> None:
    rows, columns = np.ogrid[:500, :700]
    for row, column in ((250, 350), (0, 350)):
        pixels = np.full((500, 700, 3), PINK, np.uint8)
        pixels[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = 245
        assert specimen_of(pixels, pixel_um=1.0).all()


def test_a_margin_of_glass_narrower_than_a_disc_is_glass_where_it_runs_along_the_border() -> None:
    picture = glass(700, 400)
    picture[:, 60:] = PINK  # 60 um of glass beside tissue
    specimen = specimen_of(np.repeat(picture, 2, axis=0), pixel_um=1.0)  # along 800 um of the border
    assert not specimen[:, :45].any()
    assert specimen[:, 65:].all()
    assert specimen_of(picture, pixel_um=1.0).all()  # along 400 um of it: a lumen may be cut


def test_a_wide_hole_is_glass_though_tissue_encloses_it() -> None:
    rows, columns = np.ogrid[:800, :800]
    hole = (rows - 400) ** 2 + (columns - 400) ** 2 <= 300**2
    found = specimen_of(np.where(hole[..., None], 245, PINK).astype(np.uint8), pixel_um=1.0)
    assert found[~hole].all()
    assert not found[400, 120:680].any()


def test_glass_goes_on_into_bays_and_gaps_that_are_narrower_than_where_it_begins() -> None:
    pixels = np.full((700, 900, 3), PINK, np.uint8)
    pixels[:, 500:] = 245
    pixels[300:400, 200:] = 245  # a gap of 100 um
    found = specimen_of(pixels, pixel_um=1.0)
    assert not found[308:392, 250:].any()
    assert found[:294, :494].all()
    assert found[406:, :494].all()


def test_glass_follows_a_corner_of_the_tissue() -> None:
    pixels = np.full((700, 700, 3), 245, np.uint8)
    pixels[:300], pixels[:, :300] = PINK, PINK
    found = specimen_of(pixels, pixel_um=1.0)
    assert not found[330:, 330:].any()
    assert found[:294].all()


def test_a_crypt_with_a_mouth_narrower_than_a_gap_is_part_of_the_specimen() -> None:
    rows, columns = np.ogrid[:700, :900]
    lumen = (rows - 350) ** 2 + (columns - 300) ** 2 <= 90**2
    mouth = (abs(rows - 350) <= 25) & (columns >= 300)
    pixels = np.where((lumen | mouth | (columns >= 500))[..., None], 245, PINK).astype(np.uint8)
    found = specimen_of(pixels, pixel_um=1.0)
    assert found[:, :494].all()
    assert not found[:, 540:].any()


def test_pale_tissue_is_part_of_the_specimen_where_it_is_none_of_the_tissue() -> None:
    pixels = on_glass()
    pixels[:, 300:500] = (238, 226, 232)  # mucin: 5 % saturation
    assert not tissue_of(pixels)[:, 310:490].any()
    found = specimen_of(pixels, pixel_um=1.0)
    assert found[:, :500].all()
    assert not found[:, 510:].any()


@pytest.mark.parametrize("tint", [(255, 247, 237), (255, 242, 224), (237, 245, 255), (255, 237, 242)])
def test_glass_in_the_tint_of_the_lamp_is_glass(tint: tuple[int, int, int]) -> None:
    pixels = (on_glass() * (np.array(tint) / 255)).astype(np.uint8)
    found = specimen_of(pixels, pixel_um=1.0)
    assert found[:, :300].all()
    assert not found[:, 310:].any()


def test_dust_on_glass_is_no_specimen_and_a_small_biopsy_is() -> None:
    pixels = glass(900, 600)
    pixels[100:112, 100:116] = PURPLE  # 12 x 16 um
    pixels[300:380, 500:600] = PINK  # 80 x 100 um
    found = specimen_of(pixels, pixel_um=1.0)
    assert not found[50:170, 50:180].any()
    assert found[300:380, 500:600].all()


def test_blank_glass_has_no_specimen_and_a_field_of_tissue_is_one_all_over() -> None:
    assert not specimen_of(glass(300, 200), pixel_um=1.0).any()
    assert specimen_of(np.full((200, 300, 3), PINK, np.uint8), pixel_um=1.0).all()


def test_a_survey_has_tissue_and_specimen_of_one_thumbnail(tmp_path: Path) -> None:
    Image.fromarray(on_glass(1500, 2100)).save(tmp_path / "a.png", compress_level=1)
    with open_slide(tmp_path / "a.png", mpp=1.0) as slide:
        found, alone = survey(slide), find_tissue(slide)
    np.testing.assert_array_equal(found.tissue.mask, alone.mask)
    assert found.specimen.downsample == found.tissue.downsample == pytest.approx(2100 / 1024)
    assert found.specimen.fraction(Region(0, 0, 290, 1500)) == 1
    assert found.specimen.fraction(Region(320, 0, 1700, 1500)) == 0


def test_the_specimen_of_a_large_slide_is_finer_than_its_tissue(tmp_path: Path) -> None:
    Image.fromarray(on_glass(1500, 2100)).save(tmp_path / "a.png", compress_level=1)
    with open_slide(tmp_path / "a.png", mpp=5.0) as slide:
        found, alone = survey(slide), find_tissue(slide)
    assert found.tissue.downsample == alone.downsample == pytest.approx(2100 / 1024)
    assert found.specimen.downsample == pytest.approx(2100 / 2048)
    assert found.specimen.mask.shape == (2 * alone.mask.shape[0], 2 * alone.mask.shape[1])
    assert (found.tissue.mask != alone.mask).mean() < 0.002
    assert found.specimen.fraction(Region(0, 0, 299, 1500)) == 1
    assert found.specimen.fraction(Region(305, 0, 1700, 1500)) == 0
