"""Slides known again by their content, wherever they are moved to."""

from __future__ import annotations

import functools
import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import SlideError
from histoloop.language import tr
from histoloop.slides.dicom import is_dicom
from histoloop.slides.find import files_of_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    _Formula = Callable[[Path], str]
    _Stamp = tuple[str, int, int, int]

_END_BYTES = 1 << 20
_SAMPLE_BYTES, _SAMPLES = 1 << 16, 32
_WHOLE_BYTES = 16 << 20
FINGERPRINT_VERSION = "2"
_SETTLED_NS = 2_000_000_000
"""A file may change again within a tick of its file system's clock, which shows no change."""

OWN_FOLDERS = frozenset({"cache", "live", "maps", "masks", "models", "pretrained", "pseudo", "thumbnails"})
"""Folders in a project's folder that hold what the program makes."""


def fingerprint(path: Path) -> str:
    """'<bytes>-2-<SHA-256>' of a slide's content; `bytes` are those of its (first) file.

    Files up to 16 MiB count whole; of larger ones the size, the first and last MiB, and 32 places spread between, so
    that a gigabyte costs little. A slide of several files (`files_of_slide`) is all of them, whatever they are called.
    The file is read when it has changed since this process read it last. SlideError when it cannot be read.
    """
    return _read(path, _sampled)


def first_fingerprint(path: Path) -> str:
    """The fingerprint of a file as the first version had it; SlideError when it cannot be read."""
    return _read(path, _first_and_last)


def has_content(path: Path, wanted: str) -> bool:
    """Whether a file has this fingerprint, of this version of them or the first; SlideError when it cannot be read."""
    return _read(path, _sampled if f"-{FINGERPRINT_VERSION}-" in wanted else _first_and_last) == wanted


def is_part_of_same_series(path: Path, other: Path) -> bool:
    """Whether two DICOM files have the same content: one may be of a copy of the series that lacks other levels."""
    try:
        return is_dicom(path) and is_dicom(other) and _digest(path) == _digest(other)
    except OSError:
        return False


def is_same_slide(path: Path, other: Path) -> bool:
    """Whether two paths of one content lead to one file, or to files of a DICOM series and a copy of it."""
    return path.samefile(other) or is_part_of_same_series(path, other)


def find_by_fingerprint(wanted: Collection[str], folder: Path, *, outside: Path) -> dict[str, Path]:
    """The first file under `folder`, in order of names, with each of these fingerprints; only files of a size are read.

    Folders in the project `outside` are its own and not searched: the thumbnail of a small picture has the same bytes.
    """
    missing = {content: int(content.partition("-")[0]) for content in wanted}
    found: dict[str, Path] = {}
    for path in _files(folder, outside):
        if not missing:
            break
        try:
            size = path.stat().st_size
            alike = [content for content, own in missing.items() if own == size and has_content(path, content)]
        except (OSError, SlideError):
            continue
        for content in alike:
            found[content] = path
            del missing[content]
    return found


def _read(path: Path, formula: _Formula) -> str:
    try:
        stamps = _stamps(path)
        if max(stamp[1] for stamp in stamps) > time.time_ns() - _SETTLED_NS:
            return formula(path)
        return _remembered(path, formula, stamps)
    except OSError as error:
        advice = tr("Check that the file is there and that you may read it.")
        raise SlideError(path, error.strerror or str(error), advice=advice) from error


def _stamps(path: Path) -> tuple[_Stamp, ...]:
    """What changes whenever a file of the slide is written or replaced."""
    stamps = [_stamp(path)]
    if is_dicom(path):
        stamps += [_stamp(file) for file in sorted(path.parent.iterdir()) if file.is_file()]
    elif path.suffix.lower() in (".mrxs", ".vms", ".vmu"):
        stamps += [_stamp(file) for file in files_of_slide(path)]
    return tuple(stamps)


def _stamp(file: Path) -> _Stamp:
    """Name, when it changed last, size and place on the disk."""
    at = file.stat()
    return file.name, max(at.st_mtime_ns, at.st_ctime_ns), at.st_size, at.st_ino


@functools.lru_cache(maxsize=10_000)
def _remembered(path: Path, formula: _Formula, _stamps: tuple[_Stamp, ...]) -> str:
    return formula(path)


def _sampled(path: Path) -> str:
    first, *others = files_of_slide(path)
    size, content = _digest(first)
    if others:
        parts = sorted([content, *(_digest(file)[1] for file in others)])
        content = hashlib.sha256(b"".join(parts)).digest()
    return f"{size}-{FINGERPRINT_VERSION}-{content.hex()}"


def _digest(file: Path) -> tuple[int, bytes]:
    """The size of a file, and the SHA-256 of that and of what is read of it."""
    with file.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        digest = hashlib.sha256(str(size).encode())
        if size <= _WHOLE_BYTES:
            digest.update(opened.read())
            return size, digest.digest()
        between = size - 2 * _END_BYTES - _SAMPLE_BYTES
        places = [_END_BYTES + between * number // (_SAMPLES - 1) for number in range(_SAMPLES)]
        for start, count in [(0, _END_BYTES), *((place, _SAMPLE_BYTES) for place in places), (-_END_BYTES, _END_BYTES)]:
            opened.seek(start % size)
            digest.update(opened.read(count))
    return size, digest.digest()


def _first_and_last(path: Path) -> str:
    """As the first version had it: over size, first and last MiB, and the Slidedat.ini of MIRAX."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_END_BYTES))
        file.seek(max(size - _END_BYTES, 0))
        digest.update(file.read(_END_BYTES))
    companion = path.with_suffix("") / "Slidedat.ini"
    if path.suffix.lower() == ".mrxs" and companion.is_file():
        digest.update(companion.read_bytes())
    return f"{size}-{digest.hexdigest()}"


def _files(folder: Path, outside: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if Path(parent) != outside or name not in OWN_FOLDERS)
        yield from (Path(parent) / name for name in sorted(names))
