"""Damaged files and files made to do harm: words and nothing else, in little time and memory."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from histoloop.errors import SlideError
from histoloop.geometry import Region
from histoloop.slides.reader import open_slide
from histoloop.slides.sources import protocol

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_PX = 4_000_000
"""Of a damaged file that still opens, no more is read."""


@pytest.fixture(scope="module")
def samples(
    tmp_path_factory: pytest.TempPathFactory,
    blocks: Callable[..., np.ndarray],
    save_pyramid: Callable[..., Path],
    save_aperio: Callable[..., Path],
    save_dicom: Callable[..., Path],
) -> dict[str, bytes]:
    """A small file of each kind, by a name that says the kind."""
    folder = tmp_path_factory.mktemp("samples")
    pixels = blocks(128, 96, cell=8)
    for suffix in ("png", "jpg", "bmp", "jp2"):
        Image.fromarray(pixels).save(folder / f"picture.{suffix}")
    Image.fromarray(pixels).save(folder / "progressive.jpg", progressive=True)
    Image.fromarray(pixels).quantize(16).save(folder / "palette.png")
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 200).save(folder / "deep.png")
    for codec in ("none", "deflate", "lzw", "jpeg", "webp", "jpegxl", "jpeg2000", "zstd", "lzma", "packbits"):
        tifffile.imwrite(folder / f"tiles-{codec}.tif", pixels, tile=(32, 32), photometric="rgb", compression=codec)
        tifffile.imwrite(folder / f"strips-{codec}.tif", pixels, rowsperstrip=16, photometric="rgb", compression=codec)
    with tifffile.TiffWriter(folder / "channels.ome.tif", ome=True) as tiff:
        planes = np.moveaxis(pixels, 2, 0).astype(np.uint16)
        names = {"axes": "CYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "Channel": {"Name": ["a", "b", "c"]}}
        tiff.write(planes, subifds=1, tile=(32, 32), photometric="minisblack", compression="deflate", metadata=names)
        tiff.write(planes[:, ::2, ::2], subfiletype=1, tile=(32, 32), photometric="minisblack", compression="deflate")
    stack = np.zeros((3, 4, 2, 48, 64), np.uint16)
    tifffile.imwrite(folder / "imagej.tif", stack, imagej=True, metadata={"axes": "TZCYX", "unit": "um"})
    tifffile.imwrite(folder / "large.btf", pixels, bigtiff=True, byteorder=">", tile=(32, 32), photometric="rgb")
    save_pyramid(folder / "pyramid.tif", [pixels, pixels[::2, ::2]])
    save_aperio(folder / "aperio.svs", pixels, label=pixels[:20, :20], macro=pixels[:30, :20])
    save_dicom(folder / "dicom.dcm", pixels)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def used(path: Path) -> None:
    """Open a file and read what the program would."""
    with open_slide(path) as slide:
        slide.thumbnail(64)
        small = slide.width * slide.height <= MOST_PX
        slide.read_region(slide.extent if small else Region(slide.width // 2, slide.height // 2, 300, 300))


def test_every_sample_is_whole(samples: dict[str, bytes], tmp_path: Path) -> None:
    for name, content in samples.items():
        (tmp_path / name).write_bytes(content)
        used(tmp_path / name)


@settings(deadline=None, max_examples=400, derandomize=True)
@given(st.data())
def test_damaged_files_are_read_or_refused_with_words(
    samples: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(samples)))
    content = bytearray(samples[name])
    place = random.Random(data.draw(st.integers(0, 2**32)))
    span = data.draw(st.sampled_from([len(content), 600]))
    for _ in range(data.draw(st.sampled_from([1, 2, 4, 8]))):
        at = place.randrange(min(span, len(content)))
        content[at if data.draw(st.booleans()) else -1 - at] = data.draw(st.sampled_from([0, 255, 127, 128, 7]))
    if data.draw(st.integers(0, 4)) == 0:
        del content[place.randrange(1, len(content)) :]
    path = tmp_path_factory.getbasetemp() / f"damaged-{name}"
    path.write_bytes(content)
    with suppress(SlideError):
        used(path)


# --- files that claim much --------------------------------------------------------------------------------------------


def jpeg_that_claims(width: int, height: int, *, progressive: bool) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "pink").save(buffer, "JPEG", progressive=progressive)
    content = bytearray(buffer.getvalue())
    at = content.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def jp2_that_claims(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "pink").save(buffer, "JPEG2000")
    content = bytearray(buffer.getvalue())
    size = content.index(b"\xff\x4f\xff\x51") + 8
    for at in (size, size + 16):
        content[at : at + 8] = struct.pack(">2I", width, height)
    header = content.index(b"ihdr") + 4
    content[header : header + 8] = struct.pack(">2I", height, width)
    return bytes(content)


def png_that_claims(width: int, height: int, *, bits: int, colour: int, rows: int = 100) -> bytes:
    """A PNG of zeros that ends after some of its rows."""
    row = 1 + -(-width * bits * (3 if colour == 2 else 1) // 8)
    deflate = zlib.compressobj(9)
    data = b"".join(deflate.compress(bytes(row)) for _ in range(rows)) + deflate.flush()
    chunks = [(b"IHDR", struct.pack(">2I5B", width, height, bits, colour, 0, 0, 0)), (b"IDAT", data), (b"IEND", b"")]
    packed = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def tiff_that_claims(side: int, *, compression: int, tile: int = 0, rows: int = 0, data: bytes = b"") -> bytes:
    data = data or zlib.compress(bytes(1000))
    data += b"\0" * (len(data) % 2)
    entries = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 3, 8 + len(data)), (259, 3, 1, compression)]
    entries += [(262, 3, 1, 2), (277, 3, 1, 3)]
    if tile:
        entries += [(322, 3, 1, tile), (323, 3, 1, tile), (324, 4, 1, 8), (325, 4, 1, len(data))]
    else:
        entries += [(273, 4, 1, 8), (278, 4, 1, rows or side), (279, 4, 1, len(data))]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    start = 8 + len(data) + 6
    return struct.pack("<2sHI", b"II", 42, start) + data + struct.pack("<3H", 8, 8, 8) + directory + bytes(4)


HARMFUL = {
    "jpeg.jpg": lambda: jpeg_that_claims(20_000, 19_999, progressive=False),
    "progressive.jpg": lambda: jpeg_that_claims(20_000, 19_999, progressive=True),
    "progressive-9k.jpg": lambda: jpeg_that_claims(9000, 9000, progressive=True),
    "jpeg2000.jp2": lambda: jp2_that_claims(20_000, 19_000),
    "deep.png": lambda: png_that_claims(20_000, 20_000, bits=16, colour=0),
    "rgb.png": lambda: png_that_claims(20_000, 19_000, bits=8, colour=2),
    "one-strip.tif": lambda: tiff_that_claims(100_000, compression=8),
    "raw.tif": lambda: tiff_that_claims(100_000, compression=1),
    "strips.tif": lambda: tiff_that_claims(100_000, compression=8, rows=1),
    "tiles.tif": lambda: tiff_that_claims(100_000, compression=8, tile=256),
    "one-tile.tif": lambda: tiff_that_claims(60_000, compression=8, tile=60_000),
    "strip-11k.tif": lambda: tiff_that_claims(11_000, compression=8),
    "jpeg2000.tif": lambda: tiff_that_claims(256, compression=34712, tile=256, data=jp2_that_claims(20_000, 19_000)),
    "jpeg.tif": lambda: tiff_that_claims(
        256, compression=7, tile=256, data=jpeg_that_claims(65_000, 65_000, progressive=False)
    ),
    "eps.png": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n{} loop\n%%EOF\n",
    "eps.jpg": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n{} loop\n%%EOF\n",
}

WATCHED = """
import sys
from histoloop.errors import SlideError
from histoloop.slides.reader import open_slide

