"""Commands that make and measure models: pretrain, recipes, evaluate, rank, patches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.cli.arguments import (
    add_command,
    add_device,
    add_mpp_of_data,
    add_seed,
    add_split,
    add_spread,
    count,
    fraction,
    resolution,
    spread_of,
    two_or_more,
)
from histoloop.cli.terminal import OK, WRONG, print_error, print_warning, report_failures, run, write_json

if TYPE_CHECKING:
    import argparse

    from histoloop.acquisition.model_selection import SelectionMeasures
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

    measured = add_command(commands, "evaluate", _evaluate, "measure a model on a data set: labels, masks, pictures")
    measured.add_argument("--model", required=True, help="name of a shipped model, or a model folder")
    measured.add_argument("--data", type=Path, required=True, help="folder or CSV file of the data set")
    measured.add_argument("--split", choices=("train", "val", "test"), default="test", help="part (default: test)")
    add_seed(measured)
    measured.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON")
    measured.add_argument("--pictures", type=Path, metavar="FOLDER", help="write a page of pictures")
    measured.add_argument(
        "--reliability",
        type=Path,
        metavar="PNG",
        help="draw a reliability diagram of the label probabilities; the numbers go beside it as .csv",
    )
    measured.add_argument("--count", type=count, default=12, help="how many tiles to draw (default: 12)")
    measured.add_argument("--layer", help="also Grad-CAM at this layer, e.g. classifier.backbone.layer3")
    measured.add_argument(
        "--views",
        action="store_true",
        help="average over each tile and its mirror image at half, one, one and a half and twice its size",
    )
    measured.add_argument("--robustness", action="store_true", help="attack some tiles by DDN")
    measured.add_argument(
        "--quantise",
        type=two_or_more,
        metavar="LEVELS",
        help="with --robustness: round changed tiles to so many values of a colour (256: what a picture can store)",
    )
    measured.add_argument(
        "--target", metavar="LABEL", help="with --robustness: the smallest change to this label, of tiles of the others"
    )
    measured.add_argument(
        "--probe",
        choices=("linear", "svm"),
        help="also the labels by a linear head or a linear SVM on the frozen backbone, trained on the training part",
    )
    measured.add_argument(
        "--statistics",
        action="store_true",
        help="in place of measuring: keep in the model's folder what the training part of the data set, on which it "
        "was trained, looks like, so that slides unlike it are marked (for models that were made without)",
    )
    add_split(measured)
    add_spread(measured, of="pictures")
    add_device(measured)

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

    sampled = add_command(commands, "patches", _patches, "sample patches of whole slides with tumour masks into a CSV")
    sampled.add_argument("slides", type=Path, help="folder of slides")
    sampled.add_argument("--masks", type=Path, required=True, help="masks, GeoJSON or XML named as the slides")
    sampled.add_argument("--out", type=Path, required=True, metavar="CSV", help="coordinates; `train --data` reads it")
    sampled.add_argument("--patch", type=count, default=512, help="side in level-0 pixels (default: 512)")
    protocol = (
        ("--tissue-min", 0.10, "least share of tissue of a patch that is taken"),
        ("--tumour-min", 0.20, "least share of tumour of a metastatic patch"),
        ("--tumour-abundant", 0.50, "share of tumour above which a patch is abundant, of which few are kept"),
        (
            "--abundant-share",
            0.01,
            "abundant patches kept for each other metastatic one; 0.64 gives the thesis' counts",
        ),
    )
    for option, default, meaning in protocol:
        sampled.add_argument(option, type=fraction, default=default, help=f"{meaning} (default: {default:g})")
    sampled.add_argument("--table", type=Path, metavar="CSV", help="case (patient) and split of each slide")
    sampled.add_argument("--mask-value", type=int, help="value of tumour in mask images (default: all but 0)")
    add_spread(sampled, of="slides")
    add_seed(sampled)


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


def _evaluate(options: argparse.Namespace) -> int:
    if (options.quantise or options.target) and not options.robustness:
        print_error("--quantise and --target are of an attack: give --robustness too", command="evaluate")
        return WRONG
    if options.statistics:
        return _state_statistics(options)
    from histoloop.exchange.evaluation import table_text
    from histoloop.store.shipped import find_model
    from histoloop.workflows.experiments.evaluate import EvaluationSettings, evaluate_model

    settings = EvaluationSettings(
        part=options.split,
        split=options.by,
        seed=options.seed,
        layer=options.layer,
        pictures=options.count,
        robustness=options.robustness,
        quantise_levels=options.quantise,
        target=options.target,
        probe=options.probe,
        views=options.views,
    )
    found = run(
        evaluate_model(
            find_model(options.model),
            data=options.data,
            settings=settings,
            device=options.device,
            mpp=options.mpp,
            mpp_from_objective=options.mpp_from_objective,
            json=options.json,
            pictures=options.pictures,
            reliability=options.reliability,
            spread=spread_of(options),
        )
    )
    print(table_text(found.table), end="")
    for warning in found.warnings:
        print_warning(warning)
    return report_failures(found.failed)


def _state_statistics(options: argparse.Namespace) -> int:
    names = ("json", "pictures", "reliability", "layer", "views", "robustness", "probe")
    if options.by == "whole" or any(getattr(options, name) for name in names):
        print_error(
            f"--statistics measures nothing: leave out {', '.join(f'--{name}' for name in names)}, --by whole",
            command="evaluate",
        )
        return WRONG
    from histoloop.store.shipped import find_model
    from histoloop.workflows.experiments.state_statistics import state_statistics

    found = run(
        state_statistics(
            find_model(options.model),
            data=options.data,
            split=options.by,
            seed=options.seed,
            mpp=options.mpp,
            mpp_from_objective=options.mpp_from_objective,
            device=options.device,
        )
    )
    for warning in found.warnings:
        print_warning(warning)
    print(f"what {found.tiles} training tiles are like is written to {found.path}")
    return OK


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


def _patches(options: argparse.Namespace) -> int:
    from histoloop.workflows.experiments.patch_grid import PatchSettings
    from histoloop.workflows.experiments.sample_patches import sample_patches

    if not 0 < options.tumour_min <= options.tumour_abundant:
        print_error("--tumour-min must be above 0 and at most --tumour-abundant", command="patches")
        return WRONG
    report = run(
        sample_patches(
            options.slides,
            options.masks,
            options.out,
            settings=PatchSettings(
                patch_px=options.patch,
                tissue_min=options.tissue_min,
                tumour_min=options.tumour_min,
                tumour_abundant=options.tumour_abundant,
                abundant_share=options.abundant_share,
            ),
            table=options.table,
            mask_value=options.mask_value,
            seed=options.seed,
            spread=spread_of(options),
        )
    )
    for part, (metastatic, normal) in report.patches.items():
        print(f"{part}: {metastatic} metastatic and {normal} normal patches")
    for warning in report.warnings:
        print_warning(warning)
    print(f"coordinates written to {report.table}")
    return report_failures(report.failed)
