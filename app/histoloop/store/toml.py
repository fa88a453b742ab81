"""TOML written: the few types that cards and recipes use (the standard library only reads)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TypeGuard

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def dump_toml(table: Mapping[str, object]) -> str:
    """TOML text of nested mappings of strings, numbers, booleans, and lists or tuples of those.

    Mappings become tables, sequences of mappings lists of tables; tuples are read back as lists. Raises TypeError
    for any other value (None has no place in TOML: leave the key out).
    """
    return "\n".join(_table_lines(table, path=())) + "\n"


def _table_lines(table: Mapping[str, object], *, path: tuple[str, ...]) -> list[str]:
    lines = [f"{_key(key)} = {_value(value, key)}" for key, value in table.items() if not _is_nested(value)]
    for key, value in table.items():
        inner = (*path, key)
        header = ".".join(_key(part) for part in inner)
        if isinstance(value, Mapping):
            lines += ["", f"[{header}]", *_table_lines(value, path=inner)]
        elif _is_list_of_tables(value):
            for entry in value:
                lines += ["", f"[[{header}]]", *_table_lines(entry, path=inner)]
    return lines


def _is_nested(value: object) -> bool:
    return isinstance(value, Mapping) or _is_list_of_tables(value)


def _is_list_of_tables(value: object) -> TypeGuard[Sequence[Mapping[str, object]]]:
    return isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(entry, Mapping) for entry in value)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _value(value: object, key: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _number(float(value))
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(entry, key) for entry in value)}]"
    raise TypeError(f"{key!r} holds a {type(value).__name__}, which TOML has no place for")


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")


def _string(text: str) -> str:
    return '"' + "".join(_character(character) for character in text) + '"'


def _character(character: str) -> str:
    if escaped := _ESCAPES.get(character):
        return escaped
    return f"\\u{ord(character):04x}" if ord(character) < 0x20 or ord(character) == 0x7F else character
