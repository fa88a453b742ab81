"""TOML read from files that others made: what is too long or nested too deeply is refused before it costs anything."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from histoloop.language import tr

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 256 * 1024
"""Of a file, with what is no TOML in it; a card or recipe has some thousands."""

MOST_CHARACTERS = 64 * 1024
"""Of TOML; what it costs can grow with their square."""

MOST_LEVELS = 16


def read_text(path: Path) -> str:
    """The text (UTF-8) of a small file; OSError, or ValueError with the reason when it is too long or no text."""
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(tr("it is longer than {count} kB", count=MOST_BYTES // 1024))
    text = content.decode("utf-8")
    return text.replace("\r\n", "\n")


def parse_toml(text: str) -> dict[str, Any]:
    """The table of a TOML text; ValueError with the reason when it is none, too long or nested too deeply."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(tr("it is longer than {count} kB", count=MOST_CHARACTERS // 1024))
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(tr("it is nested too deeply")) from error
    _check_depth(table)
    return table


def _check_depth(table: dict[str, Any]) -> None:
    level: list[Any] = [table]
    for _level in range(MOST_LEVELS):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ValueError(tr("it is nested too deeply"))