for path in sys.argv[1:]:
    try:
        with open_slide(path) as slide:
            slide.thumbnail(256)
        print("opened")
    except SlideError as error:
        print(error)
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_files_that_claim_much_take_little(tmp_path: Path) -> None:
    for name, content in HARMFUL.items():
        (tmp_path / name).write_bytes(content())
    (tmp_path / "bits.png").write_bytes(png_that_claims(20_000, 20_000, bits=1, colour=0, rows=20_000))
    names = [*HARMFUL, "bits.png"]
    command = [sys.executable, "-c", WATCHED, *(str(tmp_path / name) for name in names)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    *lines, peak_kb = done.stdout.splitlines()
    said = dict(zip(names, lines, strict=True))
    assert said.pop("bits.png") == "opened"  # it is whole, and a byte a pixel
    assert "opened" not in said.values()
    assert int(peak_kb) < 1_000_000


def test_pictures_of_much_memory_are_not_small_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (400, 300)).save(tmp_path / "a.png")
    monkeypatch.setattr(protocol, "FREE_BYTES", 400 * 300 * 4)
    open_slide(tmp_path / "a.png").close()
    monkeypatch.setattr(protocol, "FREE_BYTES", 400 * 300 * 4 - 1)
    with pytest.raises(SlideError, match="no image of tissue is so small"):
        open_slide(tmp_path / "a.png")
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "b.png")
    open_slide(tmp_path / "b.png").close()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
@pytest.mark.parametrize("kind", ["GIF", "PPM", "PCX", "ICO", "TGA", "EPS", "PDF"])
def test_pictures_of_other_kinds_are_refused_whatever_their_ending(tmp_path: Path, suffix: str, kind: str) -> None:
    path = tmp_path / f"other{suffix}"
    Image.new("RGB", (20, 20), "pink").save(path, kind)
    with pytest.raises(SlideError, match="no PNG, JPEG"):
        open_slide(path)


def test_a_png_that_is_called_jpg_is_read(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10), (9, 8, 7)).save(tmp_path / "a.jpg", "PNG")
    with open_slide(tmp_path / "a.jpg") as slide:
        assert slide.read_region(slide.extent)[0, 0].tolist() == [9, 8, 7]


def test_a_mirax_slide_without_its_folder_is_told_so(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "case.mrxs", "JPEG")
    with pytest.raises(SlideError) as caught:
        open_slide(tmp_path / "case.mrxs")
    assert "the folder case beside it" in caught.value.reason
    assert ".dat" in caught.value.advice


@pytest.mark.parametrize("mpp", [500, 0.0001, 25, float("inf")])
def test_a_resolution_that_no_microscope_has_is_refused_with_words(tmp_path: Path, mpp: float) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    with pytest.raises(SlideError, match=r"not the resolution of a microscope.*from 0\.02 to 20"):
        open_slide(tmp_path / "a.png", mpp=mpp)


def test_a_plain_jpeg_2000_picture_is_a_slide(tmp_path: Path, blocks: Callable[..., np.ndarray]) -> None:
    Image.fromarray(blocks(60, 40)).save(tmp_path / "a.jp2", irreversible=False)
    with open_slide(tmp_path / "a.jp2") as slide:
        np.testing.assert_array_equal(slide.read_region(slide.extent), blocks(60, 40))
