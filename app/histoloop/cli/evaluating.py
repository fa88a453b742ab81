"""How good a model is on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.cli.arguments import (
    add_command,
    add_device,
    add_seed,
    add_split,
    add_spread,
    count,
    spread_of,
    two_or_more,
)
from histoloop.cli.terminal import OK, WRONG, print_error, print_warning, report_failures, run

if TYPE_CHECKING:
    import argparse

    from histoloop.cli.arguments import Commands


def add_commands(commands: Commands) -> None:
    """Add this module's commands."""
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


# --- each imports what it needs, so that --help stays quick --------------------------------------------------------


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
