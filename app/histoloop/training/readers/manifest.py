"""A CSV table of tiles: pictures, or rectangles of slides, with what is known of each."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histoloop.errors import DataError, suggestion
from histoloop.geometry import Region
from histoloop.training.readers.sources import PART_NAMES, Listing, Part, Problems, TileSource
from histoloop.training.readers.tables import Row, Table, decimal, is_file, read_table, whole

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST_NAME = "manifest.csv"

_RECTANGLE = ("x", "y", "width", "height")
_COLUMNS = ("image", "label", "mask", "case", "split", "size", *_RECTANGLE)
_PATCH_COLUMNS = ("slide", "tumour_fraction", "tissue_fraction")
"""Columns of a table of patches: `slide` stands for image and `tumour_fraction` for size."""
_BETWEEN_LABELS = "[;|]"


@dataclass(frozen=True, slots=True)
class _Cells:
    """The names under which a table keeps what it may keep under two."""

    picture: str
    size: str


def list_manifest(path: Path) -> Listing:
    """The tiles of a CSV file with the columns image, label, mask, case, split, size; all but image may be missing.

    Paths are relative to the file. `label` may name several labels, separated by ';' or '|'. `size` is the estimated
    foreground fraction, 0 to 1. With the columns x, y, width and height a row is a rectangle of a slide in level-0
    pixels, its mask the mask of that rectangle. DataError names every line that does not fit.
    """
    table = read_table(path)
    cells = _check_columns(table)
    problems = Problems(path)
    seen: dict[tuple[Path, Region | None], int] = {}
    sources = [_source(row, path, cells, seen, problems) for row in table.rows]
    _check_splits(table, problems)
    _check_spelling(table, problems)
    problems.raise_any()
    return Listing(name=path.stem, path=path, sources=tuple(source for source in sources if source is not None))


def _check_columns(table: Table) -> _Cells:
    for column in table.columns:
        if column not in (*_COLUMNS, *_PATCH_COLUMNS):
            raise DataError(
                f"{table.path} has an unknown column {column!r}{suggestion(column, _COLUMNS)}.",
                advice=f"Columns are {', '.join(_COLUMNS)}; only image is required.",
            )
    picture = _one_of(("image", "slide"), table)
    if picture is None:
        raise DataError(
            f"{table.path} has no column 'image'; it has {', '.join(table.columns)}.",
            advice="Name the column of picture paths 'image'.",
        )
    rectangle = [name for name in _RECTANGLE if name in table.columns]
    if rectangle and len(rectangle) < len(_RECTANGLE):
        missing = [name for name in _RECTANGLE if name not in rectangle]
        raise DataError(
            f"{table.path} has {', '.join(rectangle)} but not {', '.join(missing)}.",
            advice="A rectangle needs x, y, width and height, in level-0 pixels.",
        )
    return _Cells(picture, _one_of(("size", "tumour_fraction"), table) or "size")


def _one_of(names: tuple[str, str], table: Table) -> str | None:
    found = [name for name in names if name in table.columns]
    if len(found) > 1:
        raise DataError(f"{table.path} has both {names[0]!r} and {names[1]!r}.", advice="Keep one of the two columns.")
    return found[0] if found else None


def _source(
    row: Row, path: Path, cells: _Cells, seen: dict[tuple[Path, Region | None], int], problems: Problems
) -> TileSource | None:
    """The tile of a row; None, with the problems reported, when something is wrong."""
    before = len(problems)
    picture = _file(row, cells.picture, path.parent, problems)
    mask = _file(row, "mask", path.parent, problems) if row["mask"] else None
    region = _region(row, problems)
    size = _size(row, cells.size, problems)
    part = _part(row, problems)
    labels = _labels(row, problems)
    if picture is None or len(problems) > before:
        return None
    place = (picture.resolve(), region)
    if place in seen:
        what = f"{row[cells.picture]} is in line {seen[place]} already"
        problems.add(f"line {row.line}", what, advice="Keep one row for each tile.")
        return None
    seen[place] = row.line
    corner = f" at ({region.x}, {region.y})" if region else ""
    return TileSource(
        name=f"{row[cells.picture]}{corner}",
        where=f"{path.name}, line {row.line}",
        picture=picture,
        label=labels[0] if labels else None,
        other_labels=labels[1:],
        mask=mask,
        case=row["case"],
        part=part,
        size=size,
        region=region,
    )


def _file(row: Row, column: str, folder: Path, problems: Problems) -> Path | None:
    where = f"line {row.line}"
    if not row[column]:
        problems.add(where, f"{column} is empty", advice="Name a file in every row.")
        return None
    file = folder / row[column].replace("\\", "/")
    if not is_file(file):
        problems.add(where, f"there is no file {row[column]!r}", advice=f"Paths are relative to {folder}.")
        return None
    return file


def _labels(row: Row, problems: Problems) -> tuple[str, ...]:
    labels = _named(row)
    twice = [label for label in dict.fromkeys(labels) if labels.count(label) > 1]
    if twice:
        problems.add(f"line {row.line}", f"the label {twice[0]!r} is given twice", advice="Name a label once a row.")
    return labels


def _named(row: Row) -> tuple[str, ...]:
    """The labels that a row names."""
    return tuple(label for label in map(str.strip, re.split(_BETWEEN_LABELS, row["label"])) if label)


def _region(row: Row, problems: Problems) -> Region | None:
    values = [row[name] for name in _RECTANGLE]
    if not any(values):
        return None
    try:
        x, y, width, height = map(whole, values)
        if x < 0 or y < 0:
            raise ValueError(f"a rectangle starts inside its slide, not at ({x}, {y})")
        return Region(x, y, width, height)
    except ValueError as error:
        problems.add(f"line {row.line}", str(error), advice="Give x, y, width and height as whole level-0 pixels.")
        return None


def _size(row: Row, column: str, problems: Problems) -> float | None:
    if not row[column]:
        return None
    try:
        size = decimal(row[column])
    except ValueError:
        size = math.nan
    if not 0 <= size <= 1:
        advice = "Give sizes as fractions from 0 to 1: 0.4 for 40 %."
        problems.add(f"line {row.line}", f"the {column} {row[column]!r} is no fraction from 0 to 1", advice=advice)
        return None
    return size


def _part(row: Row, problems: Problems) -> Part | None:
    split = row["split"].lower()
    if split and split not in PART_NAMES:
        near = suggestion(split, PART_NAMES)
        problems.add(
            f"line {row.line}", f"the split {row['split']!r} is unknown{near}", advice="Use train, val or test."
        )
    return PART_NAMES.get(split)


def _check_splits(table: Table, problems: Problems) -> None:
    empty = [row.line for row in table.rows if not row["split"]]
    if empty and len(empty) < len(table.rows):
        advice = "Fill in the split of every row, or of none."
        problems.add(f"line {empty[0]}", f"{len(empty)} of {len(table.rows)} rows have no split", advice=advice)


def _check_spelling(table: Table, problems: Problems) -> None:
    first: dict[str, tuple[str, int]] = {}
    for row in table.rows:
        for label in _named(row):
            before, line = first.setdefault(label.casefold(), (label, row.line))
            if before != label:
                what = f"the label {label!r} is {before!r} in line {line}"
                problems.add(f"line {row.line}", what, advice="Write a class in one way.")
