"""Draw the pictures that stand beside tables of docs: a bar for each row, with its spread where there is one.

    python tests/benchmarks/table_pictures.py

Read from the pages themselves, so that a picture shows what its table says. To be run when such a table has changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


@dataclass(frozen=True, slots=True)
class Picture:
    """Which columns of which table: the first one after the text `after` on a page."""

    name: str
    page: str
    after: str
    columns: tuple[str, ...]
    unit: str
    lowest: float = 0.0


PICTURES = (
    Picture("methods-glas.png", "methods.md", "### GlaS, official training part to test A", ("F1+", "F1-"), "Dice, %"),
    Picture(
        "methods-ebhi.png", "methods.md", "### EBHI-Seg, training to validation by case", ("F1+", "F1-"), "Dice, %"
    ),
    Picture("decoder-steps.png", "active-learning.md", "### How long a decoder learns", ("Dice",), "Dice, %", 70),
    Picture(
        "strategies-60-steps.png",
        "active-learning.md",
        "### All strategies, by decoders of 60 steps",
        ("GlaS, AUC", "EBHI-Seg, AUC"),
        "AUC, %",
        70,
    ),
)


def main() -> None:
    for picture in PICTURES:
        text = (DOCS / picture.page).read_text(encoding="utf-8")
        draw(picture, table_after(text, picture.after))


def table_after(text: str, mark: str) -> list[dict[str, str]]:
    """The rows of the first table after a text, each with its cells by the head of their column."""
    lines = text.split(mark, 1)[1].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def value_of(cell: str) -> tuple[float, float]:
    """Value and spread of a cell like '76.9 ± 1.3'; nothing is NaN."""
    found = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", cell)]
    return (found[0], found[1] if "±" in cell else 0.0) if found else (float("nan"), 0.0)


def draw(picture: Picture, rows: list[dict[str, str]]) -> None:
    """Bars from the left, the first row on top."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.2 + 0.3 * len(rows)), dpi=110, layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(picture.columns)
    for number, column in enumerate(picture.columns):
        values, spreads = zip(*(value_of(row[column]) for row in rows), strict=True)
        places = [place + number * height for place in range(len(rows))]
        errors = spreads if any(spreads) else None
        axes.barh(places, values, height, xerr=errors, color=f"C{number}", label=column, error_kw={"lw": 1})
    first = next(iter(rows[0]))
    axes.set_yticks([place + 0.4 - height / 2 for place in range(len(rows))], [row[first] for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel=picture.unit, xlim=(picture.lowest, 100))
    axes.grid(axis="x", alpha=0.3)
    figure.legend(fontsize=8, loc="outside upper right", ncols=len(picture.columns))
    figure.savefig(DOCS / "pictures" / picture.name)


if __name__ == "__main__":
    main()
