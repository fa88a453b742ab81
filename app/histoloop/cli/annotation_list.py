"""`histoloop annotations`: what people annotated in a project, and deleting some of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from histoloop.cli.arguments import add_command, add_json
from histoloop.cli.outcome import Outcome

if TYPE_CHECKING:
    import argparse

    from histoloop.cli.arguments import Commands
    from histoloop.store.project import Project
    from histoloop.workflows.annotations import ListedAnnotation


def add_commands(commands: Commands) -> None:
    """Add this module's command."""
    listed = add_command(
        commands, "annotations", _annotations, "list what people annotated in a project, or delete some"
    )
    listed.add_argument("project", type=Path)
    listed.add_argument(
        "--delete",
        type=int,
        nargs="+",
        default=[],
        metavar="ID",
        help="delete these annotations: nothing learns from them or is measured by them any more; the window's Undo, "
        "by the same person, brings them back, for their files stay",
    )
    listed.add_argument("--person", default="command line", help="who deletes")
    add_json(listed)


def _annotations(options: argparse.Namespace) -> int | Outcome:
    from histoloop.workflows.annotations import delete_annotations, listed_annotations
    from histoloop.workflows.projects import opened_project

    with opened_project(options.project) as project:
        if not options.delete:
            rows = [_row(project, each) for each in listed_annotations(project)]
            return Outcome([_line(row) for row in rows], done=rows)
        chosen = [each for each in listed_annotations(project) if each.record.id in options.delete]
        rows = [_row(project, each) for each in chosen]
        unknown = delete_annotations(project, options.delete, person=options.person)
    return Outcome(
        [f"deleted {_line(row)}" for row in rows],
        done=rows,
        failed=[(f"annotation {number}", why) for number, why in unknown.items()],
    )


def _row(project: Project, listed: ListedAnnotation) -> dict[str, Any]:
    """An annotation for scripts; its region in level-0 pixels, areas in mm2, or level-0 pixels where mpp is unknown."""
    from histoloop.workflows.annotations import areas_of

    record = listed.record
    region = record.region
    return {
        "id": record.id,
        "slide": listed.slide.name,
        "region": [region.x, region.y, region.width, region.height],
        "state": listed.state,
        "counts": str(record.counts),
        "label": record.label,
        "size": record.size,
        "areas": areas_of(project, listed),
        "area_unit": "px" if listed.slide.mpp is None else "mm2",
        "person": record.person,
        "updated": record.updated,
    }


def _line(row: dict[str, Any]) -> str:
    areas = ", ".join(f"{name} {area:.3g} {row['area_unit']}" for name, area in row["areas"].items())
    size = "" if row["size"] is None else f"{row['size']:.0%}"
    place = ",".join(map(str, row["region"]))
    cells = (row["id"], row["slide"], place, row["state"], row["counts"], row["label"] or "", size, areas,
             row["person"], row["updated"])  # fmt: skip
    return "\t".join(str(cell).replace("\t", " ") for cell in cells)
