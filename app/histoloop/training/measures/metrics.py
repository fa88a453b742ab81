"""How good masks and labels are. Per-tile and pooled Dice are different things and never share a column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from histoloop.annotations.records import Mask

BoolMask = NDArray[np.bool_]


# --- masks ------------------------------------------------------------------------------------------------------------


def judged(values: NDArray[Any], truth: NDArray[Any], known: BoolMask | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """A map or mask and its truth (H, W) as they are, or flat, where only some of the truth is known (H, W)."""
    return (values, truth) if known is None else (values[known], truth[known])


def dice(predicted: BoolMask, truth: BoolMask) -> float:
    """2 |A and B| / (|A| + |B|), in [0, 1]; 1 when both are empty."""
    return dice_of_counts(int((predicted & truth).sum()), int(predicted.sum()), int(truth.sum()))


def dice_of_counts(agreed: int, predicted: int, truth: int) -> float:
    """Dice from numbers of pixels: in both masks, in the predicted one, in the true one; 1 when both are empty."""
    total = predicted + truth
    return 2 * agreed / total if total else 1.0


def mean_dice(pairs: Iterable[tuple[BoolMask, BoolMask]]) -> float:
    """Mean of the Dice of each (predicted, truth) pair (thesis ch. 2); ValueError without pairs."""
    return float(np.mean([dice(predicted, truth) for predicted, truth in _some(pairs)]))


def pooled_dice(pairs: Iterable[tuple[BoolMask, BoolMask]]) -> float:
    """Dice over the pixels of all pairs together (thesis eq 4.14); ValueError without pairs."""
    flat = [(predicted.ravel(), truth.ravel()) for predicted, truth in _some(pairs)]
    return dice(np.concatenate([pair[0] for pair in flat]), np.concatenate([pair[1] for pair in flat]))


@dataclass(frozen=True, slots=True, eq=False)
class CountedMasks:
    """Pixels of N tiles' masks: `pixels_N` in all, and of K mask classes, the foreground first, `counts_N3K`.

    The counts are of pixels that are of the class in both, in the predicted mask, in the true one. K is 1 where
    foreground alone is known.
    """

    pixels_N: NDArray[np.int64]
    counts_N3K: NDArray[np.int64]

    @classmethod
    def of(cls, pairs: Iterable[tuple[NDArray[Any], NDArray[Any]]], *, mask_classes: int = 0) -> CountedMasks:
        """Of (predicted, truth) pairs of foregrounds, or of values of `mask_classes`; ValueError without pairs."""
        pixels, counts = zip(*(_counted(pair, mask_classes) for pair in _some(pairs)), strict=True)
        return cls(np.array(pixels, np.int64), np.stack(counts))

    def figures(self, rows: NDArray[np.intp] | None = None) -> dict[str, float]:
        """Mean and pooled Dice of the foreground of all tiles, or of some rows.

        Where there are classes also `class_dice`, the mean of the classes' Dice; 1 where the truth has no class.
        """
        counts_N3K = self.counts_N3K if rows is None else self.counts_N3K[rows]
        together_3K = counts_N3K.sum(axis=0)
        figures = {
            "dice": float(np.mean([dice_of_counts(*tile.tolist()) for tile in counts_N3K[:, :, 0]])),
            "pooled_dice": dice_of_counts(*together_3K[:, 0].tolist()),
        }
        if counts_N3K.shape[2] == 1:
            return figures
        macro = _class_dice(together_3K[:, 1:]).macro
        return figures | {"class_dice": 1.0 if macro is None else macro}

    def dice_of_tiles(self) -> list[float]:
        """Dice of the foreground of each tile."""
        return [dice_of_counts(*tile.tolist()) for tile in self.counts_N3K[:, :, 0]]

    def classes(self) -> ClassDice:
        """Dice of each class over the pixels of all tiles together."""
        return _class_dice(self.counts_N3K.sum(axis=0)[:, 1:])

    def all_foreground(self, rows: NDArray[np.intp] | None = None) -> float:
        """The mean Dice that calling every pixel foreground would give."""
        chosen = slice(None) if rows is None else rows
        truth_N, pixels_N = self.counts_N3K[chosen, 2, 0], self.pixels_N[chosen]
        return float(np.mean(2 * truth_N / (truth_N + pixels_N)))


def _counted(pair: tuple[NDArray[Any], NDArray[Any]], mask_classes: int) -> tuple[int, NDArray[np.int64]]:
    """Pixels of a pair, and counts (3, 1 + `mask_classes`)."""
    predicted, truth = pair
    found, true = predicted != 0, truth != 0
    counts = np.zeros((3, 1 + mask_classes), np.int64)
    counts[:, 0] = [np.count_nonzero(mask) for mask in (found & true, found, true)]
    if mask_classes:
        counts[:, 1:] = _counts_of_values(predicted, truth)[:, 1 : mask_classes + 1]
    return truth.size, counts


def dice_figures_of(pairs: Iterable[tuple[BoolMask, BoolMask]]) -> dict[str, float]:
    """Mean and pooled Dice of (predicted, truth) pairs; ValueError without pairs."""
    return CountedMasks.of(pairs).figures()


@dataclass(frozen=True, slots=True)
class ClassDice:
    """Dice of each mask class over the pixels of all masks together; None of a class that the truth does not have."""

    per_class: tuple[float | None, ...]

    @property
    def macro(self) -> float | None:
        """The mean over the classes that the truth has; None where it has none."""
        known = [value for value in self.per_class if value is not None]
        return sum(known) / len(known) if known else None


def class_dice(pairs: Iterable[tuple[Mask, Mask]], *, mask_classes: int) -> ClassDice:
    """2 TP_c / (2 TP_c + FP_c + FN_c) of each mask class c, pooled over (predicted, truth) masks of values."""
    counts = np.zeros((3, 256), np.int64)
    for predicted, truth in pairs:
        counts += _counts_of_values(predicted, truth)
    return _class_dice(counts[:, 1 : mask_classes + 1])


def _counts_of_values(predicted: Mask, truth: Mask) -> NDArray[np.int64]:
    """(3, 256) pixels of each value: in both masks, in the predicted one, in the true one."""
    masks = (predicted[predicted == truth], predicted, truth)
    return np.stack([np.bincount(values.ravel(), minlength=256) for values in masks])


def _class_dice(counts_3K: NDArray[np.int64]) -> ClassDice:
    agreed, predicted_pixels, true_pixels = counts_3K.tolist()
    return ClassDice(
        tuple(
            dice_of_counts(both, found, true) if true else None
            for both, found, true in zip(agreed, predicted_pixels, true_pixels, strict=True)
        )
    )


def class_figures(pairs: Iterable[tuple[Mask, Mask]], *, mask_classes: int) -> dict[str, float]:
    """Mean and pooled Dice of the foreground of masks of values, and `class_dice`, the mean of the classes' Dice.

    `class_dice` is 1 where the truth has no class. ValueError without pairs.
    """
    return CountedMasks.of(pairs, mask_classes=mask_classes).figures()


def _some(pairs: Iterable[tuple[NDArray[Any], NDArray[Any]]]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    if not (listed := list(pairs)):
        raise ValueError("Dice needs at least one pair of masks")
    return listed


# --- labels -----------------------------------------------------------------------------------------------------------


def accuracy(predicted: Sequence[int], truth: Sequence[int]) -> float:
    """Share of labels that are right; ValueError without labels."""
    predictions, truths = _labels(predicted, truth)
    return float(np.mean(predictions == truths))


def classification_error(predicted: Sequence[int], truth: Sequence[int]) -> float:
    """Share of labels that are wrong (min-max Tab. 1); ValueError without labels."""
    predictions, truths = _labels(predicted, truth)
    return float(np.mean(predictions != truths))


def balanced_accuracy(predicted: Sequence[int], truth: Sequence[int]) -> float:
    """Mean over the label classes that occur in `truth` of the share that is right; ValueError without labels."""
    predictions, truths = _labels(predicted, truth)
    return float(np.mean([np.mean(predictions[truths == label] == label) for label in np.unique(truths)]))


def _labels(predicted: Sequence[int], truth: Sequence[int]) -> tuple[NDArray[Any], NDArray[Any]]:
    if len(predicted) != len(truth) or not len(truth):
        raise ValueError(f"{len(predicted)} predicted labels do not fit {len(truth)} true ones")
    return np.asarray(predicted), np.asarray(truth)


@dataclass(frozen=True, slots=True)
class AveragePrecisions:
    """Average precision of each class, in network order; None where no tile is of the class."""

    per_class: tuple[float | None, ...]

    @property
    def mean(self) -> float | None:
        """The mAP (thesis eq 2.2) over the classes that occur, in [0, 1]; None where none does."""
        known = [value for value in self.per_class if value is not None]
        return sum(known) / len(known) if known else None

    @property
    def left_out(self) -> tuple[int, ...]:
        """Indices of the classes that the mean leaves out, for want of a tile."""
        return tuple(index for index, value in enumerate(self.per_class) if value is None)


def average_precisions(scores_BC: NDArray[np.floating[Any]], positive_BC: BoolMask) -> AveragePrecisions:
    """Average precision of every class from scores (B, C) and whether a tile is of a class (several may be true)."""
    if scores_BC.ndim != 2 or scores_BC.shape != positive_BC.shape:
        raise ValueError(f"scores {scores_BC.shape} and classes {positive_BC.shape} must both be (tiles, classes)")
    return AveragePrecisions(
        tuple(
            average_precision(scores, positive) if positive.any() else None
            for scores, positive in zip(scores_BC.T, positive_BC.T, strict=True)
        )
    )


def average_precision(scores_B: NDArray[np.floating[Any]], positive_B: BoolMask) -> float:
    """Area under the precision-recall steps: sum of (recall gained) x precision over the distinct scores, downwards.

    Tiles of equal score enter together, so neither their order nor a monotone change of the scores matters, and one
    score for all tiles gives the share of positives. Not interpolated, as in scikit-learn. ValueError without a
    positive or with NaN.
    """
    if not positive_B.any():
        raise ValueError("average precision needs at least one positive")
    if np.isnan(scores_B).any():
        raise ValueError("average precision needs scores that are numbers, not NaN")
    order = np.argsort(-scores_B, kind="stable")
    scores, hits = scores_B[order], np.cumsum(positive_B[order])
    last_of_score = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    precision = hits[last_of_score] / (last_of_score + 1)
    recall = hits[last_of_score] / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))
