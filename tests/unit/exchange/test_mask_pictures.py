"""Mask pictures keep their values, their colours and their resolution; what is no mask is refused with advice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from histoloop.errors import DataError, ExportError
from histoloop.exchange.mask_pictures import read_mask, write_mask_png, write_mask_tiff
from histoloop.slides.reader import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.annotations.records import ClassScheme, Mask

masks = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=20), elements=st.integers(0, 2))


def write_tiff(path: Path, mask: Mask, scheme: ClassScheme) -> None:
    write_mask_tiff(path, mask, scheme, mpp=0.5)


WRITERS = pytest.mark.parametrize(("write", "name"), [(write_mask_png, "a.png"), (write_tiff, "a.tiff")])


@pytest.fixture
def mask() -> Mask:
    values = np.zeros((7, 11), np.uint8)
    values[1:4, 2:9] = 1
    values[5:, 6:] = 2
    return values


# --- writing ----------------------------------------------------------------------------------------------------------


@WRITERS
@settings(deadline=None, max_examples=30)
@given(mask=masks)
def test_a_mask_comes_back_value_for_value(
    tmp_path_factory: pytest.TempPathFactory,
    scheme: ClassScheme,
    write: Callable[[Path, Mask, ClassScheme], None],
    name: str,
    mask: Mask,
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    write(path, mask, scheme)
    found = read_mask(path)
    assert found.dtype == np.uint8
    assert np.array_equal(found, mask)


@WRITERS
def test_classes_are_shown_in_their_colours_on_black(
    tmp_path: Path, scheme: ClassScheme, mask: Mask, write: Callable[[Path, Mask, ClassScheme], None], name: str
) -> None:
    write(tmp_path / name, mask, scheme)
    with Image.open(tmp_path / name) as picture:
        assert picture.mode == "P"
        shown = np.array(picture.convert("RGB"))
    colours = np.array([(0, 0, 0), (0, 160, 255), (208, 16, 32)], np.uint8)
    assert np.array_equal(shown, colours[mask])


@WRITERS
def test_the_same_mask_gives_the_same_bytes(
    tmp_path: Path, scheme: ClassScheme, mask: Mask, write: Callable[[Path, Mask, ClassScheme], None], name: str
) -> None:
    write(tmp_path / name, mask, scheme)
    write(tmp_path / f"again-{name}", mask.copy(), scheme)
    assert (tmp_path / name).read_bytes() == (tmp_path / f"again-{name}").read_bytes()


@WRITERS
def test_writing_leaves_the_mask_alone_and_replaces_an_earlier_file(
    tmp_path: Path, scheme: ClassScheme, mask: Mask, write: Callable[[Path, Mask, ClassScheme], None], name: str
) -> None:
    before = mask.copy()
    write(tmp_path / name, np.ones((2, 2), np.uint8), scheme)
    write(tmp_path / name, mask, scheme)
    assert np.array_equal(mask, before)
    assert read_mask(tmp_path / name).shape == mask.shape
    assert [path.name for path in tmp_path.iterdir()] == [name]


@WRITERS
def test_a_part_of_a_larger_array_is_written_as_it_is_seen(
    tmp_path: Path, scheme: ClassScheme, mask: Mask, write: Callable[[Path, Mask, ClassScheme], None], name: str
) -> None:
    write(tmp_path / name, mask[::2, ::-1], scheme)
    assert np.array_equal(read_mask(tmp_path / name), mask[::2, ::-1])


@WRITERS
def test_an_unwritable_place_is_an_export_error_that_names_the_file(
    tmp_path: Path, scheme: ClassScheme, mask: Mask, write: Callable[[Path, Mask, ClassScheme], None], name: str
) -> None:
    with pytest.raises(ExportError, match=name) as caught:
        write(tmp_path / "absent" / name, mask, scheme)
    assert "folder" in caught.value.advice
    (tmp_path / name).mkdir()
    with pytest.raises(ExportError, match="cannot be written"):
        write(tmp_path / name, mask, scheme)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.15, 4.6])
def test_a_tiff_states_the_micrometres_of_a_mask_pixel(
    tmp_path: Path, scheme: ClassScheme, mask: Mask, mpp: float
) -> None:
    write_mask_tiff(tmp_path / "a.tiff", mask, scheme, mpp=mpp)
    with Image.open(tmp_path / "a.tiff") as picture:
        per_inch = picture.info["dpi"]
    assert per_inch == pytest.approx((25_400 / mpp, 25_400 / mpp), rel=1e-6)
    with open_slide(tmp_path / "a.tiff") as slide:
        assert slide.mpp == pytest.approx(mpp, rel=1e-6)


def test_a_tiff_states_no_resolution_where_none_is_known(tmp_path: Path, scheme: ClassScheme, mask: Mask) -> None:
    write_mask_tiff(tmp_path / "a.tiff", mask, scheme, mpp=None)
    with open_slide(tmp_path / "a.tiff") as slide:
        assert slide.mpp is None


def test_a_tiff_of_a_large_even_mask_is_compressed(tmp_path: Path, scheme: ClassScheme) -> None:
    write_mask_tiff(tmp_path / "a.tiff", np.ones((500, 500), np.uint8), scheme, mpp=None)
    assert (tmp_path / "a.tiff").stat().st_size < 25_000


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_grey_values_are_mask_values(tmp_path: Path, mask: Mask, name: str) -> None:
    Image.fromarray(mask).save(tmp_path / name)
    assert np.array_equal(read_mask(tmp_path / name), mask)


@pytest.mark.parametrize("white", [(0, 255), (255,)])
def test_black_and_white_is_background_and_the_first_class(tmp_path: Path, white: tuple[int, ...]) -> None:
    pixels = np.resize(np.array(white, np.uint8), (3, 5))
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read_mask(tmp_path / "a.png"), (pixels > 0).astype(np.uint8))


def test_a_one_bit_picture_is_background_and_the_first_class(tmp_path: Path, mask: Mask) -> None:
    Image.fromarray(mask > 0).save(tmp_path / "a.png")
    found = read_mask(tmp_path / "a.png")
    assert found.dtype == np.uint8
    assert np.array_equal(found, mask > 0)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_every_object_of_an_instance_mask_is_foreground(tmp_path: Path, mask: Mask, kind: type[np.generic]) -> None:
    instances = mask.astype(kind) * kind(700)
    Image.fromarray(instances).save(tmp_path / "a.tiff")
    found = read_mask(tmp_path / "a.tiff")
    assert found.dtype == np.uint8
    assert np.array_equal(found, mask > 0)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_black_and_one_colour_is_background_and_the_first_class(tmp_path: Path, mask: Mask, mode: str) -> None:
    colours = np.array([(0, 0, 0), (90, 90, 90)], np.uint8)[(mask > 0).astype(int)]
    Image.fromarray(colours).convert(mode).save(tmp_path / "a.png")
    assert np.array_equal(read_mask(tmp_path / "a.png"), mask > 0)


def test_several_colours_are_refused_with_the_way_to_save_them(tmp_path: Path, mask: Mask) -> None:
    colours = np.array([(0, 0, 0), (0, 160, 0), (200, 0, 0)], np.uint8)[mask]
    Image.fromarray(colours).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png has several colours") as caught:
        read_mask(tmp_path / "a.png")
    assert "one grey value per class" in caught.value.advice


def test_a_file_that_is_no_picture_is_a_data_error_with_advice(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture at all")
    with pytest.raises(DataError, match=r"a\.png cannot be read as a mask") as caught:
        read_mask(tmp_path / "a.png")
    assert "PNG, TIFF or BMP" in caught.value.advice


def test_a_file_that_is_missing_or_a_folder_is_a_data_error(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(DataError, match="cannot be read as a mask"):
            read_mask(path)


@pytest.mark.parametrize("name", ["a.png", "a.bmp"])
def test_a_picture_that_was_cut_short_is_a_data_error(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 3, (60, 60), np.uint8)
    Image.fromarray(noise).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read as a mask"):
        read_mask(tmp_path / name)
