"""TIFF files in all the ways that microscopes and programs write them: pixels come back as they were written."""

from __future__ import annotations

import io
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from histoloop.errors import SlideError
from histoloop.geometry import Region
from histoloop.slides.overview import SAMPLED_PX
from histoloop.slides.pyramid import EXACT_TILE_PX, TilePyramid
from histoloop.slides.reader import open_slide
from histoloop.slides.sources.tiff.segments import PageLevel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

WIDTH, HEIGHT = 150, 110
LOSSLESS = ("none", "deflate", "lzw", "lzma", "zstd", "packbits", "webp", "jpegxl", "jpeg2000")
EXACT = {"webp": {"level": 100, "lossless": True}, "jpegxl": {"level": 101, "lossless": True}, "jpeg2000": {"level": 0}}
"""Options with which these do not lose anything."""


@pytest.fixture(scope="module")
def pattern(blocks: Callable[..., np.ndarray]) -> np.ndarray:
    return blocks(WIDTH, HEIGHT, cell=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiff")


def whole(path: Path) -> np.ndarray:
    with open_slide(path) as slide:
        return slide.read_region(slide.extent)


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=2)


def compressed(name: str) -> dict[str, Any]:
    return {"compression": name, "compressionargs": EXACT.get(name)}


# --- every way to write the same picture ------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    codec=st.sampled_from(LOSSLESS),
    tile=st.sampled_from([None, (32, 64), (256, 256)]),
    planes=st.sampled_from(["contig", "separate"]),
    byteorder=st.sampled_from(["<", ">"]),
    big=st.booleans(),
    rows=st.sampled_from([None, 1, 7]),
    x=st.integers(-20, WIDTH),
    y=st.integers(-20, HEIGHT),
)
def test_pixels_come_back_however_they_are_stored(
    folder: Path,
    pattern: np.ndarray,
    codec: str,
    tile: tuple[int, int] | None,
    planes: str,
    byteorder: str,
    big: bool,
    rows: int | None,
    x: int,
    y: int,
) -> None:
    path = folder / "stored.tif"
    pixels = pattern if planes == "contig" else np.ascontiguousarray(np.moveaxis(pattern, 2, 0))
    assume(codec != "webp" or planes == "contig")  # which stores no single planes
    layout: dict[str, Any] = {"planarconfig": planes, "byteorder": byteorder, "bigtiff": big}
    layout |= {"tile": tile} if tile else {"rowsperstrip": rows}
    tifffile.imwrite(path, pixels, photometric="rgb", **layout, **compressed(codec))
    with open_slide(path) as slide:
        assert (slide.width, slide.height, slide.is_brightfield, slide.note) == (WIDTH, HEIGHT, True, "")
        region = slide.read_region(Region(x, y, 60, 50))
        np.testing.assert_array_equal(slide.read_region(slide.extent), pattern)
    wide = np.full((HEIGHT + 200, WIDTH + 200, 3), 255, np.uint8)
    wide[50 : 50 + HEIGHT, 50 : 50 + WIDTH] = pattern
    np.testing.assert_array_equal(region, wide[50 + y : 100 + y, 50 + x : 110 + x])


AXES = ["YX", "CYX", "ZYX", "TYX", "TCZYX", "ZCYX", "CZYX", "TZCYX"]
DEPTHS = [np.uint8, np.uint16, np.uint32, np.float32]


