"""The Python distributions that the frozen program holds, with their licences."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.markers import default_environment
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXT = re.compile(r"(licen[cs]es?|copying|notice|copyright)([-._].*)?(\.(txt|md|rst))?$", re.IGNORECASE)
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Component:
    """A distribution: `licence` is what it says of itself, `texts` the files with its terms."""

    name: str
    version: str
    licence: str
    texts: tuple[Path, ...]


def components(root: str = "histoloop") -> list[Component]:
    """Everything that `root` requires, directly or not, in this environment; sorted by name, `root` left out.

    Raises PackageNotFoundError when `root` is not installed.
    """
    found: dict[str, metadata.Distribution] = {}
    waiting = [(root, "")]
    while waiting:
        name, extra = waiting.pop()
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if name == root:
                raise
            continue  # an alternative that this environment does without
        for requirement, extras in _required(distribution, extra):
            if requirement not in found:
                waiting += [(requirement, further) for further in ("", *extras)]
        found[_normal(name)] = distribution
    del found[_normal(root)]
    return [_component(name, distribution) for name, distribution in sorted(found.items())]


def write_licence_texts(folder: Path, found: list[Component]) -> None:
    """Copy every distribution's terms to a folder of its name."""
    for component in found:
        for number, text in enumerate(component.texts):
            target = folder / component.name / (text.name if number == 0 else f"{number + 1}-{text.name}")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(text, target)


def _required(distribution: metadata.Distribution, extra: str) -> Iterator[tuple[str, set[str]]]:
    environment = {**default_environment(), "extra": extra}
    for line in distribution.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield _normal(requirement.name), requirement.extras


def _component(name: str, distribution: metadata.Distribution) -> Component:
    texts = sorted(
        Path(str(distribution.locate_file(file)))
        for file in distribution.files or ()
        if _TEXT.fullmatch(file.name) and ".dist-info" in str(file)
    )
    return Component(name, distribution.version, _licence(distribution), tuple(path for path in texts if path.is_file()))


def _licence(distribution: metadata.Distribution) -> str:
    said = distribution.metadata
    stated = said.get("License-Expression") or said.get("License") or ""
    if stated and len(stated) <= _LONGEST and "\n" not in stated.strip():
        return stated.strip()
    classified = [line.rpartition(" :: ")[2] for line in said.get_all("Classifier") or () if line.startswith("License")]
    return ", ".join(classified) or "see its terms"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
