"""Starts the window: a splash at once, then everything that takes seconds to load."""

from __future__ import annotations

import ctypes
import json
import logging
import multiprocessing
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QFileOpenEvent
from PySide6.QtWidgets import QApplication

import histoloop
from histoloop import paths
from histoloop.environment import settle_in, write_numbers_with_a_point
from histoloop.gui.arguments import build_parser
from histoloop.gui.kit.garbage import GarbageCollector
from histoloop.gui.kit.settings import Settings
from histoloop.gui.kit.theme import application_icon
from histoloop.gui.kit.translation import chosen_language, speak_as_chosen
from histoloop.gui.splash import Splash
from histoloop.gui.work.jobs import LOG_ADVICE
from histoloop.language import mark, spoken, tr
from histoloop.log import logging_to_file
from histoloop.store.files import write_beside

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from types import TracebackType

    from histoloop.gui.window.main_window import MainWindow

_log = logging.getLogger(__name__)
_MANY = 1 << 40
UNWRITABLE_ADVICE = mark(
    "Ask your administrator for a home folder that you may write to, or set the environment variable "
    "HISTOLOOP_HOME to a folder of your own. Help > First steps sets where projects are saved."
)

DESKTOP_ID = "org.histoloop.HistoLoop"
"""Name of the desktop entry: by it a desktop knows which windows are ours."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the window on what is named (a project or slides), or on the demo project with `--demo`."""
    multiprocessing.freeze_support()
    settle_in()
    watch = _StartWatch()
    options = build_parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):  # Ctrl+C in a terminal ends the window too; everything is saved
        signal.signal(number, signal.SIG_DFL)
    with logging_to_file("window", verbose=options.verbose) as trouble:
        return _run(options, watch, trouble)


def _run(options: argparse.Namespace, watch: _StartWatch, trouble: OSError | None) -> int:
    """Show the splash, then the window, until it is closed; the exit code."""
    application = make_application()
    settings = Settings()
    speak_as_chosen(application, settings)
    splash = Splash()
    splash.show_at_once()
    watch.note("splash_s")
    program = Program(application, settings)
    window = program.open_window()
    sys.excepthook = _ErrorReporter(program)
    application.file_requested.connect(lambda path: program.window.opening.named([path]))
    splash.finish(window)
    watch.note("window_s")
    if trouble is not None:
        _say_unwritable(window, trouble)
    if options.start_times:
        write_beside(options.start_times, json.dumps(watch.seconds) + "\n")
        QTimer.singleShot(0, window.close)
    elif options.demo:
        QTimer.singleShot(0, window.project_commands.open_demo)
    elif options.paths:
        QTimer.singleShot(0, lambda: window.opening.named(options.paths))
    elif window.settings.first_time:
        QTimer.singleShot(0, window.help_commands.first_steps)
    return application.exec()


class Program:
    """The window that is open; another takes its place when the user chooses another language."""

    window: MainWindow

    def __init__(self, application: QApplication, settings: Settings) -> None:
        self._application = application
        self._settings = settings

    def open_window(self) -> MainWindow:
        """Build a window in the language spoken now, and show it."""
        from histoloop.gui.window.main_window import MainWindow  # napari and all else behind it take seconds to import

        self.window = MainWindow(self._settings)
        # not while the menu or the dialog that asked for it is still at work
        self.window.preferences.language_chosen.connect(self._change_language, Qt.ConnectionType.QueuedConnection)
        self.window.show()
        return self.window

    def _change_language(self) -> None:
        """Close the window and open the same again: its project, and the first steps if they are being taken."""
        if chosen_language(self._settings) == spoken().code:
            return
        old = self.window
        project = old.session.project.folder if old.session.project is not None else None
        first_steps = old.help_commands.leave_first_steps()
        self._application.setQuitOnLastWindowClosed(False)
        try:
            if not old.close():
                old.banner.show_notice(tr("The language changes the next time the window is opened."))
                if first_steps:
                    old.help_commands.first_steps()
                return
            speak_as_chosen(self._application, self._settings)
            window = self.open_window()
        finally:
            self._application.setQuitOnLastWindowClosed(True)
        old.deleteLater()
        if project is not None:
            window.session.open_project(project)
        if first_steps:
            window.help_commands.first_steps()


class Application(QApplication):
    """The application object; hears of files that were double-clicked where the system sends an event (macOS)."""

    file_requested = Signal(Path)

    def __init__(self, arguments: list[str]) -> None:
        super().__init__(arguments)
        self._garbage = GarbageCollector(self)

    def event(self, event: QEvent) -> bool:
        """Take the request to open a file; everything else goes its way."""
        if isinstance(event, QFileOpenEvent) and event.file():
            path = Path(event.file())
            QTimer.singleShot(0, lambda: self.file_requested.emit(path))  # a question may follow: not within an event
            return True
        return super().event(event)


def make_application() -> Application:
    """The application object of this process, with its names and icon."""
    keep_constants()
    application = QApplication.instance()
    if not isinstance(application, Application):
        application = Application(sys.argv[:1])
    write_numbers_with_a_point()
    application.setApplicationName(paths.APP_NAME)
    application.setApplicationVersion(histoloop.__version__)
    application.setDesktopFileName(DESKTOP_ID)
    application.setWindowIcon(application_icon())
    return application


def keep_constants() -> None:
    """Keep this process from running out of references to None, True and False.

    PySide6 6.12 releases a None in every call that returns nothing, and a truth value now and then. From Python 3.12 on
    they cannot die (PEP 683); before, the process ends after some ten thousand calls ('deallocating None',
    'bool_dealloc'). This gives 3.11 enough of them for good.
    """
    for constant in (None, True, False):
        if sys.version_info < (3, 12) and sys.getrefcount(constant) < _MANY:
            ctypes.c_ssize_t.from_address(id(constant)).value += 2 * _MANY  # the first field of every object


def _say_unwritable(window: MainWindow, error: OSError) -> None:
    """Say it now, and again over the first project, which takes earlier messages away."""
    message = _unwritable(error)
    window.banner.show_problem(message, tr(UNWRITABLE_ADVICE))
    window.session.project_changed.connect(
        lambda: window.banner.show_problem(message, tr(UNWRITABLE_ADVICE)), Qt.ConnectionType.SingleShotConnection
    )


def _unwritable(error: OSError) -> str:
    """A sentence for the user where no log can be written, since the settings lie beside it."""
    return tr(
        "Nothing can be written to {folder} ({reason}): settings and log are not saved.",
        folder=paths.logs(),
        reason=error.strerror,
    )


class _StartWatch:
    """Seconds from the start of the process to what the user sees."""

    def __init__(self) -> None:
        self._started = psutil.Process().create_time()
        self.seconds: dict[str, float] = {}

    def note(self, event: str) -> None:
        self.seconds[event] = round(time.time() - self._started, 2)


class _ErrorReporter:
    """Logs errors that nobody caught and shows them, instead of ending the program."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            self._program.window.close()
            return
        _log.error("not caught", exc_info=(kind, error, trace))
        self._program.window.banner.show_problem(
            tr("Something went wrong: {kind}: {error}.", kind=kind.__name__, error=error), tr(LOG_ADVICE)
        )
