"""Dice and Cohen's kappa against published values and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest

from histoloop.annotations.agreement import cohens_kappa, confusion_of, dice_of_class


def of_lists(first: list[int], second: list[int], *, classes: int) -> np.ndarray:
    one, other = (np.array([values], np.uint8) for values in (first, second))
    return confusion_of(one, other, np.ones(one.shape, np.bool_), classes=classes)


@pytest.mark.parametrize(
    ("confusion", "kappa"),
    [
        ([[20, 5], [10, 15]], 0.4),
        ([[45, 15], [25, 15]], 0.1304),
        ([[25, 35], [5, 35]], 0.2593),
        ([[88, 14, 18], [10, 40, 10], [2, 6, 12]], 0.4915),  # Cohen 1960, table 1, as 200 cases
        ([[50, 0], [0, 50]], 1.0),
        ([[0, 50], [50, 0]], -1.0),
    ],
)
def test_kappa_is_as_published(confusion: list[list[int]], kappa: float) -> None:
    assert cohens_kappa(np.array(confusion)) == pytest.approx(kappa, abs=5e-5)


def test_kappa_of_three_classes_is_scikit_learns() -> None:
    # cohen_kappa_score(["neg", "pos", "neg", "neut", "pos"], ["neg", "pos", "neg", "neut", "neg"]) = 0.6875
    assert cohens_kappa(of_lists([0, 2, 0, 1, 2], [0, 2, 0, 1, 0], classes=2)) == pytest.approx(0.6875)


def test_kappa_is_not_defined_where_chance_alone_agrees() -> None:
    assert cohens_kappa(of_lists([1, 1], [1, 1], classes=1)) is None
    assert cohens_kappa(np.zeros((3, 3))) is None


def test_dice_is_of_each_class_and_not_defined_where_neither_has_it() -> None:
    confusion = of_lists([0, 1, 1, 1, 0], [0, 1, 1, 2, 1], classes=3)
    assert dice_of_class(confusion, 1) == pytest.approx(4 / 6)
    assert dice_of_class(confusion, 2) == 0
    assert dice_of_class(confusion, 3) is None


def test_only_what_both_know_is_compared_and_shapes_must_fit() -> None:
    first, second = np.array([[1, 1]], np.uint8), np.array([[1, 0]], np.uint8)
    known = np.array([[True, False]])
    assert confusion_of(first, second, known, classes=1).tolist() == [[0, 0], [0, 1]]
    with pytest.raises(ValueError, match="cannot be compared"):
        confusion_of(first, second[:, :1], known, classes=1)
