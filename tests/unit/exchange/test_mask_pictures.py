"""Mask pictures keep their values, their colours and their resolution; what is no mask is refused with advice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from histoloop.errors import DataError, ExportError
from histoloop.exchange.mask_pictures import open_mask_picture, write_mask_png, write_mask_tiff
from histoloop.slides.reader import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.annotations.records import ClassScheme, Mask

masks = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=20), elements=st.integers(0, 2))


def read_mask(path: Path) -> Mask:
    """The pixels of a mask picture, as they are."""
    with open_mask_picture(path) as picture:
        return picture.read(slice(0, picture.height), slice(0, picture.width))


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


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.jpg", "a"])
def test_pixels_are_read_as_they_are_whatever_the_ending(tmp_path: Path, mask: Mask, name: str) -> None:
    kind = {".tif": "TIFF", ".bmp": "BMP"}.get((tmp_path / name).suffix, "PNG")
    Image.fromarray(mask * 40).save(tmp_path / name, format=kind)
    assert np.array_equal(read_mask(tmp_path / name), mask * 40)


def test_a_part_is_read_as_it_lies_in_the_whole(tmp_path: Path, mask: Mask) -> None:
    for name in ("a.png", "a.tif"):
        Image.fromarray(mask).save(tmp_path / name)
        with open_mask_picture(tmp_path / name) as picture:
            assert (picture.width, picture.height) == (11, 7)
            assert np.array_equal(picture.read(slice(1, 6), slice(3, 10)), mask[1:6, 3:10])
            assert picture.values().tolist() == [0, 1, 2]


def test_a_one_bit_picture_is_0_and_1(tmp_path: Path, mask: Mask) -> None:
    for name in ("a.png", "a.tif"):
        Image.fromarray(mask > 0).save(tmp_path / name)
        found = read_mask(tmp_path / name)
        assert found.dtype == np.uint8
        assert np.array_equal(found, mask > 0)


@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_large_tiffs_are_read_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tile: tuple[int, int] | None
) -> None:
    values = np.random.default_rng(0).integers(0, 3, (100, 130), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, tile=tile, rowsperstrip=None if tile else 8, compression="zlib")
    monkeypatch.setattr("histoloop.exchange.mask_pictures.MAX_HELD_BYTES", 5000)
    monkeypatch.setattr("histoloop.exchange.mask_pictures._BAND_PX", 2000)
    with open_mask_picture(tmp_path / "a.tif") as picture:
        assert np.array_equal(picture.read(slice(5, 90), slice(7, 121)), values[5:90, 7:121])
        assert np.array_equal(np.concatenate(list(picture.bands())), values)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_what_is_too_large_for_one_piece_is_refused_with_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    Image.fromarray(np.zeros((100, 130), np.uint8)).save(
        tmp_path / name, **{"compression": "tiff_lzw"} if name == "a.tif" else {}
    )
    monkeypatch.setattr("histoloop.exchange.mask_pictures.MAX_HELD_BYTES", 5000)
    monkeypatch.setattr("histoloop.exchange.mask_pictures._MAX_CHUNK_BYTES", 500)
    with pytest.raises(DataError, match="130 x 100 pixels: it is too large") as caught:
        read_mask(tmp_path / name)
    assert "tiled TIFF" in caught.value.advice


def test_a_mask_larger_than_pillow_allows_is_read_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mask: Mask
) -> None:
    Image.fromarray(mask).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    assert np.array_equal(read_mask(tmp_path / "a.png"), mask)
    assert Image.MAX_IMAGE_PIXELS == 20


def test_several_planes_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 30, 40), np.uint8), photometric="minisblack")
    with pytest.raises(DataError, match=r"several planes or channels \(5 x 30 x 40\)"):
        read_mask(tmp_path / "a.tif")


def test_the_largest_level_of_a_pyramid_is_the_mask(tmp_path: Path, mask: Mask) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(mask.repeat(4, axis=0).repeat(4, axis=1), subifds=1)
        tiff.write(mask.repeat(2, axis=0).repeat(2, axis=1), subfiletype=1)
    assert read_mask(tmp_path / "a.tif").shape == (28, 44)


@pytest.mark.parametrize(
    ("options", "mpp", "corner"),
    [
        ({"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}, 0.5, None),
        ({"imagej": True, "resolution": (0.5, 0.5), "metadata": {"unit": "um"}}, 2.0, None),
        ({"imagej": True, "resolution": (0.5, 0.5), "metadata": {"unit": "pixel"}}, None, None),
        ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm"}}, 0.25, None),
        ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 500, "PhysicalSizeXUnit": "nm",
                                    "Plane": {"PositionX": 100.0, "PositionY": 50.0}}}, 0.5, (100.0, 50.0)),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None, None),
        ({}, None, None),
    ],
)  # fmt: skip
def test_a_tiff_says_its_resolution_and_place(
    tmp_path: Path, mask: Mask, options: dict[str, Any], mpp: float | None, corner: tuple[float, float] | None
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", mask, **options)
    with open_mask_picture(tmp_path / "a.tif") as picture:
        assert picture.stated.mpp == (None if mpp is None else pytest.approx(mpp, rel=1e-6))
        assert picture.stated.corner_um == corner


def test_a_geotiff_says_its_scale_and_corner(tmp_path: Path, mask: Mask) -> None:
    tags = [(33550, "d", 3, (4.0, 4.0, 0.0), True), (33922, "d", 6, (0.0, 0.0, 0.0, 100.0, -60.0, 0.0), True)]
    tifffile.imwrite(tmp_path / "a.tif", mask, extratags=tags)
    with open_mask_picture(tmp_path / "a.tif") as picture:
        assert picture.stated.map_units == (4.0, 100.0, -60.0)


def test_a_jpeg_is_no_mask(tmp_path: Path, mask: Mask) -> None:
    Image.fromarray(mask).save(tmp_path / "a.png", format="JPEG")
    with pytest.raises(DataError, match="changes the values") as caught:
        read_mask(tmp_path / "a.png")
    assert "PNG, TIFF or BMP" in caught.value.advice


@pytest.mark.parametrize("content", [b"no picture at all", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"", b"II*\0", b"GIF89a"])
def test_a_file_that_is_no_picture_is_a_data_error_with_advice(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png cannot be read as a mask") as caught:
        read_mask(tmp_path / "a.png")
    assert "PNG, TIFF or BMP" in caught.value.advice


def test_a_file_that_is_missing_or_a_folder_is_a_data_error(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(DataError, match="cannot be read as a mask"):
            read_mask(path)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_a_picture_that_was_cut_short_is_a_data_error(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 3, (60, 60), np.uint8)
    Image.fromarray(noise).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read as a mask"):
        read_mask(tmp_path / name)
