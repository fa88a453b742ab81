"""An ICC profile that was made up: sRGB's primaries and a gamma, in another order if wanted."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PRIMARIES = {"r": (0.4361, 0.2225, 0.0139), "g": (0.3851, 0.7169, 0.0971), "b": (0.1431, 0.0606, 0.7141)}
"""sRGB's, adapted to D50."""

_WHITE = (0.9642, 1.0, 0.8249)


def make_profile(*, gamma: float = 2.2, order: str = "rgb") -> bytes:
    """A matrix profile (ICC.1:2001): the colour that the file calls red is `order[0]`, and so on."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    name = b"made up\0"
    tags = {
        "desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + b"\0" * 78,
        "cprt": b"text\0\0\0\0none\0\0\0\0",
        "wtpt": _xyz(_WHITE),
        **{f"{channel}XYZ": _xyz(_PRIMARIES[primary]) for channel, primary in zip("rgb", order, strict=True)},
        **{f"{channel}TRC": curve for channel in "rgb"},
    }
    at, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for tag, content in tags.items():
        padded = content + b"\0" * (-len(content) % 4)
        table += tag.encode() + struct.pack(">II", at + len(body), len(content))
        body += padded
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"none", 0x02400000, b"scnr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s4s", 2020, 1, 1, 0, 0, 0, b"acsp", b"none") + b"\0" * 24
    head += b"".join(struct.pack(">i", round(value * 65536)) for value in _WHITE)
    return head.ljust(128, b"\0") + table + body


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)
