"""How far two readers' masks agree: Dice of each class and Cohen's kappa, from counts of pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.annotations.records import Mask


def confusion_of(first: Mask, second: Mask, known: NDArray[np.bool_], *, classes: int) -> NDArray[np.int64]:
    """(classes + 1, classes + 1) pixels by the first reader's value (rows) and the second's (columns), where known.

    Both masks and `known` are (H, W); value 0 is background. ValueError for masks of different shapes.
    """
    if not first.shape == second.shape == known.shape:
        raise ValueError(f"masks {first.shape} and {second.shape} cannot be compared")
    count = classes + 1
    pairs = first[known].astype(np.int64) * count + second[known]
    return np.bincount(pairs, minlength=count**2).reshape(count, count)


def dice_of_class(confusion: NDArray[Any], value: int) -> float | None:
    """2 |A and B| / (|A| + |B|) of one value; None where neither reader has it."""
    both = confusion[value].sum() + confusion[:, value].sum()
    return float(2 * confusion[value, value] / both) if both else None


def cohens_kappa(confusion: NDArray[Any]) -> float | None:
    """(p_o - p_e) / (1 - p_e) (Cohen 1960, equation 1): agreement beyond what chance gives.

    None where it is not defined: no pixel, or both readers have one and the same value everywhere.
    """
    total = confusion.sum()
    if not total:
        return None
    observed = np.trace(confusion) / total
    expected = float((confusion.sum(axis=0) / total) @ (confusion.sum(axis=1) / total))
    return None if expected >= 1 else float((observed - expected) / (1 - expected))
