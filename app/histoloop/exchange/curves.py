"""Learning curves of simulated sessions as CSV and PNG."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histoloop.acquisition.learning_curve import area_under_curve
from histoloop.exchange.writing import export_to
from histoloop.store.files import file_beside, write_beside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LOWEST = 10.0
"""Points of Dice below the bounds at which a chart begins."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Mean Dice in [0, 1] of a strategy: `dice` has a row per seed and a column per round.

    `annotated` regions of each round; seconds per round, means over all.
    """

    name: str
    annotated: tuple[int, ...]
    dice: tuple[tuple[float, ...], ...]
    seconds_training: float
    seconds_asking: float

    @property
    def mean(self) -> tuple[float, ...]:
        """Of each round, over the seeds."""
        return tuple(np.mean(self.dice, axis=0).tolist())

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each round over the seeds (0 for a single one)."""
        return tuple(np.std(self.dice, axis=0, ddof=1 if len(self.dice) > 1 else 0).tolist())

    @property
    def areas(self) -> tuple[float, ...]:
        """Area under the curve of each seed (label-prop 4.1)."""
        return tuple(area_under_curve(row) for row in self.dice)

    def summary(self) -> dict[str, object]:
        """Plain values for JSON."""
        areas = self.areas
        return {
            "annotated": list(self.annotated),
            "mean": list(self.mean),
            "std": list(self.std),
            "auc": {"mean": float(np.mean(areas)), "std": float(np.std(areas, ddof=1 if len(areas) > 1 else 0))},
            "seconds_training": round(self.seconds_training, 2),
            "seconds_asking": round(self.seconds_asking, 2),
        }


def write_rounds(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """One line per round, with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with export_to(path):
        write_beside(path, text.getvalue())


def draw_curves(path: Path, curves: Sequence[Curve], *, lower: float, upper: float, title: str) -> None:
    """A PNG: mean Dice in % over annotated regions, a band of one standard deviation, and both bounds.

    It begins ten points below the lower of both bounds: a session that failed leaves the chart, so that the others can
    be told apart; its figures are in the table.
    """
    from matplotlib.figure import Figure  # only who draws waits for it

    figure = Figure(figsize=(9, 5.5), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    marks = "osD^vPX<>*hp"
    for number, curve in enumerate(sorted(curves, key=lambda curve: -float(np.mean(curve.areas)))):
        mean, std = 100 * np.array(curve.mean), 100 * np.array(curve.std)
        label = f"{curve.name} ({100 * float(np.mean(curve.areas)):.1f})"
        style = "--" if number >= 10 else "-"
        (line,) = axes.plot(curve.annotated, mean, style, marker=marks[number % len(marks)], ms=5, lw=1.6, label=label)
        axes.fill_between(curve.annotated, mean - std, mean + std, color=line.get_color(), alpha=0.08, lw=0)
    axes.axhline(100 * upper, color="0.25", lw=1, ls=":")
    axes.axhline(100 * lower, color="0.55", lw=1, ls=":")
    for height, words in ((upper, "all masks"), (lower, "class maps, no mask")):
        axes.annotate(words, (1, 100 * height), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8)
    axes.set(xlabel="annotated regions", ylabel="mean Dice, %", title=title)
    axes.set_xticks(curves[0].annotated)
    highest = max(lower, upper, *(value for curve in curves for value in curve.mean))
    axes.set_ylim(bottom=max(0.0, 100 * min(lower, upper) - LOWEST), top=100 * highest + 4)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", fontsize=8, title="strategy (AUC)", title_fontsize=8, frameon=False)
    with export_to(path), file_beside(path) as partial:
        figure.savefig(partial)
