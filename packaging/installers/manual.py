"""Man pages, written from the arguments that the two programs take."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from histoloop.cli import build_parser as command_parser
from histoloop.gui.arguments import build_parser as window_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from installers.program import Program

_EXIT_CODES = {
    0: "Done.",
    1: "An error that the message explains.",
    2: "Wrong arguments.",
    3: "Done, but some of the inputs failed.",
    130: "Interrupted.",
}
_FILES = {
    "~/Documents/HistoLoop/": "New projects and the demo, in the desktop's folder for documents.",
    "~/.config/histoloop/": "Settings, unless XDG_CONFIG_HOME names another folder.",
    "~/.local/state/histoloop/": "Logs, unless XDG_STATE_HOME names another folder.",
    "~/.local/share/histoloop/": "Encoders that were added, and weights, unless XDG_DATA_HOME names another folder.",
    "PROJECT/project.histoloop": "The file of a project that a double click opens.",
    "PROJECT/project.db": "What a project knows: slides, annotations, models, rounds (SQLite).",
}
_ENVIRONMENT = {"HISTOLOOP_HOME": "One folder for projects, settings, logs and weights, in place of those below FILES."}


def man_pages(program: Program, released: int) -> dict[str, str]:
    """The page of each program by its file's name; `released` is the date on it, in seconds since 1970."""
    summaries = {"histoloop": "predict, query, annotate and retrain on histology slides", "histoloop-gui": "the window"}
    parsers = {"histoloop": command_parser(), "histoloop-gui": window_parser()}
    return {
        f"{name}.1": man_page(parser, summary=summaries[name], program=program, released=released)
        for name, parser in parsers.items()
    }


def man_page(parser: argparse.ArgumentParser, *, summary: str, program: Program, released: int) -> str:
    """One program's page as roff: its options, each of its commands with theirs, files and exit codes."""
    day = datetime.fromtimestamp(released, UTC).date().isoformat()
    other = "histoloop" if parser.prog == "histoloop-gui" else "histoloop-gui"
    lines = [
        f'.TH {parser.prog.upper()} 1 {day} "{program.name} {program.version}" "User Commands"',
        *(".SH NAME", rf"{_text(parser.prog)} \- {_text(summary)}"),
        *(".SH SYNOPSIS", *_synopsis(parser)),
        *(".SH DESCRIPTION", _text(parser.description or ""), ".PP", *map(_text, program.description)),
        *(".PP", _text(program.notice)),
        *(".SH OPTIONS", *_arguments(parser)),
    ]
    if commands := list(_commands(parser)):
        lines.append(".SH COMMANDS")
        for command in commands:
            lines += [f'.SS "{_text(command.prog)}"', _text(command.description or ""), ".PP", *_synopsis(command)]
            lines += _arguments(command)
        lines += [".SH EXIT STATUS", *_list({str(code): said for code, said in _EXIT_CODES.items()})]
    lines += [".SH ENVIRONMENT", *_list(_ENVIRONMENT), ".SH FILES", *_list(_FILES)]
    lines += [".SH SEE ALSO", f".BR {_text(other)} (1)"]
    return "\n".join(lines) + "\n"


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The commands that the help lists; argparse has no public way to ask for them."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            listed = [choice.dest for choice in action._choices_actions]
            yield from (action.choices[name] for name in listed)


def _synopsis(parser: argparse.ArgumentParser) -> list[str]:
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    return [f".B {_text(parser.prog)}", _text(usage.removeprefix(parser.prog).strip())]


def _arguments(parser: argparse.ArgumentParser) -> list[str]:
    lines: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) or action.help is argparse.SUPPRESS:
            continue
        lines += [".TP", _heading(action)]
        said = (action.help or "") % (vars(action) | {"prog": parser.prog})
        lines.append(_text(said[:1].upper() + said[1:]) or r"\&")
    return lines


def _heading(action: argparse.Action) -> str:
    value = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    if action.choices is not None and not action.metavar:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    said = rf"\fI{_text(str(value))}\fR"
    if not action.option_strings:
        return said
    names = ", ".join(rf"\fB{_text(name)}\fR" for name in action.option_strings)
    return names if action.nargs == 0 else f"{names} {said}"


def _list(said: dict[str, str]) -> list[str]:
    return [line for term, text in said.items() for line in (".TP", rf"\fB{_text(term)}\fR", _text(text))]


def _text(text: str) -> str:
    """A text as roff shows it literally."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("~", r"\(ti").replace("'", r"\(aq")
    return rf"\&{escaped}" if escaped.startswith(".") else escaped
