"""Writers of the smallest slides of scanners' formats, for tests."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from histoloop.geometry import Region

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


def write_dicom(
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
    """A file of a DICOM whole slide in JPEG tiles, as PS3.3 C.8.12 has it."""
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


# --- slides with bounds -----------------------------------------------------------------------------------------------

_SCN_IMAGE = """<image name="{name}"><creationDate>2020-01-01T00:00:00Z</creationDate><device model="m" version="1"/>
<pixels sizeX="{width}" sizeY="{height}"><dimension sizeX="{width}" sizeY="{height}" r="0" ifd="{ifd}"/></pixels>
<view sizeX="{view_width}" sizeY="{view_height}" offsetX="{x}" offsetY="{y}" spacingZ="0"/>
<scanSettings><objectiveSettings><objective>{objective}</objective></objectiveSettings><illuminationSettings>
<numericalAperture>0.5</numericalAperture><illuminationSource>brightfield</illuminationSource>
</illuminationSettings></scanSettings></image>"""
_NM_PER_PIXEL = 500


def write_scn(path: Path, tissue: np.ndarray, *, bounds: Region, width: int, height: int) -> Path:
    """A Leica slide of `width` x `height` pixels of 0.5 um, scanned in `bounds`: `tissue` (H, W, 3)."""
    whole = {"width": width // 4, "height": height // 4}
    whole |= {"view_width": width * _NM_PER_PIXEL, "view_height": height * _NM_PER_PIXEL}
    part = {"width": bounds.width, "height": bounds.height}
    part |= {"view_width": bounds.width * _NM_PER_PIXEL, "view_height": bounds.height * _NM_PER_PIXEL}
    at = {"x": bounds.x * _NM_PER_PIXEL, "y": bounds.y * _NM_PER_PIXEL}
    images = _SCN_IMAGE.format(name="macro", ifd=0, x=0, y=0, objective=1, **whole)
    images += _SCN_IMAGE.format(name="main", ifd=1, objective=20, **at, **part)
    space = "http://www.leica-microsystems.com/scn/2010/10/01"
    size = f'sizeX="{whole["view_width"]}" sizeY="{whole["view_height"]}"'
    xml = f'<?xml version="1.0"?><scn xmlns="{space}"><collection name="c" uuid="u" {size} barcode="">{images}'
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        options = {"tile": (128, 128), "compression": "jpeg", "photometric": "rgb", "metadata": None}
        overview = np.full((height // 4, width // 4, 3), 230, np.uint8)
        tiff.write(overview, description=f"{xml}</collection></scn>", **options)
        tiff.write(tissue, **options)
    return path


def write_mirax(path: Path, tissue: np.ndarray, *, column: int, row: int, columns: int, rows: int) -> Path:
    """A MIRAX slide of one level, 0.5 um a pixel, on a grid of `columns` x `rows` tiles of 64 pixels.

    `tissue` (H, W, 3) fills whole tiles from (`column`, `row`) on; there is nothing else, so that these are its bounds.
    """
    side, slide_id = 64, "ABCDEF0123456789"
    folder = path.with_suffix("")
    folder.mkdir(parents=True)
    Image.fromarray(tissue[::8, ::8]).save(path, "JPEG")
    data, records = b"\0" * 64, []
    for top in range(0, tissue.shape[0], side):
        for left in range(0, tissue.shape[1], side):
            buffer = io.BytesIO()
            Image.fromarray(tissue[top : top + side, left : left + side]).save(
                buffer, "JPEG", quality=95, subsampling=0
            )
            number = (row + top // side) * columns + column + left // side
            records.append(struct.pack("<4i", number, len(data), buffer.tell(), 0))
            data += buffer.getvalue()
    (folder / "Data0000.dat").write_bytes(data)
    begin = b"01.02" + slide_id.encode()
    roots = len(begin)
    levels, others, level = roots + 8, roots + 12, roots + 16  # where the pointers lie, and the list of the level
    page = level + 8
    index = begin + struct.pack("<ii", levels, others) + struct.pack("<ii", level, 0) + struct.pack("<ii", 0, page)
    (folder / "Index.dat").write_bytes(index + struct.pack("<ii", len(records), 0) + b"".join(records))
    (folder / "Slidedat.ini").write_text(_SLIDEDAT.format(id=slide_id, columns=columns, rows=rows, side=side))
    return path


_SLIDEDAT = """[GENERAL]
SLIDE_ID = {id}
IMAGENUMBER_X = {columns}
IMAGENUMBER_Y = {rows}
OBJECTIVE_MAGNIFICATION = 20
CameraImageDivisionsPerSide = 1

[HIERARCHICAL]
HIER_COUNT = 1
NONHIER_COUNT = 0
INDEXFILE = Index.dat
HIER_0_NAME = Slide zoom level
HIER_0_COUNT = 1
HIER_0_VAL_0_SECTION = LEVEL_0

[DATAFILE]
FILE_COUNT = 1
FILE_0 = Data0000.dat

[LEVEL_0]
OVERLAP_X = 0
OVERLAP_Y = 0
MICROMETER_PER_PIXEL_X = 0.5
MICROMETER_PER_PIXEL_Y = 0.5
IMAGE_FORMAT = JPEG
IMAGE_FILL_COLOR_BGR = 16777215
DIGITIZER_WIDTH = {side}
DIGITIZER_HEIGHT = {side}
IMAGE_CONCAT_FACTOR = 0
"""
