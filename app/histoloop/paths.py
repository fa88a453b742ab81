"""Where things live: shipped resources and models, the user's settings and projects. Nothing is created at import."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import platformdirs

APP_NAME = "HistoLoop"


def shipped_root() -> Path:
    """Folder that holds `models/` and `resources/`: the repository, an installed wheel or a frozen bundle."""
    frozen = getattr(sys, "_MEIPASS", None)
    if frozen is not None:
        return Path(frozen)
    package = Path(__file__).resolve().parent
    inside = package / "shipped"
    return inside if inside.is_dir() else package.parent.parent


def shipped_models() -> Path:
    """Folder of the models that come with the program."""
    return shipped_root() / "models"


def resources() -> Path:
    """Folder of icons, styles and recipes that come with the program."""
    return shipped_root() / "resources"


def guide() -> Path | None:
    """First page of the guide that comes with the program: the built site, else its Markdown; None without either.

    In a checkout the site is where `make docs` builds it.
    """
    root = shipped_root()
    pages = (root / "site" / "index.html", root / "build" / "site" / "index.html", root / "docs" / "index.md")
    return next((page for page in pages if page.is_file()), None)


def home() -> Path:
    """The user's own folder; the root folder where the system knows of none, as in containers without this user."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(os.sep)


def user_data() -> Path:
    """Folder for what the program itself keeps for this user: encoders, downloaded weights, samples; not created here.

    HISTOLOOP_HOME puts this, settings, log and new projects into one folder.
    """
    return _own_folder() or Path(platformdirs.user_data_path(_name(), appauthor=False))


def settings_file() -> Path:
    """File of what the window remembers of this user; not created here."""
    folder = _own_folder() or Path(platformdirs.user_config_path(_name(), appauthor=False, roaming=False))
    return folder / "settings.ini"


def logs() -> Path:
    """Folder of the log, where the system keeps such files; not created here."""
    own = _own_folder()
    return own / "logs" if own else Path(platformdirs.user_log_path(_name(), appauthor=False))


def projects() -> Path:
    """Folder for new projects and the demo, among the user's documents; not created here."""
    own = _own_folder()
    return own / "projects" if own else Path(platformdirs.user_documents_path()) / APP_NAME


def _own_folder() -> Path | None:
    given = os.environ.get("HISTOLOOP_HOME")
    return Path(given) if given else None


def _name() -> str:
    """The name of folders that are the program's, as the system writes such names."""
    return APP_NAME if sys.platform in {"win32", "darwin"} else APP_NAME.lower()
