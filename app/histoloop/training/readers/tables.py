"""CSV tables as people write them: any line ends, comma or semicolon, with the line number of every row."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its line in the file, from 1, and its cells by column name, stripped of spaces; '' where empty."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file; column names are in lower case with single spaces."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: Path) -> Table:
    """Read a CSV file; blank lines are passed over. DataError names the file and the line that is wrong.

    Line ends may be LF, CRLF or, as in the official Grade.csv of GlaS, a bare CR.
    """
    text = _text(path).replace("\r\n", "\n").replace("\r", "\n")
    separator = ";" if ";" in text.partition("\n")[0] and "," not in text.partition("\n")[0] else ","
    lines = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    try:
        columns = _columns(next(lines, []), path)
        rows = tuple(_row(cells, columns, lines.line_num, path) for cells in lines if any(map(str.strip, cells)))
    except csv.Error as error:
        raise DataError(f"{path}, line {lines.line_num}: {error}.", advice="Save the table as CSV again.") from error
    if not rows:
        raise DataError(f"{path} has no rows.", advice="Fill it with a row for every picture below the column names.")
    return Table(path, columns, rows)


def require_columns(table: Table, required: Sequence[str]) -> None:
    """DataError when a column is missing."""
    missing = [name for name in required if name not in table.columns]
    if missing:
        raise DataError(
            f"{table.path} has no column {' or '.join(map(repr, missing))}; it has {', '.join(table.columns)}.",
            advice=f"Its first line must name the columns {', '.join(required)}.",
        )


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}.", advice="Check the path and that you may read it."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error}.", advice="Save the table as CSV in UTF-8.") from error


def _columns(cells: Sequence[str], path: Path) -> tuple[str, ...]:
    names = tuple(" ".join(cell.split()).lower() for cell in cells)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path} has the column {twice[0]!r} twice.", advice="Give every column its own name.")
    return names


def _row(cells: Sequence[str], columns: tuple[str, ...], line: int, path: Path) -> Row:
    if len(cells) > len(columns):
        raise DataError(
            f"{path}, line {line}: {len(cells)} cells for {len(columns)} columns.",
            advice="Put text that contains the separator into quotation marks.",
        )
    return Row(line, dict(zip(columns, map(str.strip, cells), strict=False)))
