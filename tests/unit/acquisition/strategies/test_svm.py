from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histoloop.acquisition.strategies.svm import STRATEGIES, LinearSvm, fit_linear_svm, minimum_margin
from histoloop.acquisition.strategy import Inputs
from histoloop.progress import finish

if TYPE_CHECKING:
    from numpy.typing import NDArray


def test_two_opposite_points_have_the_boundary_between_them_and_the_known_weight() -> None:
    """w^2 / 2 + 2 C (1 - w)^2 is lowest at w = 4 C / (1 + 4 C): 20 / 21 for C = 5."""
    svm = fit_linear_svm(np.array([[-1.0], [1.0]]), ["benign", "malignant"])
    assert svm.classes == ("benign", "malignant")
    assert svm.weights_CD == pytest.approx(np.array([[-20 / 21], [20 / 21]]), rel=1e-6)
    assert svm.biases_C == pytest.approx([0, 0], abs=1e-6)


@given(seed=st.integers(0, 99), classes=st.integers(2, 4))
@settings(deadline=None, max_examples=10)
def test_every_hyperplane_is_a_stationary_point_of_the_squared_hinge_objective(seed: int, classes: int) -> None:
    draw = np.random.default_rng(seed)
    features = draw.normal(5, 2, (20, 3))
    labels = [str(number % classes) for number in range(20)]
    svm = fit_linear_svm(features, labels)
    decision = svm.decision(features)
    for column, name in enumerate(svm.classes):
        signs = np.where(np.array(labels) == name, 1.0, -1.0)
        pull = 2 * 5 * np.maximum(0, 1 - signs * decision[:, column]) * signs
        assert svm.weights_CD[column] == pytest.approx(pull @ features, abs=2e-3)
        assert pull.sum() == pytest.approx(0, abs=1e-3)


def corners() -> tuple[np.ndarray, list[str]]:
    draw = np.random.default_rng(0)
    centres = np.array([[0.0, 0], [6, 0], [0, 6]])
    features = np.concatenate([centre + draw.normal(0, 0.5, (8, 2)) for centre in centres])
    return features, ["a"] * 8 + ["b"] * 8 + ["c"] * 8


def test_separable_classes_are_told_apart_and_the_fit_repeats_itself() -> None:
    features, labels = corners()
    svm, again = fit_linear_svm(features, labels), fit_linear_svm(features, labels)
    assert svm.predict(features) == labels
    assert np.array_equal(svm.weights_CD, again.weights_CD)
    assert svm.decision(features).shape == (24, 3)


def test_moving_all_features_changes_no_decision() -> None:
    features, labels = corners()
    moved = fit_linear_svm(features + 100, labels).decision(features + 100)
    assert moved == pytest.approx(fit_linear_svm(features, labels).decision(features), abs=1e-4)


def test_the_nearest_to_any_boundary_is_asked_first() -> None:
    svm = LinearSvm(("a", "b", "c"), np.eye(3), np.zeros(3))
    scores = minimum_margin(svm, np.array([[2.0, -0.5, 3.0], [0.1, 4.0, -4.0], [0.0, 1.0, 1.0]]))
    assert scores == pytest.approx([-0.5, -0.1, 0.0])


def test_one_class_has_no_boundary() -> None:
    with pytest.raises(ValueError, match="at least two classes, got only benign"):
        fit_linear_svm(np.zeros((3, 2)), ["benign"] * 3)
    with pytest.raises(ValueError, match="got only none"):
        fit_linear_svm(np.zeros((0, 2)), [])
    with pytest.raises(ValueError, match="2 labels"):
        fit_linear_svm(np.zeros((3, 2)), ["a", "b"])


class Line(Inputs):
    """Annotated regions of three classes on a line, and candidates between them."""

    count, seed = 2, 0

    def embedding(self, index: int) -> NDArray[np.float32]:
        return np.array([[-0.9], [0.4]][index], np.float32)

    def annotated_embeddings(self) -> NDArray[np.float32]:
        return np.array([[-1], [0], [1]], np.float32)

    def annotated_classes(self) -> list[str]:
        return ["benign", "gland", "malignant"]


def test_the_strategy_scores_by_the_margin_and_names_the_two_classes() -> None:
    (strategy,) = STRATEGIES
    inputs = Line()
    svm = fit_linear_svm(inputs.annotated_embeddings(), inputs.annotated_classes())
    scores_N = finish(strategy.score(inputs))([])
    assert scores_N.tolist() == minimum_margin(svm, np.array([[-0.9], [0.4]], np.float32)).tolist()
    facts = strategy.evidence(inputs, 0).facts
    assert facts["classes"][0] == "benign"
    assert strategy.reason({"classes": ["benign", "malignant"]}) == "Its features lie between benign and malignant."
    assert strategy.reason({}) == "Its features lie close to the boundary between two labels."
