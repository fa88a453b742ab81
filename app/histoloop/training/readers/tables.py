"""CSV tables as people and programs write them, with the line number of every row."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence


_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[,;\t]*\n', re.IGNORECASE)
_INDEX_READ_AGAIN = "unnamed: 0"
_MAX_BYTES = 128 << 20


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
    """Read a CSV file as Excel, LibreOffice, pandas and people write it. DataError names the file and the wrong line.

    Cells are separated by commas, semicolons or tabs, whichever the line of column names has most of, or by what a
    first line `sep=;` says. Line ends may be LF, CRLF or, as in the official Grade.csv of GlaS, a bare CR. Blank lines,
    columns without a name that are pandas' index or empty, and separators that close a line are passed over.
    """
    text = _text(path).replace("\r\n", "\n").replace("\r", "\n")
    stated = _SEPARATOR_LINE.match(text)
    skipped = 0
    if stated is not None:
        text, skipped = text[stated.end() :], 1
    separator = stated[1] if stated is not None else _separator(text)
    lines = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=separator != "\t")
    try:
        named = _columns(next(lines, []), path)
        filled = [(lines.line_num + skipped, cells) for cells in lines if any(map(str.strip, cells))]
    except csv.Error as error:
        where = f"{path}, line {lines.line_num + skipped}"
        raise DataError(f"{where}: {error}.", advice="Save the table as CSV again.") from error
    if not filled:
        raise DataError(f"{path} has no rows.", advice="Fill it with a row for every picture below the column names.")
    kept = [number for number, name in enumerate(named) if name or not _is_passed_over(number, filled)]
    columns = tuple(named[number] for number in kept)
    rows = tuple(_row(cells, len(named), kept, columns, line, path) for line, cells in filled)
    return Table(path, columns, rows)


def decimal(text: str) -> float:
    """A number with a decimal point or comma; ValueError for anything else."""
    return float(text.replace(",", ".") if "." not in text else text)


def whole(text: str) -> int:
    """A whole number, also as '512.0' or '512,0', which is what becomes of it beside empty cells; ValueError if not."""
    value = decimal(text)
    if not value.is_integer():
        raise ValueError(f"{text} is no whole number")
    return int(value)


def _separator(text: str) -> str:
    """What separates the most column names; a comma where nothing does."""
    header = text.lstrip("\n").partition("\n")[0]
    return max(",;\t", key=lambda sign: len(next(csv.reader([header], delimiter=sign), [])))


def _is_passed_over(number: int, rows: Sequence[tuple[int, Sequence[str]]]) -> bool:
    """Whether a column without a name is an index, which comes first, or empty."""
    return number == 0 or not any(number < len(cells) and cells[number].strip() for _, cells in rows)


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


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
        if not path.is_file():
            raise FileNotFoundError("there is no such file")
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(
                f"{path} is larger than {_MAX_BYTES >> 20} MB.", advice="Give the table of tiles, or a part of it."
            )
        content = path.read_bytes()
        is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}.", advice="Check the path and that you may read it."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error}.", advice="Save the table as CSV in UTF-8.") from error


def _columns(cells: Sequence[str], path: Path) -> tuple[str, ...]:
    names = tuple(" ".join(cell.split()).lower() for cell in cells)
    names = tuple("" if number == 0 and name == _INDEX_READ_AGAIN else name for number, name in enumerate(names))
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise DataError(f"{path} has the column {twice[0]!r} twice.", advice="Give every column its own name.")
    return names


def _row(cells: Sequence[str], width: int, kept: Sequence[int], columns: Sequence[str], line: int, path: Path) -> Row:
    if any(map(str.strip, cells[width:])):
        raise DataError(
            f"{path}, line {line}: {len(cells)} cells for {width} columns.",
            advice="Put text that contains the separator into quotation marks.",
        )
    given = {name: cells[number].strip() for name, number in zip(columns, kept, strict=True) if number < len(cells)}
    return Row(line, given)
