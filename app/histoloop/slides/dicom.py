"""The few elements of a DICOM file that say which slide it belongs to (DICOM PS3.5 and PS3.10); pixels are not read."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_IMPLICIT, _BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_UNDEFINED = 0xFFFFFFFF
_ITEM_GROUP = 0xFFFE
_ENDS = ((0xFFFE, 0xE00D), (0xFFFE, 0xE0DD))
"""Of an item and of a sequence."""

_SYNTAX = (0x0002, 0x0010)
_LAST_GROUP = 0x0048
"""Of the elements that are read; those of the pixels and of each frame come after it."""

_MOST_ELEMENTS, _MOST_DEPTH, _LONGEST_VALUE = 20_000, 16, 4096

_IMAGE_TYPE, _SOP_CLASS = (0x0008, 0x0008), (0x0008, 0x0016)
_SERIES, _INSTANCE, _PART = (0x0020, 0x000E), (0x0020, 0x0013), (0x0020, 0x9162)
_CHARACTERS, _DESCRIPTION, _CONTAINER = (0x0008, 0x0005), (0x0008, 0x103E), (0x0040, 0x0512)
_STUDY = (0x0008, 0x1030)
_PATIENT, _IS_ANONYMOUS = (0x0010, 0x0020), (0x0012, 0x0062)
"""The patient's number, and whether the patient's identity was removed from the file (YES or NO)."""
_COLUMNS, _ROWS = (0x0048, 0x0006), (0x0048, 0x0007)
_FRAME = ((0x0028, 0x0010), (0x0028, 0x0011))
_WANTED = frozenset({*_FRAME, _SYNTAX, _IMAGE_TYPE, _SOP_CLASS, _SERIES, _INSTANCE, _PART, _COLUMNS, _ROWS})
_WANTED |= {_CHARACTERS, _DESCRIPTION, _CONTAINER, _STUDY, _PATIENT, _IS_ANONYMOUS}
_WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"


@dataclass(frozen=True, slots=True)
class DicomFile:
    """The tags of a file that are read; `series` is the UID that all files of a slide share.

    `columns` and `rows` are of the whole level, `frame_px` the pixels of a frame, which is one tile of it. `instance`
    numbers the files of a series, `part` those of a level that is split over several (a concatenation). `container` is
    the identifier on the glass, `description` that of the series, `study` that of the study. `patient` is the patient's
    number where the file states that the patient's identity was removed from it, else ''.
    """

    series: str = ""
    sop_class: str = ""
    image_type: str = ""
    columns: int = 0
    rows: int = 0
    frame_px: int = 0
    instance: int = 0
    part: int = 0
    container: str = ""
    description: str = ""
    study: str = ""
    patient: str = ""

    @property
    def is_slide(self) -> bool:
        """Whether it is a part of a whole slide."""
        return self.sop_class == _WHOLE_SLIDE

    @property
    def is_level(self) -> bool:
        """Whether it holds pixels of the slide itself, not its label, overview or thumbnail."""
        return "VOLUME" in self.image_type.split("\\")


def is_dicom(path: Path) -> bool:
    """Whether a file has DICOM's mark, whatever its name."""
    try:
        with path.open("rb") as file:
            file.seek(128)
            return file.read(4) == b"DICM"
    except OSError:
        return False


def read_dicom(path: Path) -> DicomFile | None:
    """The elements of a file that name its slide; None where it is no DICOM file or a broken one."""
    try:
        with path.open("rb") as file:
            file.seek(128)
            return _Reader(file).read() if file.read(4) == b"DICM" else None
    except (OSError, ValueError, struct.error):
        return None


class _Reader:
    """Reads the elements of a file in their order, those of the header first, which are explicit and little-endian."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._order = "<"
        self._explicit = True
        self._count = 0

    def read(self) -> DicomFile:
        found = self._elements(first=0x0002, last=0x0002)
        syntax = _text(found.get(_SYNTAX, b""))
        self._explicit = syntax != _IMPLICIT
        self._order = ">" if syntax == _BIG_ENDIAN else "<"
        found = self._elements(first=0x0008, last=_LAST_GROUP)
        instance = _text(found.get(_INSTANCE, b""))
        is_anonymous = _text(found.get(_IS_ANONYMOUS, b"")).upper() == "YES"
        return DicomFile(
            series=_text(found.get(_SERIES, b"")),
            sop_class=_text(found.get(_SOP_CLASS, b"")),
            image_type=_text(found.get(_IMAGE_TYPE, b"")),
            columns=self._number(found.get(_COLUMNS, b"")),
            rows=self._number(found.get(_ROWS, b"")),
            frame_px=math.prod(self._number(found.get(tag, b"")) for tag in _FRAME),
            instance=int(instance) if instance.isdigit() else 0,
            part=self._number(found.get(_PART, b"")),
            container=_words(found, _CONTAINER),
            description=_words(found, _DESCRIPTION),
            study=_words(found, _STUDY),
            patient=_words(found, _PATIENT) if is_anonymous else "",
        )

    def _elements(self, *, first: int, last: int) -> dict[tuple[int, int], bytes]:
        """Values of the wanted elements up to a group; the file is left at the first element after it."""
        found: dict[tuple[int, int], bytes] = {}
        while True:
            start = self._file.tell()
            head = self._file.read(4)
            if len(head) < 4:
                return found
            group, element = self._unpack("HH", head)
            tag = (group, element)
            if not first <= tag[0] <= last and (found or tag[0] > last):
                self._file.seek(start)
                return found
            length = self._length(tag)
            if tag in _WANTED and length <= _LONGEST_VALUE:
                found[tag] = self._file.read(length)
            else:
                self._skip(length, depth=0)

    def _length(self, tag: tuple[int, ...]) -> int:
        self._count += 1
        if self._count > _MOST_ELEMENTS:
            raise ValueError("too many elements")
        if not self._explicit or tag[0] == _ITEM_GROUP:
            return self._unpack("I", self._file.read(4))[0]
        kind = self._file.read(2)
        if kind in _LONG:
            return self._unpack("xxI", self._file.read(6))[0]
        return self._unpack("H", self._file.read(2))[0]

    def _skip(self, length: int, *, depth: int) -> None:
        """Pass over a value; one of undefined length is a sequence of items."""
        if length != _UNDEFINED:
            self._file.seek(length, 1)
            return
        if depth > _MOST_DEPTH:
            raise ValueError("sequences too deep")
        while True:
            tag = self._unpack("HH", self._file.read(4))
            own = self._length(tag)
            if tag in _ENDS:
                return
            self._skip(own, depth=depth + 1)

    def _number(self, value: bytes) -> int:
        return int(self._unpack({2: "H", 4: "I"}[len(value)], value)[0]) if len(value) in (2, 4) else 0

    def _unpack(self, layout: str, data: bytes) -> tuple[int, ...]:
        return struct.unpack(self._order + layout, data)


def _words(found: Mapping[tuple[int, int], bytes], tag: tuple[int, int]) -> str:
    """What people wrote, on one line: as UTF-8 where the file states it, else as Latin-1."""
    value = found.get(tag, b"")
    utf8 = "ISO_IR 192" in _text(found.get(_CHARACTERS, b""))
    text = value.decode("utf-8" if utf8 else "latin-1", errors="replace")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip(" \0")
