"""The table of the results, for the terminal and for docs/reliability.md."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from .checks import HALF, LEFT, LOST, OTHER, STUCK, TRACEBACK
from .plan import DAMAGED, INTERRUPTS, KILLS, KINDS, PARALLEL, POWER_CUTS, WRITE_FAULTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

BEGIN, END = "<!-- torture table: begin -->", "<!-- torture table: end -->"
TITLES = {
    KILLS: "Killed",
    INTERRUPTS: "Interrupted",
    WRITE_FAULTS: "Full or failing disk",
    POWER_CUTS: "Power cut",
    DAMAGED: "Damaged input",
    PARALLEL: "Several at once",
}
PROBLEMS = (LOST, TRACEBACK, HALF, STUCK, LEFT, OTHER)


def table(rows: Iterable[dict[str, Any]]) -> str:
    """A Markdown table: by kind, then of each kind by scene; a trial counts once in each column."""
    found = list(rows)
    head = ["", "trials", *PROBLEMS, "longest s", "most MB"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for kind in KINDS:
        of_kind = [row for row in found if row["kind"] == kind]
        if not of_kind:
            continue
        lines.append(_line(f"**{TITLES[kind]}**", of_kind))
        for scene in dict.fromkeys(row["scene"] for row in of_kind):
            lines.append(_line(scene, [row for row in of_kind if row["scene"] == scene]))
    return "\n".join(lines) + "\n"


def _line(name: str, rows: Sequence[dict[str, Any]]) -> str:
    counts = Counter(kind for row in rows for kind in {kind for kind, _words in row["problems"]})
    cells = [name, len(rows), *(counts[kind] for kind in PROBLEMS)]
    cells += [f"{max(row['seconds'] for row in rows):.1f}", f"{max(row['megabytes'] for row in rows):.0f}"]
    return f"| {' | '.join(map(str, cells))} |"


def write_table(results: Path, page: Path) -> None:
    """Put the table of the results between its marks on the page."""
    newest = {row["key"]: row for row in map(json.loads, results.read_text(encoding="utf-8").splitlines())}
    text = page.read_text(encoding="utf-8")
    before, after = text.index(BEGIN) + len(BEGIN), text.index(END)
    page.write_text(f"{text[:before]}\n{table(newest.values())}{text[after:]}", encoding="utf-8")
