"""The content of annotation files: plain, gzipped, or one alone in a ZIP archive; UTF-8 or UTF-16."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
import struct
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 256 << 20
"""Of a file, and of what is packed in it."""

_GZIP, _ZIP = b"\x1f\x8b", b"PK"
_READABLE = (".geojson", ".json", ".xml")
_MAX_DIRECTORY = 1 << 20
_OF_BROKEN_ARCHIVES = (
    zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, RuntimeError, UnicodeError,
)  # fmt: skip


def read_content(path: Path) -> bytes:
    """The text of an annotation file as UTF-8 without a mark at its start, unpacked; ValueError says what is wrong.

    Of XML in another encoding the bytes are as they are: it names its encoding itself.
    """
    if not path.is_file():
        raise ValueError("there is no such file")
    with path.open("rb") as file:
        try:
            content = _unpacked(file)
        except _OF_BROKEN_ARCHIVES as error:
            raise ValueError(f"the archive is damaged ({error})") from error
    return _utf8(content)


def _unpacked(file: BinaryIO) -> bytes:
    start = file.read(2)
    file.seek(0)
    if start == _GZIP:
        with gzip.GzipFile(fileobj=file) as packed:
            return _limited(packed)
    if start == _ZIP:
        return _alone_in_zip(file)
    if os.fstat(file.fileno()).st_size > MAX_BYTES:
        raise _too_large()
    return file.read()


def _alone_in_zip(file: BinaryIO) -> bytes:
    _check_directory(file)
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.lower().endswith(_READABLE) and "__MACOSX" not in name]
        if len(names) != 1:
            raise ValueError(f"the archive holds {len(names)} annotation files, not one")
        with archive.open(names[0]) as packed:
            return _limited(packed)


def _check_directory(file: BinaryIO) -> None:
    """Refuse an archive of so many files that listing them would fill the memory."""
    file.seek(0, io.SEEK_END)
    file.seek(max(0, file.tell() - 65_557))
    end = file.read()
    at = end.rfind(b"PK\5\6")
    if at < 0 or len(end) < at + 22 or struct.unpack_from("<I", end, at + 12)[0] > _MAX_DIRECTORY:
        raise ValueError("the archive is damaged, or holds thousands of files")
    file.seek(0)


def _limited(file: IO[bytes] | gzip.GzipFile) -> bytes:
    pieces: list[bytes] = []
    length = 0
    while piece := file.read(1 << 22):
        length += len(piece)
        if length > MAX_BYTES:
            raise _too_large()
        pieces.append(piece)
    return b"".join(pieces)


def _too_large() -> ValueError:
    return ValueError(f"it is larger than {MAX_BYTES >> 20} MB; export only what is needed of it")


def _utf8(content: bytes) -> bytes:
    encoding = json.detect_encoding(content)
    if encoding in ("utf-8", "utf-8-sig"):
        return content.removeprefix(codecs.BOM_UTF8)
    return content.decode(encoding).removeprefix("\ufeff").encode()
