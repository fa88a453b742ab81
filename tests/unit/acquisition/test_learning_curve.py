from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histoloop.acquisition.learning_curve import Gain, expected_gain


def gain(dice: list[float], annotations: list[int], **options: int) -> Gain:
    found = expected_gain(dice, annotations, **options)
    assert found is not None
    return found


def test_below_three_rounds_nothing_is_claimed() -> None:
    assert expected_gain([], []) is None
    assert expected_gain([0.6, 0.7], [4, 8]) is None
    assert expected_gain([0.5, 0.6, 0.7], [0, 4, 8]) is None  # the first model learned from no annotation
    assert expected_gain([0.5, 0.6, 0.7], [2, 4, 8], held_out_per_round=[0, 3, 3]) is None


def test_a_curve_that_gains_alike_with_every_doubling_is_continued() -> None:
    found = gain([0.60, 0.65, 0.70, 0.75], [4, 8, 16, 32], coming=32)
    assert found.middle == pytest.approx(0.05)
    assert found.annotations == 32
    assert not found.flat


def test_the_interval_is_students_for_the_slope() -> None:
    """By hand: x = 0, log 2, log 4 and y = 0.6, 0.7, 0.74; t of 0.9 with 1 degree of freedom is 3.07768."""
    found = gain([0.6, 0.7, 0.74], [1, 2, 4], coming=4)
    slope = 0.07 / math.log(2)
    noise = math.sqrt(0.01**2 + 0.02**2 + 0.01**2)
    spread = 3.0776835 * noise / (math.log(2) * math.sqrt(2))
    assert found.middle == pytest.approx(slope * math.log(2))
    assert found.low == pytest.approx((slope - spread) * math.log(2), rel=1e-6)
    assert found.high == pytest.approx((slope + spread) * math.log(2), rel=1e-6)


def test_points_on_a_line_do_not_pretend_to_certainty() -> None:
    found = gain([0.6, 0.65, 0.7], [4, 8, 16])
    assert found.high - found.low > 0.02


def test_without_a_number_the_last_step_is_repeated() -> None:
    assert gain([0.6, 0.65, 0.7], [4, 8, 14]).annotations == 6
    assert gain([0.6, 0.65, 0.7], [4, 8, 8]).annotations == 1


def test_a_curve_that_has_levelled_off_is_flat() -> None:
    assert gain([0.850, 0.853, 0.851, 0.852, 0.853], [20, 24, 28, 32, 36]).flat


def test_a_small_step_on_a_rising_curve_is_not_flat() -> None:
    found = gain([0.60, 0.63, 0.66, 0.69, 0.72, 0.75], [10, 14, 20, 28, 40, 56], coming=1)
    assert found.high < 0.01
    assert not found.flat


def test_three_rounds_are_too_few_to_call_a_curve_flat() -> None:
    assert not gain([0.85, 0.85, 0.85], [8, 10, 12]).flat


def test_old_rounds_are_forgotten() -> None:
    late = ([0.8, 0.81, 0.82, 0.83, 0.84, 0.85], [10, 12, 14, 16, 18, 20])
    assert gain([0.1, *late[0]], [1, *late[1]]) == gain(*late)


def test_rounds_measured_on_more_regions_count_for_more() -> None:
    found = expected_gain([0.60, 0.70, 0.9, 0.80], [4, 8, 16, 16], coming=16, held_out_per_round=[9, 9, 1, 999])
    assert found is not None
    assert found.middle == pytest.approx(0.1, abs=0.01)


def test_rounds_that_learned_from_the_same_number_show_no_trend() -> None:
    assert expected_gain([0.6, 0.7, 0.65], [8, 8, 8]) is None


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 99)), min_size=3, max_size=9),
    st.integers(1, 50),
)
@settings(deadline=None, max_examples=50)
def test_the_estimate_is_in_order_and_leaves_dice_between_zero_and_one(
    rounds: list[tuple[float, int]], coming: int
) -> None:
    dice, annotations = [value for value, _ in rounds], sorted(count for _, count in rounds)
    found = expected_gain(dice, annotations, coming=coming)
    if found is None:
        assert len(set(annotations[-6:])) == 1
    else:
        assert found.low <= found.middle <= found.high
        assert -1e-12 <= dice[-1] + found.low <= dice[-1] + found.high <= 1 + 1e-12
        assert np.isfinite([found.low, found.middle, found.high]).all()


def test_figures_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="one figure per round"):
        expected_gain([0.5], [1, 2])
    with pytest.raises(ValueError, match="between 0 and 1"):
        expected_gain([math.nan, 0.5, 0.6], [1, 2, 3])
    with pytest.raises(ValueError, match="coming"):
        expected_gain([0.5, 0.5, 0.6], [1, 2, 3], coming=0)
