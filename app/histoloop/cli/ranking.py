"""Which of several models suits slides that nobody labelled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.cli.arguments import add_command, add_device, add_mpp_of_data, count, resolution
from histoloop.cli.terminal import WRONG, print_error, print_warning, report_failures, run, write_json

if TYPE_CHECKING:
    import argparse

    from histoloop.acquisition.model_selection import SelectionMeasures
    from histoloop.cli.arguments import Commands


def add_commands(commands: Commands) -> None:
    """Add this module's commands."""
    ranked = add_command(commands, "rank", _rank, "rank saved models for your unlabelled slides, the best first")
    ranked.add_argument("models", nargs="*", metavar="MODEL", help="model folders (default: those of the project)")
    where = ranked.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path, help="folder or CSV file of a data set; its labels are not used")
    where.add_argument("--project", type=Path, help="project whose unlabelled regions are used")
    ranked.add_argument(
        "--by",
        choices=("official", "case", "whole"),
        default="whole",
        help="tiles of a data set: all (default), or the test part as stated or split by case",
    )
    ranked.add_argument(
        "--mpp", type=resolution, help="micrometres per pixel of the data set, where it does not state them"
    )
    add_mpp_of_data(ranked)
    ranked.add_argument(
        "--outputs", choices=("logit", "softmax"), default="softmax", help="compared (default: softmax)"
    )
    ranked.add_argument("--regions", type=count, default=3, help="regions to list of each model (default: 3)")
    ranked.add_argument(
        "--slides",
        action="store_true",
        help="of a project: look at regions of every slide, and list the model that moved least on each",
    )
    ranked.add_argument("--json", type=Path, metavar="FILE", help="write all as JSON ('-': to standard output)")
    add_device(ranked)


# --- each imports what it needs, so that --help stays quick --------------------------------------------------------


def _rank(options: argparse.Namespace) -> int:
    if options.data and not options.models:
        print_error("name the model folders to rank on a data set", command="rank")
        return WRONG
    if options.data and options.slides:
        print_error("--slides goes with --project", command="rank")
        return WRONG
    from histoloop.store.shipped import find_model
    from histoloop.workflows.experiments.rank_models import rank_on_dataset, rank_on_project

    models = [find_model(name) for name in options.models]
    settings = {"outputs": options.outputs, "device": options.device}
    of_data = {"mpp": options.mpp, "mpp_from_objective": options.mpp_from_objective}
    if options.data:
        ranking = run(rank_on_dataset(models, data=options.data, split=options.by, **of_data, **settings))
    else:
        from histoloop.workflows.projects import opened_project

        with opened_project(options.project) as project:
            ranking = run(rank_on_project(project, models, every_slide=options.slides, **settings))
    if options.json:
        write_json(options.json, ranking.as_json())
    if options.json != Path("-"):
        for place, model in enumerate(ranking.models, start=1):
            print(f"{place}  {model.discrepancy:.4g}  {model.name}  {model.folder}")
            for region in model.regions[: options.regions]:
                print(f"     {region.discrepancy:.4g}  {region.region}")
        if measures := ranking.measures():
            _print_measures(measures)
        if options.slides:
            names = {model.folder: model.name for model in ranking.models}
            for slide, folder in ranking.best_of_cases().items():
                print(f"{slide}: {names[folder]} moved least")
    for warning in ranking.warnings:
        print_warning(warning)
    return report_failures(ranking.failed)


def _print_measures(measures: SelectionMeasures) -> None:
    """What the choice is worth, by masks or labels that had no part in it."""
    values = (measures.by_sample, measures.by_model, measures.mean, measures.best)
    by_sample, by_model, mean, best = (f"{100 * value:.1f}" for value in values)
    print(f"each region from the model that moved least there: {by_sample}; the first model: {by_model}")
    print(f"the models: {mean} in the mean, {best} the best")
    for first, hits in measures.hits:
        print(f"of the first {first}, {hits} among the best {first}")
