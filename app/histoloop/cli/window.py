"""The window: open it, or drive it through the loop for pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.cli.arguments import add_command, window_size
from histoloop.language import ENGLISH, LANGUAGES

if TYPE_CHECKING:
    import argparse

    from histoloop.cli.arguments import Commands


def add_commands(commands: Commands) -> None:
    """Add this module's commands."""
    opened = add_command(commands, "open", _open, "open the window on a project, on slides, or on the demo project")
    opened.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="a project (its folder or its .histoloop file), or slides"
    )
    opened.add_argument("--demo", action="store_true", help="open the demo project, made on first use")

    tour = add_command(commands, "tour", _tour, "drive the window through the loop and save a picture of each step")
    tour.add_argument("--out", type=Path, required=True)
    codes = [language.code for language in LANGUAGES]
    tour.add_argument("--language", choices=codes, default=ENGLISH.code, help="language of the window")
    tour.add_argument("--theme", choices=("light", "dark"), default="light", help="theme of the window")
    tour.add_argument(
        "--size", type=window_size, metavar="WIDTHxHEIGHT", default=(1480, 920), help="of the window, in pixels"
    )


# --- each imports what it needs, so that --help stays quick --------------------------------------------------------


def _open(options: argparse.Namespace) -> int:
    from histoloop.gui.start import check_window

    check_window()
    from histoloop.gui.application import main

    return main([str(path) for path in options.paths] + (["--demo"] if options.demo else []))


def _tour(options: argparse.Namespace) -> int:
    from histoloop.gui.start import check_window

    check_window()
    from histoloop.gui.tour.run import run_tour

    return run_tour(options.out, options.language, theme=options.theme, size_px=options.size)
