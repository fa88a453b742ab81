from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import openslide
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from histoloop.errors import SlideError
from histoloop.geometry import Region
from histoloop.slides import reader
from histoloop.slides.find import find_slides
from histoloop.slides.reader import Slide, open_slide, openslide_version
from histoloop.slides.resampling import spans
from histoloop.slides.sources import protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WIDTH, HEIGHT, CELL = 400, 320, 8
"""Of the slides below: cells of 8 x 8 pixels in one random colour each, and levels of 1, 1/2 and 1/4 of the size."""

RED, BLUE = (255, 0, 0), (0, 0, 255)


def plain(width: int, height: int, colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def placed(pixels: np.ndarray, region: Region) -> np.ndarray:
    """What a region of a slide of these pixels shows: white outside."""
    wide = np.full((pixels.shape[0] + 2000, pixels.shape[1] + 2000, 3), 255, np.uint8)
    wide[1000 : 1000 + pixels.shape[0], 1000 : 1000 + pixels.shape[1]] = pixels
    return wide[1000 + region.y : 1000 + region.bottom, 1000 + region.x : 1000 + region.right]


@pytest.fixture(scope="module")
def pattern(blocks: Callable[..., np.ndarray]) -> np.ndarray:
    return blocks(WIDTH, HEIGHT, cell=CELL)


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory,
    pattern: np.ndarray,
    save_picture: Callable[..., Path],
    save_pyramid: Callable[..., Path],
    save_aperio: Callable[..., Path],
) -> dict[str, Path]:
    """The pattern as a picture, as a pyramid for OpenSlide, and as an Aperio file with red label and blue macro."""
    folder = tmp_path_factory.mktemp("slides")
    return {
        "picture": save_picture(folder / "picture.png", pattern),
        "pyramid": save_pyramid(folder / "pyramid.tif", [pattern[::step, ::step] for step in (1, 2, 4)]),
        "aperio": save_aperio(folder / "a.svs", pattern, label=plain(40, 30, RED), macro=plain(90, 30, BLUE)),
    }


@pytest.fixture(scope="module")
def picture(files: dict[str, Path]) -> Iterator[Slide]:
    with open_slide(files["picture"]) as slide:
        yield slide


@pytest.fixture(scope="module")
def pyramid(files: dict[str, Path]) -> Iterator[Slide]:
    with open_slide(files["pyramid"], mpp=0.5) as slide:
        yield slide


@pytest.fixture(scope="module", params=["picture", "pyramid", "aperio"])
def slide(request: pytest.FixtureRequest, files: dict[str, Path]) -> Iterator[Slide]:
    """The pattern, read by either of the two ways and from both formats."""
    with open_slide(files[request.param]) as opened:
        yield opened


REGIONS = st.builds(
    Region, st.integers(-60, WIDTH), st.integers(-60, HEIGHT), st.integers(1, WIDTH), st.integers(1, HEIGHT)
)


# --- what a slide says of itself --------------------------------------------------------------------------------------


def test_a_slide_knows_its_size_and_path(slide: Slide, files: dict[str, Path]) -> None:
    assert (slide.width, slide.height) == (WIDTH, HEIGHT)
    assert slide.extent == Region(0, 0, WIDTH, HEIGHT)
    assert slide.path in files.values()


def test_levels_come_with_their_sizes_and_downsamples(pyramid: Slide) -> None:
    assert pyramid.level_sizes == ((400, 320), (200, 160), (100, 80))
    assert pyramid.level_downsamples == (1, 2, 4)


def test_a_picture_has_one_level_and_no_properties(picture: Slide) -> None:
    assert picture.vendor == "image"
    assert (picture.level_sizes, picture.level_downsamples) == (((WIDTH, HEIGHT),), (1,))
    assert dict(picture.properties) == {}


def test_a_scanner_file_names_its_vendor_and_properties(files: dict[str, Path]) -> None:
    with open_slide(files["aperio"]) as slide:
        assert slide.vendor == "aperio"
        assert slide.properties["aperio.AppMag"] == "40"
        assert slide.mpp == 0.25


def test_the_version_of_openslide_is_told() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", openslide_version())


