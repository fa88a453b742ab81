"""A linear head or a linear SVM on frozen, pooled features: what a backbone knows, told by few labels (ssl-al 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from histoloop.acquisition.strategies.svm import fit_linear_svm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ProbeKind = Literal["linear", "svm"]
PROBES: tuple[ProbeKind, ...] = ("linear", "svm")
WEIGHT_DECAY = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class LinearProbe:
    """Weights (C, D) and biases (C,) of one plane per class, on features less `centre_D` over `width_D`.

    `labels` are the indices of the classes that the planes are of.
    """

    labels: tuple[int, ...]
    centre_D: Floats
    width_D: Floats
    weights_CD: Floats
    biases_C: Floats

    @classmethod
    def fit(
        cls,
        features_ND: NDArray[np.floating],
        chosen: Sequence[int],
        labels: Sequence[int],
        *,
        kind: ProbeKind,
        classes: int,
    ) -> LinearProbe:
        """Fit to the labels of the `chosen` rows of the features; the others help to bring all to mean 0, deviation 1.

        ValueError when chosen rows and labels do not belong together, or an SVM is to part fewer than two classes.
        """
        features = np.asarray(features_ND, np.float64)
        centre_D, width_D = features.mean(axis=0), features.std(axis=0) + 1e-6
        taught = (features[list(chosen)] - centre_D) / width_D
        if kind == "linear":
            weights_CD, biases_C = fit_linear_head(taught, labels, classes=classes)
            return cls(tuple(range(classes)), centre_D, width_D, weights_CD, biases_C)
        svm = fit_linear_svm(taught, [str(label) for label in labels])
        return cls(tuple(map(int, svm.classes)), centre_D, width_D, svm.weights_CD, svm.biases_C)

    def predict(self, features_ND: NDArray[np.floating]) -> list[int]:
        """The label of each of N rows; of equals the first."""
        scaled = (np.asarray(features_ND, np.float64) - self.centre_D) / self.width_D
        places = (scaled @ self.weights_CD.T + self.biases_C).argmax(axis=1)
        return [self.labels[place] for place in places]


def fit_linear_head(
    features_ND: NDArray[np.floating], labels_N: Sequence[int], *, classes: int, decay: float = WEIGHT_DECAY
) -> tuple[Floats, Floats]:
    """Weights (classes, D) and bias (classes,) of a softmax head: mean cross-entropy + decay / 2 * |weights|^2.

    By L-BFGS from zero; the problem is convex, so that nothing is drawn. The paper descends without decay for 100
    epochs: of few tiles, which a plane always parts, that has no end, and the decay is what stops here. The bias is
    free. ValueError for labels outside 0 .. classes - 1, and where features and labels do not belong together.
    """
    from scipy.optimize import minimize  # when it is needed: it takes long to import

    features, labels = np.asarray(features_ND, np.float64), np.asarray(labels_N, np.int64)
    if features.ndim != 2 or len(features) != len(labels) or not len(labels):
        raise ValueError(f"features (N, D) and N labels, got shape {features.shape} and {len(labels)} labels")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must lie in 0 .. {classes - 1}, not {labels.min()} .. {labels.max()}")
    centre_D = features.mean(axis=0)  # changes no solution, but makes it far easier to find
    centred_ND, truth_NC = features - centre_D, np.eye(classes)[labels]

    def objective(parameters: Floats) -> tuple[float, Floats]:
        weights_CD, bias_C = parameters[:-classes].reshape(classes, -1), parameters[-classes:]
        scores_NC = centred_ND @ weights_CD.T + bias_C
        logs_NC = scores_NC - np.logaddexp.reduce(scores_NC, axis=1, keepdims=True)
        pull_NC = (np.exp(logs_NC) - truth_NC) / len(labels)
        value = -(logs_NC * truth_NC).sum() / len(labels) + decay / 2 * (weights_CD**2).sum()
        slope_CD = pull_NC.T @ centred_ND + decay * weights_CD
        return float(value), np.concatenate([slope_CD.ravel(), pull_NC.sum(axis=0)])

    start = np.zeros(classes * (features.shape[1] + 1))
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000, "gtol": 1e-7})
    weights_CD: Floats = found.x[:-classes].reshape(classes, -1)
    bias_C: Floats = found.x[-classes:] - weights_CD @ centre_D
    return weights_CD, bias_C
