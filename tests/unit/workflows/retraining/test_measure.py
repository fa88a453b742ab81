"""A candidate beside the model that it may replace, on tiles held out."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from histoloop.training.samples import TrainingTile
from histoloop.workflows.retraining.measure import measure


class Painter:
    """Stands for a model that makes one mask of every tile."""

    def __init__(self, *rows: list[int]) -> None:
        self._mask = np.array(rows, np.uint8)

    def predict_classes(self, _pixels: np.ndarray) -> np.ndarray:
        return self._mask


def tile(*rows: list[int], name: str, classes: bool = True) -> TrainingTile:
    mask = np.array(rows, np.uint8)
    return TrainingTile(np.zeros((*mask.shape, 3), np.uint8), None, mask if classes else mask > 0, name, name)


NEW, OLD = cast("Any", Painter([1, 1], [2, 0])), cast("Any", Painter([1, 0], [0, 0]))
TILES = [tile([1, 1], [2, 2], name="a"), tile([1, 0], [0, 0], name="b")]


def test_old_and_new_are_measured_in_all_and_by_class_and_the_change_has_its_interval() -> None:
    figures = measure(NEW, OLD, TILES, class_ids=(4, 7)).values
    assert figures["dice"] == pytest.approx((6 / 7 + 2 / 4) / 2)
    assert figures["dice_before"] == pytest.approx((2 / 5 + 1) / 2)
    assert figures["dice of class 4"] == pytest.approx(2 * 3 / (4 + 3))
    assert figures["dice of class 7"] == pytest.approx(2 * 1 / (2 + 2))
    assert figures["dice of class 4_before"] == pytest.approx(2 * 2 / (2 + 3))
    assert figures["dice of class 7_before"] == 0
    assert figures["change_low"] == -1.0
    assert figures["change_high"] == 1.0


def test_a_model_of_one_foreground_has_no_figures_of_classes() -> None:
    figures = measure(NEW, OLD, [tile([1, 1], [0, 0], name="a", classes=False)], class_ids=(4, 7)).values
    assert set(figures) == {"dice", "dice_before"}


def test_a_first_model_has_nothing_to_be_compared_with_and_without_tiles_there_is_nothing() -> None:
    assert "dice_before" not in measure(NEW, None, TILES, class_ids=(4, 7)).values
    assert measure(NEW, OLD, [], class_ids=(4, 7)).values == {}
