"""What the program is made of: its packages with versions and licences, and where new versions are published."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from histoloop.language import tr
from histoloop.workflows.doctor import PACKAGES

PROGRAM = "histoloop"
RELEASES = "releases"
"""Label of the page of new versions in [project.urls] of pyproject.toml, in any case; whoever publishes sets it."""

_LICENCE_FILE = re.compile(r"(LICEN[CS]E|COPYING|NOTICE)", re.IGNORECASE)
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Package:
    """A package that the program is made of; `licence` as the package itself names it."""

    name: str
    version: str
    licence: str


def packages() -> tuple[Package, ...]:
    """The program and whatever it needs, directly or not, as far as it is installed; by name. Takes a second or two."""
    found: dict[str, metadata.Distribution] = {}
    wanted = [PROGRAM, *PACKAGES]
    while wanted:
        name = wanted.pop()
        if _plain(name) in found:
            continue
        try:
            found[_plain(name)] = distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # of another system, or not asked for
        wanted += [_required(line) for line in distribution.requires or () if "extra ==" not in line]
    return tuple(Package(key, found[key].version, licence_name(found[key])) for key in sorted(found))


def licence_name(distribution: metadata.Distribution) -> str:
    """What a package says its licence is: an SPDX expression, a short name, or the trove classifiers."""
    said = distribution.metadata
    if expressions := said.get_all("License-Expression"):
        return str(expressions[0])
    lines = "\n".join(said.get_all("License") or ()).strip().splitlines()
    if len(lines) == 1 and len(lines[0]) <= _LONGEST_NAME and lines[0] != "UNKNOWN" and "(c)" not in lines[0].lower():
        return lines[0]
    known = [line for line in said.get_all("Classifier") or () if line.startswith("License :: ")]
    return ", ".join(line.rpartition(" :: ")[2] for line in known) or tr("see its licence text")


def licence_text(package: str) -> str:
    """The licence files that came with a package; empty when there is none."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        return ""
    named = [file for file in files if _LICENCE_FILE.match(file.name) and file.suffix not in (".py", ".pyc")]
    there = [path for file in named if (path := Path(str(file.locate()))).is_file()]
    return "\n\n".join(path.read_text("utf-8", "replace").strip() for path in there)


def releases_page() -> str | None:
    """The web page of new versions, from the package's own metadata; None where no publisher has set one."""
    try:
        lines = metadata.metadata(PROGRAM).get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return None
    urls = {label.strip().lower(): url.strip() for label, _, url in (line.partition(",") for line in lines)}
    url = urls.get(RELEASES, "")
    return url if urlsplit(url).scheme == "https" and urlsplit(url).netloc else None


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _required(line: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", line)
    return match[0] if match else line
