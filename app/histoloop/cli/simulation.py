"""The command that simulates whole sessions of active learning: simulate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.cli.arguments import (
    add_command,
    add_device,
    add_split,
    add_spread,
    count,
    spread_of,
    two_or_more,
    weight,
)
from histoloop.cli.terminal import OK, WRONG, print_error, print_warning, run

if TYPE_CHECKING:
    import argparse

    from histoloop.cli.arguments import Commands

DEFAULT_STRATEGIES = "random,entropy,mc-dropout,random+propagation"


def add_commands(commands: Commands) -> None:
    """Add this module's command."""
    simulated = add_command(
        commands, "simulate", _simulate, "try acquisition strategies on a data set whose masks answer the questions"
    )
    simulated.add_argument("--data", type=Path, required=True, help="folder or CSV file of the data set")
    simulated.add_argument(
        "--strategies",
        default=DEFAULT_STRATEGIES,
        help="separated by commas; each may be joined with +propagation (or +propagation-uncapped), "
        "+consistency and +continued (each round goes on from the decoder of the one before) "
        f"(default: {DEFAULT_STRATEGIES})",
    )
    simulated.add_argument("--rounds", type=count, help="rounds of a session (default: as the preset says)")
    simulated.add_argument("--seeds", type=count, default=3, help="sessions of each strategy (default: 3)")
    simulated.add_argument(
        "--json", type=Path, required=True, metavar="FILE", help="results; a CSV and a PNG are written beside"
    )
    simulated.add_argument(
        "--preset",
        choices=("quick", "paper"),
        default="quick",
        help="quick: small, for two CPU cores (default); paper: as label-prop has it, for a GPU",
    )
    simulated.add_argument(
        "--model",
        default="",
        help="model whose frozen classifier all sessions start from: name of a shipped one, or a folder "
        "(default: the shipped one)",
    )
    simulated.add_argument(
        "--classes",
        action="store_true",
        help="learn to tell mask classes apart, each mask being of the class that its label has (gland, tumour)",
    )
    simulated.add_argument(
        "--passes",
        type=two_or_more,
        help="passes of Monte-Carlo dropout (default: as the preset says, 20 in quick; label-prop takes 50)",
    )
    simulated.add_argument(
        "--neighbours", type=count, metavar="K", help="k of +propagation before its cap (default: 40, as in label-prop)"
    )
    simulated.add_argument(
        "--pseudo-weight",
        type=weight,
        metavar="LAMBDA",
        help="weight of the model's own masks in the loss (default: 0.1, lambda of label-prop eq 1)",
    )
    simulated.add_argument(
        "--vaal",
        choices=("quick", "paper"),
        help="the networks of the strategy vaal (default: those of the preset); quick: seconds; paper: as its authors "
        "have them, for a GPU",
    )
    simulated.add_argument("--jobs", type=count, help="sessions side by side (default: as cores and memory allow)")
    add_spread(simulated, of="sessions", jobs=False)
    add_split(simulated)
    add_device(simulated)


def _simulate(options: argparse.Namespace) -> int:
    from histoloop.errors import RecipeError
    from histoloop.store.shipped import DEFAULT_MODEL, find_model
    from histoloop.workflows.experiments.sessions import Way
    from histoloop.workflows.experiments.simulate import PRESETS, adjusted, simulate

    try:
        ways = [Way.parse(name) for name in options.strategies.split(",")]
    except RecipeError as error:
        print_error(str(error), command="simulate")
        return WRONG
    if twice := sorted({way.name for way in ways if ways.count(way) > 1}):
        print_error(f"{', '.join(twice)} stands twice in --strategies: name each once", command="simulate")
        return WRONG

    found = run(
        simulate(
            data=options.data,
            model=find_model(options.model or DEFAULT_MODEL),
            strategies=options.strategies.split(","),
            seeds=options.seeds,
            rounds=options.rounds,
            json_file=options.json,
            preset=options.preset,
            settings=adjusted(
                PRESETS[options.preset],
                passes=options.passes,
                neighbours=options.neighbours,
                pseudo_weight=options.pseudo_weight,
                vaal=options.vaal,
            ),
            split=options.by,
            mpp=options.mpp,
            mpp_from_objective=options.mpp_from_objective,
            device=options.device,
            spread=spread_of(options),
            classes=options.classes,
        )
    )
    width = max(len("strategy"), *(len(curve.name) for curve in found.curves))
    of = "mean Dice of the classes" if options.classes else "mean Dice"
    print(f"{'strategy':{width}}  AUC of Dice  {of} after each round")
    for curve in found.curves:
        summary = [f"{100 * value:5.1f}" for value in curve.mean]
        area = sum(curve.areas) / len(curve.areas)
        print(f"{curve.name:{width}}  {100 * area:11.2f}  {' '.join(summary)}")
    upper = sum(found.upper) / len(found.upper)
    print(f"class maps without any mask: {100 * found.lower:.1f}; all masks: {100 * upper:.1f}")
    for warning in found.warnings:
        print_warning(warning)
    print(f"written: {', '.join(str(path) for path in found.files)}")
    return OK
