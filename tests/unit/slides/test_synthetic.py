from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from histoloop.geometry import Region
from histoloop.progress import Progress, finish
from histoloop.slides.reader import open_slide
from histoloop.slides.synthetic import GLAND, TUMOUR, SyntheticSpec, SyntheticTissue, write_synthetic_slide

if TYPE_CHECKING:
    from pathlib import Path

WIDTH, HEIGHT = 300, 240


def tissue(seed: int = 1, **options: object) -> SyntheticTissue:
    return SyntheticTissue(
        SyntheticSpec(**{"seed": seed, "width": WIDTH, "height": HEIGHT, "mpp": 1.0, "margin_um": 20.0, **options})
    )


@pytest.fixture(scope="module")
def whole() -> tuple[np.ndarray, np.ndarray]:
    """Pixels and mask of `tissue()`, read in one go."""
    return tissue().read(Region(0, 0, WIDTH, HEIGHT))


# --- pixels and masks -------------------------------------------------------------------------------------------------


def test_pixels_and_mask_have_the_size_of_the_region() -> None:
    pixels, mask = tissue().read(Region(10, 20, 31, 17))
    assert pixels.shape == (17, 31, 3)
    assert mask.shape == (17, 31)
    assert pixels.dtype == mask.dtype == np.uint8


def test_the_extent_is_the_whole_slide() -> None:
    assert tissue().extent == Region(0, 0, WIDTH, HEIGHT)


def test_the_same_seed_gives_the_same_pixels_and_mask(whole: tuple[np.ndarray, np.ndarray]) -> None:
    pixels, mask = tissue().read(Region(0, 0, WIDTH, HEIGHT))
    np.testing.assert_array_equal(pixels, whole[0])
    np.testing.assert_array_equal(mask, whole[1])


def test_another_seed_gives_other_pixels_glands_and_stains(whole: tuple[np.ndarray, np.ndarray]) -> None:
    pixels, mask = tissue(2).read(Region(0, 0, WIDTH, HEIGHT))
    assert (pixels != whole[0]).mean() > 0.5
    assert (mask != whole[1]).mean() > 0.1
    assert tissue(2).stain != tissue(1).stain


@settings(deadline=None, max_examples=40)
@given(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(1, 90), st.integers(1, 90))
def test_a_region_has_the_values_it_has_in_the_whole(
    whole: tuple[np.ndarray, np.ndarray], x: int, y: int, width: int, height: int
) -> None:
    region = Region(x, y, min(width, WIDTH - x), min(height, HEIGHT - y))
    pixels, mask = tissue().read(region)
    place = np.s_[region.y : region.bottom, region.x : region.right]
    np.testing.assert_array_equal(pixels, whole[0][place])
    np.testing.assert_array_equal(mask, whole[1][place])


@pytest.mark.parametrize("label", ["benign", "malignant", "mixed"])
@pytest.mark.parametrize("mpp", [0.5, 2.0])
def test_tiles_join_without_seams(label: str, mpp: float) -> None:
    made = tissue(4, label=label, mpp=mpp)
    pixels, mask = made.read(made.extent)
    parts = [[made.read(Region(x, y, 100, 80)) for x in range(0, WIDTH, 100)] for y in range(0, HEIGHT, 80)]
    np.testing.assert_array_equal(np.vstack([np.hstack([part[0] for part in row]) for row in parts]), pixels)
    np.testing.assert_array_equal(np.vstack([np.hstack([part[1] for part in row]) for row in parts]), mask)


@pytest.mark.parametrize(
    ("label", "values"), [("benign", {0, GLAND}), ("malignant", {0, TUMOUR}), ("mixed", {0, GLAND, TUMOUR})]
)
def test_masks_hold_the_glands_of_the_label(label: str, values: set[int]) -> None:
    found: set[int] = set()
    for seed in range(4):
        _pixels, mask = tissue(seed, label=label, mpp=4.0).read(Region(0, 0, WIDTH, HEIGHT))
        found |= set(np.unique(mask).tolist())
    assert found == values
    assert (GLAND, TUMOUR) == (1, 2)


