"""Choosing among models by how far they moved, measured by what is known of the samples."""

from __future__ import annotations

import numpy as np
import pytest

from histoloop.acquisition.model_selection import least_moved, selection_measures

MOVED = np.array([[0.1, 0.9, 0.2], [0.3, 0.2, 0.6], [0.4, 0.5, 0.9], [0.9, 0.9, 0.9]])
GOOD = np.array([[0.9, 0.3, 0.8], [0.6, 0.9, 0.6], [0.8, 0.8, 0.5], [0.1, 0.2, 0.3]])


def test_each_sample_is_taken_from_the_model_that_moved_least_there() -> None:
    assert least_moved(MOVED).tolist() == [0, 1, 0]
    found = selection_measures(MOVED, GOOD)
    assert found.by_sample == pytest.approx((0.9 + 0.9 + 0.8) / 3)
    assert found.by_model == pytest.approx((0.6 + 0.9 + 0.6) / 3)  # the second moved least in the mean
    assert found.mean == pytest.approx(GOOD.mean())
    assert found.best == pytest.approx(0.7)


def test_hits_are_models_of_the_first_that_are_truly_of_the_best() -> None:
    moved = np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]])
    good = np.array([[0.5], [0.9], [0.1], [0.8], [0.2], [0.3]])
    assert selection_measures(moved, good).hits == ((1, 0), (3, 2), (5, 4))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        selection_measures(MOVED, GOOD[:2])
