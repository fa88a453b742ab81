"""Decoded pieces of open slides, the last ones used kept in memory that all slides of a process share."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from functools import cache
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from histoloop.slides.sources.protocol import Pixels

LEAST_BYTES, MOST_BYTES = 64_000_000, 512_000_000
_SHARE = 64
"""The machine's memory is so many times what is kept, within the limits."""


def cache_bytes(memory_bytes: int) -> int:
    """Bytes of decoded pieces that a process keeps on a machine of so much memory."""
    return min(MOST_BYTES, max(LEAST_BYTES, memory_bytes // _SHARE))


@cache
def machine_cache_bytes() -> int:
    """`cache_bytes` of this machine."""
    return cache_bytes(int(psutil.virtual_memory().total))


class BlockCache:
    """The blocks that were used last, of any number of slides, up to a number of bytes; at least one."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held: OrderedDict[tuple[int, int, int, int], Pixels] = OrderedDict()
        self._lock = threading.Lock()
        self.held_bytes = 0

    def get(self, key: tuple[int, int, int, int]) -> Pixels | None:
        """The block of a slide (its number, level, row, column), which nobody may write to; None where it is gone."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key]

    def put(self, key: tuple[int, int, int, int], block: Pixels) -> None:
        """Keep a block, and let those go that were not used for longest."""
        with self._lock:
            if key not in self._held:
                self._held[key] = block
                self.held_bytes += block.nbytes
            while self.held_bytes > self._most_bytes and len(self._held) > 1:
                self.held_bytes -= self._held.popitem(last=False)[1].nbytes

    def forget(self, slide: int) -> None:
        """Let all blocks of a slide go."""
        with self._lock:
            for key in [key for key in self._held if key[0] == slide]:
                self.held_bytes -= self._held.pop(key).nbytes

    def clear(self) -> None:
        """Let all blocks go."""
        with self._lock:
            self._held.clear()
            self.held_bytes = 0


_numbers = itertools.count()


class SlideBlocks:
    """The part of a cache that one open slide uses; `forget` when it is closed."""

    def __init__(self, held: BlockCache | None = None) -> None:
        self._held = shared_blocks() if held is None else held
        self._number = next(_numbers)

    def get(self, level: int, row: int, column: int) -> Pixels | None:
        """A block, which nobody may write to; None where it is not kept."""
        return self._held.get((self._number, level, row, column))

    def put(self, level: int, row: int, column: int, block: Pixels) -> None:
        """Keep a block."""
        self._held.put((self._number, level, row, column), block)

    def forget(self) -> None:
        """Let them all go."""
        self._held.forget(self._number)


@cache
def shared_blocks() -> BlockCache:
    """The cache of this process."""
    return BlockCache(machine_cache_bytes())
