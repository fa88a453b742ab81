"""Choosing among models without labels, and how good the choice is where labels are known (tod, section V and VI-E)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOPS = (1, 3, 5)
"""So many models: the k of the hits."""


@dataclass(frozen=True, slots=True)
class SelectionMeasures:
    """What choosing by discrepancy gives, as means over the samples of how good the chosen model is there, in [0, 1].

    `by_sample` takes for each sample the model that moved least there, `by_model` the model that moved least on all.
    `mean` and `best` are of the models themselves. `hits` says for each k how many of the k models that moved least are
    among the k that are truly best.
    """

    by_sample: float
    by_model: float
    mean: float
    best: float
    hits: tuple[tuple[int, int], ...]


def least_moved(discrepancies_MN: NDArray[np.floating]) -> NDArray[np.intp]:
    """(N,) for each sample the model that moved least there; ties go to the first."""
    found: NDArray[np.intp] = np.argmin(discrepancies_MN, axis=0)
    return found


def selection_measures(discrepancies_MN: NDArray[np.floating], quality_MN: NDArray[np.floating]) -> SelectionMeasures:
    """Of M models and N samples: how far each moved, and how good it truly is (Dice, or 1 where its class is right).

    ValueError when the shapes differ or are empty.
    """
    moved, quality = np.asarray(discrepancies_MN, np.float64), np.asarray(quality_MN, np.float64)
    if moved.shape != quality.shape or moved.ndim != 2 or not moved.size:
        raise ValueError(f"discrepancies and qualities (M, N) of one shape, got {moved.shape} and {quality.shape}")
    per_model = quality.mean(axis=1)
    order, truth = np.argsort(moved.mean(axis=1), kind="stable"), np.argsort(-per_model, kind="stable")
    hits = [(k, len(set(order[:k].tolist()) & set(truth[:k].tolist()))) for k in TOPS if k < len(moved)]
    by_sample = quality[least_moved(moved), np.arange(moved.shape[1])]
    return SelectionMeasures(
        by_sample=float(by_sample.mean()),
        by_model=float(per_model[order[0]]),
        mean=float(per_model.mean()),
        best=float(per_model.max()),
        hits=tuple(hits),
    )
