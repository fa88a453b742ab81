"""What packaging/histoloop.spec adds to the programs on each system: icon, version information, the macOS bundle."""

from __future__ import annotations

import sys
from typing import Any

from installers.macos import info_plist, write_macos_parts
from installers.program import REPOSITORY, load_program
from installers.windows import write_windows_parts

PARTS = REPOSITORY / "build" / "installers"


def exe_options(platform: str = sys.platform) -> dict[str, Any]:
    """Arguments for EXE; the files they name are written."""
    if platform == "win32":
        write_windows_parts(PARTS / "windows", load_program())
        return {
            "icon": str(PARTS / "windows" / "histoloop.ico"),
            "version": str(PARTS / "windows" / "version_info.txt"),
        }
    if platform == "darwin":
        write_macos_parts(PARTS / "macos")
        return {"icon": str(PARTS / "macos" / "histoloop.icns")}
    return {}


def app_options() -> dict[str, Any]:
    """Arguments for BUNDLE, which is for macOS alone; the files they name are written."""
    program = load_program()
    return {
        "name": f"{program.name}.app",
        "bundle_identifier": program.id,
        "version": program.version,
        "info_plist": info_plist(program),
        **exe_options("darwin"),
    }