# --- resolution -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
@pytest.mark.parametrize("dpi", [72, 96])
def test_the_screen_resolution_of_a_picture_is_no_resolution(
    tmp_path: Path, save_picture: Callable[..., Path], suffix: str, dpi: int
) -> None:
    with open_slide(save_picture(tmp_path / f"a{suffix}", plain(20, 10, RED), dpi=(dpi, dpi))) as slide:
        assert slide.mpp is None


def test_a_picture_without_resolution_has_none(picture: Slide) -> None:
    assert picture.mpp is None


RESOLUTIONS = [
    ((20_000, 20_000), "CENTIMETER", 0.5),
    ((50_800, 50_800), "INCH", 0.5),
    ((40_000, 40_000), "CENTIMETER", 0.25),
    ((72, 72), "INCH", None),
    ((96, 96), "INCH", None),
    ((300, 300), "INCH", None),
    ((1, 1), "NONE", None),
    ((20_000, 20_000), "NONE", None),
    ((20_000, 10_000), "CENTIMETER", None),
    ((20_000_000, 20_000_000), "CENTIMETER", None),
]
"""TIFF tags, and the um/px that they mean; None where no microscope can have made it, or across differs from down."""


@pytest.mark.parametrize(("resolution", "unit", "mpp"), RESOLUTIONS)
def test_a_tiff_picture_has_the_resolution_of_its_tags(
    tmp_path: Path, resolution: tuple[int, int], unit: str, mpp: float | None
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, plain(30, 20, RED), photometric="rgb", resolution=resolution, resolutionunit=unit)
    with open_slide(path) as slide:
        assert slide.vendor == "image"
        assert slide.mpp == (mpp and pytest.approx(mpp, rel=1e-6))


@pytest.mark.parametrize(("resolution", "unit", "mpp"), RESOLUTIONS)
def test_a_tiled_tiff_has_the_resolution_of_its_tags(
    tmp_path: Path,
    save_pyramid: Callable[..., Path],
    resolution: tuple[int, int],
    unit: str,
    mpp: float | None,
) -> None:
    path = save_pyramid(tmp_path / "a.tif", [plain(80, 70, RED)], resolution=resolution, resolutionunit=unit)
    with open_slide(path) as slide:
        assert slide.vendor == "generic-tiff"
        assert slide.mpp == (mpp and pytest.approx(mpp, rel=1e-6))


@pytest.mark.parametrize("name", ["picture", "pyramid", "aperio"])
def test_a_given_resolution_fills_in_or_overrides_the_files(files: dict[str, Path], name: str) -> None:
    with open_slide(files[name], mpp=0.37) as slide:
        assert slide.mpp == 0.37


