"""The loop on synthetic slides that annotate themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.cli.arguments import add_command, add_device, add_seed, count
from histoloop.cli.terminal import OK, run, write_json

if TYPE_CHECKING:
    import argparse

    from histoloop.cli.arguments import Commands


def add_commands(commands: Commands) -> None:
    """Add this module's commands."""
    demo = add_command(commands, "demo", _demo, "run the loop on synthetic slides that annotate themselves")
    demo.add_argument("--rounds", type=count, default=3)
    add_seed(demo)
    demo.add_argument(
        "--classes",
        action="store_true",
        help="learn to tell gland and tumour apart, not one foreground as the paper has it",
    )
    demo.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON")
    demo.add_argument("--project", type=Path, metavar="FOLDER", help="keep the project here")
    add_device(demo)


# --- each imports what it needs, so that --help stays quick --------------------------------------------------------


def _demo(options: argparse.Namespace) -> int:
    from histoloop.store.temporary import temporary_folder
    from histoloop.workflows.experiments.demo import run_demo

    with temporary_folder("histoloop-demo") as scratch:
        folder = options.project or scratch / "project"
        work = run_demo(
            folder, rounds=options.rounds, seed=options.seed, device=options.device, classes=options.classes
        )
        report = run(work)
    print("round  annotations  Dice on test slides" + ("  mean of the classes" if options.classes else ""))
    for row in report.rounds:
        classes = "" if row.class_dice is None else f"  {row.class_dice:19.4f}"
        print(f"{row.round:5d}  {row.annotations:11d}  {row.dice:<19.4f}{classes}".rstrip())
    if options.json:
        write_json(options.json, report.as_json())
    return OK
