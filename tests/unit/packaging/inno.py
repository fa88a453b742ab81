"""Reads as much of Inno Setup's scripts as it takes to look for mistakes in ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

SECTIONS = frozenset(
    "Setup Types Components Tasks Dirs Files Icons INI InstallDelete Languages Messages CustomMessages LangOptions "
    "Registry Run UninstallDelete UninstallRun Code".split()
)
_WITHOUT_PARAMETERS = frozenset({"Setup", "Messages", "CustomMessages", "LangOptions"})
_PARAMETER = re.compile(r'\s*(\w+):\s*("(?:[^"]|"")*"|[^;"]*?)\s*(?:;|$)')
_DIRECTIVE = re.compile(r"\s*#(\w+)\s*(.*)$")
_USED = re.compile(r"\{#(\w+)\}")


class Script(NamedTuple):
    """Directives of [Setup], and the entries of the other sections as parameters."""

    setup: dict[str, str]
    entries: dict[str, list[dict[str, str]]]


def read(path: Path, *, include: str, defined: frozenset[str] = frozenset()) -> Script:
    """Read a script, its one #include replaced by `include`; ValueError names the line that is wrong."""
    text = re.sub(r"^#include .*$", lambda _found: include, path.read_text("utf-8"), flags=re.MULTILINE)
    setup: dict[str, str] = {}
    entries: dict[str, list[dict[str, str]]] = {}
    for section, line in _lines(text, dict.fromkeys(defined, "")):
        if section == "Setup":
            key, separator, value = line.partition("=")
            if not separator or key in setup:
                raise ValueError(f"no directive, or one given twice: {line}")
            setup[key] = value
        elif section in _WITHOUT_PARAMETERS:
            continue
        else:
            entries.setdefault(section, []).append(_parameters(line))
    return Script(setup, entries)


def _lines(text: str, names: dict[str, str]):
    """Each entry with its section: conditions decided, names replaced, comments left out."""
    section, open_conditions = "", []
    for line in text.splitlines():
        if directive := _DIRECTIVE.match(line):
            word, rest = directive.groups()
            if word in ("ifdef", "ifndef"):
                open_conditions.append((rest.strip() in names) == (word == "ifdef"))
            elif word == "endif":
                open_conditions.pop()
            elif word == "define" and all(open_conditions):
                name, _space, value = rest.partition(" ")
                names[name] = value.strip().strip('"')
            elif word != "define":
                raise ValueError(f"not known here: {line}")
        elif not all(open_conditions) or not line.strip() or line.lstrip().startswith(";"):
            continue
        elif line.startswith("["):
            section = line.strip()[1:-1]
            if section not in SECTIONS:
                raise ValueError(f"no section of Inno Setup: {line}")
        else:
            yield section, _USED.sub(lambda used: names[used[1]], line)
    if open_conditions:
        raise ValueError("a condition is not closed")


def _parameters(line: str) -> dict[str, str]:
    found, at = {}, 0
    while at < len(line):
        parameter = _PARAMETER.match(line, at)
        if parameter is None or parameter[1] in found:
            raise ValueError(f"no parameter, or one given twice: {line[at:]} in {line}")
        value = parameter[2]
        found[parameter[1]] = value[1:-1].replace('""', '"') if value.startswith('"') else value
        at = parameter.end()
    return found
