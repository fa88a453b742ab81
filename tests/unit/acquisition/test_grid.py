from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from histoloop.acquisition.grid import candidate_regions
from histoloop.geometry import Region
from histoloop.slides.tissue import TissueMask


def all_tissue(width: int, height: int) -> TissueMask:
    return TissueMask(np.ones((-(-height // 10), -(-width // 10)), bool), 10.0)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(50, 900))
def test_candidates_lie_inside_the_slide_and_cover_it(width: int, height: int, region_px: int) -> None:
    regions = candidate_regions(width=width, height=height, region_px=region_px, tissue=all_tissue(width, height))
    slide = Region(0, 0, width, height)
    assert all(slide.contains(region) for region in regions)
    for corner in (Region(0, 0, 1, 1), Region(width - 1, height - 1, 1, 1), Region(width // 2, height // 2, 1, 1)):
        assert any(region.contains(corner) for region in regions)


def test_a_slide_smaller_than_a_region_is_one_region() -> None:
    assert candidate_regions(width=224, height=200, region_px=384, tissue=all_tissue(224, 200)) == [
        Region(0, 0, 224, 200)
    ]


def test_regions_with_little_tissue_are_left_out() -> None:
    mask = np.zeros((10, 20), bool)
    mask[:, :10] = True
    regions = candidate_regions(width=200, height=100, region_px=100, tissue=TissueMask(mask, 10.0))
    assert regions == [Region(0, 0, 100, 100)]


def test_what_was_asked_before_is_not_asked_again() -> None:
    asked = Region(90, 0, 100, 100)  # a tenth of the first square, nine tenths of the second
    regions = candidate_regions(width=300, height=100, region_px=100, tissue=all_tissue(300, 100), excluded=[asked])
    assert regions == [Region(0, 0, 100, 100), Region(200, 0, 100, 100)]