@settings(deadline=None, max_examples=60)
@given(
    axes=st.sampled_from(AXES),
    kind=st.sampled_from(DEPTHS),
    counts=st.tuples(st.integers(2, 4), st.integers(2, 4), st.integers(2, 5)),
    codec=st.sampled_from(["none", "deflate", "zstd"]),
    unit=st.sampled_from([("\u00b5m", 1.0), ("nm", 1e3), ("mm", 1e-3), ("cm", 1e-4)]),
    big_endian=st.booleans(),
    imagej=st.booleans(),
)
def test_the_plane_that_is_shown_is_the_one_that_is_stated(
    folder: Path,
    axes: str,
    kind: type,
    counts: tuple[int, int, int],
    codec: str,
    unit: tuple[str, float],
    big_endian: bool,
    imagej: bool,
) -> None:
    sizes = {"T": counts[0], "C": counts[1], "Z": counts[2], "Y": 40, "X": 30}
    if imagej and (kind == np.uint32 or axes not in ("YX", "CYX", "ZYX", "TYX", "ZCYX", "TZCYX")):
        imagej = False
    top = 1.0 if kind is np.float32 else float(min(np.iinfo(kind).max, 65_535))
    values = np.random.default_rng(0).integers(0, 256, [sizes[axis] for axis in axes]) / 255 * top
    values.flat[0] = top
    stored = values.astype(kind)
    path = folder / "planes.tif"
    metadata: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {"imagej": True} if imagej else {"ome": True}
    if imagej:
        metadata["unit"] = "um"
        options["resolution"] = (2.0, 2.0)
    else:
        metadata |= {f"PhysicalSize{axis}": 0.5 * unit[1] for axis in "XY"}
        metadata |= {f"PhysicalSize{axis}Unit": unit[0] for axis in "XY"}
    order = ">" if big_endian or imagej else "<"
    tifffile.imwrite(
        path, stored, photometric="minisblack", compression=codec, byteorder=order, metadata=metadata, **options
    )
    first = stored[tuple({"T": 0, "Z": sizes["Z"] // 2}.get(axis, slice(None)) for axis in axes)]
    eight = np.clip(first.astype(np.float64) * 255 / top + 0.5, 0, 255).astype(np.uint8)
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(0.5)
        assert (slide.width, slide.height) == (30, 40)
        pixels = slide.read_region(slide.extent)
        assert ("focal planes" in slide.note) == ("Z" in axes)
        assert ("points in time" in slide.note) == ("T" in axes)
        if "C" not in axes:
            assert (slide.channels, slide.is_brightfield) == (("grey",), False)
            np.testing.assert_allclose(pixels.astype(int), grey(eight), atol=1)
        elif sizes["C"] == 3 and kind is np.uint8:
            assert (slide.channels, slide.is_brightfield) == (("red", "green", "blue"), True)
            np.testing.assert_array_equal(pixels, np.moveaxis(eight, 0, 2))
        else:
            assert slide.channels == tuple(f"channel {number}" for number in range(1, sizes["C"] + 1))
            assert not slide.is_brightfield
            colours = np.array([(0, 0, 255), (0, 255, 0), (255, 0, 0), (0, 255, 255)])[: sizes["C"]]
            np.testing.assert_allclose(pixels.astype(int), composite(eight, colours), atol=1)


def composite(planes: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Planes (n, H, W) of 0 to 255 in their colours (n, 3), added."""
    return np.minimum(np.moveaxis(planes, 0, 2).astype(float) @ (colours / 255), 255).round().astype(int)


# --- pyramids ---------------------------------------------------------------------------------------------------------


def save_subifds(path: Path, levels: Sequence[np.ndarray], *, ome: bool, **options: Any) -> Path:
    with tifffile.TiffWriter(path, ome=ome) as tiff:
        common = {"tile": (64, 64), "photometric": "rgb", "compression": "deflate", **options}
        tiff.write(levels[0], subifds=len(levels) - 1, metadata={"axes": "YXS"} if ome else None, **common)
        for level in levels[1:]:
            tiff.write(level, subfiletype=1, metadata=None, **common)
    return path


@pytest.mark.parametrize("ome", [True, False])
@pytest.mark.parametrize("step", [2, 4])
def test_levels_in_subifds_are_levels(folder: Path, blocks: Callable[..., np.ndarray], ome: bool, step: int) -> None:
    pixels = blocks(512, 384, cell=16)
    levels = [pixels[::factor, ::factor] for factor in (1, step, step * step)]
    with open_slide(save_subifds(folder / "subifds.tif", levels, ome=ome)) as slide:
        assert slide.level_downsamples == (1, step, step * step)
        for number, level in enumerate(levels):
            np.testing.assert_array_equal(slide.read_region(slide.extent, level=number), level)
        np.testing.assert_array_equal(slide.thumbnail(max(levels[2].shape)), levels[2])


def test_levels_of_channels_in_subifds_are_levels(folder: Path) -> None:
    stored = np.random.default_rng(0).integers(0, 4096, (2, 128, 192), np.uint16)
    path = folder / "channels.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        names = {"axes": "CYX", "Channel": {"Name": ["DAPI", "Ki-67"], "Color": [0x0000FFFF, 0x00FF00FF]}}
        tiff.write(stored, subifds=1, tile=(64, 64), photometric="minisblack", metadata=names)
        tiff.write(stored[:, ::2, ::2], subfiletype=1, tile=(64, 64), photometric="minisblack")
    with open_slide(path) as slide:
        assert slide.level_sizes == ((192, 128), (96, 64))
        assert slide.channels == ("DAPI", "Ki-67")
        assert slide.properties["histoloop.window"] == "0 to 4095"
        assert "not a brightfield slide" in slide.note
        assert "DAPI, Ki-67" in slide.note
        eight = (stored * (255 / 4095) + 0.5).astype(np.uint8)
        pixels = slide.read_region(slide.extent)
        np.testing.assert_allclose(pixels[..., 2], eight[0], atol=1)
        np.testing.assert_allclose(pixels[..., 1], eight[1], atol=1)
        assert (pixels[..., 0] == 0).all()
        np.testing.assert_allclose(slide.read_region(slide.extent, level=1)[..., 2], eight[0, ::2, ::2], atol=1)


def test_pages_that_get_smaller_are_levels_in_any_depth(folder: Path, blocks: Callable[..., np.ndarray]) -> None:
    pixels = blocks(256, 192, cell=8).astype(np.uint16) * 257
    path = folder / "pages.tif"
    with tifffile.TiffWriter(path) as tiff:
        for factor in (1, 2, 4):
            tiff.write(
                pixels[::factor, ::factor], tile=(64, 64), photometric="rgb", metadata=None, subfiletype=int(factor > 1)
            )
    with open_slide(path) as slide:
        assert slide.level_downsamples == (1, 2, 4)
        np.testing.assert_array_equal(
            slide.read_region(slide.extent, level=1), (pixels[::2, ::2] // 257).astype(np.uint8)
        )


@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_a_thumbnail_before_the_picture_is_not_the_slide(
    folder: Path, pattern: np.ndarray, tile: tuple[int, int]
) -> None:
    path = folder / "first.tif"
    with tifffile.TiffWriter(path) as tiff:
        small = {"resolution": (2500, 2500), "resolutionunit": "CENTIMETER", "subfiletype": 1}
        tiff.write(np.ascontiguousarray(pattern[::8, ::8]), photometric="rgb", tile=tile, **small)
        full = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
        tiff.write(pattern, photometric="rgb", compression="deflate", tile=tile, **full)
    with open_slide(path) as slide:
        assert (slide.width, slide.height, slide.mpp) == (WIDTH, HEIGHT, 0.5)
        np.testing.assert_array_equal(slide.read_region(slide.extent), pattern)


def test_label_and_macro_are_never_the_slide(
    folder: Path, pattern: np.ndarray, blocks: Callable[..., np.ndarray]
) -> None:
    path = folder / "series.ome.tif"
    label, macro = blocks(400, 300, seed=1), blocks(300, 300, seed=2)
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for name, picture in (("label image", label), ("scan", pattern), ("macro", macro)):
            tiff.write(picture, photometric="rgb", tile=(64, 64), metadata={"axes": "YXS", "Name": name})
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read_region(slide.extent), pattern)
        assert slide.note == ""


def test_of_several_pictures_the_largest_is_shown_and_said(folder: Path, pattern: np.ndarray) -> None:
    path = folder / "several.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for name, picture in (("one", pattern[:50, :40]), ("two", pattern), ("three", pattern[:60, :30])):
            tiff.write(np.ascontiguousarray(picture), photometric="rgb", metadata={"axes": "YXS", "Name": name})
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read_region(slide.extent), pattern)
        assert "2 other images" in slide.note


# --- colours ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tile", [None, (64, 64)])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_fourth_band_that_is_unspecified_is_no_opacity(
    folder: Path, pattern: np.ndarray, tile: tuple[int, int] | None, bits: int
) -> None:
    scale = 257 if bits == 16 else 1
    stored = np.dstack([pattern, np.zeros_like(pattern[..., :1])]).astype(f"u{bits // 8}") * scale
    stored[0, 0, :3] = 255 * scale
    tifffile.imwrite(folder / "four.tif", stored, photometric="rgb", extrasamples=["unspecified"], tile=tile)
    np.testing.assert_array_equal(whole(folder / "four.tif")[1:], pattern[1:])


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_what_is_transparent_is_over_white(folder: Path, kind: str, tile: tuple[int, int] | None) -> None:
    stored = np.zeros((64, 64, 4), np.uint8)
    stored[..., 3] = np.arange(64) * 4
    tifffile.imwrite(folder / "alpha.tif", stored, photometric="rgb", extrasamples=[kind], tile=tile)
    np.testing.assert_array_equal(whole(folder / "alpha.tif")[0, :, 1], 255 - np.arange(64) * 4)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("stated", ["by its values", "by OME-XML"])
def test_deep_colours_are_shown_in_a_stated_window(folder: Path, bits: int, stated: str) -> None:
    top = (1 << bits) - 1
    stored = (
        np.linspace(0, top if stated == "by its values" else top // 3, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint16)
    )
    path = folder / "deep.ome.tif"
    metadata = {"axes": "YXS", "SignificantBits": bits} if stated == "by OME-XML" else {"axes": "YXS"}
    tifffile.imwrite(path, stored, photometric="rgb", tile=(32, 32), ome=True, metadata=metadata)
    with open_slide(path) as slide:
        if stated == "by its values" or bits < 16:
            assert slide.properties["histoloop.window"] == f"0 to {top}"
            expected = stored.astype(float) * 255 / top
            np.testing.assert_allclose(slide.read_region(slide.extent), expected, atol=0.51)
        assert slide.is_brightfield


@pytest.mark.parametrize("bits", [1, 2, 4, 10, 12, 14])
def test_packed_values_end_where_their_bits_do(folder: Path, bits: int) -> None:
    top = (1 << bits) - 1
    stored = (np.arange(64 * 48).reshape(48, 64) % (top // 2 + 1)).astype(np.uint8 if bits <= 8 else np.uint16)
    path = folder / "packed.tif"
    if bits == 1:
        tifffile.imwrite(path, (stored := np.arange(64 * 48).reshape(48, 64) % 3 == 0), photometric="minisblack")
    else:
        tifffile.imwrite(
            path, stored, photometric="minisblack", bitspersample=bits, compression="packints" if False else None
        )
    np.testing.assert_allclose(whole(path)[..., 0], stored.astype(float) * 255 / top, atol=0.51)


def test_white_may_be_zero(folder: Path, pattern: np.ndarray) -> None:
    tifffile.imwrite(folder / "white.tif", pattern[..., 0], photometric="miniswhite", tile=(64, 64))
    np.testing.assert_array_equal(whole(folder / "white.tif"), grey(255 - pattern[..., 0]))


@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_inks_are_colours(folder: Path, pattern: np.ndarray, tile: tuple[int, int] | None) -> None:
    inks = np.dstack([255 - pattern, np.zeros_like(pattern[..., 0])])
    tifffile.imwrite(folder / "cmyk.tif", inks, photometric="separated", tile=tile, extrasamples=())
    np.testing.assert_array_equal(whole(folder / "cmyk.tif"), pattern)


def test_palettes_are_colours(folder: Path) -> None:
    indices = np.arange(64 * 48, dtype=np.uint8).reshape(48, 64)
    palette = np.random.default_rng(0).integers(0, 256, (3, 256)).astype(np.uint16)
    tifffile.imwrite(folder / "palette.tif", indices, photometric="palette", colormap=palette * 257, tile=(16, 16))
    with open_slide(folder / "palette.tif") as slide:
        assert slide.is_brightfield
        np.testing.assert_array_equal(slide.read_region(slide.extent), palette.T[indices])


def test_lab_colours_are_shown_as_srgb(folder: Path) -> None:
    """Values of L*a*b* (D65) for pure red, mid grey and white, after Lindbloom."""
    lab = np.array([[[53.24, 80.09, 67.20], [53.59, 0, 0], [100, 0, 0]]])
    stored = np.dstack([lab[..., 0] * 2.55, lab[..., 1], lab[..., 2]]).round().astype(np.int16).astype(np.uint8)
    tifffile.imwrite(folder / "lab.tif", stored, photometric="cielab")
    pixels = whole(folder / "lab.tif")
    np.testing.assert_allclose(pixels[0], [(255, 0, 0), (128, 128, 128), (255, 255, 255)], atol=6)


def test_jpeg_that_says_rgb_but_stores_subsampled_colours_is_read_as_stored(folder: Path) -> None:
    pixels = np.zeros((128, 192, 3), np.uint8)
    pixels[:] = (226, 160, 196)
    pixels[32:96, 64:128] = (120, 70, 140)
    tiles = []
    for top in range(0, 128, 64):
        for left in range(0, 192, 64):
            buffer = io.BytesIO()
            Image.fromarray(pixels[top : top + 64, left : left + 64]).save(buffer, "JPEG", subsampling=2, quality=95)
            tiles.append(buffer.getvalue())
    options = {"shape": pixels.shape, "dtype": np.uint8, "tile": (64, 64), "photometric": "rgb", "metadata": None}
    for order in "<>":
        path = folder / f"subsampled{order == '>'}.tif"
        jpeg = {"compression": "jpeg", "compressionargs": {"outcolorspace": "rgb"}}
        tifffile.imwrite(path, iter(tiles), byteorder=order, **jpeg, **options)
        np.testing.assert_allclose(whole(path).astype(int), pixels, atol=12)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("tile", [None, (32, 32)])
def test_pictures_are_shown_upright(
    folder: Path, pattern: np.ndarray, orientation: int, tile: tuple[int, int] | None
) -> None:
    undone = {
        1: pattern,
        2: pattern[:, ::-1],
        3: pattern[::-1, ::-1],
        4: pattern[::-1],
        5: pattern.swapaxes(0, 1),
        6: np.rot90(pattern, 1),
        7: pattern.swapaxes(0, 1)[::-1, ::-1],
        8: np.rot90(pattern, -1),
    }[orientation]
    path = folder / "turned.tif"
    tag = (274, "H", 1, orientation, True)
    tifffile.imwrite(path, np.ascontiguousarray(undone), photometric="rgb", tile=tile, extratags=[tag])
    with open_slide(path) as slide:
        assert (slide.width, slide.height) == (WIDTH, HEIGHT)
        np.testing.assert_array_equal(slide.read_region(Region(20, 31, 70, 40)), pattern[31:71, 20:90])
        np.testing.assert_array_equal(slide.read_region(slide.extent), pattern)


# --- what is brightfield ----------------------------------------------------------------------------------------------


def save_planes(path: Path, planes: np.ndarray, **channel: Any) -> Path:
    metadata = {"axes": "CYX", **({"Channel": channel} if channel else {})}
    tifffile.imwrite(path, planes, ome=True, photometric="minisblack", metadata=metadata)
    return path


@pytest.mark.parametrize("names", [["Red", "Green", "Blue"], ["blue", "red", "green"], ["R", "G", "B"], None])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_planes_named_red_green_and_blue_are_colours(
    folder: Path, pattern: np.ndarray, names: list[str] | None, kind: type
) -> None:
    stored = np.moveaxis(pattern, 2, 0).astype(kind) * (257 if kind is np.uint16 else 1)
    stored[0, 0, 0] = np.iinfo(kind).max
    if names is not None:
        stored = stored[[["r", "g", "b"].index(name[0].lower()) for name in names]]
    path = save_planes(folder / "named.ome.tif", stored, **({"Name": names} if names else {}))
    with open_slide(path) as slide:
        if names is None and kind is np.uint16:
            assert not slide.is_brightfield
        else:
            assert slide.is_brightfield
            assert slide.note == ""
            np.testing.assert_array_equal(slide.read_region(slide.extent)[1:], pattern[1:])


@pytest.mark.parametrize(
    "channel",
    [
        {"Name": ["DAPI", "FITC", "TRITC"]},
        {"Name": ["", "", ""], "EmissionWavelength": [460.0, 520.0, 580.0]},
        {"Name": ["Red", "Green", "Blue"], "ExcitationWavelength": [400.0, 500.0, 600.0]},
        {"Fluor": ["a", "b", "c"]},
    ],
)
def test_planes_of_wavelengths_are_no_colours(folder: Path, pattern: np.ndarray, channel: dict[str, Any]) -> None:
    path = save_planes(folder / "waves.ome.tif", np.moveaxis(pattern, 2, 0), **channel)
    with open_slide(path) as slide:
        assert not slide.is_brightfield
        assert "not a brightfield slide" in slide.note
        assert slide.read_region(slide.extent).any()


def test_many_channels_are_named_and_the_first_shown(folder: Path) -> None:
    planes = np.zeros((9, 40, 50), np.uint8)
    planes[7] = 255
    names = [f"marker {number}" for number in range(9)]
    with open_slide(save_planes(folder / "many.ome.tif", planes, Name=names)) as slide:
        assert slide.channels == tuple(names)
        assert "first 6 of them are shown" in slide.note
        assert not slide.read_region(slide.extent).any()


def test_five_bands_of_grey_are_channels(folder: Path) -> None:
    stored = np.zeros((20, 30, 5), np.uint16)
    stored[..., 1] = 1000
    tifffile.imwrite(folder / "five.tif", stored, photometric="minisblack", planarconfig="contig")
    with open_slide(folder / "five.tif") as slide:
        assert len(slide.channels) == 5
        assert not slide.is_brightfield
        assert slide.read_region(slide.extent)[0, 0].tolist() == [0, 249, 0]  # green, of a window to 1023


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_grey_pictures_say_so(folder: Path, pattern: np.ndarray, suffix: str) -> None:
    Image.fromarray(pattern[..., 0]).save(folder / f"grey{suffix}")
    with open_slide(folder / f"grey{suffix}") as slide:
        assert (slide.channels, slide.is_brightfield) == (("grey",), False)
        assert "one channel" in slide.note


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_opacity_of_0_everywhere_is_ignored_and_said(folder: Path, pattern: np.ndarray, suffix: str) -> None:
    stored = np.dstack([pattern, np.zeros_like(pattern[..., :1])])
    path = folder / f"transparent{suffix}"
    if suffix == ".png":
        Image.fromarray(stored).save(path)
    else:
        tifffile.imwrite(path, stored, photometric="rgb", extrasamples=["unassalpha"])
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read_region(slide.extent), pattern)
        assert "opacity" in slide.note


def test_pages_of_one_size_are_said(folder: Path, pattern: np.ndarray) -> None:
    stored = np.stack([pattern, pattern[::-1], 255 - pattern, pattern])
    tifffile.imwrite(folder / "pages.tif", stored, photometric="rgb")
    with open_slide(folder / "pages.tif") as slide:
        np.testing.assert_array_equal(slide.read_region(slide.extent), pattern)
        assert "4 images of one size; the first is shown" in slide.note
        assert slide.is_brightfield


def test_three_grey_pages_are_colours_and_it_is_said(folder: Path, pattern: np.ndarray) -> None:
    tifffile.imwrite(folder / "three.tif", np.moveaxis(pattern, 2, 0), photometric="minisblack")
    with open_slide(folder / "three.tif") as slide:
        np.testing.assert_array_equal(slide.read_region(slide.extent), pattern)
        assert "read as red, green and blue" in slide.note


def save_qptiff(path: Path, pages: Sequence[np.ndarray], *, names: Sequence[str], colours: Sequence[str]) -> Path:
    """As the scanner of Akoya writes it: pages of channels, a thumbnail, the same at half the size, macro and label."""

    def described(number: int) -> str:
        kind = f"<Name>{names[number]}</Name><Color>{colours[number]}</Color>" if names else ""
        return f'<?xml version="1.0"?><PerkinElmer-QPI-ImageDescription>{kind}</PerkinElmer-QPI-ImageDescription>'

    grey = pages[0].ndim == 2
    options = {"software": "PerkinElmer-QPI", "metadata": None, "compression": "deflate"}
    options |= {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
    plain = {"photometric": "minisblack" if grey else "rgb", "tile": (64, 64)}
    small = np.full((40, 50, 3), 200, np.uint8)
    with tifffile.TiffWriter(path) as tiff:
        for number, page in enumerate(pages):
            tiff.write(page, description=described(number), **plain, **options)
        tiff.write(small, photometric="rgb", **options)
        for number, page in enumerate(pages):
            half = np.ascontiguousarray(page[::2, ::2])
            tiff.write(half, description=described(number), subfiletype=1, **plain, **options)
        tiff.write(small[:30, :30], photometric="rgb", **options)
        tiff.write(small[:20, :30], photometric="rgb", **options)
    return path


def test_qptiff_of_colours_is_a_pyramid_with_its_other_pictures(
    folder: Path, blocks: Callable[..., np.ndarray]
) -> None:
    pixels = blocks(256, 192, cell=4)
    with open_slide(save_qptiff(folder / "colours.qptiff", [pixels], names=[], colours=[])) as slide:
        assert (slide.vendor, slide.mpp, slide.level_downsamples) == ("qptiff", 0.5, (1, 2))
        assert slide.is_brightfield
        assert slide.note == ""
        np.testing.assert_array_equal(slide.read_region(slide.extent), pixels)
        np.testing.assert_array_equal(slide.read_region(slide.extent, level=1), pixels[::2, ::2])


def test_qptiff_of_fluorescence_names_its_channels(folder: Path) -> None:
    planes = np.random.default_rng(0).integers(0, 256, (2, 192, 256), np.uint8)
    path = save_qptiff(folder / "a.qptiff", list(planes), names=["DAPI", "CD8"], colours=["0,0,255", "255,255,0"])
    with open_slide(path) as slide:
        assert slide.channels == ("DAPI", "CD8")
        assert not slide.is_brightfield
        assert slide.level_downsamples == (1, 2)
        pixels = slide.read_region(slide.extent)
        np.testing.assert_array_equal(pixels[..., 2], planes[0])
        np.testing.assert_array_equal(pixels[..., 0], planes[1])


# --- resolution -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "unit", "mpp"),
    [
        (0.25, None, 0.25),
        (250, "nm", 0.25),
        (250_000, "pm", 0.25),
        (0.00025, "mm", 0.25),
        (2.5e-7, "m", 0.25),
        (0.25, "pixel", None),
        (0.25, "reference frame", None),
        (0.0, None, None),
        (500.0, None, None),
        (1e-4, None, None),
    ],
)
def test_ome_sizes_come_with_their_units(
    folder: Path, pattern: np.ndarray, size: float, unit: str | None, mpp: float | None
) -> None:
    metadata: dict[str, Any] = {"axes": "YXS", "PhysicalSizeX": size, "PhysicalSizeY": size}
    metadata |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit} if unit else {}
    tifffile.imwrite(folder / "size.ome.tif", pattern, photometric="rgb", ome=True, metadata=metadata)
    with open_slide(folder / "size.ome.tif") as slide:
        assert slide.mpp == (mpp and pytest.approx(mpp))


@pytest.mark.parametrize(
    ("unit", "per_unit", "mpp"),
    [("um", 4, 0.25), ("micron", 2, 0.5), ("mm", 1000, 1.0), ("inch", 25_400, 1), ("pixel", 4, None), ("sec", 4, None)],
)
def test_imagej_has_pixels_per_unit(
    folder: Path, pattern: np.ndarray, unit: str, per_unit: float, mpp: float | None
) -> None:
    path = folder / "imagej.tif"
    tifffile.imwrite(
        path, pattern, imagej=True, resolution=(per_unit, per_unit), metadata={"unit": unit, "axes": "YXS"}
    )
    with open_slide(path) as slide:
        assert slide.mpp == (mpp and pytest.approx(mpp))


@pytest.mark.parametrize("resolution", [(0, 1), (1, 0), (0, 0), (4_000_000_000, 1), (1, 4_000_000_000)])
def test_tags_that_cannot_be_are_no_resolution(folder: Path, pattern: np.ndarray, resolution: tuple[int, int]) -> None:
    path = folder / "tags.tif"
    tifffile.imwrite(path, pattern, photometric="rgb", resolution=(54_321, 54_321), resolutionunit="CENTIMETER")
    path.write_bytes(path.read_bytes().replace(struct.pack("<2I", 54_321, 1), struct.pack("<2I", *resolution)))
    with open_slide(path) as slide:
        assert slide.mpp is None


# --- piece by piece ---------------------------------------------------------------------------------------------------


def save_flat(path: Path, side: int, *, tile_px: int = 256) -> tuple[Path, np.ndarray]:
    """A level of side x side pixels in tiles that are all the same bytes of the file, and the tile."""
    y, x = np.mgrid[0:tile_px, 0:tile_px]
    tile = np.stack([200 + x // 8, 100 + y // 8, np.full_like(x, 150)], axis=2).astype(np.uint8)
    first = path.with_suffix(".one")
    tifffile.imwrite(first, tile, tile=(tile_px, tile_px), photometric="rgb", compression="deflate", metadata=None)
    with tifffile.TiffFile(first) as one:
        encoded = first.read_bytes()[one.pages[0].dataoffsets[0] :][: one.pages[0].databytecounts[0]]
    count = (-(-side // tile_px)) ** 2
    entries = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 3, 0), (259, 3, 1, 8), (262, 3, 1, 2), (277, 3, 1, 3)]
    entries += [(322, 3, 1, tile_px), (323, 3, 1, tile_px), (324, 4, count, 0), (325, 4, count, 0)]
    body = bytearray(encoded + b"\0" * (len(encoded) % 2))
    places = {}
    for tag, data in ((258, struct.pack("<3H", 8, 8, 8)), (324, struct.pack("<I", 8) * count)):
        places[tag] = 8 + len(body)
        body += data + b"\0" * (len(data) % 2)
    places[325] = 8 + len(body)
    body += struct.pack("<I", len(encoded)) * count
    directory = struct.pack("<H", len(entries))
    for tag, kind, number, value in entries:
        directory += struct.pack("<HHII", tag, kind, number, places.get(tag, value))
    path.write_bytes(struct.pack("<2sHI", b"II", 42, 8 + len(body)) + bytes(body) + directory + b"\0" * 4)
    return path, tile


def test_a_large_level_without_smaller_ones_is_read_by_its_tiles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, tile = save_flat(folder / "flat.tif", 60_000)
    decoded: list[tuple[int, int]] = []
    read_block = PageLevel.read_block

    def counted(level: PageLevel, row: int, column: int) -> np.ndarray | None:
        decoded.append((row, column))
        return read_block(level, row, column)

    monkeypatch.setattr(PageLevel, "read_block", counted)
    with open_slide(path) as slide:
        assert (slide.width, slide.height, slide.level_sizes) == (60_000, 60_000, ((60_000, 60_000),))
        assert "no pyramid" in slide.note
        assert len(decoded) <= 100
        decoded.clear()
        region = slide.read_region(Region(30_000, 40_000, 300, 200))
        assert len(decoded) <= 6
        tiles = np.tile(tile, (3, 3, 1))
        np.testing.assert_array_equal(region, tiles[40_000 % 256 :, 30_000 % 256 :][:200, :300])
        decoded.clear()
        overview = slide.thumbnail(256)
        assert overview.shape == (256, 256, 3)
        assert len(decoded) * 256 * 256 <= SAMPLED_PX
        inside = overview[:-8, :-8]  # tiles at the border are cut
        np.testing.assert_allclose(inside, np.broadcast_to(tile.mean((0, 1)), inside.shape), atol=1)
        pyramid = TilePyramid(slide)
        for level in range(len(pyramid.levels)):
            decoded.clear()
            assert pyramid.read_tile(level, 0, 0).shape[2] == 3
            assert len(decoded) * 256 * 256 <= EXACT_TILE_PX


@pytest.mark.parametrize("rows", [1, 64])
def test_an_overview_keeps_its_place_whatever_the_pieces(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """A ramp of 2048 x 1536 pixels, sampled from a sixteenth of them, is the ramp."""
    y, x = np.mgrid[0:1536, 0:2048]
    ramp = np.stack([x // 8, y // 8, np.full_like(x, 9)], axis=2).astype(np.uint8)
    tiled = {"tile": (64, 64)} if rows == 64 else {"rowsperstrip": rows}
    tifffile.imwrite(folder / "ramp.tif", ramp, photometric="rgb", compression="deflate", **tiled)
    with open_slide(folder / "ramp.tif") as slide:
        exact = slide.read_overview(0, 0, 128, 96, downsample=16).astype(int)
        sampled = slide.read_overview(0, 0, 128, 96, downsample=16, exact_px=0, most_px=2048 * 1536 // 16)
        part = slide.read_overview(40, 20, 30, 30, downsample=16, exact_px=0, most_px=480 * 2048 // 4)
    assert np.abs(sampled - exact)[17:-17, 17:-17].max() <= 6  # half of what is between strips is cut at the border
    assert np.abs(part - exact[20:50, 40:70])[8:-8, 8:-8].max() <= 8


def test_tiles_that_a_file_leaves_out_are_white(folder: Path, pattern: np.ndarray) -> None:
    path = folder / "sparse.tif"
    tifffile.imwrite(path, pattern.astype(np.uint16) * 257, photometric="rgb", tile=(64, 64), compression="deflate")
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tag = tiff.pages[0].tags["TileByteCounts"]
        tag.overwrite((0, *tag.value[1:]))
    pixels = whole(path)
    assert (pixels[:64, :64] == 255).all()
    np.testing.assert_array_equal(pixels[:, 64:], pattern[:, 64:])


def test_threads_read_tiles_at_the_same_time(folder: Path, blocks: Callable[..., np.ndarray]) -> None:
    pixels = blocks(900, 700)
    path = folder / "threads.tif"
    tifffile.imwrite(path, pixels.astype(np.uint16) * 257, photometric="rgb", tile=(32, 32), compression="zstd")
    regions = [Region(x, y, 90, 70) for y in range(0, 630, 50) for x in range(0, 810, 60)]
    with open_slide(path) as slide, ThreadPoolExecutor(4) as threads:
        found = list(threads.map(slide.read_region, regions))
    for region, part in zip(regions, found, strict=True):
        np.testing.assert_array_equal(part, pixels[region.y : region.bottom, region.x : region.right])


# --- what is not read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "name"), [(65_000, "EER_V0 (65000)"), (34_676, "SGILOG (34676)"), (52_479, "52479")]
)
@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_a_compression_that_is_not_read_is_named_and_no_damage(
    folder: Path, pattern: np.ndarray, number: int, name: str, tile: tuple[int, int] | None
) -> None:
    path = folder / "foreign.tif"
    tifffile.imwrite(path, pattern, photometric="rgb", tile=tile, compression="deflate")
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages[0].tags["Compression"].overwrite(number)
    with pytest.raises(SlideError) as caught, open_slide(path) as slide:
        slide.read_region(slide.extent)
    assert f"compression {name}" in caught.value.reason
    assert "Convert it" in caught.value.advice


def test_pages_that_are_cut_off_are_missed(folder: Path, pattern: np.ndarray) -> None:
    path = folder / "cut.tif"
    with tifffile.TiffWriter(path) as tiff:
        for factor in (1, 2):
            tiff.write(pattern[::factor, ::factor].astype(np.uint16), photometric="rgb", metadata=None)
    with tifffile.TiffFile(path) as tiff:
        end = tiff.pages[1].offset
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(SlideError, match="ends before its pages"):
        open_slide(path)


def test_other_files_that_metadata_name_are_left_alone(folder: Path, pattern: np.ndarray) -> None:
    first, second = folder / "a.ome.tif", folder / "b.ome.tif"
    tifffile.imwrite(second, pattern[::-1], photometric="rgb", ome=True, metadata={"axes": "YXS"})
    plane = f'<UUID FileName="{second.name}">urn:uuid:1</UUID>'
    size = f'SizeX="{WIDTH}" SizeY="{HEIGHT}" SizeC="3" SizeZ="1" SizeT="1"'
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:2"><Image ID="Image:0">'
        f'<Pixels ID="P:0" DimensionOrder="XYCZT" Type="uint8" {size}><Channel ID="C:0" SamplesPerPixel="3"/>'
        f'<TiffData IFD="0" PlaneCount="1">{plane}</TiffData></Pixels></Image></OME>'
    )
    tifffile.imwrite(first, pattern, photometric="rgb", description=xml, metadata=None)
    np.testing.assert_array_equal(whole(first), pattern)
