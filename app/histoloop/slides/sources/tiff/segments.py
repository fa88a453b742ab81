"""The values of TIFF pages, piece by piece: only the tiles or strips that are asked for are read and decoded."""

from __future__ import annotations

import math
import struct
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tifffile import TIFF

from histoloop.errors import SlideError
from histoloop.language import tr
from histoloop.slides.sources.protocol import broken, check_claim, compression_name, unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

JPEG = frozenset({6, 7, 33007, 34892})
_JPEG2000 = frozenset({33003, 33004, 33005, 34712})
_BYTES = frozenset({1, 5, 8, 32773, 32946, 34925, 34926, 50000})
"""Compressions of bytes; all others are of pictures."""

_JPEG_END = b"\xff\xd9"

_PROGRESSIVE = 2
"""The last of the lossy processes of JPEG that are read: baseline, extended and progressive."""

_ELECTRON_COUNTS = frozenset({65000, 65001, 65002})
"""Of electron microscopes: no pictures."""

_IMAGE_COST = 4
"""Times the memory of its pixels that a decoder of pictures takes (JPEG 2000, JPEG XL)."""

_RAW_BLOCK_PX = 512
"""Pages that are not compressed have no pieces of their own: they are read in squares of this side."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One plane of pixels: a page, which of its separately stored samples, and where it begins if no page says so."""

    page: Any
    sample: int = 0
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class JpegFrame:
    """Size and process (0 to 2 are lossy) of a JPEG stream, and the sampling factors of its components."""

    width: int
    height: int
    process: int
    factors: tuple[int, ...]


