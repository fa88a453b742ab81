"""What every installer says of the program: packaging/program.toml and the version of the package."""

from __future__ import annotations

import os
import re
import subprocess
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class FileType:
    """A kind of file that the program opens; `extensions` are without the dot.

    `mime_parent` and `uti_parent` are None for a type that every system knows.
    """

    key: str
    ours: bool
    title: str
    extensions: tuple[str, ...]
    mime: str
    uti: str
    mime_parent: str | None = None
    uti_parent: str | None = None


@dataclass(frozen=True, slots=True)
class MenuTexts:
    """What the entry in the desktop's menu and the Windows installer say in a language (ISO 639-1)."""

    language: str
    generic_name: str
    summary: str
    demo: str
    associate: str


@dataclass(frozen=True, slots=True)
class Program:
    """Names and texts, and the kinds of files in the order of packaging/program.toml."""

    name: str
    package: str
    id: str
    publisher: str
    mail: str
    summary: str
    notice: str
    description: tuple[str, ...]
    keywords: tuple[str, ...]
    menu: tuple[MenuTexts, ...]
    types: tuple[FileType, ...]
    version: str


def load_program(repository: Path = REPOSITORY) -> Program:
    """Read packaging/program.toml; TypeError for a key that is missing or not known."""
    read = tomllib.loads((repository / "packaging" / "program.toml").read_text(encoding="utf-8"))
    said = read["program"]
    return Program(
        **said | {"description": tuple(said["description"]), "keywords": tuple(said["keywords"])},
        menu=tuple(MenuTexts(**texts) for texts in read["menu"]),
        types=tuple(FileType(**kind | {"extensions": tuple(kind["extensions"])}) for kind in read["type"]),
        version=_version(repository / "app" / "histoloop" / "__init__.py"),
    )


def release_time(repository: Path = REPOSITORY) -> int:
    """Seconds since 1970 that the installers carry: SOURCE_DATE_EPOCH, or else that of the commit, or now."""
    if said := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(said)
    asked = subprocess.run(["git", "-C", repository, "log", "-1", "--format=%ct"], capture_output=True, text=True)
    return int(asked.stdout) if asked.returncode == 0 and asked.stdout.strip() else int(time.time())


def _version(module: Path) -> str:
    found = re.search(r'^__version__ = "(\d+\.\d+\.\d+)"$', module.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f'{module} states no version: a line __version__ = "MAJOR.MINOR.PATCH" is expected')
    return found[1]
