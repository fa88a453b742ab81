"""Arguments that several commands share, and the kinds of values they take."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.geometry import PLAUSIBLE_MPP

if TYPE_CHECKING:
    from collections.abc import Callable

    from histoloop.cli.outcome import Outcome
    from histoloop.workflows.cluster.spread import Spread

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


SMALLEST_SIDE_PX, LARGEST_SIDE_PX = 128, 1024
LEAST_MASK_MPP, MOST_MASK_MPP = 0.02, 200.0
UNITS_UM = (0.001, 1000.0, 10_000.0)
"""Nanometre, millimetre, centimetre; the micrometre is among the resolutions."""


class Once(argparse.Action):
    """An argument that is wrong usage when it is given twice: the second would replace the first without a word."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Keep the value, the first time."""
        if getattr(namespace, self.dest) is not None:
            parser.error(f"argument {option_string}: give it once, with commas between the names")
        setattr(namespace, self.dest, values)


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int | Outcome],
    summary: str,
) -> argparse.ArgumentParser:
    """A command of this name; `run` carries it out and gives its outcome, or the exit code."""
    parser = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    parser.add_argument("--verbose", action="store_true", help="also write the log to standard error")
    parser.set_defaults(command=run, command_name=name)
    return parser


def add_device(parser: argparse.ArgumentParser) -> None:
    """`--device`."""
    parser.add_argument(
        "--device", type=device, metavar="{auto,cpu,cuda,cuda:N}", default="auto",
        help="cuda:1 is the second GPU (default: a GPU if there is one)",
    )  # fmt: skip


def add_spread(parser: argparse.ArgumentParser, *, of: str, jobs: bool = True) -> None:
    """`--jobs` and `--dask`; `of` is what is done side by side."""
    if jobs:
        parser.add_argument("--jobs", type=count, help=f"{of} side by side, each in a process of its own (default: 1)")
    parser.add_argument(
        "--dask",
        metavar="{ADDRESS,local,slurm}",
        default="",
        help=f"{of} as tasks on a Dask cluster: address of its scheduler, local for --jobs workers on this machine, "
        "or slurm for --jobs jobs of a SLURM queue (needs the extra histoloop[cluster])",
    )


def spread_of(options: argparse.Namespace) -> Spread:
    """What `add_spread` was given."""
    from histoloop.workflows.cluster.spread import Spread

    return Spread(jobs=options.jobs, dask=options.dask)


def add_shard(parser: argparse.ArgumentParser) -> None:
    """`--shard`."""
    parser.add_argument(
        "--shard",
        type=shard,
        default=(1, 1),
        metavar="I/N",
        help="only every N-th slide, starting with the I-th; a run without it joins the tables of the parts",
    )


def add_precision(parser: argparse.ArgumentParser) -> None:
    """`--precision`."""
    parser.add_argument(
        "--precision",
        choices=("exact", "fast"),
        default="fast",
        help="precision of the network's numbers: exact is single precision; fast (default) is half precision where "
        "the processor or GPU is made for it, which changes a few pixels in a thousand at the edges of masks",
    )


def add_json(parser: argparse.ArgumentParser, *, inner: bool = False) -> None:
    """`--json`, for an outcome; of what a command can do (`inner`) it may stand behind that too."""
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS if inner else None,
        help="also write what was done, what failed and the exit code as JSON ('-': to standard output)",
    )
    parser.set_defaults(has_outcome=True)


def add_mpp_from_objective(parser: argparse.ArgumentParser) -> None:
    """`--mpp-from-objective`."""
    parser.add_argument(
        "--mpp-from-objective",
        action="store_true",
        help="of slides that state no resolution but their objective, estimate it: 10 um / power, 0.25 for 40x "
        "(before --mpp; marked as estimated)",
    )


def add_mpp_of_data(parser: argparse.ArgumentParser) -> None:
    """`--mpp-from-objective` of commands that read data sets."""
    parser.add_argument(
        "--mpp-from-objective",
        action="store_true",
        help="of slides in the data set that state no resolution but their objective, estimate it: 10 um / power",
    )


