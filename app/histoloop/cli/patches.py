"""Patches of whole slides with tumour masks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.cli.arguments import add_command, add_seed, add_spread, count, fraction, spread_of
from histoloop.cli.terminal import WRONG, print_error, print_warning, report_failures, run

if TYPE_CHECKING:
    import argparse

    from histoloop.cli.arguments import Commands


def add_commands(commands: Commands) -> None:
    """Add this module's commands."""
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
