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
DECAYS = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Weight decays that a head chooses from, the strongest first."""
FOLDS = 5
WORST = np.log(1e-3)
"""A label that no tile of the other folds had is expected with so much at the least, by any decay."""


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
    features_ND: NDArray[np.floating], labels_N: Sequence[int], *, classes: int, decay: float | None = None
) -> tuple[Floats, Floats]:
    """Weights (classes, D) and bias (classes,) of a softmax head: mean cross-entropy + decay / 2 * |weights|^2.

    By L-BFGS from zero; the problem is convex, so that nothing is drawn. The paper descends without decay for 100
    epochs: of few tiles, which a plane always parts, that has no end, and the decay is what stops here. Without a
    `decay` it is the one of `DECAYS` whose heads expect labels best that they were not fitted to, in `FOLDS` parts of
    the tiles: with about as many tiles as features a weak one fits noise. The bias is free. ValueError for labels
    outside 0 .. classes - 1, and where features and labels do not belong together.
    """
    features, labels = np.asarray(features_ND, np.float64), np.asarray(labels_N, np.int64)
    if features.ndim != 2 or len(features) != len(labels) or not len(labels):
        raise ValueError(f"features (N, D) and N labels, got shape {features.shape} and {len(labels)} labels")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must lie in 0 .. {classes - 1}, not {labels.min()} .. {labels.max()}")
    chosen = _best_decay(features, labels, classes) if decay is None else decay
    return _fitted(features, labels, classes, chosen)


def _best_decay(features_ND: Floats, labels_N: NDArray[np.int64], classes: int) -> float:
    """The decay with the least cross-entropy of left-out tiles; the strongest where a tile is alone."""
    if len(labels_N) < 2:
        return DECAYS[0]
    folds_N = np.empty(len(labels_N), np.int64)
    folds_N[np.argsort(labels_N, kind="stable")] = np.arange(len(labels_N)) % FOLDS  # each label in all folds
    losses = np.zeros(len(DECAYS))
    for fold in np.unique(folds_N):
        left_out = folds_N == fold
        for number, decay in enumerate(DECAYS):
            weights_CD, bias_C = _fitted(features_ND[~left_out], labels_N[~left_out], classes, decay)
            scores_NC = features_ND[left_out] @ weights_CD.T + bias_C
            logs_NC = scores_NC - np.logaddexp.reduce(scores_NC, axis=1, keepdims=True)
            found_N = logs_NC[np.arange(len(logs_NC)), labels_N[left_out]]
            losses[number] -= np.maximum(found_N, WORST).sum()
    return DECAYS[int(losses.argmin())]


def _fitted(features_ND: Floats, labels_N: NDArray[np.int64], classes: int, decay: float) -> tuple[Floats, Floats]:
    from scipy.optimize import minimize  # when it is needed: it takes long to import

    centre_D = features_ND.mean(axis=0)  # changes no solution, but makes it far easier to find
    centred_ND, truth_NC = features_ND - centre_D, np.eye(classes)[labels_N]

    def objective(parameters: Floats) -> tuple[float, Floats]:
        weights_CD, bias_C = parameters[:-classes].reshape(classes, -1), parameters[-classes:]
        scores_NC = centred_ND @ weights_CD.T + bias_C
        logs_NC = scores_NC - np.logaddexp.reduce(scores_NC, axis=1, keepdims=True)
        pull_NC = (np.exp(logs_NC) - truth_NC) / len(labels_N)
        value = -(logs_NC * truth_NC).sum() / len(labels_N) + decay / 2 * (weights_CD**2).sum()
        slope_CD = pull_NC.T @ centred_ND + decay * weights_CD
        return float(value), np.concatenate([slope_CD.ravel(), pull_NC.sum(axis=0)])

    start = np.zeros(classes * (features_ND.shape[1] + 1))
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000, "gtol": 1e-7})
    weights_CD: Floats = found.x[:-classes].reshape(classes, -1)
    bias_C: Floats = found.x[-classes:] - weights_CD @ centre_D
    return weights_CD, bias_C
