"""Tiles decoded without OpenSlide are what OpenSlide shows."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from histoloop.errors import SlideError
from histoloop.slides.reader import open_slide
from histoloop.slides.sources.blocks import (
    LEAST_BYTES,
    MOST_BYTES,
    BlockCache,
    SlideBlocks,
    cache_bytes,
    shared_blocks,
)
from histoloop.slides.sources.direct import DirectSource
from histoloop.slides.sources.opening import open_source
from histoloop.slides.sources.openslide_source import OpenSlideSource
from histoloop.slides.sources.tiff.segments import PageLevel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

SIDE = 64
APERIO = "Aperio Image Library v11.2.1\r\n400x320 -> 400x320|AppMag = 40|MPP = 0.25"
JPEG2000_YCBCR, JPEG2000_RGB = 33003, 33005


@pytest.fixture(scope="module")
def smooth(blocks: Callable[..., np.ndarray]) -> np.ndarray:
    """Coloured, with structure at all scales, 400 x 320: what lossy compressions are made for."""
    small = Image.fromarray(blocks(40, 32)).resize((400, 320), Image.Resampling.BICUBIC)
    return np.asarray(small).copy()


def save(path: Path, levels: Sequence[np.ndarray], *, aperio: bool = False, **options: Any) -> Path:
    """A pyramid of tiles, by the usual tags or as Aperio writes it."""
    file = {key: options.pop(key) for key in ("bigtiff", "byteorder") if key in options}
    with tifffile.TiffWriter(path, **file) as tiff:
        for number, level in enumerate(levels):
            tiff.write(
                level,
                tile=(SIDE, SIDE),
                description=APERIO if aperio else None,
                subfiletype=0 if aperio else int(number > 0),
                metadata=None,
                **({"photometric": "rgb"} | options),
            )
            if aperio and number == 0:
                tiff.write(level[::8, ::8], photometric="rgb", description=APERIO, metadata=None)  # the thumbnail
    return path


def save_jpeg2000(path: Path, pixels: np.ndarray, *, ycbcr: bool) -> Path:
    """An Aperio file in JPEG 2000, its colours in YCbCr or RGB."""
    stored = np.asarray(Image.fromarray(pixels).convert("YCbCr")) if ycbcr else pixels
    down, across = -(-pixels.shape[0] // SIDE), -(-pixels.shape[1] // SIDE)
    padded = np.pad(
        stored, ((0, down * SIDE - pixels.shape[0]), (0, across * SIDE - pixels.shape[1]), (0, 0)), mode="edge"
    )
    tiles = (
        imagecodecs.jpeg2k_encode(
            np.ascontiguousarray(padded[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]),
            codecformat="j2k",
            level=0,
            mct=False,
        )
        for row in range(down)
        for column in range(across)
    )
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(
            tiles,
            shape=pixels.shape,
            dtype=np.uint8,
            tile=(SIDE, SIDE),
            photometric="rgb",
            compression=JPEG2000_YCBCR if ycbcr else JPEG2000_RGB,
            description=APERIO,
            metadata=None,
        )
    return path


YCBCR = {"compression": "jpeg", "photometric": "ycbcr"}
STORED: dict[str, dict[str, Any]] = {
    "jpeg of rgb": {"compression": "jpeg"},
    "jpeg of ycbcr": YCBCR | {"subsampling": (1, 1)},
    "jpeg 4:2:2": YCBCR | {"subsampling": (2, 1)},
    "jpeg 4:2:0": YCBCR | {"subsampling": (2, 2)},
    "jpeg in bigtiff": YCBCR | {"subsampling": (2, 2), "bigtiff": True},
    "deflate": {"compression": "deflate"},
    "deflate with differences": {"compression": "deflate", "predictor": True},
    "lzw": {"compression": "lzw"},
    "not compressed": {},
}


@pytest.fixture(params=[*STORED, "jpeg 2000 of ycbcr", "jpeg 2000 of rgb"])
def stored(request: pytest.FixtureRequest, tmp_path: Path, smooth: np.ndarray) -> Iterator[dict[str, Path]]:
    """The picture in one of the ways, as Aperio and as plain TIFF."""
    if request.param in STORED:
        levels, options = [smooth, smooth[::2, ::2], smooth[::4, ::4]], STORED[request.param]
        yield {
            "aperio": save(tmp_path / "a.svs", levels, aperio=True, **options),
            "generic-tiff": save(tmp_path / "a.tif", levels, **options),
        }
    else:
        yield {"aperio": save_jpeg2000(tmp_path / "a.svs", smooth, ycbcr="ycbcr" in request.param)}


def test_every_pixel_is_openslides(stored: dict[str, Path]) -> None:
    for vendor, path in stored.items():
        own, theirs = open_source(path), OpenSlideSource(path)
        assert isinstance(own, DirectSource)
        assert own.vendor == vendor
        assert own.level_sizes == theirs.level_sizes
        for level, (width, height) in enumerate(own.level_sizes):
            assert own.reads_directly(level)
            for window in ((0, 0, width, height), (33, 21, 50, 45), (width - 1, height - 1, 1, 1)):
                np.testing.assert_array_equal(own.read(*window, level=level), theirs.read(*window, level=level))
        own.close()
        theirs.close()


def test_openslide_decodes_two_tiles_of_a_level_at_most(
    tmp_path: Path, smooth: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.svs", [smooth], aperio=True, compression="jpeg")
    asked: list[tuple[int, int]] = []
    read = OpenSlideSource.read

    def spy(source: OpenSlideSource, x: int, y: int, width: int, height: int, *, level: int) -> np.ndarray:
        asked.append((x, y))
        assert max(width, height) <= SIDE
        return read(source, x, y, width, height, level=level)

    monkeypatch.setattr(OpenSlideSource, "read", spy)
    with open_slide(path) as slide:
        slide.read_region(slide.extent)
        slide.thumbnail(100)
    assert sorted(asked) == [(0, 0), (192, 128)]


def test_levels_between_whole_pixels_are_read_as_they_are_stored(tmp_path: Path, smooth: np.ndarray) -> None:
    """OpenSlide interpolates there: 317 / 79 is not 4."""
    level = np.asarray(Image.fromarray(smooth[:317, :398]).resize((99, 79), Image.Resampling.BOX))
    path = save(tmp_path / "odd.svs", [smooth[:317, :398], level], aperio=True, compression="deflate")
    source = open_source(path)
    assert isinstance(source, DirectSource)
    assert source.reads_directly(1)
    np.testing.assert_array_equal(source.read(0, 0, 99, 79, level=1), level)
    source.close()


# --- what OpenSlide reads ---------------------------------------------------------------------------------------------


def openslide_reads(path: Path, *, level: int = 0) -> np.ndarray:
    """The pixels of a level, after checking that they are OpenSlide's own."""
    source, theirs = open_source(path), OpenSlideSource(path)
    if isinstance(source, DirectSource):
        assert not source.reads_directly(level)
    width, height = source.level_sizes[level]
    pixels = source.read(0, 0, width, height, level=level)
    np.testing.assert_array_equal(pixels, theirs.read(0, 0, width, height, level=level))
    source.close()
    theirs.close()
    return pixels


