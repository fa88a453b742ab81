"""`python -m installers KIND`, with packaging/ on PYTHONPATH: makes an installer, or the parts that another needs."""

from __future__ import annotations

import argparse
import plistlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from installers.deb import build_deb
from installers.frozen import PARTS
from installers.libraries import depends, find_needs, load_table
from installers.licences import components, dependencies
from installers.macos import info_plist, write_macos_parts
from installers.program import REPOSITORY, load_program, release_time
from installers.tarball import build_tarball
from installers.windows import write_windows_parts

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what was asked; 0 when done."""
    options = _parser().parse_args(arguments)
    program = load_program()
    started = time.monotonic()
    if options.kind in ("deb", "tarball"):
        build = build_deb if options.kind == "deb" else build_tarball
        made = build(
            options.bundle,
            options.out,
            program=program,
            work=PARTS / options.kind,
            found=components(dependencies()),
            released=release_time(),
        )
        print(f"{made}: {made.stat().st_size / 1e6:.0f} MB in {time.monotonic() - started:.0f} s")
    elif options.kind == "libraries":
        print(", ".join(depends(find_needs(options.bundle), load_table())))
    elif options.kind == "windows":
        write_windows_parts(PARTS / "windows", program)
        print(PARTS / "windows")
    elif options.kind == "macos":
        write_macos_parts(PARTS / "macos")
        print(PARTS / "macos")
    else:
        plistlib.dump(info_plist(program), sys.stdout.buffer)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="installers", description="Make an installer of the frozen program.")
    parser.add_argument(
        "kind",
        choices=("deb", "tarball", "libraries", "windows", "macos", "plist"),
        help="deb, tarball: pack it; libraries: print the Debian packages it needs; windows, macos: write icons and "
        "tables for those builds; plist: print the macOS Info.plist",
    )
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "dist" / "histoloop", help="the frozen program")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "dist", help="folder for the installer")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
