"""A reliability diagram: what a model's probabilities say beside what came true, as PNG and CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from histoloop.exchange.writing import export_to
from histoloop.store.files import file_beside, write_beside

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Probabilities in (low, high]: how many, their mean, and the share that came true; None where there are none."""

    low: float
    high: float
    count: int
    confidence: float | None
    share: float | None


def write_reliability(path: Path, bins: Sequence[ReliabilityBin], *, title: str, calibration_error: float) -> None:
    """Draw a PNG and write the same numbers beside it, under the same name with .csv.

    Each bar is the share that came true, over the mean of what was stated; on the diagonal they are equal. Below, how
    many probabilities there are of each. Raises ExportError when a file cannot be written, ValueError where nothing was
    stated.
    """
    total = sum(one.count for one in bins)
    if not total:
        raise ValueError("a reliability diagram needs at least one probability")
    _write_table(path.with_suffix(".csv"), bins)
    from matplotlib.figure import Figure  # only who draws waits for it

    figure = Figure(figsize=(4.8, 5.6), dpi=120, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for one in bins:
        width, middle = one.high - one.low, (one.low + one.high) / 2
        if one.share is not None and one.confidence is not None:
            upper.bar(middle, one.share, width, color="#5a8fc0", edgecolor="white")
            upper.plot((one.confidence, one.confidence), (one.share, one.confidence), color="#c0392b", lw=2)
            lower.bar(middle, one.count / total, width, color="0.6", edgecolor="white")
    upper.plot((0, 1), (0, 1), color="0.3", lw=1, ls="--")
    upper.annotate(f"calibration error {calibration_error:.1%}", (0.03, 0.93), xycoords="axes fraction")
    upper.set(ylabel="share that came true", ylim=(0, 1), xlim=(0, 1), title=title)
    lower.set(xlabel="probability stated", ylabel="share of all", ylim=(0, 1))
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    with export_to(path), file_beside(path) as partial:
        figure.savefig(partial, format="png")


def _write_table(path: Path, bins: Sequence[ReliabilityBin]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(ReliabilityBin)], lineterminator="\n")
    writer.writeheader()
    writer.writerows([asdict(one) for one in bins])
    with export_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_beside(path, text.getvalue())
