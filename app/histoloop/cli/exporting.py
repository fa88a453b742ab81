"""What a project has, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.cli.arguments import add_command, add_json
from histoloop.cli.outcome import Outcome
from histoloop.cli.terminal import run

if TYPE_CHECKING:
    import argparse

    from histoloop.cli.arguments import Commands
    from histoloop.store.project import Project
    from histoloop.workflows.contents.export_choices import ExportChoices


def add_commands(commands: Commands) -> None:
    """Add this module's commands."""
    exported = add_command(
        commands, "export", _export, "write a project's masks, polygons and areas for other programs"
    )
    exported.add_argument("project", type=Path)
    exported.add_argument("--out", type=Path, required=True)
    exported.add_argument("--slides", nargs="+", metavar="NAME", help="these slides alone, by their names")
    exported.add_argument("--classes", nargs="+", metavar="CLASS", help="these mask classes alone")
    exported.add_argument(
        "--formats", nargs="+", choices=("geojson", "png", "tiff"), help="these files of each slide alone"
    )
    exported.add_argument(
        "--drawn-by",
        nargs="+",
        choices=("person", "accepted", "model"),
        help="what these drew alone: a person, the model where a person accepted it, the model elsewhere",
    )
    exported.add_argument(
        "--table",
        choices=("csv", "excel", "excel-semicolon"),
        default="csv",
        help="tables for programs, or for a double click in Excel: in English, or in German and French (semicolons, "
        "decimal commas); default: %(default)s",
    )
    add_json(exported)


# --- each imports what it needs, so that --help stays quick --------------------------------------------------------


def _export(options: argparse.Namespace) -> Outcome:
    from histoloop.workflows.export import export_project
    from histoloop.workflows.projects import opened_project

    with opened_project(options.project) as project:
        report = run(export_project(project, options.out, _export_choices(project, options)))
    return Outcome(
        [f"{len(report.files)} files written to {options.out}"],
        done=[{"slide": name} for name in report.exported],
        failed=report.failed,
    )


def _export_choices(project: Project, options: argparse.Namespace) -> ExportChoices:
    """What the options choose; ProjectError for a slide or class that the project has not."""
    from histoloop.errors import ProjectError
    from histoloop.exchange.tables import TABLE_STYLES
    from histoloop.workflows.contents.export_choices import DRAWN_BY, FORMATS, ExportChoices

    ids, classes = {slide.name: slide.id for slide in project.slides.all()}, project.scheme.mask_names
    for what, named, known in (("slide", options.slides, ids), ("class", options.classes, classes)):
        for name in named or ():
            if name not in known:
                raise ProjectError(
                    f"The project has no {what} '{name}'.", advice=f"It has: {', '.join(known) or 'none'}."
                )
    return ExportChoices(
        None if options.slides is None else frozenset(ids[name] for name in options.slides),
        None if options.classes is None else frozenset(options.classes),
        frozenset(options.formats or FORMATS),
        frozenset(options.drawn_by or DRAWN_BY),
        TABLE_STYLES[options.table],
    )
