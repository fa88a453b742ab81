"""Runtime hook of the frozen program on Linux: libraries asked for by name are looked for in the bundle first.

`ctypes.util.find_library` asks the system's linker, which knows nothing of the bundle: vispy would not find fontconfig
on a system that has none of its own, and two copies of it would be loaded on one that has.
"""

from __future__ import annotations

import ctypes.util
import sys
from pathlib import Path

_of_the_system = ctypes.util.find_library


def find_library(name: str) -> str | None:
    """File of a library (`fontconfig`) in the bundle, else what the system has, else None."""
    inside = sorted(Path(sys._MEIPASS).glob(f"lib{name}.so*"))  # type: ignore[attr-defined]
    return str(inside[0]) if inside else _of_the_system(name)


ctypes.util.find_library = find_library
