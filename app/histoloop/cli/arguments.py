"""Arguments that several commands share, and the kinds of values they take."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from histoloop.geometry import PLAUSIBLE_MPP

if TYPE_CHECKING:
    from collections.abc import Callable

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
) -> argparse.ArgumentParser:
    """A command of this name; `run` carries it out and gives the exit code."""
    parser = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    parser.add_argument("--verbose", action="store_true", help="show what is logged on standard error as well")
    parser.set_defaults(command=run, command_name=name)
    return parser


def add_device(parser: argparse.ArgumentParser) -> None:
    """`--device`."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def add_split(parser: argparse.ArgumentParser) -> None:
    """How a data set is split into parts, and at which resolution."""
    parser.add_argument(
        "--by",
        choices=("official", "case", "whole"),
        default="official",
        help="parts as the data set states them (default), dealt by case, or all of it as test",
    )
    parser.add_argument("--mpp", type=resolution, help="micrometres per pixel of the data set, where it does not say")


def resolution(text: str) -> float:
    """Micrometres per pixel that a microscope can have."""
    value, (least, most) = float(text), PLAUSIBLE_MPP
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(
            f"{text} is not the resolution of a microscope ({least} to {most:g} um per pixel)"
        )
    return value


def positive(text: str) -> float:
    """A number above 0."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
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


def rectangle(text: str) -> tuple[int, int, int, int]:
    """A rectangle in level-0 pixels, X,Y,WIDTH,HEIGHT."""
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not X,Y,WIDTH,HEIGHT in whole pixels") from None
    return x, y, width, height


def mapping(text: str) -> tuple[str, str]:
    """FOREIGN=OWN, both not empty; FOREIGN may hold '='."""
    foreign, _, own = text.rpartition("=")
    if not foreign.strip() or not own.strip():
        raise argparse.ArgumentTypeError(f"{text} is not FOREIGN=OWN")
    return foreign.strip(), own.strip()
