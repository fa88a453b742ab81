"""The Python distributions that the frozen program holds, with their licences."""

from __future__ import annotations

import re
import shutil
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from histoloop.workflows.about import licence_name
from installers.program import REPOSITORY
from needed import needed_distributions

if TYPE_CHECKING:
    from collections.abc import Iterable

_TEXT = re.compile(r"(licen[cs]es?|copying|notice|copyright)([-._].*)?(\.(txt|md|rst))?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Component:
    """A distribution: `licence` is what it says of itself, `texts` the files with its terms."""

    name: str
    version: str
    licence: str
    texts: tuple[Path, ...]


def dependencies(repository: Path = REPOSITORY) -> list[str]:
    """What the program with its window requires, as pyproject.toml says it."""
    stated = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    required: list[str] = stated["project"]["dependencies"]
    window: list[str] = stated["project"]["optional-dependencies"]["gui"]
    return [*required, *window]


def components(required: Iterable[str]) -> list[Component]:
    """What is required and what that requires, and so on, as far as it is in this environment; sorted by name.

    Raises PackageNotFoundError when something of `required` itself is not installed.
    """
    lines = list(required)
    for requirement in map(Requirement, lines):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            metadata.distribution(requirement.name)
    return [_component(name, metadata.distribution(name)) for name in sorted(needed_distributions(lines))]


def write_licence_texts(folder: Path, found: list[Component]) -> None:
    """Copy every distribution's terms to a folder of its name."""
    for component in found:
        for number, text in enumerate(component.texts):
            target = folder / component.name / (text.name if number == 0 else f"{number + 1}-{text.name}")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(text, target)


def _component(name: str, distribution: metadata.Distribution) -> Component:
    texts = sorted(
        Path(str(distribution.locate_file(file)))
        for file in distribution.files or ()
        if _TEXT.fullmatch(file.name) and ".dist-info" in str(file)
    )
    return Component(
        name, distribution.version, licence_name(distribution), tuple(path for path in texts if path.is_file())
    )