@pytest.mark.parametrize("label", ["benign", "malignant"])
def test_glands_and_stroma_both_fill_much_of_the_tissue(label: str) -> None:
    _pixels, mask = tissue(label=label, margin_um=0).read(Region(0, 0, WIDTH, HEIGHT))
    assert 0.2 < (mask > 0).mean() < 0.8


def test_the_margin_is_white_glass_without_glands() -> None:
    pixels, mask = tissue(margin_um=60).read(Region(0, 0, WIDTH, HEIGHT))
    glass = (pixels == 255).all(axis=2)
    for border in (np.s_[:3], np.s_[-3:], np.s_[:, :3], np.s_[:, -3:]):
        assert glass[border].all()
        assert not mask[border].any()
    assert (~glass).any()


def test_without_a_margin_the_field_is_full_of_tissue() -> None:
    pixels, mask = tissue(margin_um=0).read(Region(0, 0, WIDTH, HEIGHT))
    assert (pixels == 255).all(axis=2).mean() < 0.01
    assert all(mask[border].any() for border in (np.s_[:3], np.s_[-3:], np.s_[:, :3], np.s_[:, -3:]))


def test_no_gland_lies_on_the_glass() -> None:
    pixels, mask = tissue(margin_um=60, label="malignant").read(Region(0, 0, WIDTH, HEIGHT))
    bare, _mask = tissue(margin_um=0, label="malignant").read(Region(0, 0, WIDTH, HEIGHT))
    glass = (pixels == 255).all(axis=2) & (bare < 250).any(axis=2)
    assert glass.any()
    assert not mask[glass].any()


def test_masks_are_exact_to_the_pixel() -> None:
    """Of one seed, slides of either label have the same ground: they differ where a gland lies, and nowhere else."""
    benign, malignant = (tissue(label=label, margin_um=0) for label in ("benign", "malignant"))
    pixels, mask = benign.read(benign.extent)
    other_pixels, other_mask = malignant.read(malignant.extent)
    differs, gland = (pixels != other_pixels).any(axis=2), (mask > 0) | (other_mask > 0)
    assert not differs[~gland].any()
    assert differs[gland].mean() > 0.97
    assert (~gland).mean() > 0.05


def test_a_finer_resolution_shows_the_same_glands() -> None:
    coarse = tissue(label="malignant", margin_um=0, mpp=1.0).read(Region(0, 0, 150, 120))[1]
    fine = tissue(label="malignant", margin_um=0, mpp=0.5, width=2 * WIDTH, height=2 * HEIGHT)
    mask = fine.read(Region(0, 0, 300, 240))[1]
    assert (mask[::2, ::2] == coarse).mean() > 0.95


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"width": 0}, "size and a resolution"),
        ({"height": -1}, "size and a resolution"),
        ({"mpp": 0.0}, "size and a resolution"),
        ({"mpp": float("nan")}, "size and a resolution"),
        ({"label": "normal"}, "benign, malignant or mixed"),
    ],
)
def test_a_slide_that_cannot_be_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SyntheticSpec(**{"seed": 0, "width": 10, "height": 10, **wrong})


# --- files ------------------------------------------------------------------------------------------------------------

SPEC = SyntheticSpec(seed=3, width=601, height=517, mpp=0.5, margin_um=20)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("synthetic") / "made.tif"
    assert finish(write_synthetic_slide(path, SPEC)) == path
    return path


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return SyntheticTissue(SPEC).read(Region(0, 0, SPEC.width, SPEC.height))[0]


def test_the_written_slide_opens_with_openslide_and_its_resolution(written: Path) -> None:
    with open_slide(written) as slide:
        assert slide.vendor == "generic-tiff"
        assert (slide.width, slide.height) == (601, 517)
        assert slide.mpp == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize("mpp", [0.25, 0.2208, 1.3])
def test_any_resolution_is_kept(tmp_path: Path, mpp: float) -> None:
    path = finish(write_synthetic_slide(tmp_path / "a.tif", SyntheticSpec(seed=0, width=40, height=30, mpp=mpp)))
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(mpp, rel=1e-6)


def test_levels_halve_until_a_tile_holds_one(written: Path) -> None:
    with open_slide(written) as slide:
        assert slide.level_sizes == ((601, 517), (300, 258), (150, 129))


