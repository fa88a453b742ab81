"""The Python distributions that the frozen program holds, with their licences."""

from __future__ import annotations

import re
import shutil
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.markers import default_environment
from packaging.requirements import Requirement

from installers.program import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TEXT = re.compile(r"(licen[cs]es?|copying|notice|copyright)([-._].*)?(\.(txt|md|rst))?$", re.IGNORECASE)
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Component:
    """A distribution: `licence` is what it says of itself, `texts` the files with its terms."""

    name: str
    version: str
    licence: str
    texts: tuple[Path, ...]


def dependencies(repository: Path = REPOSITORY) -> list[str]:
    """What the program requires, as pyproject.toml says it."""
    stated = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    required: list[str] = stated["project"]["dependencies"]
    return required


def components(required: Iterable[str]) -> list[Component]:
    """What is required and what that requires, and so on, as far as it is in this environment; sorted by name.

    Raises PackageNotFoundError when something of `required` itself is not installed.
    """
    found: dict[str, metadata.Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = list(_named(required, extra=""))
    for name, _extra in waiting:
        metadata.distribution(name)
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # an alternative that this environment does without
        waiting += _named(found[name].requires or (), extra=extra)
    return [_component(name, distribution) for name, distribution in sorted(found.items())]


def write_licence_texts(folder: Path, found: list[Component]) -> None:
    """Copy every distribution's terms to a folder of its name."""
    for component in found:
        for number, text in enumerate(component.texts):
            target = folder / component.name / (text.name if number == 0 else f"{number + 1}-{text.name}")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(text, target)


def _named(lines: Iterable[str], *, extra: str) -> Iterator[tuple[str, str]]:
    """The distributions that requirements name, each with '' and with every extra that is asked for."""
    environment: dict[str, str] = {key: str(value) for key, value in default_environment().items()} | {"extra": extra}
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield from ((_normal(requirement.name), asked) for asked in ("", *requirement.extras))


def _component(name: str, distribution: metadata.Distribution) -> Component:
    texts = sorted(
        Path(str(distribution.locate_file(file)))
        for file in distribution.files or ()
        if _TEXT.fullmatch(file.name) and ".dist-info" in str(file)
    )
    return Component(
        name, distribution.version, _licence(distribution), tuple(path for path in texts if path.is_file())
    )


def _licence(distribution: metadata.Distribution) -> str:
    said = distribution.metadata
    stated = next((said[key] for key in ("License-Expression", "License") if said[key]), "")
    if stated not in ("", "UNKNOWN") and len(stated) <= _LONGEST and "\n" not in stated.strip():
        return stated.strip()
    classified = [line.rpartition(" :: ")[2] for line in said.get_all("Classifier") or () if line.startswith("License")]
    return ", ".join(classified) or "see its terms"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
