"""Names for result files, one for each slide."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


LONGEST_BYTES = 200
"""Of a name that endings are added to; file systems allow 255, and a file being written has a longer name yet."""


def unique_stems(files: Sequence[Path]) -> dict[Path, str]:
    """A name of its own for every file: its stem; where that is taken, its folder's name in front, then a number.

    Of a name that leaves no room for an ending the beginning is taken, with eight digits that are always the same.
    """
    stems: dict[Path, str] = {}
    taken: set[str] = set()
    for file in files:
        plain = shortened_stem(file.stem)
        stem = plain if plain.casefold() not in taken else shortened_stem(f"{file.resolve().parent.name}-{plain}")
        first, number = stem, 2
        while stem.casefold() in taken:
            stem, number = f"{first}-{number}", number + 1
        taken.add(stem.casefold())
        stems[file] = stem
    return stems


def shortened_stem(stem: str) -> str:
    """The stem, or as much of it as fits into `LONGEST_BYTES` with eight digits of its SHA-256 in place of the rest."""
    whole = os.fsencode(stem)
    if len(whole) <= LONGEST_BYTES:
        return stem
    digits, kept = f"-{hashlib.sha256(whole).hexdigest()[:8]}", stem
    while len(os.fsencode(kept)) > LONGEST_BYTES - len(digits):
        kept = kept[:-1]
    return kept + digits
