"""Small slide files whose pixels are known."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@pytest.fixture(scope="session")
def blocks() -> Callable[..., np.ndarray]:
    """Pictures of one random colour per square cell, so that every level that divides a cell is known exactly."""

    def make(width: int, height: int, *, cell: int = 1, seed: int = 0) -> np.ndarray:
        cells = np.random.default_rng(seed).integers(0, 256, (-(-height // cell), -(-width // cell), 3), np.uint8)
        return cells.repeat(cell, axis=0).repeat(cell, axis=1)[:height, :width]

    return make


@pytest.fixture(scope="session")
def save_picture() -> Callable[..., Path]:
    def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
        Image.fromarray(pixels).save(path, **options)
        return path

    return save


@pytest.fixture(scope="session")
def save_pyramid() -> Callable[..., Path]:
    """Lossless tiled TIFF that OpenSlide reads; the levels as given."""

    def save(path: Path, levels: Sequence[np.ndarray], **options: object) -> Path:
        with tifffile.TiffWriter(path) as tiff:
            for number, level in enumerate(levels):
                tiff.write(
                    level,
                    tile=(64, 64),
                    photometric="rgb",
                    compression="deflate",
                    subfiletype=int(number > 0),
                    metadata=None,
                    **options,
                )
        return path

    return save


@pytest.fixture(scope="session")
def save_aperio() -> Callable[..., Path]:
    """An Aperio file of one level with a thumbnail, a label and a macro picture inside."""

    def save(path: Path, pixels: np.ndarray, *, label: np.ndarray, macro: np.ndarray) -> Path:
        name, size = "Aperio Image Library v11.2.1", f"{pixels.shape[1]}x{pixels.shape[0]}"
        options = {"photometric": "rgb", "compression": "deflate", "metadata": None}
        with tifffile.TiffWriter(path) as tiff:
            description = f"{name}\r\n{size} -> {size}|AppMag = 40|MPP = 0.25"
            tiff.write(pixels, tile=(64, 64), description=description, **options)
            tiff.write(pixels[::8, ::8], description=f"{name}\r\n{size} -> thumbnail", **options)
            for kind, (title, picture) in ((1, ("label", label)), (9, ("macro", macro))):
                description = f"{name}\r\n{title} {picture.shape[1]}x{picture.shape[0]}"
                tiff.write(picture, description=description, subfiletype=kind, **options)
        return path

    return save


# --- DICOM ------------------------------------------------------------------------------------------------------------

WHOLE_SLIDE, IMPLICIT, JPEG = "1.2.840.10008.5.1.4.1.1.77.1.6", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.50"
_LONG = ("OB", "SQ", "UN")


def dicom_element(
    group: int, number: int, kind: str, value: object, *, implicit: bool = False, undefined: bool = False
) -> bytes:
    """An element of a data set (PS3.5, section 7), little-endian; a sequence is a list of encoded items."""
    unknown = 0xFFFFFFFF
    if kind == "SQ":
        ends = [struct.pack("<HHI", 0xFFFE, end, 0) if undefined else b"" for end in (0xE00D, 0xE0DD)]
        content = b"".join(
            struct.pack("<HHI", 0xFFFE, 0xE000, unknown if undefined else len(item)) + item + ends[0] for item in value
        )
        content += ends[1]
    elif kind in ("US", "UL"):
        content = struct.pack("<H" if kind == "US" else "<I", value)
    else:
        content = value if isinstance(value, bytes) else str(value).encode()
    content += (b"\0" if kind in ("UI", "OB") else b" ") * (len(content) % 2)
    length = unknown if kind == "SQ" and undefined else len(content)
    if implicit:
        return struct.pack("<HHI", group, number, length) + content
    head = struct.pack("<HH2s", group, number, kind.encode())
    return head + struct.pack("<xxI" if kind in _LONG else "<H", length) + content


@pytest.fixture(scope="session")
def save_dicom() -> Callable[..., Path]:
    """A file of a DICOM whole slide in JPEG tiles, as PS3.3 C.8.12 has it."""

    def save(
        path: Path,
        pixels: np.ndarray,
        *,
        series: str = "1.2.3",
        kind: str = "VOLUME",
        number: int = 1,
        spacing_mm: float = 0.0005,
        sop_class: str = WHOLE_SLIDE,
        extra: Sequence[tuple[int, int, str, object]] = (),
        tiles: slice = slice(None),
        side: int = 64,
        implicit: bool = False,
        undefined: bool = False,
    ) -> Path:
        height, width = pixels.shape[:2]
        frames = []
        for top in range(0, height, side):
            for left in range(0, width, side):
                tile = np.full((side, side, 3), 255, np.uint8)
                part = pixels[top : top + side, left : left + side]
                tile[: part.shape[0], : part.shape[1]] = part
                buffer = io.BytesIO()
                Image.fromarray(tile).save(buffer, "JPEG", quality=95, subsampling=0)
                frames.append(buffer.getvalue() + b"\0" * (buffer.tell() % 2))
        frames = frames[tiles]
        uid = f"1.2.3.{zlib.crc32(path.name.encode())}"
        meta = dicom_element(2, 0x02, "UI", sop_class) + dicom_element(2, 0x03, "UI", uid)
        meta += dicom_element(2, 0x10, "UI", IMPLICIT if implicit else JPEG)
        encoded = functools.partial(dicom_element, implicit=implicit, undefined=undefined)
        shared = encoded(0x28, 0x9110, "SQ", [encoded(0x28, 0x30, "DS", f"{spacing_mm}\\{spacing_mm}")])
        elements = [
            (0x08, 0x08, "CS", f"ORIGINAL\\PRIMARY\\{kind}\\NONE"),
            (0x08, 0x16, "UI", sop_class),
            (0x08, 0x18, "UI", uid),
            (0x08, 0x60, "CS", "SM"),
            (0x10, 0x10, "PN", ""),
            (0x20, 0x0D, "UI", "1.2.3.4"),
            (0x20, 0x0E, "UI", series),
            (0x20, 0x13, "IS", number),
            (0x20, 0x52, "UI", "1.2.3.5"),
            (0x20, 0x9311, "CS", "TILED_FULL"),
            (0x28, 0x02, "US", 3),
            (0x28, 0x04, "CS", "YBR_FULL_422"),
            (0x28, 0x06, "US", 0),
            (0x28, 0x08, "IS", len(frames)),
            (0x28, 0x10, "US", side),
            (0x28, 0x11, "US", side),
            (0x28, 0x100, "US", 8),
            (0x28, 0x101, "US", 8),
            (0x28, 0x102, "US", 7),
            (0x28, 0x103, "US", 0),
            (0x48, 0x06, "UL", width),
            (0x48, 0x07, "UL", height),
            (0x48, 0x105, "SQ", [encoded(0x48, 0x106, "SH", "1")]),
            (0x5200, 0x9229, "SQ", [shared]),
            *extra,
        ]
        data = b"".join(encoded(*element) for element in sorted(elements, key=lambda element: element[:2]))
        data += struct.pack("<HH2sxxI", 0x7FE0, 0x10, b"OB", 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0)
        data += b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(frame)) + frame for frame in frames)
        data += struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
        head = dicom_element(2, 0, "UL", len(meta))
        path.write_bytes(b"\0" * 128 + b"DICM" + head + meta + data)
        return path

    return save
