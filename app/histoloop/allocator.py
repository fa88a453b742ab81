"""Memory that a network frees is kept by the process for its next layer, where the C library can be told to.

glibc takes large blocks from the system one by one and gives each back at once, so that every layer's output is pages
that the kernel has to clear again: over half the time of a decoder on a processor.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
_NEVER = -1

KEPT_BYTES = 2**30
"""Blocks from this size on still come from the system and go back to it."""


def keep_freed_memory() -> bool:
    """Keep freed memory of this process for what it allocates next; whether that could be arranged.

    Only glibc (Linux) can be told; elsewhere, and a second time, nothing changes. `give_back_memory` lets go of it.
    """
    return _arranged()


def give_back_memory() -> None:
    """Return what is kept and not in use to the system, at the end of long work."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(ctypes.c_size_t(0))


@cache
def _arranged() -> bool:
    library = _glibc()
    if library is None or not library.mallopt(_M_TRIM_THRESHOLD, _NEVER):
        return False
    if library.mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES):
        return True
    return bool(library.mallopt(_M_MMAP_MAX, 0))  # versions before 2.35 refuse thresholds above 32 MB


@cache
def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    has_all = all(hasattr(library, name) for name in ("mallopt", "malloc_trim", "gnu_get_libc_version"))
    return library if has_all else None
