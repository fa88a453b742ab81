"""Backbones from tissue without labels, and the recipes that there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.cli.arguments import add_command, add_device, add_mpp_of_data, add_seed, count, resolution
from histoloop.cli.terminal import OK, print_warning, run

if TYPE_CHECKING:
    import argparse

    from histoloop.cli.arguments import Commands


def add_commands(commands: Commands) -> None:
    """Add this module's commands."""
    learned = add_command(commands, "pretrain", _pretrain, "pretrain a backbone on unlabelled tissue (self-supervised)")
    tissue = learned.add_mutually_exclusive_group(required=True)
    tissue.add_argument("--data", type=Path, help="folder or CSV file of a data set; its labels are not used")
    tissue.add_argument("--project", type=Path, help="project whose slides give the tiles with tissue")
    learned.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="WEIGHTS.safetensors",
        help="file to write, for network.weights in a recipe; the same command continues where it stopped",
    )
    learned.add_argument("--recipe", default="pretrain", help="recipe name or file (default: pretrain)")
    learned.add_argument("--start", metavar="WEIGHTS", help="imagenet, random or a file (default: as the recipe says)")
    learned.add_argument("--part", choices=("all", "train"), default="all", help="of a data set (default: all)")
    learned.add_argument(
        "--mpp", type=resolution, help="micrometres per pixel of the data set, where it does not state them"
    )
    add_mpp_of_data(learned)
    learned.add_argument("--tiles", type=count, default=2000, help="how many, of a project (default: 2000)")
    learned.add_argument("--epochs", type=count, help="shorten or lengthen the training")
    add_seed(learned)
    add_device(learned)

    listed = add_command(commands, "recipes", _recipes, "list the recipes that make a model from a data set")
    listed.add_argument("--show", metavar="NAME", help="print one with all its settings, as a start for your own")


# --- each imports what it needs, so that --help stays quick --------------------------------------------------------


def _pretrain(options: argparse.Namespace) -> int:
    from histoloop.workflows.projects import opened_project
    from histoloop.workflows.retraining.pretrain import pretrain_on_dataset, pretrain_on_project

    settings = {name: getattr(options, name) for name in ("out", "recipe", "start", "epochs", "device", "seed")}
    of_data = {"mpp": options.mpp, "mpp_from_objective": options.mpp_from_objective}
    if options.data:
        report = run(pretrain_on_dataset(options.data, part=options.part, **of_data, **settings))
    else:
        with opened_project(options.project) as project:
            report = run(pretrain_on_project(project, count=options.tiles, **settings))
    figures = ", ".join(f"{name} {value:.3g}" for name, value in report.figures.items())
    print(f"trained on {report.tiles} unlabelled tiles: {figures}")
    for warning in report.warnings:
        print_warning(warning)
    print(f"weights written to {report.weights}; start a recipe's network with weights = {str(report.weights)!r}")
    return OK


def _recipes(options: argparse.Namespace) -> int:
    from histoloop.training.recipe import load_recipe, recipe_path
    from histoloop.workflows.retraining.recipes import list_recipes, recipe_text

    if options.show:
        print(recipe_text(load_recipe(recipe_path(options.show))), end="")
        return OK
    for recipe in list_recipes():
        print(f"{recipe.name}\n    {recipe.description}\n    Source: {recipe.source}")
    return OK
