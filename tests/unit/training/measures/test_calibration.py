"""Calibration against values worked out by hand and those of scikit-learn 1.9.1 and torchmetrics 1.9.0."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histoloop.training.measures.calibration import (
    COOLEST,
    HOTTEST,
    fitted_temperature,
    fitted_temperature_of_several,
    forecasts,
    forecasts_of_several,
)

SCORES = np.array(
    [
        [2.0, 0.5, -1.0],
        [0.1, 0.2, 0.0],
        [-0.3, 1.7, 0.4],
        [0.9, 0.8, 1.1],
        [3.0, -2.0, 0.0],
        [-1.0, 0.3, 0.2],
        [0.0, 0.0, 2.5],
        [1.2, -0.4, 0.6],
    ]
)
LABELS = [0, 2, 1, 2, 0, 2, 2, 1]
SEVERAL = np.array(
    [[1, 0, 1], [0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0], [1, 1, 1], [0, 0, 1], [1, 0, 0]],
    bool,
)


def logits(*probabilities: float) -> np.ndarray:
    return np.log(np.array(probabilities))


def test_calibration_error_of_four_tiles_worked_out_by_hand() -> None:
    # stated 0.9 0.9 0.7 0.6; right, wrong, right, wrong. The first two fall into the bin (13/15, 14/15]: 2 |0.5 - 0.9|;
    # 0.7 and 0.6 have a bin each: |1 - 0.7| and |0 - 0.6|; over 4 tiles
    found = forecasts(np.stack([logits(0.9, 0.1), logits(0.9, 0.1), logits(0.3, 0.7), logits(0.6, 0.4)]), [0, 1, 1, 1])
    figures = found.figures()
    assert figures["calibration_error"] == pytest.approx((2 * 0.4 + 0.3 + 0.6) / 4)
    assert figures["log_loss"] == pytest.approx(-(math.log(0.9 * 0.1 * 0.7 * 0.4)) / 4)
    assert figures["brier_score"] == pytest.approx(2 * (0.1**2 + 0.9**2 + 0.3**2 + 0.6**2) / 4)


def test_figures_are_those_of_scikit_learn_and_torchmetrics() -> None:
    figures = forecasts(SCORES, LABELS).figures()
    assert figures["log_loss"] == pytest.approx(0.7462865503026064)
    assert figures["brier_score"] == pytest.approx(0.41385570145764194)
    assert figures["calibration_error"] == pytest.approx(0.24640455842018127)
    figures = forecasts_of_several(SCORES, SEVERAL).figures()
    assert figures["log_loss"] == pytest.approx(0.6499201622911567)
    assert figures["brier_score"] == pytest.approx(0.23721726949166)


def test_bins_tell_how_many_probabilities_fell_into_each_and_how_many_came_true() -> None:
    stated = [0.9, 0.9, 0.7, 0.6]
    found = forecasts(np.stack([logits(own, 1 - own) for own in stated]), [0, 1, 0, 1]).bins(count=10)
    assert [(bin.low, bin.high) for bin in found] == [(k / 10, (k + 1) / 10) for k in range(10)]
    assert [bin.count for bin in found] == [0, 0, 0, 0, 0, 1, 1, 0, 2, 0]  # a bin has its upper edge
    assert found[8].confidence == pytest.approx(0.9)
    assert found[8].share == 0.5
    assert found[0].confidence is None
    assert found[0].share is None


def test_every_label_counts_where_tiles_may_have_several() -> None:
    found = forecasts_of_several(SCORES, SEVERAL)
    assert sum(bin.count for bin in found.bins()) == SCORES.size
    assert found.came_true_NJ is SEVERAL


def test_figures_of_some_rows_are_those_of_these_tiles_alone() -> None:
    rows = np.array([5, 1, 1])
    some = forecasts(SCORES[rows], [LABELS[row] for row in rows])
    assert forecasts(SCORES, LABELS).figures(rows) == pytest.approx(some.figures())


def test_scores_beyond_the_range_of_exp_have_finite_figures() -> None:
    for found in (forecasts(SCORES * 1e4, LABELS), forecasts_of_several(SCORES * 1e4, SEVERAL)):
        assert all(math.isfinite(value) for value in found.figures().values())


def test_the_temperature_is_that_of_scikit_learn() -> None:
    assert fitted_temperature(SCORES, LABELS) == pytest.approx(0.9075783317, rel=1e-5)
    assert fitted_temperature_of_several(SCORES, SEVERAL) == pytest.approx(1.57602272, rel=1e-5)


@given(st.floats(0.2, 5), st.floats(0.1, 10))
def test_scores_that_are_some_times_as_large_have_a_temperature_as_many_times_as_high(
    factor: float, other: float
) -> None:
    first = fitted_temperature(SCORES * factor, LABELS)
    assert first == pytest.approx(0.9075783317 * factor, rel=1e-4)
    assert forecasts(SCORES * factor / first, LABELS).figures()["log_loss"] <= (
        forecasts(SCORES * factor / other, LABELS).figures()["log_loss"] + 1e-12
    )


def test_a_temperature_stays_within_its_bounds() -> None:
    sure = np.eye(3)[[0, 1, 2, 0]]
    assert fitted_temperature(sure, [0, 1, 2, 0]) == pytest.approx(COOLEST, rel=1e-3)
    assert fitted_temperature(sure, [1, 2, 0, 2]) == pytest.approx(HOTTEST, rel=1e-3)


@pytest.mark.parametrize(
    ("scores", "labels"),
    [(SCORES, LABELS[:3]), (SCORES, [3] * 8), (SCORES, [-1] * 8), (np.zeros((0, 3)), [])],
)
def test_what_does_not_fit_is_refused(scores: np.ndarray, labels: list[int]) -> None:
    with pytest.raises(ValueError, match="scores"):
        forecasts(scores, labels)


def test_a_truth_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="truth"):
        forecasts_of_several(SCORES, SEVERAL[:, :2])
