"""Which of the installed distributions the program needs, so that nothing else slips into the bundle.

Libraries import many others 'if they are there' (documentation builders, notebooks, test tools); what a bundle holds
must not depend on what else happens to be installed where it is built.
"""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


def _requirements_of(name: str) -> list[str]:
    """What an installed distribution asks for; LookupError when it is not installed."""
    return importlib.metadata.requires(name) or []


def needed_distributions(
    requirements: Iterable[str], requirements_of: Callable[[str], list[str]] = _requirements_of
) -> set[str]:
    """Canonical names of the installed distributions that hold for this system behind some requirements."""
    found: set[tuple[str, str]] = set()
    installed: set[str] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in {(name, extra) for extra in ("", *requirement.extras)} - found:
            found.add(wanted)
            try:
                waiting += [(Requirement(text), wanted[1]) for text in requirements_of(name)]
            except importlib.metadata.PackageNotFoundError:
                continue  # of an optional part, or of another system
            installed.add(name)
    return installed


def modules_of_others(needed: set[str], distributions: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """Top-level modules that only distributions outside of `needed` bring."""
    owners = importlib.metadata.packages_distributions() if distributions is None else distributions
    return sorted(
        module for module, names in owners.items() if not needed & {canonicalize_name(name) for name in names}
    )
