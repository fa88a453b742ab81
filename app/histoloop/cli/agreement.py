"""`histoloop agreement`: how far two readers of a project's regions agree, and which of them counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from histoloop.cli.arguments import add_command, add_json
from histoloop.cli.outcome import Outcome

if TYPE_CHECKING:
    import argparse

    from histoloop.cli.arguments import Commands
    from histoloop.workflows.contents.readings import Agreement, RegionAgreement


def add_commands(commands: Commands) -> None:
    """Add this module's command."""
    compared = add_command(
        commands, "agreement", _agreement, "compare the regions that two readers painted: Dice of each class, kappa"
    )
    compared.add_argument("project", type=Path)
    compared.add_argument("--table", type=Path, metavar="CSV", help="also write a row for each region and over all")
    compared.add_argument(
        "--choose",
        type=int,
        nargs="+",
        default=[],
        metavar="ID",
        help="let these annotations of a first or second reader count for their regions, and the others not",
    )
    compared.add_argument("--person", default="command line", help="who chooses")
    add_json(compared)


def _agreement(options: argparse.Namespace) -> Outcome:
    from histoloop.workflows.contents.readings import agreements, choose, over_all
    from histoloop.workflows.projects import opened_project

    with opened_project(options.project) as project:
        for annotation_id in options.choose:
            choose(project, annotation_id, person=options.person)
        found = agreements(project)
        rows = [_row(one) for one in found]
        if found:
            rows.append({"slide": "all", "regions": len(found), **_figures(over_all(project, found))})
        classes = project.scheme.mask_names
    if options.table is not None:
        _write(options.table, rows, classes)
    return Outcome([_line(row) for row in rows] or ["no region was painted by two readers"], done=rows)


def _row(one: RegionAgreement) -> dict[str, Any]:
    """A region for scripts, in level-0 pixels."""
    region = one.first.region
    return {
        "slide": one.slide.name,
        "region": [region.x, region.y, region.width, region.height],
        "first": {"id": one.first.id, "person": one.first.person},
        "second": {"id": one.second.id, "person": one.second.person},
        "counts": one.counts.id,
        "state": str(one.state),
        **_figures(one.agreement),
    }


def _figures(agreement: Agreement) -> dict[str, Any]:
    return {
        "dice": dict(agreement.dice),
        "mean_dice": agreement.mean_dice,
        "kappa": agreement.kappa,
        "pixels": agreement.pixels,
    }


def _line(row: dict[str, Any]) -> str:
    dice = ", ".join(f"{name} {_number(value)}" for name, value in row["dice"].items() if value is not None)
    figures = f"Dice {dice or 'not defined'}\tkappa {_number(row['kappa'])}"
    if row["slide"] == "all" and "regions" in row:
        return f"all {row['regions']} regions\t\t\t\t{figures}"
    place = ",".join(map(str, row["region"]))
    readers = "\t".join(f"{row[which]['id']} {row[which]['person']}" for which in ("first", "second"))
    return f"{row['slide']}\t{place}\t{readers}\t{row['state']}\t{figures}"


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"


def _write(path: Path, rows: list[dict[str, Any]], classes: tuple[str, ...]) -> None:
    """A CSV: empty cells where a figure is not defined."""
    import csv
    import io

    from histoloop.exchange.plain_text import plain_text
    from histoloop.exchange.writing import export_to
    from histoloop.store.files import write_beside

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    readers = ("first_id", "first_person", "second_id", "second_person", "counts", "state")
    head = ["slide", "x", "y", "width", "height", *readers]
    writer.writerow([*head, *(f"dice {name}" for name in classes), "mean_dice", "kappa", "pixels"])
    for row in rows:
        of_region = [""] * (len(head) - 1)
        if "region" in row:
            persons = [cell for which in ("first", "second") for cell in row[which].values()]
            of_region = [*row["region"], *persons, row["counts"], row["state"]]
        figures = [*row["dice"].values(), row["mean_dice"], row["kappa"], row["pixels"]]
        cells = [row["slide"], *of_region, *("" if value is None else value for value in figures)]
        writer.writerow([plain_text(cell) if isinstance(cell, str) else cell for cell in cells])
    with export_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_beside(path, text.getvalue())
