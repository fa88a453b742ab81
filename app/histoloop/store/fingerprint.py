"""Slides known again by their bytes, wherever they are moved to."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import SlideError
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAMPLE_BYTES = 1 << 20
OWN_FOLDERS = frozenset({"cache", "maps", "masks", "models", "pretrained", "pseudo", "thumbnails"})
"""Folders in a project's folder that hold what the program makes."""


def fingerprint(path: Path) -> str:
    """'<bytes>-<SHA-256>' of a slide file: over its size and its first and last MiB, so that a gigabyte costs nothing.

    A MIRAX file is only a preview beside a folder of its name: the folder's Slidedat.ini, with the slide's own id,
    counts too. Raises SlideError when the file cannot be read.
    """
    try:
        size = path.stat().st_size
        digest = hashlib.sha256(str(size).encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLE_BYTES))
            file.seek(max(size - _SAMPLE_BYTES, 0))
            digest.update(file.read(_SAMPLE_BYTES))
        companion = path.with_suffix("") / "Slidedat.ini"
        if path.suffix.lower() == ".mrxs" and companion.is_file():
            digest.update(companion.read_bytes())
    except OSError as error:
        advice = tr("Check that the file is there and that you may read it.")
        raise SlideError(path, error.strerror or str(error), advice=advice) from error
    return f"{size}-{digest.hexdigest()}"


def find_by_fingerprint(wanted: str, folder: Path, *, outside: Path) -> Path | None:
    """The first file under `folder`, in order of names, with this fingerprint; only files of its size are read.

    Folders in the project `outside` are its own and not searched: the thumbnail of a small picture has the same bytes.
    """
    size = int(wanted.partition("-")[0])
    for path in _files(folder, outside):
        try:
            if path.stat().st_size == size and fingerprint(path) == wanted:
                return path
        except (OSError, SlideError):
            continue
    return None


def _files(folder: Path, outside: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if Path(parent) != outside or name not in OWN_FOLDERS)
        yield from (Path(parent) / name for name in sorted(names))