def changed(path: Path, tag: str, value: Callable[[Any], Any], *, page: int = 0) -> Path:
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        own = tiff.pages[page].tags[tag]
        own.overwrite(value(own.value))
    return path


def test_a_level_with_missing_tiles_is_openslides(tmp_path: Path, smooth: np.ndarray) -> None:
    """Aperio's are filled from the level above."""
    path = save(tmp_path / "a.svs", [smooth, smooth[::2, ::2]], aperio=True, compression="jpeg")
    changed(path, "TileByteCounts", lambda counts: (counts[0], 0, *counts[2:]), page=2)
    pixels = openslide_reads(path, level=1)
    assert np.abs(pixels[8:-8, SIDE + 8 : 2 * SIDE - 8].astype(int) - smooth[::2, ::2][8:-8, 72:120]).mean() < 12


def test_a_missing_tile_of_a_plain_pyramid_is_white(tmp_path: Path, smooth: np.ndarray) -> None:
    path = save(tmp_path / "a.tif", [smooth], compression="deflate")
    pixels = openslide_reads(changed(path, "TileByteCounts", lambda counts: (0, *counts[1:])))
    assert (pixels[:SIDE, :SIDE] == 255).all()
    np.testing.assert_array_equal(pixels[SIDE:], smooth[SIDE:])


