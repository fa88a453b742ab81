"""What a mask picture means is told by its values and colours, not its depth; what could be two things is refused."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.errors import DataError
from histoloop.exchange.mask_pictures import open_mask_picture
from histoloop.exchange.mask_values import meaning_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from histoloop.annotations.records import Mask

TWO = ClassScheme((LabelClass("a", "gland"),), (MaskClass("gland", "#00a0ff"), MaskClass("tumour", "#d01020")))
ONE = ClassScheme((LabelClass("a", "gland"),), (MaskClass("gland", "#00a0ff"),))
COLOURS = np.array([(0, 0, 0), (0, 160, 255), (208, 16, 32)], np.uint8)


@pytest.fixture
def mask() -> Mask:
    values = np.zeros((7, 11), np.uint8)
    values[1:4, 2:9] = 1
    values[5:, 6:] = 2
    return values


def meant(path: Path, scheme: ClassScheme = TWO, *, foreground: int | None = None) -> Mask:
    with open_mask_picture(path) as picture:
        meaning = meaning_of(picture, scheme, foreground=foreground)
        return meaning(picture.read(slice(0, picture.height), slice(0, picture.width)))


def png(path: Path, pixels: NDArray[Any]) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def tiff(path: Path, pixels: NDArray[Any], **options: Any) -> Path:
    tifffile.imwrite(path, pixels, **options)
    return path


DEPTHS = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.float16, np.float32, np.float64]


@settings(deadline=None, max_examples=40)
@given(
    depth=st.sampled_from(DEPTHS),
    highest=st.integers(0, 2),
    tiled=st.booleans(),
    packed=st.sampled_from([None, "zlib", "lzw"]),
    order=st.sampled_from("<>"),
)
def test_whole_numbers_up_to_the_number_of_classes_are_classes_whatever_the_depth(
    tmp_path_factory: pytest.TempPathFactory, depth: type, highest: int, tiled: bool, packed: str | None, order: str
) -> None:
    values = np.random.default_rng(0).integers(0, highest + 1, (40, 50)).astype(np.uint8)
    options: dict[str, Any] = {"tile": (16, 16)} if tiled else {}
    path = tmp_path_factory.getbasetemp() / "depth.tif"
    tiff(path, values.astype(depth), compression=packed, byteorder=order, photometric="minisblack", **options)
    found = meant(path)
    assert found.dtype == np.uint8
    assert np.array_equal(found, values)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_png_of_any_depth_holds_classes(tmp_path: Path, mask: Mask, depth: type) -> None:
    assert np.array_equal(meant(png(tmp_path / "a.png", mask.astype(depth))), mask)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_grey_png_of_few_bits_holds_the_values_that_were_saved(tmp_path: Path, mask: Mask, bits: int) -> None:
    values = np.minimum(mask, 2**bits - 1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    per_byte = 8 // bits
    rows = b""
    for row in values:
        cells = [*row.tolist(), *[0] * (-len(row) % per_byte)]
        rows += b"\0" + bytes(
            sum(value << (8 - bits * (place + 1)) for place, value in enumerate(cells[start : start + per_byte]))
            for start in range(0, len(cells), per_byte)
        )
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(content)
    assert np.array_equal(meant(tmp_path / "a.png"), values)


@pytest.mark.parametrize("depth", [np.uint16, np.int32, np.float32])
def test_numbers_of_objects_are_foreground_only_where_it_is_said(tmp_path: Path, mask: Mask, depth: type) -> None:
    path = tiff(tmp_path / "a.tif", mask.astype(depth) * depth(700))
    with pytest.raises(DataError, match="value 1400; the project has 2 mask classes") as caught:
        meant(path)
    assert "0, 700, 1400" in caught.value.advice
    assert "--mask-class gland or tumour" in caught.value.advice
    assert np.array_equal(meant(path, foreground=2), np.where(mask > 0, 2, 0))


@pytest.mark.parametrize("highest", [255, 65_535])
def test_black_and_white_is_a_class_where_there_is_one_and_else_a_question(
    tmp_path: Path, mask: Mask, highest: int
) -> None:
    white = np.where(mask > 0, highest, 0).astype(np.uint16 if highest > 255 else np.uint8)
    path = png(tmp_path / "a.png", white)
    assert np.array_equal(meant(path, ONE), mask > 0)
    assert np.array_equal(meant(path, foreground=2), np.where(mask > 0, 2, 0))
    with pytest.raises(DataError, match=f"value {highest}"):
        meant(path)


@pytest.mark.parametrize("values", [[0.0, 0.5], [-1.0, 0.0], [0.0, float("nan")], [0.0, float("inf")]])
def test_what_is_no_whole_number_from_0_on_is_no_mask(tmp_path: Path, values: list[float]) -> None:
    path = tiff(tmp_path / "a.tif", np.resize(np.array(values, np.float32), (4, 4)))
    for foreground in (None, 1):
        with pytest.raises(DataError, match="not whole numbers"):
            meant(path, foreground=foreground)


# --- palettes ---------------------------------------------------------------------------------------------------------


def with_palette(path: Path, indices: Mask, colours: NDArray[np.uint8]) -> Path:
    picture = Image.fromarray(indices)
    picture.putpalette(colours.ravel().tolist() + [7] * (768 - colours.size))
    picture.save(path)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_a_palette_is_read_by_index_where_its_colours_are_others(tmp_path: Path, mask: Mask, name: str) -> None:
    others = np.array([(0, 0, 0), (9, 99, 9), (99, 9, 99)], np.uint8)
    assert np.array_equal(meant(with_palette(tmp_path / name, mask, others)), mask)
    assert np.array_equal(meant(with_palette(tmp_path / name, mask, COLOURS)), mask)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_a_palette_is_read_by_colour_where_its_numbers_are_no_classes(tmp_path: Path, mask: Mask, name: str) -> None:
    turned = np.array([40, 30, 20], np.uint8)
    palette = np.zeros((256, 3), np.uint8)
    palette[turned] = COLOURS
    assert np.array_equal(meant(with_palette(tmp_path / name, turned[mask], palette)), mask)


def test_a_palette_whose_colours_and_numbers_are_different_classes_is_refused(tmp_path: Path, mask: Mask) -> None:
    path = with_palette(tmp_path / "a.png", mask, COLOURS[[0, 2, 1]])
    with pytest.raises(DataError, match="classes by colours and others by numbers"):
        meant(path)


# --- colours ----------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    noise=st.integers(-6, 6),
    ground=st.sampled_from([(0, 0, 0), (255, 255, 255)]),
    mode=st.sampled_from(["RGB", "RGBA"]),
    name=st.sampled_from(["colours.png", "colours.tif"]),
)
def test_the_colours_of_the_classes_are_the_classes(
    tmp_path_factory: pytest.TempPathFactory, noise: int, ground: tuple[int, int, int], mode: str, name: str
) -> None:
    mask = np.random.default_rng(0).integers(0, 3, (9, 12)).astype(np.uint8)
    colours = COLOURS.copy()
    colours[0] = ground
    colours[1:] = (colours[1:].astype(int) + noise).clip(0, 255)
    path = tmp_path_factory.getbasetemp() / name
    Image.fromarray(colours[mask]).convert(mode).save(path)
    assert np.array_equal(meant(path), mask)


def test_what_is_transparent_is_background(tmp_path: Path, mask: Mask) -> None:
    rgba = np.zeros((*mask.shape, 4), np.uint8)
    rgba[..., :3] = np.array([(208, 16, 32), (0, 160, 255), (208, 16, 32)], np.uint8)[mask]
    rgba[..., 3] = np.where(mask > 0, 255, 0)
    assert np.array_equal(meant(png(tmp_path / "a.png", rgba)), mask)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_grey_in_colour_channels_is_read_by_its_values(tmp_path: Path, mask: Mask, mode: str) -> None:
    Image.fromarray(mask).convert(mode).save(tmp_path / "a.png")
    assert np.array_equal(meant(tmp_path / "a.png"), mask)


@pytest.mark.parametrize("ground", [0, 255])
@pytest.mark.parametrize("colour", [(90, 90, 90), (10, 200, 10), (255, 255, 255)])
def test_one_colour_is_foreground_where_there_is_one_class_or_it_is_said(
    tmp_path: Path, mask: Mask, colour: tuple[int, int, int], ground: int
) -> None:
    if ground == 255 and colour == (255, 255, 255):
        return
    pixels = np.array([(ground,) * 3, colour], np.uint8)[(mask > 0).astype(int)]
    path = png(tmp_path / "a.png", pixels)
    assert np.array_equal(meant(path, foreground=2), np.where(mask > 0, 2, 0))
    assert np.array_equal(meant(path, ONE), mask > 0)
    with pytest.raises(DataError, match="not those of the classes"):
        meant(path)


@pytest.mark.parametrize("foreground", [None, 1])
def test_several_other_colours_are_refused_with_those_of_the_classes(
    tmp_path: Path, mask: Mask, foreground: int | None
) -> None:
    colours = np.array([(0, 0, 0), (0, 160, 0), (200, 100, 0)], np.uint8)[mask]
    with pytest.raises(DataError, match=r"a\.png has several colours.*#00a000, #c86400") as caught:
        meant(png(tmp_path / "a.png", colours), foreground=foreground)
    assert "gland #00a0ff, tumour #d01020" in caught.value.advice
    assert "one grey value per class" in caught.value.advice


def test_a_colour_between_two_classes_is_not_guessed(tmp_path: Path) -> None:
    near = ClassScheme((LabelClass("a", "x"),), (MaskClass("x", "#800000"), MaskClass("y", "#900000")))
    pixels = np.full((4, 4, 3), (0x88, 0, 0), np.uint8)
    pixels[0] = (0x80, 0, 0)
    with pytest.raises(DataError, match="several colours"):
        meant(png(tmp_path / "a.png", pixels), near)


def test_a_picture_with_hundreds_of_colours_is_no_mask(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    with pytest.raises(DataError, match="colours or more: it is not a mask"):
        meant(png(tmp_path / "a.png", pixels))