class FileBytes:
    """Reads of a file by position, from several threads; let go of when it is closed or nobody has it any more."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._handle = file.open("rb")
        self._closed = weakref.finalize(self, self._handle.close)
        self._lock = threading.Lock()
        self.size = self._handle.seek(0, 2)

    def read(self, offset: int, count: int) -> bytes:
        """`count` bytes at `offset`; SlideError where the file ends before."""
        if offset + count > self.size:
            raise broken(self.file, tr("it ends before its pixels do"))
        with self._lock:
            self._handle.seek(offset)
            return self._handle.read(count)

    def close(self) -> None:
        """Let go of the file."""
        self._closed()


class PageLevel:
    """Planes of one size, read together in blocks: their values (h, w, n), n samples of all planes in order.

    With `strict`, pieces that some decoders read and others do not are refused too: pictures that are not of the
    block's size, and JPEG streams without an end.
    """

    def __init__(self, data: FileBytes, planes: Sequence[Plane], *, strict: bool = False) -> None:
        self._data = data
        self._strict = strict
        self._planes = tuple(planes)
        key = planes[0].page.keyframe
        self.page = key
        self.width, self.height = int(key.imagewidth), int(key.imagelength)
        self._check_supported()
        self._raw = [self._mapped(plane) for plane in planes] if self._is_raw() else None
        self.block_px = self._block()
        self.columns = -(-self.width // self.block_px[0])
        self.rows = -(-self.height // self.block_px[1])
        self._check_pieces()
        self._decode: Callable[..., Any] = key.decode

    @property
    def samples(self) -> int:
        """Values per pixel over all planes."""
        return len(self._planes) * self._samples_of_plane

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        kind: np.dtype[Any] = np.dtype(self.page.dtype)
        return kind

    def read_block(self, row: int, column: int) -> NDArray[Any] | None:
        """Values (h, w, n) of a block, smaller at the right and bottom border; None where the file leaves it out."""
        width = min(self.block_px[0], self.width - column * self.block_px[0])
        height = min(self.block_px[1], self.height - row * self.block_px[1])
        parts = [self._read_plane(number, row, column, width, height) for number in range(len(self._planes))]
        if all(part is None for part in parts):
            return None
        if len(parts) == 1:
            return parts[0]
        empty = np.zeros((height, width, self._samples_of_plane), self.dtype)
        return np.concatenate([empty if part is None else part for part in parts], axis=2)

    def close(self) -> None:
        """Let go of the mapped file."""
        self._raw = None

    @property
    def _samples_of_plane(self) -> int:
        return int(self.page.samplesperpixel) if self.page.planarconfig == 1 else 1

    def _check_supported(self) -> None:
        file, key = self._data.file, self.page
        if self.width < 1 or self.height < 1:
            raise broken(file, tr("it has no pixels"))
        if key.imagedepth != 1 or key.tiledepth > 1:
            raise unsupported(file, tr("a volume in one page"))
        if key.dtype is None or np.dtype(key.dtype).kind not in "buif":
            raise unsupported(file, tr("values of {bits} bits of an unknown kind", bits=key.bitspersample))
        if not is_decodable(key.compression):
            raise unsupported(file, tr("the compression {name}", name=compression_name(key.compression)))
        if key.is_subsampled and (key.compression not in JPEG or key.planarconfig == 2):
            raise unsupported(file, tr("subsampled colours without JPEG"))

    def _is_raw(self) -> bool:
        return bool(self.page.is_final) and all(
            plane.offset is not None or plane.page.is_contiguous for plane in self._planes
        )

    def _mapped(self, plane: Plane) -> NDArray[Any]:
        samples, key = self._samples_of_plane, self.page
        stored = self.dtype.newbyteorder(key.parent.byteorder)
        offset = plane.page.dataoffsets[0] if plane.offset is None else plane.offset
        offset += plane.sample * self.width * self.height * stored.itemsize
        if offset + self.width * self.height * samples * stored.itemsize > self._data.size:
            raise broken(self._data.file, tr("it ends before its pixels do"))
        shape = (self.height, self.width, samples)
        return np.memmap(self._data.file, stored, "r", offset=offset, shape=shape)

    def _block(self) -> tuple[int, int]:
        if self._raw:
            return min(self.width, _RAW_BLOCK_PX), min(self.height, _RAW_BLOCK_PX)
        if self.page.is_tiled:
            width, height = int(self.page.tilewidth), int(self.page.tilelength)
            if width < 1 or height < 1:
                raise broken(self._data.file, tr("its tiles have no size"))
            return width, height
        return self.width, max(1, min(int(self.page.rowsperstrip), self.height))

    def _check_pieces(self) -> None:
        if self._raw:
            return
        for plane in self._planes:
            needed = (plane.sample + 1) * self.rows * self.columns
            if min(len(plane.page.dataoffsets), len(plane.page.databytecounts)) < needed:
                raise broken(self._data.file, tr("it lists fewer tiles than its size needs"))
            self._check_claim(max(plane.page.databytecounts))
            ends = np.add(plane.page.dataoffsets, plane.page.databytecounts, dtype=np.float64)
            if ends.max(initial=0) > self._data.size:
                raise broken(self._data.file, tr("it ends before its pixels do"))

    def _read_plane(self, number: int, row: int, column: int, width: int, height: int) -> NDArray[Any] | None:
        if self._raw:
            x, y = column * self.block_px[0], row * self.block_px[1]
            return np.array(self._raw[number][y : y + height, x : x + width], self.dtype)
        plane = self._planes[number]
        index = (plane.sample * self.rows + row) * self.columns + column
        offset, count = int(plane.page.dataoffsets[index]), int(plane.page.databytecounts[index])
        if offset == 0 or count == 0:
            return None
        encoded = self._read_encoded(offset, count)
        try:
            decoded, _place, _shape = self._decode(encoded, index, jpegtables=plane.page.jpegtables)
        except SlideError:
            raise
        except Exception as error:  # of broken pieces tifffile and its codecs raise whatever they stumble over
            raise broken(self._data.file, str(error) or type(error).__name__) from error
        block: NDArray[Any] = np.asarray(decoded)[0, :height, :width]
        if block.shape != (height, width, self._samples_of_plane):
            raise broken(self._data.file, tr("a tile is too small"))
        return block

    def _check_claim(self, count: int) -> None:
        """Refuse to decode a block from so many bytes where it would take too much memory."""
        pixels = self.block_px[0] * self.block_px[1]
        cost = 1 if self.page.compression in _BYTES | JPEG else _IMAGE_COST
        decoded = cost * pixels * self._samples_of_plane * self.dtype.itemsize
        check_claim(self._data.file, pixels=pixels, decoded_bytes=decoded, encoded_bytes=count)

    def _read_encoded(self, offset: int, count: int) -> bytes:
        self._check_claim(count)
        pixels, compression = self.block_px[0] * self.block_px[1], self.page.compression
        if count > 4 * pixels * self._samples_of_plane * self.dtype.itemsize + 1_000_000:
            raise broken(self._data.file, tr("a tile is too large"))
        encoded = self._data.read(offset, count)
        if compression in JPEG:
            self._check_process(encoded)
        claimed = claimed_pixels(encoded, compression)
        if claimed > 4 * pixels + 65_536:
            raise broken(self._data.file, tr("a tile is too large"))
        if self._strict and compression in JPEG | _JPEG2000:
            if claimed != pixels or (compression in JPEG and not encoded.rstrip(b"\0").endswith(_JPEG_END)):
                raise broken(self._data.file, tr("a tile is too small"))
        return encoded

    def _check_process(self, encoded: bytes) -> None:
        """Lossless JPEG is left alone: its decoder does not survive damaged streams."""
        try:
            process = jpeg_frame(encoded).process
        except (ValueError, struct.error) as error:
            raise broken(self._data.file, tr("a tile is not a JPEG image")) from error
        if process > _PROGRESSIVE:
            raise unsupported(self._data.file, tr("lossless JPEG"))


def is_decodable(compression: int) -> bool:
    """Whether tifffile and its codecs decode a compression (its TIFF number)."""
    if compression in _ELECTRON_COUNTS:
        return False
    try:
        return compression == 1 or compression in JPEG or TIFF.DECOMPRESSORS[compression] is not None
    except KeyError:
        return False


def claimed_pixels(encoded: bytes, compression: int) -> int:
    """Pixels that a JPEG, JPEG 2000 or WebP stream says it has; 0 where it does not, or is of another kind."""
    try:
        if compression in JPEG:
            frame = jpeg_frame(encoded)
            return frame.width * frame.height
        if compression in _JPEG2000:
            start = encoded.index(b"\xff\x4f\xff\x51") + 8
            right, bottom, left, top = (int(number) for number in struct.unpack_from(">4I", encoded, start))
            return max(0, right - left) * max(0, bottom - top)
        if compression == 50001:
            return math.prod(_webp_size(encoded))
    except (struct.error, ValueError, IndexError):
        return 0
    return 0


def jpeg_frame(encoded: bytes) -> JpegFrame:
    """The frame of a JPEG stream; ValueError or struct.error where it has none."""
    at = 2
    while True:
        if encoded[at : at + 2] == b"\xff\xff":  # fill bytes
            at += 1
            continue
        marker, length = struct.unpack_from(">HH", encoded, at)
        if marker < 0xFF00 or marker == 0xFFDA:
            raise ValueError("no frame in this JPEG stream")
        if 0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC):
            _bits, height, width, count = struct.unpack_from(">BHHB", encoded, at + 4)
            factors = encoded[at + 10 : at + 10 + 3 * count][1::3]
            return JpegFrame(width, height, marker - 0xFFC0, tuple(factors))
        at += 2 + length


def _webp_size(encoded: bytes) -> tuple[int, int]:
    kind = encoded[12:16]
    if kind == b"VP8X":
        return int.from_bytes(encoded[24:27], "little") + 1, int.from_bytes(encoded[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(encoded[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", encoded, 26)
    return width & 0x3FFF, height & 0x3FFF
