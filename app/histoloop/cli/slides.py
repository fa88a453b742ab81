"""Slides into a project, and masks and classes of slides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.cli.arguments import (
    add_command,
    add_device,
    add_json,
    add_mpp_from_objective,
    add_precision,
    add_shard,
    add_spread,
    resolution,
    spread_of,
)
from histoloop.cli.outcome import Outcome
from histoloop.cli.terminal import WRONG, print_error, run

if TYPE_CHECKING:
    import argparse

    from histoloop.cli.arguments import Commands
    from histoloop.workflows.prediction.predict_files import FilesReport


UNKNOWN_MPP = "it states no resolution that a microscope can have; give it with --mpp, or in the window"


def add_commands(commands: Commands) -> None:
    """Add this module's commands."""
    imported = add_command(
        commands, "import", _import, "add slides and folders to a project, which is created if it does not exist"
    )
    imported.add_argument("project", type=Path)
    imported.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    imported.add_argument("--model", help="model a new project starts from (name or folder)")
    imported.add_argument("--mpp", type=resolution, help="micrometres per pixel of slides that do not state them")
    add_mpp_from_objective(imported)
    add_json(imported)

    predicted = add_command(commands, "predict", _predict, "predict masks and classes of slides, pictures and folders")
    predicted.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    predicted.add_argument("--out", type=Path, required=True, help="folder for the results")
    predicted.add_argument("--model", help="name of a shipped model, or a model folder")
    predicted.add_argument("--mpp", type=resolution, help="micrometres per pixel of slides that do not state them")
    add_mpp_from_objective(predicted)
    predicted.add_argument(
        "--again",
        action="store_true",
        help="predict everything again, also what the same model with the same settings predicted before (default: "
        "left as it is)",
    )
    add_spread(predicted, of="slides")
    add_shard(predicted)
    add_precision(predicted)
    add_json(predicted)
    add_device(predicted)


# --- each imports what it needs, so that --help stays quick --------------------------------------------------------


def _import(options: argparse.Namespace) -> int | Outcome:
    from histoloop.store.shipped import DEFAULT_MODEL
    from histoloop.workflows.projects import create_or_open_project, import_slides, opened_project

    there = (options.project / "project.db").exists()
    if there and options.model:
        print_error(f"{options.project} has its models already; --model is for new projects", command="import")
        return WRONG
    model = options.model or DEFAULT_MODEL
    name = options.project.resolve().name
    with (
        opened_project(options.project)
        if there
        else create_or_open_project(options.project, name=name, start=model) as project
    ):
        report = run(
            import_slides(project, options.paths, mpp=options.mpp, mpp_from_objective=options.mpp_from_objective)
        )
        added = [project.slides.get(slide_id) for slide_id in report.added]
    done = [{"slide": slide.name, "path": str(slide.path), "id": slide.id, "state": "added"} for slide in added]
    done += [{"slide": path.name, "path": str(path), "state": "known before"} for path in report.known]
    return Outcome(
        [f"{len(report.added)} added, {len(report.known)} known before, {len(report.failed)} failed"],
        done=done,
        failed=[(str(path), reason) for path, reason in report.failed],
        passed_over=[(str(path), reason) for path, reason in report.passed_over],
        notes=[
            *(f"{path}: {what}" for path, what in (*report.recognised, *report.notes)),
            *(f"{slide.name}: {_unknown(slide.objective)}" for slide in added if slide.mpp is None),
            *(
                f"{slide.name}: {slide.mpp:.4g} um per pixel is estimated by its objective"
                for slide in added
                if slide.mpp_from == "objective"
            ),
        ],
    )


def _unknown(objective: float | None) -> str:
    """That a slide states no resolution, and what its objective suggests."""
    from histoloop.slides.objective import mpp_of_objective

    estimate = None if objective is None else mpp_of_objective(objective)
    if estimate is None:
        return UNKNOWN_MPP
    hint = f"its objective of {objective:g}x suggests {estimate:.4g} um per pixel (--mpp-from-objective)"
    return f"{UNKNOWN_MPP}; {hint}"


def _predict(options: argparse.Namespace) -> Outcome:
    from histoloop.store.records import is_unlike
    from histoloop.store.shipped import DEFAULT_MODEL
    from histoloop.workflows.prediction.cohort import Shard
    from histoloop.workflows.prediction.predict_files import predict_files

    report = run(
        predict_files(
            options.paths,
            out=options.out,
            model=options.model or DEFAULT_MODEL,
            device=options.device,
            mpp=options.mpp,
            mpp_from_objective=options.mpp_from_objective,
            again=options.again,
            shard=Shard(*options.shard),
            spread=spread_of(options),
            precision=options.precision,
        )
    )
    predicted = [row for row in report.rows if row.status == "predicted"]
    return Outcome(
        [_predicted(report)],
        done=[
            *({"slide": row.cell("slide"), "state": "predicted before"} for row in report.done_before),
            *(
                {
                    "state": "predicted",
                    "slide": row.slide,
                    "class": row.predicted_class,
                    "probabilities": {} if is_unlike(row.unlike) else dict(row.probabilities or {}),
                    "unlike_training_data": None if row.unlike is None else is_unlike(row.unlike),
                    "distance_from_training_data": row.unlike,
                    "mpp": row.mpp,
                    "mpp_from": row.mpp_from,
                    "numbers": row.numbers,
                }
                for row in predicted
            ),
        ],
        failed=report.failed,
        passed_over=report.passed_over,
        notes=[*report.notes, *(f"{row.slide}: {row.message}" for row in predicted if row.message)],
    )


def _predicted(report: FilesReport) -> str:
    """What became of a cohort, in a line."""
    before = f", {len(report.done_before)} predicted before (--again predicts them once more)"
    counts = f"{report.predicted} predicted, {len(report.failed)} failed{before if report.done_before else ''}"
    return f"{counts}; see {report.summary}"
