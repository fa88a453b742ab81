"""Starts the window: a splash at once, then everything that takes seconds to load."""

from __future__ import annotations

import argparse
import ctypes
import json
import logging
import logging.handlers
import multiprocessing
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

import histoloop
from histoloop import paths
from histoloop.gui.jobs import LOG_ADVICE
from histoloop.gui.settings import Settings
from histoloop.gui.splash import Splash
from histoloop.gui.theme import application_icon
from histoloop.store.files import write_beside

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from histoloop.gui.main_window import MainWindow

_log = logging.getLogger(__name__)
_MANY = 1 << 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the window on what is named (a project or slides), or on the demo project with `--demo`."""
    multiprocessing.freeze_support()
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C in a terminal ends the window too; everything is saved
    watch = _StartWatch()
    application = make_application()
    splash = Splash()
    splash.show_at_once()
    watch.note("splash_s")
    write_log(paths.user_data() / "logs")
    window = _load_window()
    sys.excepthook = _Teller(window)
    window.show()
    splash.finish(window)
    watch.note("window_s")
    if options.start_times:
        write_beside(options.start_times, json.dumps(watch.seconds) + "\n")
        QTimer.singleShot(0, window.close)
    elif options.demo:
        QTimer.singleShot(0, window.commands.open_demo)
    elif options.paths:
        QTimer.singleShot(0, lambda: window.open_paths(options.paths))
    return application.exec()


def _load_window() -> MainWindow:
    """The window. It is imported here, since napari and all else behind it take seconds while the splash shows."""
    from histoloop.gui.main_window import MainWindow

    return MainWindow(Settings())


def make_application() -> QApplication:
    """The application object of this process, with its names and icon."""
    keep_none()
    application = QApplication.instance()
    if not isinstance(application, QApplication):
        application = QApplication(sys.argv[:1])
    application.setApplicationName(paths.APP_NAME)
    application.setApplicationVersion(histoloop.__version__)
    application.setWindowIcon(application_icon())
    return application


def keep_none() -> None:
    """Keep this process from running out of references to None.

    PySide6 6.12 releases one in every call that returns nothing. From Python 3.12 on None cannot die (PEP 683); before,
    the process ends after some ten thousand calls ('deallocating None'). This gives 3.11 enough of them for good.
    """
    if sys.version_info < (3, 12) and sys.getrefcount(None) < _MANY:
        ctypes.c_ssize_t.from_address(id(None)).value += 2 * _MANY  # the count is the first field of every object


def write_log(folder: Path) -> None:
    """Keep what goes wrong in a file that does not grow without end."""
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        folder / "histoloop.log", maxBytes=1_000_000, backupCount=3, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="histoloop-gui", description="Open the window.")
    parser.add_argument("paths", nargs="*", type=Path, help="a project folder, or slides")
    parser.add_argument("--demo", action="store_true", help="open the demo project")
    parser.add_argument("--start-times", type=Path, help=argparse.SUPPRESS)  # for the report of the build
    return parser


class _StartWatch:
    """Seconds from the start of the process to what the user sees."""

    def __init__(self) -> None:
        self._started = psutil.Process().create_time()
        self.seconds: dict[str, float] = {}

    def note(self, event: str) -> None:
        self.seconds[event] = round(time.time() - self._started, 2)


class _Teller:
    """Logs errors that nobody caught and tells the user, instead of ending the program."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            self._window.close()
            return
        _log.error("not caught", exc_info=(kind, error, trace))
        self._window.banner.show_problem(f"Something went wrong: {kind.__name__}: {error}.", LOG_ADVICE)
