"""A mask that comes in bands is written without being held: pictures and outlines of long ones need no more memory."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from histoloop.exchange.geojson import geojson_file
from histoloop.exchange.mask_pictures import mask_png, open_mask_picture, write_mask_tiff
from histoloop.localisation.bands import BAND_ROWS, MaskBands, in_bands, values_of_mask, whole_mask
from histoloop.localisation.contours import Outliner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from histoloop.annotations.records import ClassScheme, Mask

WIDTH = 600


def band_of_parts() -> Mask:
    """Squares with holes, all of which end within the band."""
    y, x = np.indices((BAND_ROWS, WIDTH))
    part = (y % 32 < 20) & (x % 32 < 20) & ~((y % 32 == 9) & (x % 32 == 9))
    return np.where(part, 1 + x // 32 % 2, 0).astype(np.uint8)


def bands(count: int) -> MaskBands:
    one = band_of_parts()
    return MaskBands(count * BAND_ROWS, WIDTH, lambda: (one for _ in range(count)))


def write(folder: Path, mask: MaskBands, scheme: ClassScheme) -> None:
    def drawn() -> Iterator[Mask]:
        for band in mask:
            picture.add(band)
            outlines.add_all(outliner.add(band))
            yield band

    outliner = Outliner(mask.width, downsample=2.0)
    with (
        geojson_file(folder / "a.geojson", scheme, mpp=0.5) as outlines,
        mask_png(folder / "a.png", scheme, height=mask.height, width=mask.width) as picture,
    ):
        write_mask_tiff(folder / "a.tiff", MaskBands(mask.height, mask.width, drawn), scheme, mpp=1.0)
        outlines.add_all(outliner.close())


def peak_bytes(folder: Path, count: int, scheme: ClassScheme) -> int:
    mask = bands(count)
    tracemalloc.start()
    try:
        write(folder, mask, scheme)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_bands(tmp_path: Path, scheme: ClassScheme) -> None:
    peak_bytes(tmp_path, 1, scheme)  # what is made once
    few, many = (peak_bytes(tmp_path, count, scheme) for count in (3, 18))
    assert many < few + 15 * BAND_ROWS * WIDTH / 10


def test_pictures_of_bands_hold_all_their_rows(tmp_path: Path, scheme: ClassScheme) -> None:
    write(tmp_path, bands(3), scheme)
    for name in ("a.png", "a.tiff"):
        with open_mask_picture(tmp_path / name) as picture:
            found = picture.read(slice(0, picture.height), slice(0, picture.width))
        assert np.array_equal(found, np.tile(band_of_parts(), (3, 1)))


def test_a_picture_that_lacks_rows_is_not_there(tmp_path: Path, scheme: ClassScheme) -> None:
    with (
        pytest.raises(ValueError, match="512 rows are missing"),
        mask_png(tmp_path / "a.png", scheme, height=1024, width=WIDTH) as picture,
    ):
        picture.add(band_of_parts())
    assert list(tmp_path.iterdir()) == []


def test_a_mask_is_the_same_in_bands_and_whole() -> None:
    mask = np.random.default_rng(0).integers(0, 4, (BAND_ROWS + 7, 9), np.uint8)
    assert [band.shape for band in in_bands(mask)] == [(BAND_ROWS, 9), (7, 9)]
    assert np.array_equal(whole_mask(in_bands(mask)), mask)
    assert values_of_mask(in_bands(mask)) == values_of_mask(mask) == {v: int((mask == v).sum()) for v in (1, 2, 3)}