def add_seed(parser: argparse.ArgumentParser) -> None:
    """`--seed`."""
    parser.add_argument("--seed", type=seed, default=0)


def add_split(parser: argparse.ArgumentParser) -> None:
    """How a data set is split into parts, and at which resolution."""
    parser.add_argument(
        "--by",
        choices=("official", "case", "whole"),
        default="official",
        help="the split that the data set states (default), a split by case, or all of it as test",
    )
    parser.add_argument(
        "--mpp", type=resolution, help="micrometres per pixel of the data set, where it does not state them"
    )
    add_mpp_of_data(parser)


def resolution(text: str) -> float:
    """Micrometres per pixel that a microscope can have."""
    value, (least, most) = float(text), PLAUSIBLE_MPP
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(
            f"{text} is not the resolution of a microscope ({least} to {most:g} um per pixel)"
        )
    return value


def mask_resolution(text: str) -> float:
    """Micrometres per pixel of a mask picture or per unit of outlines, which may be nanometres up to centimetres."""
    value = float(text)
    if not (LEAST_MASK_MPP <= value <= MOST_MASK_MPP or value in UNITS_UM):
        raise argparse.ArgumentTypeError(
            f"{text} is neither the resolution of a mask ({LEAST_MASK_MPP} to {MOST_MASK_MPP:g} um per pixel) "
            f"nor a unit of length ({', '.join(f'{unit:g}' for unit in UNITS_UM)} um)"
        )
    return value


def fraction(text: str) -> float:
    """A fraction from 0 to 1."""
    value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1, or 0% and 100%")
    return value


def count(text: str) -> int:
    """A whole number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def two_or_more(text: str) -> int:
    """A whole number from 2."""
    value = int(text)
    if value < 2:
        raise argparse.ArgumentTypeError(f"{text} is not at least 2")
    return value


def window_size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT of a window, each from 320."""
    width, by, height = text.partition("x")
    if not (by and width.isdecimal() and height.isdecimal() and min(int(width), int(height)) >= 320):
        raise argparse.ArgumentTypeError(f"{text} is no size of a window, such as 1280x800")
    return int(width), int(height)


def weight(text: str) -> float:
    """A finite number from 0."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no number from 0")
    return value


def device(text: str) -> str:
    """auto, cpu, cuda, or one GPU of several."""
    number = text.removeprefix("cuda:")
    if text in ("auto", "cpu", "cuda") or (number != text and number.isascii() and number.isdigit()):
        return text
    raise argparse.ArgumentTypeError(f"{text} is not auto, cpu, cuda, or cuda:0 and so on")


def shard(text: str) -> tuple[int, int]:
    """Which of how many parts, from 1."""
    number, _, of = text.partition("/")
    try:
        found = int(number), int(of)
    except ValueError:
        found = 0, 0
    if not 1 <= found[0] <= found[1]:
        raise argparse.ArgumentTypeError(f"{text} is not I/N, such as 2/8: which of how many parts, from 1")
    return found


def seed(text: str) -> int:
    """A whole number from 0 that random number generators take."""
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0 to {2**32 - 1}")
    return value


def side(text: str) -> int:
    """The side of a region that is asked about, in pixels that the model sees."""
    value = int(text)
    if not SMALLEST_SIDE_PX <= value <= LARGEST_SIDE_PX:
        raise argparse.ArgumentTypeError(f"{text} is not from {SMALLEST_SIDE_PX} to {LARGEST_SIDE_PX}")
    return value


def rectangle(text: str) -> tuple[int, int, int, int]:
    """A rectangle in level-0 pixels, X,Y,WIDTH,HEIGHT."""
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not X,Y,WIDTH,HEIGHT in whole pixels") from None
    if width < 1 or height < 1:
        raise argparse.ArgumentTypeError(f"{text} has no pixel: width and height must be at least 1")
    return x, y, width, height


def mapping(text: str) -> tuple[str, str]:
    """FOREIGN=OWN, both not empty; FOREIGN may hold '='."""
    foreign, _, own = text.rpartition("=")
    if not foreign.strip() or not own.strip():
        raise argparse.ArgumentTypeError(f"{text} is not FOREIGN=OWN")
    return foreign.strip(), own.strip()
