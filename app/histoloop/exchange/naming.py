"""Names for result files, one for each slide."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def unique_stems(files: Sequence[Path]) -> dict[Path, str]:
    """A name of its own for every file: its stem; where that is taken, its folder's name in front, then a number."""
    stems: dict[Path, str] = {}
    taken: set[str] = set()
    for file in files:
        plain = file.stem
        stem = plain if plain.casefold() not in taken else f"{file.resolve().parent.name}-{plain}"
        first, number = stem, 2
        while stem.casefold() in taken:
            stem, number = f"{first}-{number}", number + 1
        taken.add(stem.casefold())
        stems[file] = stem
    return stems
