"""`histoloop report`: a page about a project and each of its slides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.cli.arguments import add_command, add_json
from histoloop.cli.outcome import Outcome
from histoloop.cli.terminal import run
from histoloop.language import ENGLISH, LANGUAGES, speak

if TYPE_CHECKING:
    import argparse

    from histoloop.cli.arguments import Commands


def add_commands(commands: Commands) -> None:
    """Add this module's command."""
    written = add_command(
        commands, "report", _report, "write a page about a project and each of its slides, to read, print or file"
    )
    written.add_argument("project", type=Path)
    written.add_argument("--out", type=Path, required=True, help="folder for the pages")
    written.add_argument(
        "--slides",
        nargs="+",
        metavar="NAME",
        help="pages of these slides alone, by their names, and none of the project",
    )
    written.add_argument(
        "--format", nargs="+", choices=("html", "pdf"), default=["html"], dest="formats", help="default: html"
    )
    codes = [language.code for language in LANGUAGES]
    written.add_argument("--language", choices=codes, default=ENGLISH.code, help="language of the pages")
    add_json(written)


def _report(options: argparse.Namespace) -> Outcome:
    from histoloop.workflows.contents.slides import slide_called
    from histoloop.workflows.projects import opened_project
    from histoloop.workflows.report_pages import write_pages

    with opened_project(options.project) as project:
        chosen = None if options.slides is None else {slide_called(project, name).id for name in options.slides}
        speak(options.language)
        try:
            report = run(write_pages(project, options.out, slide_ids=chosen, formats=options.formats))
        finally:
            speak(ENGLISH.code)
    return Outcome(
        [f"{len(report.files)} files written to {options.out}"],
        done=[{"file": str(path)} for path in report.files],
        failed=report.failed,
    )