@pytest.mark.parametrize("number", [0, 9])
@pytest.mark.parametrize("options", [{"compression": "jpeg"}, {"compression": "deflate"}])
def test_a_tile_that_is_cut_short_is_what_openslide_makes_of_it(
    tmp_path: Path, smooth: np.ndarray, number: int, options: dict[str, Any]
) -> None:
    path = save(tmp_path / "a.svs", [smooth], aperio=True, **options)

    def cut(counts: tuple[int, ...]) -> tuple[int, ...]:
        return (*counts[:number], counts[number] // 2, *counts[number + 1 :])

    changed(path, "TileByteCounts", cut)
    theirs, expected = OpenSlideSource(path), None
    with contextlib.suppress(SlideError):
        expected = theirs.read(0, 0, 400, 320, level=0)
    theirs.close()
    with open_slide(path) as slide:
        if expected is None:
            with pytest.raises(SlideError):
                slide.read_region(slide.extent)
        else:
            np.testing.assert_array_equal(slide.read_region(slide.extent), expected)


def test_a_tile_that_is_no_picture_is_refused_in_openslides_words(tmp_path: Path, smooth: np.ndarray) -> None:
    path = save(tmp_path / "a.svs", [smooth], aperio=True, compression="jpeg")
    with tifffile.TiffFile(path) as tiff:
        start, count = tiff.pages[0].dataoffsets[3], tiff.pages[0].databytecounts[3]
    content = bytearray(path.read_bytes())
    content[start : start + count] = b"\xff" * count
    path.write_bytes(content)
    with open_slide(path) as slide, pytest.raises(SlideError, match="JPEG"):
        slide.read_region(slide.extent)


def test_a_file_that_ends_before_its_tiles_is_openslides(tmp_path: Path, smooth: np.ndarray) -> None:
    path = save(tmp_path / "a.svs", [smooth, smooth[::4, ::4]], aperio=True, compression="jpeg")
    beyond = path.stat().st_size + 100
    changed(path, "TileOffsets", lambda offsets: (*offsets[:-1], beyond))
    source = open_source(path)
    assert isinstance(source, DirectSource)
    assert not source.reads_directly(0)
    assert source.reads_directly(1)
    with pytest.raises(SlideError):
        source.read(0, 0, 400, 320, level=0)
    source.close()


@pytest.mark.parametrize("name", ["dicom", "leica"])
def test_slides_of_other_scanners_are_openslides(
    tmp_path: Path, smooth: np.ndarray, save_dicom: Callable[..., Path], name: str
) -> None:
    from slide_writers import write_scn

    from histoloop.geometry import Region

    if name == "dicom":
        path = save_dicom(tmp_path / "a.dcm", smooth)
    else:
        path = write_scn(tmp_path / "a.scn", smooth, bounds=Region(100, 60, 400, 320), width=800, height=600)
    source = open_source(path)
    assert isinstance(source, OpenSlideSource)
    source.close()


def test_a_level_that_two_pages_could_be_is_openslides(tmp_path: Path, smooth: np.ndarray) -> None:
    path = save(tmp_path / "a.svs", [smooth, smooth], aperio=True, compression="jpeg")
    openslide_reads(path)


def test_a_decoder_that_differs_is_noticed(tmp_path: Path, smooth: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.svs", [smooth], aperio=True, compression="jpeg")
    read_block = PageLevel.read_block

    def swapped(level: PageLevel, row: int, column: int) -> np.ndarray | None:
        block = read_block(level, row, column)
        return None if block is None else block[..., ::-1]

    monkeypatch.setattr(PageLevel, "read_block", swapped)
    openslide_reads(path)


def test_a_closed_slide_is_not_read(tmp_path: Path, smooth: np.ndarray) -> None:
    slide = open_slide(save(tmp_path / "a.svs", [smooth], aperio=True, compression="jpeg"))
    slide.read_region(slide.extent)
    held = shared_blocks().held_bytes
    slide.close()
    assert shared_blocks().held_bytes < held
    with pytest.raises(ValueError, match="closed"):
        slide.read_region(slide.extent)


def test_threads_decode_at_the_same_time(tmp_path: Path, smooth: np.ndarray) -> None:
    path = save(tmp_path / "a.svs", [smooth], aperio=True, compression="deflate")
    windows = [(x, y, 90, 70) for y in range(0, 250, 50) for x in range(0, 310, 60)]
    source = open_source(path)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda window: source.read(*window, level=0), windows))
    for (x, y, width, height), pixels in zip(windows, found, strict=True):
        np.testing.assert_array_equal(pixels, smooth[y : y + height, x : x + width])
    source.close()


def test_a_real_slide_is_openslides_pixel_by_pixel(real_data: Path) -> None:
    for name in ("CMU-1-Small-Region.svs", "boxes.tiff", "small.svs"):
        path = real_data / "slides" / name
        own, theirs = open_source(path), OpenSlideSource(path)
        assert isinstance(own, DirectSource)
        for level, (width, height) in enumerate(own.level_sizes):
            assert own.reads_directly(level)
            exact = theirs.exact_px(level)
            window = (0, 0, min(width, exact), min(height, exact))
            np.testing.assert_array_equal(own.read(*window, level=level), theirs.read(*window, level=level))
        own.close()
        theirs.close()


# --- memory -----------------------------------------------------------------------------------------------------------


def test_the_cache_goes_with_the_machine_within_limits() -> None:
    assert cache_bytes(2 * 10**9) == LEAST_BYTES
    assert cache_bytes(16 * 10**9) == 250_000_000
    assert cache_bytes(10**12) == MOST_BYTES


def test_the_blocks_of_all_slides_share_one_bound() -> None:
    block = np.zeros((10, 10, 3), np.uint8)
    held = BlockCache(3 * block.nbytes)
    one, other = SlideBlocks(held), SlideBlocks(held)
    for column in range(3):
        one.put(0, 0, column, block)
    one.get(0, 0, 0)
    other.put(0, 0, 1, block)
    assert held.held_bytes == 3 * block.nbytes
    assert [one.get(0, 0, column) is not None for column in range(3)] == [True, False, True]
    other.forget()
    assert other.get(0, 0, 1) is None
    assert held.held_bytes == 2 * block.nbytes


def test_a_block_larger_than_the_cache_is_kept_alone() -> None:
    held = BlockCache(1)
    blocks = SlideBlocks(held)
    for column in range(2):
        blocks.put(0, 0, column, np.zeros((4, 4, 3), np.uint8))
    assert blocks.get(0, 0, 0) is None
    assert blocks.get(0, 0, 1) is not None