def test_the_written_pixels_are_the_drawn_ones(written: Path, drawn: np.ndarray) -> None:
    with open_slide(written) as slide:
        pixels = slide.read_region(slide.extent)
    error = np.abs(pixels.astype(int) - drawn)
    assert error.mean() < 3  # JPEG
    for border in (np.s_[:, :8], np.s_[:, -8:], np.s_[:8], np.s_[-8:], np.s_[250:262], np.s_[:, 250:262]):
        assert error[border].mean() < 4


@pytest.mark.parametrize("level", [1, 2])
def test_coarser_levels_are_means_of_the_drawn_pixels(written: Path, drawn: np.ndarray, level: int) -> None:
    step = 2**level
    page = tifffile.imread(written, key=level)
    rows, columns = page.shape[:2]
    blocks = drawn[: rows * step, : columns * step].reshape(rows, step, columns, step, 3).mean(axis=(1, 3))
    assert np.abs(page - blocks).mean() < 3.5


def test_the_file_is_a_pyramid_of_jpeg_tiles(written: Path) -> None:
    with tifffile.TiffFile(written) as tiff:
        assert [page.is_tiled for page in tiff.pages] == [True] * 3
        assert {page.compression.name for page in tiff.pages} == {"JPEG"}
        assert [page.is_reduced for page in tiff.pages] == [False, True, True]
        assert not tiff.is_bigtiff


def test_writing_yields_once_a_strip_and_ends_complete(tmp_path: Path) -> None:
    steps: list[Progress] = []
    finish(write_synthetic_slide(tmp_path / "a.tif", SyntheticSpec(seed=0, width=40, height=600)), steps.append)
    assert [(step.done, step.total) for step in steps] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert {step.stage for step in steps} == {"Making a.tif"}
    assert [step.fraction for step in steps][-1] == 1


def test_writing_leaves_nothing_but_the_slide(tmp_path: Path) -> None:
    finish(write_synthetic_slide(tmp_path / "a.tif", SyntheticSpec(seed=0, width=40, height=30)))
    assert list(tmp_path.iterdir()) == [tmp_path / "a.tif"]


def test_writing_that_is_cancelled_leaves_no_file(tmp_path: Path) -> None:
    work = write_synthetic_slide(tmp_path / "a.tif", SyntheticSpec(seed=0, width=40, height=600))
    next(work)
    next(work)
    work.close()
    assert list(tmp_path.iterdir()) == []


def test_writing_that_is_cancelled_keeps_the_slide_of_before(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"before")
    work = write_synthetic_slide(tmp_path / "a.tif", SyntheticSpec(seed=0, width=40, height=600))
    next(work)
    next(work)
    work.close()
    assert (tmp_path / "a.tif").read_bytes() == b"before"


def test_writing_again_replaces_the_slide(tmp_path: Path) -> None:
    for size in (40, 70):
        finish(write_synthetic_slide(tmp_path / "a.tif", SyntheticSpec(seed=0, width=size, height=30)))
    with open_slide(tmp_path / "a.tif") as slide:
        assert slide.width == 70


def test_the_same_spec_writes_the_same_bytes(tmp_path: Path) -> None:
    spec = SyntheticSpec(seed=6, width=90, height=70)
    first, second = (finish(write_synthetic_slide(tmp_path / name, spec)) for name in ("a.tif", "b.tif"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("width", "height"),
    [
        (1, 1),
        (1, 300),
        (300, 1),
        (3, 700),
        (257, 257),
        (513, 40),
        (600, 512),
        (600, 514),
        (600, 513),
        (300, 1025),
    ],
)
def test_slides_of_any_size_are_written(tmp_path: Path, width: int, height: int) -> None:
    spec = SyntheticSpec(seed=0, width=width, height=height, mpp=0.5, margin_um=0)
    path = finish(write_synthetic_slide(tmp_path / "a.tif", spec))
    with open_slide(path) as slide:
        assert (slide.width, slide.height) == (width, height)
        assert max(slide.level_sizes[-1]) <= 256
        assert slide.mpp == pytest.approx(0.5, rel=1e-6)
        pixels = slide.read_region(slide.extent).astype(int)
        drawn = SyntheticTissue(spec).read(slide.extent)[0]
        assert np.abs(pixels - drawn).mean() < 5
