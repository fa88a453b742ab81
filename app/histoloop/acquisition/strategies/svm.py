"""A linear support vector machine on frozen features, and the regions nearest to its boundaries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histoloop.acquisition.strategies.coreset import pool_embeddings
from histoloop.acquisition.strategy import (
    STAGE,
    Evidence,
    Facts,
    Floats,
    Inputs,
    Needs,
    ScoresAfter,
    Strategy,
    unchanging,
)
from histoloop.annotations.class_names import spoken_class
from histoloop.language import mark, tr
from histoloop.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from histoloop.progress import Work

PENALTY = 5.0
"""C of the paper (ssl-al, section 4, implementation details)."""


@dataclass(frozen=True, slots=True, eq=False)
class LinearSvm:
    """One hyperplane per class against the rest: weights (C, D), biases (C,), in the order of `classes`."""

    classes: tuple[str, ...]
    weights_CD: Floats
    biases_C: Floats

    def decision(self, features_ND: NDArray[np.floating]) -> Floats:
        """Signed functional margins (N, C): above 0 on the side of the class, within -1 and 1 in the margin area."""
        decision: Floats = np.asarray(features_ND, np.float64) @ self.weights_CD.T + self.biases_C
        return decision

    def predict(self, features_ND: NDArray[np.floating]) -> list[str]:
        """The class of the highest margin for each of N; ties go to the first class."""
        return [self.classes[index] for index in np.argmax(self.decision(features_ND), axis=1)]


def fit_linear_svm(
    features_ND: NDArray[np.floating], labels_N: Sequence[str], *, penalty: float = PENALTY
) -> LinearSvm:
    """A linear SVM, one class against the rest: minimises |w|^2 / 2 + penalty * sum of the squared hinge losses.

    ssl-al, section 4: linear kernel, C = 5. The features are taken as they are, for the paper does not standardise
    them; the bias is not penalised, so that moving all features by a constant changes nothing. Deterministic: the
    objective is strictly convex in w. Classes in alphabetical order. ValueError when there is only one class, or when
    features and labels do not belong together.
    """
    features = np.asarray(features_ND, np.float64)
    if features.ndim != 2 or len(features) != len(labels_N):
        raise ValueError(f"features (N, D) and N labels, got shape {features.shape} and {len(labels_N)} labels")
    classes = tuple(sorted(set(labels_N)))
    if len(classes) < 2:
        raise ValueError(f"a boundary needs regions of at least two classes, got only {', '.join(classes) or 'none'}")
    signs = [np.where([label == name for label in labels_N], 1.0, -1.0) for name in classes]
    if len(classes) == 2:  # both problems are mirror images of one
        weights, bias = _hyperplane(features, signs[1], penalty)
        return LinearSvm(classes, np.stack([-weights, weights]), np.array([-bias, bias]))
    planes = [_hyperplane(features, sign, penalty) for sign in signs]
    return LinearSvm(classes, np.stack([plane[0] for plane in planes]), np.array([plane[1] for plane in planes]))


def _hyperplane(features_ND: Floats, signs_N: Floats, penalty: float) -> tuple[Floats, float]:
    from scipy.optimize import minimize  # when it is needed: the window lists strategies and never fits one

    # Centring is undone in the bias and changes no solution, but makes the problem far easier to descend.
    centre_D = features_ND.mean(axis=0)
    centred_ND = features_ND - centre_D

    def objective(parameters: Floats) -> tuple[float, Floats]:
        weights, bias = parameters[:-1], parameters[-1]
        hinge_N = np.maximum(0, 1 - signs_N * (centred_ND @ weights + bias))
        pull_N = -2 * penalty * hinge_N * signs_N
        value = weights @ weights / 2 + penalty * hinge_N @ hinge_N
        return float(value), np.append(weights + pull_N @ centred_ND, pull_N.sum())

    start = np.zeros(features_ND.shape[1] + 1)
    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000, "ftol": 1e-13, "gtol": 1e-7}
    )
    weights: Floats = found.x[:-1]
    return weights, float(found.x[-1] - weights @ centre_D)


def minimum_margin(svm: LinearSvm, pool_ND: NDArray[np.floating]) -> Floats:
    """Scores (N,): minus the smallest margin, in absolute value, to any class's boundary (ssl-al, section 4).

    'Closest to the decision boundary', for several classes 'in the margin area of decision boundaries': the margin is
    the functional one, in which the margin area of every boundary is -1 to 1, whatever the length of its weights.
    Highest, 0, on a boundary.
    """
    nearest_N: Floats = np.abs(svm.decision(pool_ND)).min(axis=1)
    return -nearest_N


def _fitted(inputs: Inputs) -> LinearSvm:
    return fit_linear_svm(inputs.annotated_embeddings(), inputs.annotated_classes())


def _score(inputs: Inputs) -> Work[ScoresAfter]:
    yield Progress(tr(STAGE), 0, inputs.count)
    return unchanging(minimum_margin(_fitted(inputs), pool_embeddings(inputs)))


def _evidence(inputs: Inputs, index: int) -> Evidence:
    """The two classes whose boundaries it is most inside of."""
    svm = _fitted(inputs)
    (decision_C,) = svm.decision(inputs.embedding(index)[None])
    first, second = np.argsort(-decision_C, kind="stable")[:2]
    return Evidence({"classes": [svm.classes[first], svm.classes[second]]})


def _reason(facts: Facts) -> str:
    if "classes" not in facts:
        return tr("Its features lie close to the boundary between two labels.")
    first, second = map(spoken_class, facts["classes"])
    return tr("Its features lie between {first} and {second}.", first=first, second=second)


STRATEGIES = (
    Strategy(
        name="svm-margin",
        order=90,
        title=mark("Between two diagnoses"),
        sentence=mark("Asks about the tissue that lies closest to the boundary between the labels."),
        source=mark("ssl-al, section 4 (minimum margin of a linear support vector machine)"),
        needs=Needs("labelled embeddings", annotated=2, two_classes=True),
        score=_score,
        reason=_reason,
        evidence=_evidence,
    ),
)
