"""How good masks and labels are. Per-tile and pooled Dice are different things and never share a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BoolMask = NDArray[np.bool_]


def dice(predicted: BoolMask, truth: BoolMask) -> float:
    """2 |A and B| / (|A| + |B|), in [0, 1]; 1 when both are empty."""
    total = int(predicted.sum()) + int(truth.sum())
    return 2 * int((predicted & truth).sum()) / total if total else 1.0


def mean_dice(pairs: Iterable[tuple[BoolMask, BoolMask]]) -> float:
    """Mean of the Dice of each (predicted, truth) pair (thesis ch. 2); ValueError without pairs."""
    return float(np.mean([dice(predicted, truth) for predicted, truth in _some(pairs)]))


def pooled_dice(pairs: Iterable[tuple[BoolMask, BoolMask]]) -> float:
    """Dice over the pixels of all pairs together (thesis eq 4.14); ValueError without pairs."""
    flat = [(predicted.ravel(), truth.ravel()) for predicted, truth in _some(pairs)]
    return dice(np.concatenate([pair[0] for pair in flat]), np.concatenate([pair[1] for pair in flat]))


def _some(pairs: Iterable[tuple[BoolMask, BoolMask]]) -> list[tuple[BoolMask, BoolMask]]:
    if not (listed := list(pairs)):
        raise ValueError("Dice needs at least one pair of masks")
    return listed


def accuracy(predicted: Sequence[int], truth: Sequence[int]) -> float:
    """Share of labels that are right."""
    return float(np.mean(np.asarray(predicted) == np.asarray(truth)))


def balanced_accuracy(predicted: Sequence[int], truth: Sequence[int]) -> float:
    """Mean over the label classes that occur in `truth` of the share that is right."""
    predictions, truths = np.asarray(predicted), np.asarray(truth)
    return float(np.mean([np.mean(predictions[truths == label] == label) for label in np.unique(truths)]))
