"""Writes the pages of the reference that the program itself dictates: `make reference`.

They are kept in the repository, so that they can be read there and a change of the program shows in them when it is
reviewed; tests/docs says when they are out of date. Nothing in them depends on the version of Python.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import sys
import tomllib
import typing
from pathlib import Path
from typing import Any

from histoloop import cli
from histoloop.training.recipe import Recipe, load_recipe, shipped_recipes

FOLDER = Path(__file__).resolve().parent / "reference"
NOTE = "<!-- Written by docs/generate.py: change the program, then `make reference`. -->"


def pages() -> dict[str, str]:
    """The text of each generated page by its file name."""
    return {"command-line.md": command_line(), "recipes.md": recipes()}


# --- the command line ---


def command_line() -> str:
    """Every command with its arguments, out of the parsers."""
    (group,) = (action for action in cli.build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    summaries = {str(choice.dest): choice.help or "" for choice in group._choices_actions}
    parts = [
        NOTE,
        "# Command line",
        "`histoloop COMMAND --help` says the same. Lists and tables go to standard output, progress and warnings to "
        "standard error.",
        "| command | |\n|---|---|\n"
        + "\n".join(
            f"| [{name}](#{_anchor(f'histoloop {name}')}) | {_cell(text)} |" for name, text in summaries.items()
        ),
        "## Exit codes",
        "| code | |\n|---|---|\n" + "\n".join(f"| {code} | {text} |" for code, text in _exit_codes()),
    ]
    for name, summary in summaries.items():
        parts += [f"## histoloop {name}", f"{summary[0].upper()}{summary[1:]}.", *_command(name, group.choices[name])]
    return "\n\n".join(parts) + "\n"


def _exit_codes() -> list[tuple[str, str]]:
    """Out of the sentence in the command line's own docstring."""
    sentence = " ".join((cli.__doc__ or "").partition("Exit codes: ")[2].split()).rstrip(".")
    return [(code, text) for code, text in (part.split(" ", 1) for part in sentence.split("; "))]


def _command(name: str, parser: argparse.ArgumentParser) -> list[str]:
    actions = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    needed = [action for action in actions if action.required and action.nargs not in ("*", "?")]
    usage = " ".join(["histoloop", name, *map(_usage, needed)])
    optional = " [OPTIONS]" if len(needed) < len(actions) else ""
    parts = [f"```text\n{usage}{optional}\n```"]
    if not actions:
        return parts
    rows = [f"| {_names(action)} | {_cell(_help(action))} |" for action in actions]
    parts.append("| argument | |\n|---|---|\n" + "\n".join(rows))
    for exclusive in parser._mutually_exclusive_groups:
        names = " and ".join(f"`{action.option_strings[0]}`" for action in exclusive._group_actions)
        parts.append(f"{'One' if exclusive.required else 'At most one'} of {names}.")
    return parts


def _usage(action: argparse.Action) -> str:
    return f"{action.option_strings[0]} {_value(action)}" if action.option_strings else _value(action)


def _names(action: argparse.Action) -> str:
    names = action.option_strings or [""]
    value = "" if action.nargs == 0 else _value(action)
    return ", ".join(f"`{f'{name} {value}'.strip()}`" for name in names).replace("|", "\\|")


def _value(action: argparse.Action) -> str:
    if action.choices is not None:
        return "|".join(map(str, action.choices))
    shown = str(action.metavar or action.dest.upper())
    return f"{shown}..." if action.nargs in ("*", "+") else shown


def _help(action: argparse.Action) -> str:
    said = (action.help or "").replace("%%", "%")
    default = action.default
    if default is False or default in (None, argparse.SUPPRESS, "") or default == [] or "default" in said:
        return said
    return f"{said} (default: {default})".strip()


# --- recipes ---


def recipes() -> str:
    """Every setting of a recipe out of its dataclasses, and the recipes that are shipped."""
    parts = [
        NOTE,
        "# Recipes",
        "A recipe is a TOML file that makes a model: `histoloop train --recipe NAME --data DIR --out MODEL`. An "
        "unknown key or a value out of range is an error that names it. "
        'With `extends = "NAME"` a recipe takes over all settings of a shipped one that it does not set itself. '
        "`histoloop recipes --show NAME` prints one with all its settings.",
        "## Shipped recipes",
        "| name | what it makes | source |\n|---|---|---|\n" + "\n".join(_shipped(path) for path in shipped_recipes()),
        "## Settings",
    ]
    for table, kind in _tables(Recipe, ""):
        title = f"[{table}]" if table else "At the top"
        parts += [f"### {title}", _docstring(kind), _settings(kind, table)]
    return "\n\n".join(parts) + "\n"


def _shipped(path: Path) -> str:
    recipe = load_recipe(path)
    own = tomllib.loads(path.read_text(encoding="utf-8"))
    extends = f". Extends `{own['extends']}`" if "extends" in own else ""
    return f"| `{path.stem}` | {_cell(recipe.description)}{extends} | {_cell(recipe.source)} |"


def _tables(kind: type, table: str) -> list[tuple[str, type]]:
    """A settings dataclass and those in its fields, depth first, each with the name of its TOML table."""
    found = [(table, kind)]
    for name, hint in typing.get_type_hints(kind).items():
        if dataclasses.is_dataclass(hint):
            found += _tables(typing.cast("type", hint), f"{table}.{name}".strip("."))
    return found


def _docstring(kind: type) -> str:
    """What a dataclass says of itself; a [ would begin a link."""
    return inspect.cleandoc(kind.__doc__ or "").replace("[", "\\[")


def _settings(kind: type, table: str) -> str:
    hints = typing.get_type_hints(kind)
    rows = []
    for item in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[item.name]):
            inner = f"{table}.{item.name}".strip(".")
            rows.append(f"| `{item.name}` | table | see [below](#{_anchor(f'[{inner}]')}) |")
        else:
            rows.append(f"| `{item.name}` | {_kind(hints[item.name])} | {_default(item)} |")
    return "| setting | kind | default |\n|---|---|---|\n" + "\n".join(rows)


def _kind(hint: Any) -> str:
    choices = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return ", ".join(f"`{_toml(choice)}`" for choice in choices)
    if typing.get_origin(hint) is tuple:
        return f"list of {_kind(choices[0])}s"
    return {str: "text", float: "number", int: "whole number", bool: "true or false"}.get(hint, str(hint))


def _default(item: dataclasses.Field[Any]) -> str:
    if item.default is not dataclasses.MISSING:
        return f"`{_toml(item.default)}`"
    return "must be given" if item.default_factory is dataclasses.MISSING else f"`{_toml(item.default_factory())}`"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


# --- Markdown ---


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("[", "\\[").replace("<", "&lt;")


def _anchor(heading: str) -> str:
    """As GitHub and MyST make it."""
    return "".join(char for char in heading.lower().replace(" ", "-") if char.isalnum() or char in "-_")


def main() -> int:
    """Write the pages; with `--check` only say which are out of date, and fail when any is."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for name, text in pages().items():
        path = FOLDER / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name} {'is out of date: make reference' if check else 'written'}", file=sys.stderr)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
