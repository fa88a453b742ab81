"""Changes of masks that are kept for long: large ones are packed, since most of their pixels look alike."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from histoloop.annotations.records import Patch

PACKED_FROM_PX = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class PackedPatch:
    """A `Patch` as it is kept; `values` and `origins` are packed, each (height, width) uint8."""

    x: int
    y: int
    shape: tuple[int, ...]
    values: bytes
    origins: bytes | None

    @property
    def patch(self) -> Patch:
        """The change itself."""
        values = np.frombuffer(zlib.decompress(self.values), np.uint8).reshape(self.shape)
        origins = None
        if self.origins is not None:
            origins = np.frombuffer(zlib.decompress(self.origins), np.uint8).reshape(self.shape)
        return Patch(self.x, self.y, values, origins)


def packed(patch: Patch) -> Patch | PackedPatch:
    """A change as it is kept: packed from a million pixels on."""
    if patch.values.size < PACKED_FROM_PX:
        return patch
    origins = None if patch.origins is None else zlib.compress(patch.origins.tobytes(), 1)
    return PackedPatch(patch.x, patch.y, patch.values.shape, zlib.compress(patch.values.tobytes(), 1), origins)


def unpacked(patch: Patch | PackedPatch) -> Patch:
    """The change that is kept."""
    return patch.patch if isinstance(patch, PackedPatch) else patch
