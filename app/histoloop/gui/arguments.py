"""The arguments of `histoloop-gui`, apart from the window: the manual is written from them without Qt."""

from __future__ import annotations

import argparse
from pathlib import Path


def build_parser() -> argparse.ArgumentParser:
    """Paths to open, or the demo project."""
    parser = argparse.ArgumentParser(prog="histoloop-gui", description="Open the window.")
    parser.add_argument("paths", nargs="*", type=Path, help="a project (its folder or its .histoloop file), or slides")
    parser.add_argument("--demo", action="store_true", help="open the demo project")
    parser.add_argument("--verbose", action="store_true", help="also write the log to standard error")
    parser.add_argument("--start-times", type=Path, help=argparse.SUPPRESS)  # for the report of the build
    return parser
