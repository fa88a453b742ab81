"""An evaluation as a table for the terminal, as Markdown and as JSON: one row per method and rule."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from histoloop.exchange.writing import export_to
from histoloop.store.files import write_beside

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from histoloop.exchange.reliability import ReliabilityBin

FORMAT = "histoloop-evaluation"
VERSION = 1


class _Column(NamedTuple):
    title: str
    scale: float = 1.0
    digits: int = 3


_COLUMNS = {
    "error": _Column("error %", 100, 2),
    "label_error": _Column("label error %", 100, 2),
    "balanced_accuracy": _Column("balanced acc. %", 100, 2),
    "mean_average_precision": _Column("mAP %", 100, 2),
    "average_precision": _Column("AP %", 100, 2),
    "calibration_error": _Column("ECE %", 100, 2),
    "log_loss": _Column("NLL"),
    "brier_score": _Column("Brier"),
    "f1_foreground": _Column("F1+ %", 100, 2),
    "f1_background": _Column("F1- %", 100, 2),
    "dice_pooled": _Column("pooled Dice %", 100, 2),
    "dice_classes": _Column("class Dice %", 100, 2),
}
"""How known figures are shown; any other one keeps its name and unit."""


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """Figures of one method's masks or labels, by name: shares in [0, 1], numbers of tiles as int, None if unknown.

    `rule` says which class's map made the masks: 'predicted', 'true-label', or '' where it makes no difference.
    `intervals` are of figures that other cases would change: in 95 of 100 draws of cases they lay between these.
    """

    method: str
    rule: str
    figures: Mapping[str, float | None]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EvaluationTable:
    """Rows in the order in which they are shown."""

    rows: tuple[EvaluationRow, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all figures, in the order in which the rows bring them."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.figures))


def table_text(table: EvaluationTable) -> str:
    """Aligned columns in plain text, shares in percent; a figure that a row does not have is a dash.

    Intervals, where a row has any, stand on a line of their own below it.
    """
    header, *body = _cells(table)
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    lines = [_aligned(cells, widths) for cells in (header, ["-" * width for width in widths], *body)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    names = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join(names + numbers)


def _cells(table: EvaluationTable) -> list[list[str]]:
    """Header, then one list per row; the first two columns are method and rule."""
    shown = [(name, _COLUMNS.get(name, _Column(name))) for name in table.columns]
    header = ["method", "masks", *(column.title for _, column in shown)]
    body = []
    for row in table.rows:
        numbers = (_number(row.figures.get(name), column) for name, column in shown)
        body.append([" ".join(row.method.split()), row.rule or "-", *numbers])
        if row.intervals:
            bounds = (_bounds(row.intervals.get(name), column) for name, column in shown)
            body.append(["  95 % of draws of cases", "", *bounds])
    return [header, *body]


def _bounds(interval: tuple[float, float] | None, column: _Column) -> str:
    return "" if interval is None else "-".join(_number(side, column) for side in interval)


def _number(value: float | None, column: _Column) -> str:
    number = _plain(value)
    if number is None:
        return "-"
    return str(number) if isinstance(number, int) else f"{number * column.scale:.{column.digits}f}"


def write_evaluation_json(
    path: Path,
    table: EvaluationTable,
    *,
    about: Mapping[str, str | int | float | None],
    reliability: Sequence[ReliabilityBin] = (),
) -> None:
    """Write an evaluation for programs. Raises ExportError when the file cannot be written.

    {"format": "histoloop-evaluation", "version": 1,
     "about": {...},                          what was evaluated: model, data, split, seed .. as given
     "rows": [{"method": str, "rule": str,    as in EvaluationRow
               "figures": {name: number or null},
               "intervals": {name: [number, number]}}, ...],
     "reliability": [{"low": number, "high": number, "count": int,
                      "confidence": number or null, "share": number or null}, ...]}   see ReliabilityBin

    Figures are as computed (shares in [0, 1], not percent, not rounded); null is a figure that does not exist,
    NaN and infinity included.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "about": {name: value if isinstance(value, str) else _plain(value) for name, value in about.items()},
        "rows": [
            {
                "method": row.method,
                "rule": row.rule,
                "figures": {name: _plain(value) for name, value in row.figures.items()},
                "intervals": {name: list(map(float, sides)) for name, sides in row.intervals.items()},
            }
            for row in table.rows
        ],
        "reliability": [asdict(one) for one in reliability],
    }
    with export_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_beside(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _plain(value: float | None) -> float | None:
    """A number that JSON has: NumPy's scalars become Python's, what is not finite None."""
    if value is None or not math.isfinite(value):
        return None
    return int(value) if hasattr(value, "__index__") else float(value)
