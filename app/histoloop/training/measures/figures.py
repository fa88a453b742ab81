"""Figures of an evaluation on a set of tiles: figures of their masks, from counts alone, and of their labels."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from histoloop.training.measures.intervals import intervals_by_case
from histoloop.training.measures.metrics import (
    AveragePrecisions,
    average_precisions,
    balanced_accuracy,
    classification_error,
    dice_of_counts,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from histoloop.annotations.records import Mask
    from histoloop.training.measures.intervals import Interval
    from histoloop.training.measures.metrics import BoolMask

# --- masks ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MaskFigures:
    """How well the masks of several tiles agree with the truth, in [0, 1]; two empty masks agree (1).

    `f1_foreground` and `f1_background` are F1+ and F1- (min-max): the Dice of each tile, averaged over tiles.
    `dice_pooled` is over the pixels of all tiles together, and so is `dice_classes` (thesis eq 4.14), which counts
    a foreground pixel as found only where its class is right.
    """

    f1_foreground: float
    f1_background: float
    dice_pooled: float
    dice_classes: float
    tiles: int


@dataclass(frozen=True, slots=True)
class MaskCounts:
    """Numbers of pixels of one tile, or of several added up.

    `predicted` and `truth` are foreground of any class, `agreed` foreground in both, `agreed_class` of one class too.
    """

    pixels: int = 0
    predicted: int = 0
    truth: int = 0
    agreed: int = 0
    agreed_class: int = 0

    def __add__(self, other: MaskCounts) -> MaskCounts:
        return MaskCounts(
            self.pixels + other.pixels,
            self.predicted + other.predicted,
            self.truth + other.truth,
            self.agreed + other.agreed,
            self.agreed_class + other.agreed_class,
        )

    @property
    def dice_foreground(self) -> float:
        """Dice of the foreground, whatever its class."""
        return dice_of_counts(self.agreed, self.predicted, self.truth)

    @property
    def dice_background(self) -> float:
        """Dice of what is not foreground."""
        agreed = self.pixels - self.predicted - self.truth + self.agreed
        return dice_of_counts(agreed, self.pixels - self.predicted, self.pixels - self.truth)

    @property
    def dice_classes(self) -> float:
        """2 sum TP_c / (2 sum TP_c + sum FP_c + sum FN_c) over the foreground classes c (thesis eq 4.14)."""
        return dice_of_counts(self.agreed_class, self.predicted, self.truth)


def count_mask(predicted: Mask | BoolMask, truth: Mask | BoolMask) -> MaskCounts:
    """Compare two masks (H, W): 0 is background, other values are classes (True where there is one only).

    ValueError for masks of different shapes.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"a mask {predicted.shape} cannot be compared with a truth {truth.shape}")
    both = (predicted != 0) & (truth != 0)
    return MaskCounts(
        pixels=truth.size,
        predicted=int(np.count_nonzero(predicted)),
        truth=int(np.count_nonzero(truth)),
        agreed=int(np.count_nonzero(both)),
        agreed_class=int(np.count_nonzero(both & (predicted == truth))),
    )


class MaskTally:
    """Figures of tiles that come one after the other; only counts are kept, and whose tissue they are of."""

    def __init__(self) -> None:
        self._counts: list[MaskCounts] = []
        self._cases: list[str] = []

    def add(self, predicted: Mask | BoolMask, truth: Mask | BoolMask, *, case: str = "") -> MaskCounts:
        """Count one tile's mask against its truth (both (H, W)); its own counts come back, for its caption."""
        counts = count_mask(predicted, truth)
        self._counts.append(counts)
        self._cases.append(case)
        return counts

    def join(self, other: MaskTally) -> None:
        """Take over the tiles of another tally."""
        self._counts += other._counts
        self._cases += other._cases

    def figures(self) -> MaskFigures:
        """Figures of the tiles so far; ValueError where there is none."""
        if not self._counts:
            raise ValueError("figures of masks need at least one tile")
        return _mask_figures(np.array([astuple(one) for one in self._counts], np.int64))

    def intervals(self) -> dict[str, Interval]:
        """Intervals of the figures by case; none of fewer than two cases."""
        counts_N5 = np.array([astuple(one) for one in self._counts], np.int64)
        names = ("f1_foreground", "f1_background", "dice_pooled", "dice_classes")

        def figures_of(rows: NDArray[np.intp]) -> dict[str, float]:
            figures = _mask_figures(counts_N5[rows])
            return {name: getattr(figures, name) for name in names}

        return intervals_by_case(figures_of, self._cases)


def _mask_figures(counts_N5: NDArray[np.int64]) -> MaskFigures:
    """Of tiles with the counts of `MaskCounts`, in its order."""
    pixels_N, predicted_N, truth_N, agreed_N, _ = counts_N5.T
    background_N = _dice(pixels_N - predicted_N - truth_N + agreed_N, 2 * pixels_N - predicted_N - truth_N)
    together = MaskCounts(*counts_N5.sum(axis=0).tolist())
    return MaskFigures(
        f1_foreground=float(_dice(agreed_N, predicted_N + truth_N).mean()),
        f1_background=float(background_N.mean()),
        dice_pooled=together.dice_foreground,
        dice_classes=together.dice_classes,
        tiles=len(counts_N5),
    )


def _dice(agreed_N: NDArray[np.int64], total_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each tile, from the pixels in both masks and those of both masks together; 1 where both are empty."""
    found: NDArray[np.float64] = np.where(total_N == 0, 1.0, 2 * agreed_N / np.maximum(total_N, 1))
    return found


# --- labels -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MultiLabelFigures:
    """How well tiles with several labels are classified, in [0, 1]: `errors` is the share that is wrong, by label."""

    errors: tuple[float, ...]
    average_precision: AveragePrecisions
    tiles: int

    @property
    def error(self) -> float:
        """Mean over the labels."""
        return sum(self.errors) / len(self.errors)


def multi_label_figures(scores_BC: NDArray[np.floating[Any]], truth_BC: BoolMask) -> MultiLabelFigures:
    """Figures of each label by itself, from scores before the sigmoid and whether a tile has a label.

    A label is predicted where its sigmoid is above 0.5. ValueError without tiles or for shapes that do not fit.
    """
    precisions = average_precisions(scores_BC, truth_BC)
    if not len(scores_BC):
        raise ValueError("figures of labels need at least one tile")
    errors = ((scores_BC > 0) != truth_BC).mean(axis=0)
    return MultiLabelFigures(tuple(errors.tolist()), precisions, len(scores_BC))


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """How well tiles are classified, in [0, 1]: `error` is the share that is wrong."""

    error: float
    balanced_accuracy: float
    average_precision: AveragePrecisions
    tiles: int


def label_figures(scores_BC: NDArray[np.floating[Any]], labels_B: Sequence[int]) -> LabelFigures:
    """Figures of tiles with one label each; a tile's class is that of its highest score, at ties the lowest index.

    Average precision compares the scores of different tiles, so give probabilities, not logits: a logit means nothing
    without the other logits of its tile. ValueError for a label that is no class.
    """
    labels, classes = np.asarray(labels_B), np.arange(scores_BC.shape[1])
    if not np.isin(labels, classes).all():
        raise ValueError(f"labels must lie in 0 .. {len(classes) - 1}, not {sorted(set(labels_B))}")
    predicted = scores_BC.argmax(axis=1).tolist()
    return LabelFigures(
        error=classification_error(predicted, labels_B),
        balanced_accuracy=balanced_accuracy(predicted, labels_B),
        average_precision=average_precisions(scores_BC, labels[:, None] == classes),
        tiles=len(labels),
    )
