"""What an interrupted sampling found, slide by slide, so that the same command goes on where it stopped."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from histoloop.exchange.writing import export_to
from histoloop.geometry import Region
from histoloop.store.files import write_beside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

FORMAT = 1


@dataclass(frozen=True, slots=True)
class FoundPatch:
    """A patch of a slide, level-0 pixels, and its shares of tumour and tissue."""

    region: Region
    tumour: float
    tissue: float


class SearchedSlides:
    """A file of lines of JSON: `settings` first, then a slide each, on the disk before the next one is searched.

    What was found with other settings, or of a slide or mask that has changed since, is not taken; nor is a line that
    was not written whole. Methods raise ExportError where the file cannot be written.
    """

    def __init__(self, path: Path, settings: Mapping[str, object]) -> None:
        self.path = path
        self._known: dict[str, list[FoundPatch]] = {}
        header = json.dumps({"format": FORMAT, **settings})
        lines = _lines(path)
        if next(lines, None) == header:
            self._known = dict(filter(None, map(_slide_of, lines)))
        with export_to(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_beside(path, "".join(f"{line}\n" for line in [header, *map(_line_of, self._known.items())]))

    def find(self, slide: Path, mask: Path) -> list[FoundPatch] | None:
        """The patches of a slide that was searched to its end; None of any other."""
        return self._known.get(_key(slide, mask))

    def add(self, slide: Path, mask: Path, patches: Sequence[FoundPatch]) -> None:
        """Keep the patches of a slide."""
        key = _key(slide, mask)
        self._known[key] = list(patches)
        with export_to(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(f"{_line_of((key, patches))}\n")
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        """Take the file away: all is written where it belongs."""
        self.path.unlink(missing_ok=True)


def _key(slide: Path, mask: Path) -> str:
    """Names a slide and its mask as they are now."""
    stamps = [(str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns) for path in (slide, mask)]
    return json.dumps(stamps)


def _line_of(slide: tuple[str, Sequence[FoundPatch]]) -> str:
    key, patches = slide
    rows = [[*_box(patch.region), patch.tumour, patch.tissue] for patch in patches]
    return json.dumps({"slide": key, "patches": rows})


def _box(region: Region) -> tuple[int, int, int, int]:
    return region.x, region.y, region.width, region.height


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from (line.rstrip("\n") for line in file)
    except (OSError, UnicodeError):
        return


def _slide_of(line: str) -> tuple[str, list[FoundPatch]] | None:
    try:
        found: Any = json.loads(line)
        patches = [FoundPatch(Region(*map(int, row[:4])), float(row[4]), float(row[5])) for row in found["patches"]]
        return str(found["slide"]), patches
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None