@pytest.mark.parametrize("mpp", [0.0, -0.5, math.nan])
def test_a_resolution_that_cannot_be_is_refused(files: dict[str, Path], mpp: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        open_slide(files["picture"], mpp=mpp)


# --- regions ----------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(REGIONS)
def test_a_region_is_the_slides_pixels_and_white_outside(slide: Slide, pattern: np.ndarray, region: Region) -> None:
    np.testing.assert_array_equal(slide.read_region(region), placed(pattern, region))


@pytest.mark.parametrize("region", [Region(-50, 0, 50, 9), Region(0, HEIGHT, 9, 9), Region(5000, -5000, 3, 2)])
def test_a_region_off_the_slide_is_white(slide: Slide, region: Region) -> None:
    pixels = slide.read_region(region)
    assert pixels.shape == (region.height, region.width, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == 255).all()


@settings(deadline=None)
@given(REGIONS, st.sampled_from([1, 2]))
def test_a_region_at_a_level_has_the_size_of_its_pixels_rounded_up(pyramid: Slide, region: Region, level: int) -> None:
    step = 2**level
    shape = pyramid.read_region(region, level=level).shape
    assert shape == (math.ceil(region.height / step), math.ceil(region.width / step), 3)


@settings(deadline=None)
@given(REGIONS, st.sampled_from([1, 2]))
def test_a_region_is_in_level_0_coordinates_at_every_level(
    pyramid: Slide, pattern: np.ndarray, region: Region, level: int
) -> None:
    step = 2**level
    aligned = Region(region.x // step * step, region.y // step * step, region.width * step, region.height * step)
    aligned = Region(aligned.x, aligned.y, min(aligned.width, 600), min(aligned.height, 600))
    np.testing.assert_array_equal(pyramid.read_region(aligned, level=level), placed(pattern, aligned)[::step, ::step])


def test_the_caller_may_change_what_was_read(slide: Slide, pattern: np.ndarray) -> None:
    region = Region(16, 8, 40, 30)
    slide.read_region(region)[:] = 0
    np.testing.assert_array_equal(slide.read_region(region), pattern[8:38, 16:56])


def test_threads_read_at_the_same_time(slide: Slide, pattern: np.ndarray) -> None:
    regions = [Region(x, y, 60, 50) for y in range(0, HEIGHT - 50, 45) for x in range(0, WIDTH - 60, 45)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(slide.read_region, regions))
    for region, pixels in zip(regions, found, strict=True):
        np.testing.assert_array_equal(pixels, placed(pattern, region))


# --- windows at any scale ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("downsample", [1.0, 2.0, 4.0])
def test_a_window_at_the_scale_of_a_level_is_that_level(pyramid: Slide, pattern: np.ndarray, downsample: float) -> None:
    step = int(downsample)
    pixels = pyramid.read_scaled(10, 20, 60, 40, downsample=downsample)
    np.testing.assert_array_equal(pixels, pattern[::step, ::step][20:60, 10:70])


def test_regions_at_levels_and_windows_at_scales_agree(pyramid: Slide, picture: Slide) -> None:
    for step, level in ((1, 0), (2, 1), (4, 2)):
        region = pyramid.read_region(Region(48, 40, 160, 120), level=level)
        window = pyramid.read_scaled(48 // step, 40 // step, 160 // step, 120 // step, downsample=step)
        np.testing.assert_array_equal(region, window)
    eighth = picture.read_scaled(6, 5, 20, 15, downsample=8)
    assert np.abs(pyramid.read_scaled(6, 5, 20, 15, downsample=8).astype(int) - eighth).max() <= 2


@pytest.fixture(scope="module")
def ramp(tmp_path_factory: pytest.TempPathFactory, save_picture: Callable[..., Path]) -> Iterator[Slide]:
    """A picture whose red is half the column and whose green is half the row: a place's colour says where it is."""
    rows, columns = np.indices((400, 500))
    pixels = np.stack([columns / 2, rows / 2, np.full_like(rows, 128)], axis=2).clip(0, 255).round().astype(np.uint8)
    with open_slide(save_picture(tmp_path_factory.mktemp("ramp") / "a.png", pixels), mpp=0.5) as slide:
        yield slide


@pytest.mark.parametrize("downsample", [0.4, 0.5, 1.3, 1.7, 2.0, 3.0, 5.6])
def test_a_window_shows_the_places_it_covers(ramp: Slide, downsample: float) -> None:
    x, y, width, height = (round(level0 / downsample) for level0 in (90, 70, 330, 250))
    pixels = ramp.read_scaled(x, y, width, height, downsample=downsample)
    assert pixels.shape == (height, width, 3)
    columns = (x + np.arange(width) + 0.5) * downsample - 0.5  # middles of pixels, in level-0 pixels
    rows = (y + np.arange(height) + 0.5) * downsample - 0.5
    np.testing.assert_allclose(pixels[..., 0], np.broadcast_to(columns / 2, (height, width)), atol=1.01)
    np.testing.assert_allclose(pixels[..., 1], np.broadcast_to(rows[:, None] / 2, (height, width)), atol=1.01)


@pytest.mark.parametrize("kind", ["picture", "pyramid", "aperio", "jpeg", "channels", "dicom"])
@settings(deadline=None, max_examples=60)
@given(
    x=st.integers(-10, 60),
    y=st.integers(-10, 50),
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    downsample=st.one_of(st.sampled_from([0.7, 1.15, 2.0, 2.3, 4.6, 97.3]), st.floats(0.3, 9.0)),
)
def test_a_pixel_is_the_same_through_every_window(
    kinds: dict[str, Slide], kind: str, x: int, y: int, width: int, height: int, downsample: float
) -> None:
    wide = kinds[kind].read_scaled(-10, -10, 140, 130, downsample=downsample)
    pixels = kinds[kind].read_scaled(x, y, width, height, downsample=downsample)
    np.testing.assert_array_equal(pixels, wide[y + 10 : y + 10 + height, x + 10 : x + 10 + width])


@pytest.fixture(scope="module")
def kinds(
    tmp_path_factory: pytest.TempPathFactory,
    files: dict[str, Path],
    pattern: np.ndarray,
    save_dicom: Callable[..., Path],
) -> Iterator[dict[str, Slide]]:
    """The pattern through every source of pixels."""
    folder = tmp_path_factory.mktemp("kinds")
    options = {"tile": (64, 64), "metadata": None}
    tifffile.imwrite(folder / "jpeg.tif", pattern, compression="jpeg", photometric="rgb", **options)
    tifffile.imwrite(folder / "channels.tif", np.moveaxis(pattern, 2, 0), photometric="minisblack", **options)
    paths = {name: folder / f"{name}.tif" for name in ("jpeg", "channels")} | files
    paths["dicom"] = save_dicom(folder / "a.dcm", pattern)
    with contextlib.ExitStack() as opened:
        yield {name: opened.enter_context(open_slide(path)) for name, path in paths.items()}


@settings(deadline=None)
@given(
    first=st.integers(-100_000, 300_000),
    count=st.integers(1, 100),
    part=st.tuples(st.integers(0, 99), st.integers(1, 100)),
    ratio=st.floats(0.05, 300.0),
)
def test_pixels_are_placed_alike_in_single_precision_whatever_is_read(
    first: int, count: int, part: tuple[int, int], ratio: float
) -> None:
    def placed(first: int, count: int) -> dict[int, tuple[float, float]]:
        """Begin and width of each pixel as Pillow finds them, in pixels of the source."""
        found = {}
        for span in spans(first, count, ratio=ratio):
            low, high = np.float32(span.low - span.begin), np.float32(span.high - span.begin)
            width = float(high - low) / span.count
            for number in range(span.count):
                found[span.first + number] = (span.begin + float(low) + number * width, width)
        return found

    whole = placed(first, count)
    assert sorted(whole) == list(range(first, first + count))
    for number, (begin, width) in whole.items():
        assert begin == pytest.approx(number * ratio, abs=2e-4 * max(1.0, ratio))
        assert width == pytest.approx(ratio, abs=2e-5 * max(1.0, ratio))
    inside = min(part[0], count - 1)
    assert placed(first + inside, min(part[1], count - inside)).items() <= whole.items()


@pytest.mark.parametrize("downsample", [None, 5.0])
def test_a_pixel_is_the_same_through_every_window_of_a_pyramid_of_odd_size(
    tmp_path: Path, blocks: Callable[..., np.ndarray], save_pyramid: Callable[..., Path], downsample: float | None
) -> None:
    path = save_pyramid(tmp_path / "odd.tif", [blocks(301, 403), blocks(150, 201, seed=1)])
    with open_slide(path) as slide:
        scale = downsample or slide.level_downsamples[1]
        wide = slide.read_scaled(0, 0, 60, 80, downsample=scale)
        for x, y in ((3, 5), (17, 20), (40, 33), (21, 70)):
            np.testing.assert_array_equal(
                slide.read_scaled(x, y, 20, 10, downsample=scale), wide[y : y + 10, x : x + 20]
            )


def test_a_window_that_is_read_in_strips_has_no_seams(
    tmp_path: Path, blocks: Callable[..., np.ndarray], save_picture: Callable[..., Path]
) -> None:
    with open_slide(save_picture(tmp_path / "a.png", blocks(300, 900))) as slide:
        wide = slide.read_scaled(-2900, 0, 3000, 300, downsample=3.0)  # 24 million pixels of level 0
        narrow = np.vstack([slide.read_scaled(0, y, 100, 30, downsample=3.0) for y in range(0, 300, 30)])
    assert wide.shape == (300, 3000, 3)
    np.testing.assert_array_equal(wide[:, 2900:], narrow)


def test_reduction_is_antialiased(tmp_path: Path, save_picture: Callable[..., Path]) -> None:
    chequers = np.repeat((np.indices((200, 200)).sum(axis=0) % 2 * 255)[..., None], 3, axis=2).astype(np.uint8)
    with open_slide(save_picture(tmp_path / "a.png", chequers)) as slide:
        pixels = slide.read_scaled(5, 5, 30, 30, downsample=5.0).astype(int)
    assert np.abs(pixels - 127.5).max() < 12  # grey, not a moire


def test_the_coarsest_level_that_is_fine_enough_is_read(tmp_path: Path, save_pyramid: Callable[..., Path]) -> None:
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    levels = [plain(400 // 2**number, 320 // 2**number, colour) for number, colour in enumerate(colours)]
    with open_slide(save_pyramid(tmp_path / "a.tif", levels)) as slide:
        for downsample, number in ((0.5, 0), (1.0, 0), (1.9, 0), (2.0, 1), (3.9, 1), (4.0, 2), (9.0, 2)):
            middle = slide.read_scaled(round(200 / downsample), round(160 / downsample), 1, 1, downsample=downsample)
            assert tuple(middle[0, 0]) == colours[number]


@pytest.mark.parametrize("window", [(0, 10, 1.0), (10, 0, 1.0), (10, -1, 1.0), (10, 10, 0.0), (10, 10, -2.0)])
def test_a_window_without_size_or_scale_is_refused(picture: Slide, window: tuple[int, int, float]) -> None:
    width, height, downsample = window
    with pytest.raises(ValueError, match="positive"):
        picture.read_scaled(0, 0, width, height, downsample=downsample)


# --- windows at a resolution ------------------------------------------------------------------------------------------


def test_a_region_at_a_resolution_is_scaled_to_it(pyramid: Slide, pattern: np.ndarray) -> None:
    pixels = pyramid.read_at_mpp(Region(40, 24, 200, 120), mpp=1.0)
    np.testing.assert_array_equal(pixels, pattern[24:144:2, 40:240:2])


@pytest.mark.parametrize(("mpp", "shape"), [(0.25, (200, 400)), (0.5, (100, 200)), (0.75, (67, 133)), (5.0, (10, 20))])
def test_the_size_at_a_resolution_is_the_region_in_its_pixels(ramp: Slide, mpp: float, shape: tuple[int, int]) -> None:
    pixels = ramp.read_at_mpp(Region(100, 60, 200, 100), mpp=mpp)
    assert pixels.shape == (*shape, 3)
    middle = pixels[shape[0] // 2, shape[1] // 2]
    np.testing.assert_allclose(middle[:2], [100, 55], atol=4)  # half of column 200 and of row 110


def test_a_region_smaller_than_a_pixel_of_the_resolution_is_one_pixel(ramp: Slide) -> None:
    assert ramp.read_at_mpp(Region(10, 10, 2, 2), mpp=8.0).shape == (1, 1, 3)


def test_a_slide_of_unknown_resolution_cannot_be_read_at_one(picture: Slide) -> None:
    with pytest.raises(SlideError, match=r"picture\.png.*resolution is unknown.*micrometres per pixel") as caught:
        picture.read_at_mpp(Region(0, 0, 10, 10), mpp=0.5)
    assert caught.value.path == picture.path


# --- thumbnails -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("longest", "shape"), [(100, (80, 100)), (50, (40, 50)), (7, (6, 7)), (1, (1, 1))])
def test_the_longer_side_of_a_thumbnail_is_as_asked(slide: Slide, longest: int, shape: tuple[int, int]) -> None:
    assert slide.thumbnail(longest).shape == (*shape, 3)


def test_a_thumbnail_is_never_enlarged(slide: Slide, pattern: np.ndarray) -> None:
    np.testing.assert_array_equal(slide.thumbnail(WIDTH), pattern)
    np.testing.assert_array_equal(slide.thumbnail(5000), pattern)


def test_a_thumbnail_shows_the_whole_slide(ramp: Slide) -> None:
    pixels = ramp.thumbnail(50).astype(int)
    np.testing.assert_allclose(pixels[1:-1, 1:-1, 0], np.tile(np.arange(1, 49) * 5 + 2.25, (38, 1)), atol=1.01)
    np.testing.assert_allclose(pixels[1:-1, 1:-1, 1], np.tile(np.arange(1, 39) * 5 + 2.25, (48, 1)).T, atol=1.01)


# --- other pictures in the file ---------------------------------------------------------------------------------------


def test_label_and_macro_are_never_read(
    files: dict[str, Path], pattern: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A label can carry a patient's name."""
    with openslide.OpenSlide(files["aperio"]) as file:
        assert sorted(file.associated_images) == ["label", "macro", "thumbnail"]
    asked: list[str] = []
    read_associated_image = openslide.lowlevel.read_associated_image

    def spy(handle: object, name: str) -> Image.Image:
        asked.append(name)
        return read_associated_image(handle, name)

    monkeypatch.setattr(openslide.lowlevel, "read_associated_image", spy)
    with open_slide(files["aperio"]) as slide:
        assert np.array_equal(slide.read_region(slide.extent), pattern)
        slide.thumbnail(50)
        slide.read_at_mpp(slide.extent, mpp=2.0)
    assert asked == []


# --- kinds of pictures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".PNG"])
def test_lossless_pictures_are_read_exactly(
    tmp_path: Path, blocks: Callable[..., np.ndarray], save_picture: Callable[..., Path], suffix: str
) -> None:
    with open_slide(save_picture(tmp_path / f"a{suffix}", blocks(31, 23))) as slide:
        np.testing.assert_array_equal(slide.read_region(slide.extent), blocks(31, 23))


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg"])
def test_jpeg_pictures_are_read(tmp_path: Path, save_picture: Callable[..., Path], suffix: str) -> None:
    with open_slide(save_picture(tmp_path / f"a{suffix}", plain(30, 20, (200, 100, 150)))) as slide:
        np.testing.assert_allclose(slide.read_region(slide.extent), plain(30, 20, (200, 100, 150)), atol=3)


def test_a_path_may_be_a_string(files: dict[str, Path]) -> None:
    with open_slide(str(files["picture"])) as slide:
        assert slide.path == files["picture"]


def test_transparent_pixels_are_white(tmp_path: Path) -> None:
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 3] = 0, 128, 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with open_slide(tmp_path / "a.png") as slide:
        assert slide.read_region(slide.extent).tolist() == [[[255] * 3, [127] * 3, [0] * 3]]


def test_the_transparent_colour_of_a_palette_is_white(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([0, 0, 0, *RED])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "a.png", transparency=0)
    with open_slide(tmp_path / "a.png") as slide:
        assert slide.read_region(slide.extent).tolist() == [[[255, 255, 255], list(RED)]]


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA"])
def test_pictures_of_other_modes_are_read_as_rgb(tmp_path: Path, mode: str) -> None:
    picture = Image.new("L", (3, 2), 255)
    picture.putpixel((0, 0), 0)
    picture.convert(mode).save(tmp_path / "a.tif")
    with open_slide(tmp_path / "a.tif") as slide:
        pixels = slide.read_region(slide.extent)
    expected = plain(3, 2, (255, 255, 255))
    expected[0, 0] = 0
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bit_grey_is_scaled_to_eight(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(np.array([[0, 257, 32896, 65535]], np.uint16)).save(tmp_path / f"a{suffix}")
    with open_slide(tmp_path / f"a{suffix}") as slide:
        assert slide.read_region(slide.extent)[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_deep_colour_is_scaled_to_eight_bits(tmp_path: Path, kind: type) -> None:
    top = 1.0 if kind is np.float32 else 65535
    pixels = (np.array([[[0, 0.2, 1.0], [0.4, 0.6, 0.8]]]) * top).astype(kind)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    with open_slide(tmp_path / "a.tif") as slide:
        np.testing.assert_allclose(slide.read_region(slide.extent), [[[0, 51, 255], [102, 153, 204]]], atol=1)


def test_pictures_are_turned_as_their_camera_says(tmp_path: Path, blocks: Callable[..., np.ndarray]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    Image.fromarray(blocks(30, 20)).save(tmp_path / "a.png", exif=exif)
    with open_slide(tmp_path / "a.png") as slide:
        assert (slide.width, slide.height) == (20, 30)
        np.testing.assert_array_equal(slide.read_region(slide.extent), np.rot90(blocks(30, 20), k=-1))


# --- closing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["picture", "pyramid", "aperio"])
def test_reading_a_closed_slide_is_refused(files: dict[str, Path], name: str) -> None:
    slide = open_slide(files[name])
    slide.close()
    slide.close()  # once more does no harm
    with pytest.raises(ValueError, match="closed"):
        slide.read_region(Region(0, 0, 5, 5))
    with pytest.raises(ValueError, match="closed"):
        slide.thumbnail(10)


def test_reading_beside_a_closed_slide_is_refused(files: dict[str, Path]) -> None:
    slide = open_slide(files["picture"])
    slide.close()
    with pytest.raises(ValueError, match="closed"):
        slide.read_region(Region(-50, -50, 5, 5))


def test_a_slide_is_closed_at_the_end_of_its_block(files: dict[str, Path]) -> None:
    with open_slide(files["picture"]) as slide:
        slide.read_region(Region(0, 0, 5, 5))
    with pytest.raises(ValueError, match="closed"):
        slide.read_region(Region(0, 0, 5, 5))


# --- files that cannot be read ----------------------------------------------------------------------------------------


def opened_or_read(path: Path, *, read: bool) -> None:
    with open_slide(path) as slide:
        if read:
            slide.read_region(slide.extent)


def refusal(path: Path, *, read: bool = False) -> SlideError:
    """The error of opening the file (and reading it all), after checking that it names the file and a way on."""
    with pytest.raises(SlideError) as caught:
        opened_or_read(path, read=read)
    error = caught.value
    assert error.path == path
    assert str(path) in error.message
    assert error.reason in error.message
    assert error.advice.endswith(".")
    return error


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "missing.svs").reason


def test_a_folder_is_no_slide(tmp_path: Path) -> None:
    error = refusal(tmp_path)
    assert "folder" in error.reason
    assert "Import the folder" in error.advice


@pytest.mark.parametrize("suffix", [".svs", ".tif", ".png", ".jpg", ".ndpi"])
def test_an_empty_file_is_told_from_a_broken_one(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"empty{suffix}"
    path.touch()
    error = refusal(path)
    assert "empty" in error.reason
    assert "transfer" in error.advice


def test_a_file_without_permission_is_named(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader.os, "access", lambda path, mode: mode != os.R_OK)
    error = refusal(files["picture"])
    assert "may not read" in error.reason
    assert "permission" in error.advice


@pytest.mark.parametrize("suffix", [".txt", ".svs", ".ndpi", ".mrxs", ".pdf", ""])
def test_a_foreign_file_is_no_slide(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"notes{suffix}"
    path.write_text("Not a slide, but a long enough text about one. " * 50)
    error = refusal(path)
    assert "not a slide that OpenSlide can read" in error.reason
    assert "Convert" in error.advice


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".tiff"])
def test_a_foreign_file_with_the_name_of_a_picture_is_broken(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"notes{suffix}"
    path.write_text("Not a picture, but a long enough text about one. " * 50)
    error = refusal(path)
    assert "cannot be read" in error.reason
    assert "damaged" in error.advice


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_a_truncated_picture_is_broken(
    tmp_path: Path, blocks: Callable[..., np.ndarray], save_picture: Callable[..., Path], suffix: str, share: float
) -> None:
    path = save_picture(tmp_path / f"a{suffix}", blocks(90, 70))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    error = refusal(path)
    assert "cannot be read" in error.reason
    assert "copy it again" in error.advice


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "tiff_lzw"},
        {"compression": "jpeg"},
    ],
    ids=["raw", "lzw", "jpeg"],
)
def test_a_truncated_tiff_picture_is_broken(
    tmp_path: Path, blocks: Callable[..., np.ndarray], save_picture: Callable[..., Path], options: dict[str, str]
) -> None:
    path = save_picture(tmp_path / "a.tif", blocks(90, 70), **options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert "cannot be read" in refusal(path).reason


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"II", id="two bytes"),
        pytest.param(b"II*\x00", id="four bytes"),
        pytest.param(b"II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00", id="no directory"),
        pytest.param(b"MM\x00*\xff\xff\xff\xf0", id="directory past the end"),
    ],
)
def test_the_beginning_of_a_tiff_is_no_picture(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    assert "cannot be read" in refusal(path).reason


def test_a_damaged_strip_of_a_tiff_is_broken(tmp_path: Path, blocks: Callable[..., np.ndarray]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, blocks(60, 40).astype(np.float32) / 255, photometric="rgb", compression="zstd")
    path.write_bytes(path.read_bytes()[:-100])
    assert "cannot be read" in refusal(path).reason


@pytest.mark.parametrize("name", ["pyramid", "aperio"])
@pytest.mark.parametrize("share", [0.05, 0.15, 0.3])
def test_a_truncated_slide_is_broken(tmp_path: Path, files: dict[str, Path], name: str, share: float) -> None:
    path = tmp_path / files[name].name
    content = files[name].read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refusal(path, read=True)


def test_damaged_tiles_are_told_when_they_are_read(tmp_path: Path, files: dict[str, Path]) -> None:
    with tifffile.TiffFile(files["pyramid"]) as tiff:
        start, length = tiff.pages[0].dataoffsets[0], tiff.pages[0].databytecounts[0]
    path = tmp_path / "damaged.tif"
    content = bytearray(files["pyramid"].read_bytes())
    content[start : start + length] = b"\xff" * length
    path.write_bytes(content)
    with open_slide(path) as slide:
        assert (slide.width, slide.height) == (WIDTH, HEIGHT)
    assert "cannot be read" in refusal(path, read=True).reason


def test_a_picture_too_large_for_memory_is_refused(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_PICTURE_PX", WIDTH * HEIGHT)
    open_slide(files["picture"]).close()
    monkeypatch.setattr(protocol, "MAX_PICTURE_PX", WIDTH * HEIGHT - 1)
    error = refusal(files["picture"])
    assert "no pyramid" in error.reason
    assert "pyramidal" in error.advice
    open_slide(files["pyramid"]).close()  # which is read piece by piece


def test_a_picture_far_too_large_for_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.bmp"
    Image.new("RGB", (2, 2)).save(path)
    content = bytearray(path.read_bytes())
    content[18:26] = (25_000).to_bytes(4, "little") * 2  # width and height in the header
    path.write_bytes(content)
    assert "no pyramid" in refusal(path).reason


# --- real slides ------------------------------------------------------------------------------------------------------


@pytest.fixture
def aperio(real_data: Path) -> Iterator[Slide]:
    with open_slide(real_data / "slides" / "CMU-1-Small-Region.svs") as slide:
        yield slide


def test_a_real_slide_opens_with_its_size_and_resolution(aperio: Slide) -> None:
    assert (aperio.width, aperio.height, aperio.vendor) == (2220, 2967, "aperio")
    assert aperio.mpp == 0.499


def test_regions_of_a_real_slide_agree_with_the_whole(aperio: Slide) -> None:
    whole = aperio.read_region(aperio.extent)
    assert whole.shape == (2967, 2220, 3)
    for region in (Region(0, 0, 64, 64), Region(500, 1000, 333, 200), Region(2100, 2900, 120, 67)):
        np.testing.assert_array_equal(
            aperio.read_region(region), whole[region.y : region.bottom, region.x : region.right]
        )
    past = aperio.read_region(Region(2200, 2960, 50, 40))
    np.testing.assert_array_equal(past[:7, :20], whole[2960:, 2200:])
    assert (past[7:] == 255).all()
    assert (past[:, 20:] == 255).all()


def test_a_real_slide_is_read_at_a_resolution(aperio: Slide) -> None:
    assert aperio.read_at_mpp(Region(0, 0, 1000, 500), mpp=0.998).shape == (250, 500, 3)
    assert aperio.thumbnail(300).shape == (300, 224, 3)


def test_levels_of_a_real_pyramid_show_the_same(real_data: Path) -> None:
    with open_slide(real_data / "slides" / "boxes.tiff") as slide:
        assert slide.level_sizes == ((300, 250), (150, 125), (75, 62), (37, 31))
        assert slide.mpp is None
        region = Region(40, 40, 160, 120)
        fine = slide.read_region(region).reshape(60, 2, 80, 2, 3).mean(axis=(1, 3))
        assert np.abs(slide.read_region(region, level=1) - fine).mean() < 8


def test_a_real_slide_in_an_unknown_compression_is_refused(real_data: Path) -> None:
    assert "compression" in refusal(real_data / "slides" / "unopenable.tiff").reason


def test_a_real_slide_with_damaged_pixels_is_refused_when_they_are_read(real_data: Path) -> None:
    path = real_data / "slides" / "unreadable.svs"
    open_slide(path).close()
    assert "cannot be read" in refusal(path, read=True).reason


@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
def test_a_truncated_copy_of_a_real_slide_is_refused(real_data: Path, tmp_path: Path, share: float) -> None:
    path = tmp_path / "copy.svs"
    shutil.copyfile(real_data / "slides" / "CMU-1-Small-Region.svs", path)
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))
    refusal(path, read=True)


def test_slides_are_found_in_a_real_folder_and_masks_are_not(real_data: Path) -> None:
    names = [path.name for path in find_slides([real_data / "slides"])]
    assert names == ["CMU-1-Small-Region.svs", "boxes.tiff", "small.svs", "unopenable.tiff", "unreadable.svs"]
    pictures = find_slides([real_data / "glas"])
    assert pictures
    assert not [path for path in pictures if "_anno" in path.name]
