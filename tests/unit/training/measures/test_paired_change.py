"""The interval of a change between two models that were measured on the same regions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from histoloop.training.measures.intervals import paired_change


def test_the_interval_is_students_of_the_paired_differences() -> None:
    before, after = [0.61, 0.70, 0.55, 0.80, 0.66], [0.70, 0.78, 0.69, 0.81, 0.75]
    low, high = paired_change(before, after)
    expected = stats.t.interval(0.95, 4, loc=0.082, scale=stats.sem(np.subtract(after, before)))
    assert (low, high) == pytest.approx(expected)
    assert low > 0


def test_three_regions_that_all_changed_for_the_better_are_too_few_where_they_differ() -> None:
    low, high = paired_change([0.70, 0.70, 0.70], [0.72, 0.74, 0.76])
    assert (low, high) == pytest.approx((-0.00968, 0.08968), abs=1e-5)


def test_regions_that_change_alike_by_chance_do_not_make_a_change_certain() -> None:
    low, high = paired_change([0.7, 0.7], [0.71, 0.71])
    assert low < 0 < high


def test_one_region_has_no_interval_and_none_leaves_the_range_of_a_change() -> None:
    assert paired_change([0.7], [0.9]) is None
    assert paired_change([], []) is None
    assert paired_change([0.0, 1.0], [1.0, 1.0])[1] == 1.0
    with pytest.raises(ValueError, match="2 figures before"):
        paired_change([0.1, 0.2], [0.1])
