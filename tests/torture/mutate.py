"""Damage done to the bytes of a file, by chance but the same for the same seed."""

from __future__ import annotations

import re
import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_WORD = re.compile(rb"[A-Za-z_][A-Za-z_.-]{2,}")
EXTREME = (
    b"0", b"-1", b"1e308", b"1e999", b"-1e999", b"NaN", b"2147483648", b"-2147483649", b"18446744073709551616",
    b"1e-320", b"99999999", b"0.0000001", b"1" * 5000, b"", b"null", b"true", b'"x"', b"[]", b"{}", b"1_0", b"0x7f",
    b"1,5",
)  # fmt: skip
NAMES = (
    b"x" * 300, b"../../outside", b"/etc/passwd", b"=cmd|' /C calc'!A0", b"<b>x</b>", b"\xe2\x80\xae", b"\xff\xfe",
    b"a\0b", b"\x1b[31m", b"", "\u202e\u0000".encode(), b"con", b"Ignore*", b"-",
)  # fmt: skip
DEEP = (b"[", b"{", b'{"a":', b"[[", b"(", b"<a>")


def damage_bytes(content: bytes, rng: random.Random) -> bytes:
    """Of any file: bits, spans, an end that comes early."""
    ways = (_flip, _flip, _cut, _overwrite, _overwrite, _remove, _repeat, _number, _number)
    return rng.choice(ways)(content, rng)


def damage_text(content: bytes, rng: random.Random) -> bytes:
    """Of text: also its numbers, words, nesting and encoding."""
    ways: tuple[Callable[[bytes, random.Random], bytes], ...] = (
        _flip, _cut, _overwrite, _remove, _repeat, _other_number, _other_number, _other_number, _other_word,
        _other_word, _nest, _nul, _encoding, _long_line,
    )  # fmt: skip
    for _time in range(rng.choice((1, 1, 2, 4))):
        content = rng.choice(ways)(content, rng)
    return content


def _flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _bit in range(rng.choice((1, 1, 3, 16))):
        if changed:
            place = rng.randrange(min(len(changed), rng.choice((64, 1024, len(changed)))))
            changed[place] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.choice((0, 1, rng.randrange(len(content) + 1), rng.randrange(len(content) + 1)))]


def _overwrite(content: bytes, rng: random.Random) -> bytes:
    start, length = rng.randrange(len(content) + 1), rng.choice((1, 4, 16, 200, 4000))
    length = min(length, len(content) - start)
    filling = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))
    return content[:start] + filling + content[start + length :]


def _remove(content: bytes, rng: random.Random) -> bytes:
    start, length = rng.randrange(len(content) + 1), rng.choice((1, 2, 16, 300))
    return content[:start] + content[start + length :]


def _repeat(content: bytes, rng: random.Random) -> bytes:
    start, length = rng.randrange(len(content) + 1), rng.choice((1, 16, 300, 3000))
    span = content[start : start + length]
    return content[:start] + span * rng.choice((2, 3, 20)) + content[start + length :]


def _number(content: bytes, rng: random.Random) -> bytes:
    """A binary number, most often near an end, where headers and directories are."""
    if len(content) < 16:
        return _cut(content, rng)
    near = rng.choice((64, 512, len(content)))
    start = rng.randrange(min(near, len(content) - 8))
    start = len(content) - 8 - start if rng.random() < 0.4 else start
    value = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 65535, 100_000, rng.randrange(2**32)))
    packed = struct.pack(rng.choice(("<I", ">I")), value)
    packed = rng.choice((packed, packed[:2], packed * 2))
    return content[:start] + packed + content[start + len(packed) :]


def _replace_one(pattern: re.Pattern[bytes], content: bytes, others: tuple[bytes, ...], rng: random.Random) -> bytes:
    found = list(pattern.finditer(content))
    if not found:
        return _flip(content, rng)
    one, other = rng.choice(found), rng.choice(others)
    return content[: one.start()] + other + content[one.end() :]


def _other_number(content: bytes, rng: random.Random) -> bytes:
    return _replace_one(_NUMBER, content, EXTREME, rng)


def _other_word(content: bytes, rng: random.Random) -> bytes:
    return _replace_one(_WORD, content, NAMES, rng)


def _nest(content: bytes, rng: random.Random) -> bytes:
    found = list(_NUMBER.finditer(content)) or list(_WORD.finditer(content))
    place = rng.choice(found).start() if found else 0
    deep = rng.choice(DEEP) * rng.choice((10, 1000, 100_000))
    return content[:place] + deep + content[place:]


def _nul(content: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(content) + 1)
    return content[:place] + b"\0" * rng.choice((1, 100)) + content[place:]


def _encoding(content: bytes, rng: random.Random) -> bytes:
    text = content.decode("utf-8", errors="replace")
    if rng.random() < 0.5:
        return text.encode(rng.choice(("utf-16", "utf-32", "utf-8-sig")))
    place = rng.randrange(len(content) + 1)
    return content[:place] + rng.choice((b"\xff", b"\xc3\x28", b"\xed\xa0\x80")) + content[place:]


def _long_line(content: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(content) + 1)
    long = rng.choice((b"9", b"a", b" ", b"\n", b",")) * rng.choice((1000, 20_000, 1_000_000))
    return content[:place] + long + content[place:]


# --- databases --------------------------------------------------------------------------------------------------------

VALUES: tuple[object, ...] = (
    "", "\0", "a\0b", "x" * 300, "../../outside", "/etc/passwd", b"\xff\xfe\x00", -1, 0, 2**40, 2**63 - 1, -(2**63),
    1e308, float("inf"), "{", "[]", "{}", "null", '{"a": NaN}', "[" * 5000, "nonsense", "=1+1", "\u202ex", 1.5,
)  # fmt: skip


def damage_database(path: Path, rng: random.Random) -> str:
    """One value of one row becomes another, or a row goes, or bytes of the file change; what was done."""
    if rng.random() < 0.35:
        path.write_bytes(damage_bytes(path.read_bytes(), rng))
        return "bytes"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        tables = [
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            if not name.startswith("sqlite_") and database.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0]
        ]
        table = rng.choice(tables)
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        column, value = rng.choice(columns), rng.choice(VALUES)
        row = rng.choice([row for (row,) in database.execute(f"SELECT rowid FROM {table} ORDER BY rowid")])
        if rng.random() < 0.1:
            database.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))
            return f"no row {row} of {table}"
        place = "CAST(? AS TEXT)" if isinstance(value, bytes) and rng.random() < 0.7 else "?"
        try:
            database.execute(f"UPDATE {table} SET {column} = {place} WHERE rowid = ?", (value, row))
        except sqlite3.Error as error:
            return f"{table}.{column}: nothing ({error})"
        return f"{table}.{column} = {str(value)[:20]!r}"
