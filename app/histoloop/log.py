"""One log file for the window, its job process and the command line: versions, operations with their settings, errors.

No pixels and no names of patients: slides appear by their ids, and paths are shortened to their endings before anything
is written, since folders and files are often named after people.
"""

from __future__ import annotations

import faulthandler
import logging
import logging.handlers
import os
import platform
import re
import sys
import time
from contextlib import contextmanager, suppress
from importlib import metadata
from typing import TYPE_CHECKING

import histoloop
from histoloop import paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_log = logging.getLogger(__name__)

FILE = "histoloop.log"
LARGEST_BYTES = 1_000_000
EARLIER_FILES = 3
LONGEST_LINE = 2000
PACKAGES = ("torch", "torchvision", "PySide6", "napari", "openslide-python", "openslide-bin", "numpy", "zarr")
_FORMAT = "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"


def log_folder() -> Path:
    """Where the log lies; not created here."""
    return paths.logs()


@contextmanager
def logging_to_file(process: str, *, verbose: bool = False, folder: Path | None = None) -> Iterator[OSError | None]:
    """Write the log of this process ('window', 'jobs', 'command line') for as long as the block runs.

    Several processes append to one file, which is renamed to `histoloop.log.1` and so on when it is full. Crashes of
    native code leave their stack there too. `verbose` shows what is logged on standard error as well. Gives the error
    where nothing can be written: the program goes on without a log.
    """
    root = logging.getLogger()
    if any(isinstance(each, _SharedFile) for each in root.handlers):  # a command that starts the window
        _log.info("%s starts", process)
        yield None
        return
    level = root.level
    root.setLevel(logging.INFO)
    terminal = _terminal(verbose=verbose)
    root.addHandler(terminal)
    handler: _SharedFile | None = None
    trouble: OSError | None = None
    try:
        handler = _SharedFile((folder or log_folder()) / FILE)
        root.addHandler(handler)
    except OSError as error:
        trouble = error
    _log.info("%s starts: %s", process, versions())
    try:
        yield trouble
    finally:
        _log.info("%s ends", process)
        for each in (terminal, handler):
            if each is not None:
                root.removeHandler(each)
                each.close()
        root.setLevel(level)


def versions() -> str:
    """Versions of the program and what it stands on, and the machine, in one line; nothing is imported for it."""
    parts = [f"HistoLoop {histoloop.__version__}", f"Python {platform.python_version()}", platform.platform()]
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            parts.append(f"{name} {metadata.version(name)}")
    return ", ".join((*parts, f"{os.cpu_count() or 1} cores"))


CHOICES = frozenset(
    {"strategy", "device", "by", "language", "learn_from", "pace", "outputs", "split", "layer", "preset", "how"}
)
"""Settings whose text is one of a few words of the program's own, so that the log may name it."""


def loggable(settings: Mapping[str, object]) -> dict[str, object]:
    """The settings that the log may name: numbers, switches and choices, and how many of a list; no paths or names."""
    found: dict[str, object] = {}
    for name, value in settings.items():
        if isinstance(value, list | tuple):
            found[name] = f"({len(value)})"
        elif (isinstance(value, int | float) and value is not False) or (name in CHOICES and value is not None):
            found[name] = value
    return found


@contextmanager
def operation(logger: logging.Logger, name: str, **settings: object) -> Iterator[None]:
    """Log that an operation begins, with its settings, and how it ended after how long."""
    described = " ".join(f"{key}={value}" for key, value in settings.items() if value is not None)
    logger.info("%s begins%s", name, f": {described}" if described else "")
    started = time.monotonic()
    try:
        yield
    except Exception as error:
        logger.info("%s failed after %.1f s: %s: %s", name, time.monotonic() - started, type(error).__name__, error)
        raise
    except BaseException:
        logger.info("%s was cancelled after %.1f s", name, time.monotonic() - started)
        raise
    logger.info("%s done in %.1f s", name, time.monotonic() - started)


# --- what may be written ------------------------------------------------------------

_QUOTED = re.compile(r"""(['"])([^\n'"]*[/\\][^\n]*?)\1""")
_WORD = r"""[^\s'":;,()<>|]"""
_BARE = re.compile(
    rf"""(?<![\w.~])(?:~|[A-Za-z]:)?[/\\]{_WORD}+(?:[ ]{_WORD}*[/\\]{_WORD}*|[ ]{_WORD}+\.\w{{2,5}}\b)*"""
)
_KINDS = (
    "svs|svslide|ndpi|tiff?|tf8|btf|qptiff|mrxs|scn|bif|vms|vmu|czi|dcm|zvi|jp2|png|jpe?g|bmp|webp|(?:geo)?json|csv|xml|"
    "zip|gz"
)
_NAME = re.compile(rf"""{_WORD}+\.({_KINDS})\b""", re.IGNORECASE)
_PROGRAM = re.compile(r"[/\\](site-packages|histoloop|importlib|lib[/\\]python[\d.]+)[/\\]")


def shortened(text: str) -> str:
    """The text with every path and every file name of a slide, mask or table cut down to its ending ('<path>.svs').

    Places in the program's own code stay. Lines end after `LONGEST_LINE` characters: damaged files give longer ones.
    """
    text = "\n".join(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…" for line in text.split("\n"))
    text = _QUOTED.sub(lambda found: f"{found[1]}{_ending(found[2])}{found[1]}", text)
    text = _BARE.sub(lambda found: _ending(found[0]), text)
    return _NAME.sub(lambda found: f"<path>.{found[1]}", text)


def _ending(path: str) -> str:
    if not re.search(r"[^/\\~.]", path):
        return path  # a lone slash, as between two words
    if path.endswith((".py", ".so", ".pyd", ".dll")):  # code
        begin = _PROGRAM.search(path)
        return path[begin.start() + 1 :] if begin else re.split(r"[/\\]", path)[-1]
    suffix = re.search(r"(\.\w{1,9})[.]?$", path)
    return f"<path>{suffix[1] if suffix else ''}"


class _Shortening(logging.Formatter):
    """A formatter that lets no path through."""

    def format(self, record: logging.LogRecord) -> str:
        return shortened(super().format(record))


# --- where it is written ------------------------------------------------------------


class _SharedFile(logging.handlers.WatchedFileHandler):
    """Appends to a file that other processes append to and rename, too; renames it when it is full."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, encoding="utf-8")
        self.setFormatter(_Shortening(_FORMAT))
        self._rename_full()
        self._watch_crashes()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; a disk that is full must not stop the work."""
        before = self.stream
        super().emit(record)
        self._rename_full()
        if self.stream is not before:
            self._watch_crashes()

    def handleError(self, record: logging.LogRecord) -> None:
        """A line that could not be written is lost; nobody is warned twice."""

    def close(self) -> None:
        """End the log of this process."""
        faulthandler.disable()
        super().close()

    def _watch_crashes(self) -> None:
        if self.stream is not None:
            faulthandler.enable(self.stream)

    def _rename_full(self) -> None:
        """Begin a new file; on Windows only once no other process has this one open."""
        try:
            if os.stat(self.baseFilename).st_size < LARGEST_BYTES:
                return
            for number in range(EARLIER_FILES - 1, 0, -1):
                if os.path.exists(f"{self.baseFilename}.{number}"):
                    os.replace(f"{self.baseFilename}.{number}", f"{self.baseFilename}.{number + 1}")
            os.replace(self.baseFilename, f"{self.baseFilename}.1")
            self.reopenIfNeeded()
        except OSError:
            return


def _terminal(*, verbose: bool) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.INFO if verbose else logging.WARNING)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    return handler
