"""What a data set lists before any pixel is read, and the collection of what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from histoloop.annotations.records import ClassScheme
from histoloop.errors import DataError
from histoloop.geometry import Region

Part = Literal["train", "val", "test"]

PART_NAMES: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class TileSource:
    """Where a tile is on disk and what is known of it.

    `where` is what an error calls it ('Grade.csv, line 3'). `label` is the first of several, `other_labels` are the
    others. `region` is a rectangle of the slide `picture` in level-0
    pixels, None for the whole picture; `mask` has the size of that region or picture. `part` is the split that the
    data set states.
    """

    name: str
    where: str
    picture: Path
    label: str | None = None
    mask: Path | None = None
    case: str = ""
    part: Part | None = None
    size: float | None = None
    region: Region | None = None
    other_labels: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """All its labels; none where nothing is known."""
        return () if self.label is None else (self.label, *self.other_labels)


@dataclass(frozen=True, slots=True)
class Listing:
    """A data set as its format describes it, in reading order. `path` is the folder or table.

    `scheme` and `mpp` are None where the format leaves them open; mask values above `mask_level` are foreground;
    `case_word` is what the data set calls a case.
    """

    name: str
    path: Path
    sources: tuple[TileSource, ...]
    scheme: ClassScheme | None = None
    mpp: float | None = None
    mask_level: int = 0
    case_word: str = "case"
    licence: str = "unknown"
    attribution: str = ""
    notes: str = ""


class Problems:
    """All that is wrong with a data set, so that it can be reported, and mended, at once; `found` are (where, what)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.found: list[tuple[str, str]] = []
        self._advice: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self.found)

    def add(self, where: str, what: str, *, advice: str) -> None:
        """Something at a place ('line 7') and the way on."""
        self.found.append((where, what))
        self._advice[advice] = None

    def raise_any(self) -> None:
        """DataError that names the first ten and counts the others; nothing when all is well."""
        if not self.found:
            return
        more = f"; and {len(self.found) - _SHOWN} more" if len(self.found) > _SHOWN else ""
        shown = "; ".join(f"{where}: {what}" for where, what in self.found[:_SHOWN])
        raise DataError(f"{self._path} cannot be used: {shown}{more}.", advice=" ".join(self._advice))
