"""What a process needs that was not started from a desktop: open streams, a home, places for what libraries keep.

Called first of all, before Qt, napari and torch are loaded: they look once.
"""

from __future__ import annotations

import locale
import os
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from histoloop import paths

KEPT_BY_LIBRARIES = "libraries"
"""Folder beside settings and log for what napari, Qt, Mesa, torch and others keep, where not in the user's own."""


def settle_in() -> None:
    """Open closed streams, let any name be printed, and give libraries a home and folders that they may write to."""
    _open_closed_streams()
    _print_any_name()
    _find_home()
    _find_temporary_folder()
    _place_libraries()


def write_numbers_with_a_point() -> None:
    """Have C libraries read and write numbers with a decimal point.

    Qt sets the locale of the whole process to the user's when its application object is made, and a decoder or parser
    in C then takes 0.25 for 0. What Qt itself shows goes by QLocale.
    """
    with suppress(locale.Error):
        locale.setlocale(locale.LC_NUMERIC, "C")


def _open_closed_streams() -> None:
    """Let nothing else get the numbers of a closed standard stream: what a library prints would end up in that file."""
    if os.name == "posix":
        for number in (0, 1, 2):
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")


def _print_any_name() -> None:
    """Write the codes of what the output cannot say instead of failing at the first such name."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)  # not of a stream that stands in for it
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _find_home() -> None:
    """Where the system knows no home of this user, it is the root folder, as in containers: seldom to be written to."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(paths.home())


def _find_temporary_folder() -> None:
    """Where the system has none that can be written, it is in this user's folder; torch needs one to be loaded."""
    try:
        tempfile.gettempdir()
    except OSError:
        own = paths.user_data().absolute() / "temporary"
        with suppress(OSError):
            own.mkdir(parents=True, exist_ok=True)
            os.environ["TMPDIR"] = str(own)


def _place_libraries() -> None:
    """Have libraries keep what they keep beside this program's own settings, or in a folder for temporary files.

    So it is with HISTOLOOP_HOME, and where the user's own folders cannot be written. What the user says by the
    variables of these libraries holds as far as that can be written.
    """
    home = os.environ.get("HISTOLOOP_HOME")
    if home is None and sys.platform in {"win32", "darwin"}:  # no variables are needed
        return
    cache = Path(os.environ.get("XDG_CACHE_HOME") or paths.home() / ".cache")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or paths.home() / ".config")
    writable = may_write(cache) and may_write(config)
    if home is None and writable:
        return
    kept = paths.user_data().absolute() / KEPT_BY_LIBRARIES
    if not may_write(kept):
        if writable:
            return
        with suppress(OSError):  # no folder for temporary files either: `temporary_folder` says so when one is needed
            kept = _temporary_place()
    wanted = {
        "XDG_CACHE_HOME": kept / "cache",
        "NAPARI_CONFIG": kept / "napari" / "settings.yaml",
        "MPLCONFIGDIR": kept / "matplotlib",
        "NUMBA_CACHE_DIR": kept / "numba",
        "TORCH_HOME": kept / "torch",
        "CUDA_CACHE_PATH": kept / "cuda",
    }
    if not writable:  # where it is, a browser that the window starts finds its own settings
        wanted["XDG_CONFIG_HOME"] = kept / "config"
    for name, folder in wanted.items():
        given = os.environ.get(name)
        if not given or not may_write(Path(given)):
            os.environ[name] = str(folder)


def _temporary_place() -> Path:
    """A folder for temporary files that this user's processes share from start to start; OSError where there is none.

    A folder of that name that is somebody else's is left alone.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    place = Path(tempfile.gettempdir()) / f"histoloop-{user}"
    with suppress(FileExistsError):
        place.mkdir(mode=0o700)
    found = place.lstat()
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o022
    return place if own else Path(tempfile.mkdtemp(prefix="histoloop-"))


def may_write(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder itself where it is not there yet; nothing is made."""
    for place in (folder, *folder.absolute().parents):
        if os.path.lexists(place):
            return place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    return False
