"""Names for result files, one for each slide."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

from histoloop.slides.find import slide_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_MASK_ENDINGS = ("_mask", "-mask", "_anno")
_PACKED, _IN_PACKED = (".gz", ".zip"), (".geojson", ".json", ".xml")
_FORBIDDEN = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')

LONGEST_BYTES = 200
"""Of a name that endings are added to; file systems allow 255, and a file being written has a longer name yet."""


def unique_stems(
    files: Sequence[Path], *, names: Sequence[str] | None = None, taken: Iterable[str] = ()
) -> dict[Path, str]:
    """A name of its own for every slide, for files: that of the slide without its ending.

    `names` are what the slides are called, by default their own names (slide_name); folders in front become part of the
    name ('patient-1/a.svs': patient-1-a). Where a name is taken, the folder's is put in front, then a number behind.
    Of a name that leaves no room for an ending the beginning is taken, with eight digits that are always the same.
    `taken` are names that other files have already.
    """
    stems: dict[Path, str] = {}
    used = {name.casefold() for name in taken}
    for file, name in zip(files, names or [slide_name(file) for file in files], strict=True):
        plain = _plain(name.removesuffix(file.suffix) if name.endswith(file.name) else name)
        stem = plain if plain.casefold() not in used else _plain(f"{file.absolute().parent.name}-{plain}")
        first, number = stem, 2
        while stem.casefold() in used:
            stem, number = f"{first}-{number}", number + 1
        used.add(stem.casefold())
        stems[file] = stem
    return stems


def stem_of_slide(mask: Path) -> str:
    """The name, in lower case, of the slide that a mask's file is named after: NAME_mask.png, NAME.geojson.gz."""
    stem = mask.stem.casefold()
    if mask.suffix.lower() in _PACKED:
        for ending in _IN_PACKED:
            stem = stem.removesuffix(ending)
    return without_mask_ending(stem)


def without_mask_ending(stem: str) -> str:
    """A name in lower case without what says that it is of a mask: 'a' of 'a_mask', 'a-mask' and 'a_anno'."""
    for ending in _MASK_ENDINGS:
        stem = stem.removesuffix(ending)
    return stem


def is_named_mask(path: Path) -> bool:
    """Whether the name of a picture says that it is a mask: NAME_mask.png."""
    return path.stem.casefold().endswith(_MASK_ENDINGS)


def _plain(name: str) -> str:
    """What every file system takes as the beginning of a file's name."""
    text = _FORBIDDEN.sub("-", name).strip("-. ") or "slide"
    whole = os.fsencode(text)
    if len(whole) <= LONGEST_BYTES:
        return text
    digits = f"-{hashlib.sha256(whole).hexdigest()[:8]}"
    while len(os.fsencode(text)) > LONGEST_BYTES - len(digits):
        text = text[:-1]
    return text + digits
