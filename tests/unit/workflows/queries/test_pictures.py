"""The picture of the evidence beside a question."""

from __future__ import annotations

import numpy as np

from histoloop.acquisition.strategy import Evidence
from histoloop.workflows.queries.pictures import picture


def test_two_regions_side_by_side_have_nothing_between_them_as_wide_as_is_seen_in_a_small_picture() -> None:
    left, right = np.full((320, 320, 3), 10, np.uint8), np.full((160, 160, 3), 200, np.uint8)
    found = picture(left, Evidence(beside=right))
    assert found is not None
    assert found.size == (320 + 20 + 320, 320)
    alpha = np.asarray(found)[..., 3]
    assert (alpha[:, :320] == 255).all()
    assert (alpha[:, 320:340] == 0).all()
    assert (alpha[:, 340:] == 255).all()


def test_evidence_without_strength_or_another_region_has_no_picture() -> None:
    assert picture(np.zeros((8, 8, 3), np.uint8), Evidence()) is None
