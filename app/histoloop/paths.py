"""Where things live: shipped resources and models, the user's settings and projects. Nothing is created at import."""

from __future__ import annotations

import os
import sys
from pathlib import Path

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
    """Folder of this user for projects and settings; not created here."""
    if override := os.environ.get("HISTOLOOP_HOME"):
        return Path(override)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home() / "AppData" / "Local")) / APP_NAME
    if sys.platform == "darwin":
        return home() / "Library" / "Application Support" / APP_NAME
    return Path(os.environ.get("XDG_DATA_HOME", home() / ".local" / "share")) / "histoloop"
