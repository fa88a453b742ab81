"""Large changes of a mask are kept packed and come back as they were."""

import sys

import numpy as np
import pytest

from histoloop.annotations.packed import PACKED_FROM_PX, PackedPatch, packed, unpacked
from histoloop.annotations.records import Patch

SIDE = 1024


@pytest.mark.parametrize("with_origins", [True, False])
def test_a_large_change_comes_back_as_it_was_and_takes_a_hundredth_of_its_pixels(with_origins: bool) -> None:
    values = np.zeros((SIDE, SIDE), np.uint8)
    values[100:400, 200:900] = 2
    origins = values + np.uint8(1) if with_origins else None
    kept = packed(Patch(3, 4, values, origins))
    assert isinstance(kept, PackedPatch)
    assert sys.getsizeof(kept.values) < SIDE * SIDE / 100
    found = unpacked(kept)
    assert (found.x, found.y) == (3, 4)
    assert np.array_equal(found.values, values)
    assert (found.origins is None) is not with_origins
    if found.origins is not None and origins is not None:
        assert np.array_equal(found.origins, origins)


def test_a_small_change_is_kept_as_it_is() -> None:
    patch = Patch(0, 0, np.zeros((PACKED_FROM_PX // 1000, 999), np.uint8))
    assert packed(patch) is patch
