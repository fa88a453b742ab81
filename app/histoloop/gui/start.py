"""The way in to the window, which is an extra, `histoloop[gui]`: the command line does without."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

from histoloop.errors import HistoLoopError
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Sequence

LIBRARIES = ("PySide6", "napari")
INSTALL = "pip install 'histoloop[gui]'"


def check_window() -> None:
    """HistoLoopError, with the command that installs it, where the window is not installed."""
    for library in LIBRARIES:
        if importlib.util.find_spec(library) is None:
            raise HistoLoopError(
                tr("HistoLoop's window is not installed: {library} is missing.", library=library),
                advice=tr("Install the window: {command}", command=INSTALL),
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the window; 1, with what to install on standard error, where there is none."""
    try:
        check_window()
    except HistoLoopError as error:
        print(f"histoloop: {error}", file=sys.stderr)  # noqa: T201
        return 1
    from histoloop.gui.application import main as open_window

    return open_window(arguments)
