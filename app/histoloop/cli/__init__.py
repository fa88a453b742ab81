"""The `histoloop` command: arguments to workflows. `--help` imports neither torch nor Qt.

Exit codes: 0 all done; 1 nothing could be done, as the message explains; 2 wrong usage, before any work; 3 some inputs
failed or were not understood, each named on standard error; 4 the place cannot be written; 130 interrupted, 143
terminated: what was done is kept.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import histoloop
from histoloop.cli import (
    agreement,
    annotating,
    annotation_list,
    classes,
    demo,
    encoders,
    evaluating,
    exporting,
    health,
    patches,
    pretraining,
    questions,
    ranking,
    report_pages,
    simulation,
    slides,
    training,
    window,
)
from histoloop.cli.checks import WrongUsageError, check_before_work
from histoloop.cli.outcome import Outcome, report, report_error
from histoloop.cli.terminal import FAILED, INTERRUPTED, OK, TERMINATED, UNWRITABLE, WRONG, print_error
from histoloop.environment import settle_in
from histoloop.errors import HistoLoopError, PlaceError
from histoloop.log import FILE, log_folder, loggable, logging_to_file, operation
from histoloop.threads import wait_without_spinning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        return _main(arguments)
    except KeyboardInterrupt:  # before a command began, or after it ended
        print("histoloop: interrupted", file=sys.stderr)
        return INTERRUPTED


def _main(arguments: Sequence[str] | None) -> int:
    settle_in()
    options = build_parser().parse_args(arguments)
    wait_without_spinning()
    if options.command_name is None:  # asked by the program itself
        return _run(options)
    with logging_to_file("command line", verbose=options.verbose) as trouble:
        if trouble is not None and options.verbose:
            print(f"histoloop: no log can be written: {trouble}", file=sys.stderr)
        return _run(options)


class _Terminated(BaseException):
    """Somebody ended the process (SIGTERM); work closes its files and folders on the way out."""


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end what runs as Ctrl+C does; signals reach the main thread alone."""

    def end(_number: int, _frame: object) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(options: argparse.Namespace) -> int:
    """Run the command and explain what went wrong; the exit code."""
    command: Callable[[argparse.Namespace], int | Outcome] = options.command
    try:
        with _ended_by_sigterm(), operation(_log, options.command_name or "probe", **loggable(vars(options))):
            check_before_work(options)
            result = command(options)
            if isinstance(result, Outcome):
                return report(result, command=options.command_name, json_file=options.json)
            return result
    except WrongUsageError as error:
        print_error(str(error), command=options.command_name)
        return WRONG
    except HistoLoopError as error:
        return _explain(error, options)
    except BrokenPipeError:  # whoever read the output has enough of it
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
        return OK
    except KeyboardInterrupt:
        print("histoloop: interrupted", file=sys.stderr)
        return INTERRUPTED
    except _Terminated:
        print("histoloop: terminated", file=sys.stderr)
        return TERMINATED
    except Exception as error:  # a disk, too little memory, or a fault of the program, whose trace the log has
        return _explain_unexpected(error, options)


def _explain(error: HistoLoopError, options: argparse.Namespace) -> int:
    """Say what kept a command from its end; the exit code."""
    code = UNWRITABLE if isinstance(error, PlaceError) else FAILED
    print_error(str(error))
    if getattr(options, "has_outcome", False) and options.json is not None:
        try:
            report_error(str(error), code, command=options.command_name, json_file=options.json)
        except PlaceError as other:
            print_error(str(other))
    return code


def _explain_unexpected(error: Exception, options: argparse.Namespace) -> int:
    from histoloop.workflows.boundary import why_it_failed

    try:
        reason = why_it_failed(error, writing_to=())
    except PlaceError as unwritable:
        return _explain(unwritable, options)
    advice = f"The log has more: {log_folder() / FILE}"
    return _explain(HistoLoopError(reason, advice=advice), options)


def build_parser() -> argparse.ArgumentParser:
    """The arguments of `histoloop`, with all its commands."""
    parser = argparse.ArgumentParser(
        prog="histoloop",
        description="Predict, query, annotate, retrain on histology slides. Research use only, no diagnostic device.",
    )
    parser.add_argument("--version", action="version", version=f"histoloop {histoloop.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    for group in (
        window,
        slides,
        questions,
        annotating,
        annotation_list,
        agreement,
        exporting,
        report_pages,
        classes,
        training,
        pretraining,
        evaluating,
        ranking,
        patches,
        simulation,
        demo,
        health,
        encoders,
    ):
        group.add_commands(commands)
    return parser
