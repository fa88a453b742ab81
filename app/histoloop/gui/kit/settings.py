"""What the program remembers of its user between sessions."""

from __future__ import annotations

import getpass
import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

from histoloop import paths

RECENT = 8


class Settings:
    """A file `settings.ini` in the user's folder; values that are broken or missing read as their defaults."""

    def __init__(self, path: Path | None = None) -> None:
        self._stored = QSettings(str(path or _file()), QSettings.Format.IniFormat)

    def text(self, key: str, default: str = "") -> str:
        """A text."""
        return str(self._stored.value(key, default))

    def number(self, key: str, default: float) -> float:
        """A number."""
        try:
            return float(self.text(key, str(default)))
        except ValueError:
            return default

    def flag(self, key: str, *, default: bool) -> bool:
        """A yes or no."""
        return self.text(key, str(default)).lower() == "true"

    def bytes(self, key: str) -> QByteArray:
        """The state of a window, empty when there is none."""
        value = self._stored.value(key)
        return value if isinstance(value, QByteArray) else QByteArray()

    def set(self, key: str, value: str | float | bool | QByteArray) -> None:
        """Remember a value."""
        self._stored.setValue(key, value if isinstance(value, QByteArray) else str(value))

    @property
    def can_be_kept(self) -> bool:
        """Whether what is chosen is still known the next time: not where the user may not write."""
        return self._stored.isWritable()

    @property
    def first_time(self) -> bool:
        """Whether the first steps were never shown, and can be remembered as shown."""
        return self.can_be_kept and not self.flag("first steps", default=False)

    @property
    def projects(self) -> Path:
        """Folder for new projects and the demo; not made here."""
        return Path(self.text("projects") or paths.projects())

    @property
    def person(self) -> str:
        """Who annotates."""
        return self.text("person") or _user()

    def person_of(self, project: Path) -> str:
        """Who annotates in a project (by its folder) on this machine; empty while nobody was asked."""
        return self.text(f"persons/{_key_of(project)}")

    def set_person_of(self, project: Path, name: str) -> None:
        """Remember who annotates in a project, and suggest the name in others."""
        self.set(f"persons/{_key_of(project)}", name)
        self.set("person", name)

    def is_blinded(self, project: Path) -> bool:
        """Whether the person of a project reads without sight of what others painted."""
        return self.flag(f"blinded/{_key_of(project)}", default=False)

    def set_blinded(self, project: Path, on: bool) -> None:
        """Remember that until it is ended, whatever is closed meanwhile."""
        self.set(f"blinded/{_key_of(project)}", on)

    def recent_projects(self) -> list[Path]:
        """Projects opened before, the latest first, as far as they are still there."""
        stored = self._stored.value("recent", [])
        found = [stored] if isinstance(stored, str) else list(stored or [])  # type: ignore[call-overload]
        return [Path(folder) for folder in found if (Path(folder) / "project.db").is_file()]

    def add_recent_project(self, folder: Path) -> None:
        """Put a project first."""
        others = [path for path in self.recent_projects() if path != folder]
        self._stored.setValue("recent", [str(path) for path in (folder, *others)][:RECENT])


def _key_of(project: Path) -> str:
    return hashlib.sha256(os.fsencode(project.absolute())).hexdigest()[:16]


def _file() -> Path:
    """The file of settings; those that version 0.2 kept beside its projects are taken over."""
    file, earlier = paths.settings_file(), paths.user_data() / "settings.ini"
    if file != earlier and not file.exists() and earlier.is_file():
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(earlier, file)
    return file


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # the system knows no name for this user
        return "someone"
