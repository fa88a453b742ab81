"""Commands that look whether all is well, and mend: status of a project, doctor of the machine or a project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.cli.arguments import add_command
from histoloop.cli.terminal import (
    FAILED,
    OK,
    PARTLY,
    WRONG,
    print_error,
    print_lines,
    report_failures,
    run,
    write_json,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from histoloop.cli.arguments import Commands
    from histoloop.store.records import SlideRecord
    from histoloop.workflows.project_checks import Trouble
    from histoloop.workflows.status import ProjectStatus


def add_commands(commands: Commands) -> None:
    """Add this module's commands."""
    looked = add_command(
        commands, "status", _status, "report what a project contains, what is broken in it, and how to repair it"
    )
    looked.add_argument("project", type=Path)
    looked.add_argument("--json", type=Path, metavar="FILE", help="also write all as JSON ('-': to standard output)")

    doctor = add_command(
        commands,
        "doctor",
        _doctor,
        "check versions, GPU, OpenGL, OpenSlide; with a project: repair what is broken in it",
    )
    doctor.add_argument("project", type=Path, nargs="?", help="project to repair (without: check this computer)")
    doctor.add_argument(
        "--look-in",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="also look here for slides that were moved",
    )
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.add_argument(
        "--report", type=Path, metavar="FILE", help="write a report for support: versions, this computer and the log"
    )

    commands.add_parser("probe-opengl").set_defaults(
        command=_probe_opengl, command_name=None
    )  # for doctor; without help, so not listed


# --- each imports what it needs, so that --help stays quick --------------------------------------------------------


def _status(options: argparse.Namespace) -> int:
    from histoloop.store.project import Project
    from histoloop.workflows.status import project_status

    with Project.open(options.project, read_only=True) as project:
        status = run(project_status(project))
    if options.json is not None:
        write_json(options.json, status.as_json())
    if options.json != Path("-"):
        print_lines(_in_lines(status))
    for trouble in status.broken:
        print_error(_in_words(trouble, options.project))
    return PARTLY if status.broken else OK


def _in_lines(status: ProjectStatus) -> Iterator[str]:
    from histoloop.store.records import is_unlike

    yield f"{status.name}, in {status.folder}"
    yield f"slides\t{len(status.slides)}"
    for slide in status.slides:
        mpp = "resolution unknown" if slide.mpp is None else f"{slide.mpp:.4g} um/px"
        mpp += f" ({'estimated by the ' if slide.mpp_from == 'objective' else ''}{slide.mpp_from})" * bool(
            slide.mpp_from
        )
        said = f"labelled {slide.label}" if slide.label else ""
        found = f"{slide.prediction} {slide.predicted_class}".rstrip()
        if is_unlike(slide.unlike):
            found += ", unlike the training data"
        yield "\t".join(("", slide.name.replace("\t", " "), f"file {slide.file}", found, mpp, said)).rstrip()
    yield f"annotations\t{_counts(status.annotations)}"
    yield f"questions\t{_counts(status.questions)}"
    yield f"rounds\t{status.rounds}"
    yield f"classes\t{', '.join(status.classes)}"
    if status.labels:
        yield f"labels\t{', '.join(status.labels)}"
    trained = "" if status.trained else "\tnot trained yet: annotate regions and retrain"
    yield f"current model\t{status.current_model or 'none'}{trained}"
    if status.candidate:
        yield f"waits for a decision\t{status.candidate}\thistoloop decide PROJECT keep, or roll-back"
    yield f"broken\t{len(status.broken)}"


def _counts(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counted.items())


def _in_words(trouble: Trouble, project: Path) -> str:
    return f"{trouble.what}: {trouble.reason.rstrip('.')}. {trouble.advice}".replace("PROJECT", str(project))


def _mend(options: argparse.Namespace) -> int:
    from histoloop.workflows.mend import mend_project
    from histoloop.workflows.projects import opened_project

    with opened_project(options.project) as project:
        report = run(mend_project(project, look_in=options.look_in))
        slides = project.slides.all()
    if options.json:
        resolutions = [
            {"slide": slide.name, "mpp": slide.mpp, "mpp_from": "assumed" if slide.mpp is None else slide.mpp_from}
            for slide in slides
        ]
        found = {"mended": _rows(report.mended), "left": _rows(report.left), "resolutions": resolutions}
        print(json.dumps(found, indent=2))
    else:
        print_lines(f"resolution: {slide.name}: {_resolution_of(slide)}" for slide in slides)
        print_lines(f"mended: {trouble.what}: {trouble.reason}" for trouble in report.mended)
        print_lines([f"{len(report.mended)} mended, {len(report.left)} left"])
    return report_failures([(one.what, f"{one.reason.rstrip('.')}. {one.advice}") for one in report.left])


def _resolution_of(slide: SlideRecord) -> str:
    """What it is, and where it is from."""
    if slide.mpp is None:
        estimate = slide.estimated_mpp
        hint = "" if estimate is None else f"; its objective suggests {estimate:.4g} um/px"
        return f"unknown; assumed to be the model's, pixel for pixel{hint}"
    sources = {
        "stated": "stated by the file",
        "given": "typed by a person",
        "objective": "estimated by the objective that the file states",
    }
    source = sources.get(slide.mpp_from, "stated or typed: the version that took it in did not keep which")
    return f"{slide.mpp:.4g} um/px, {source}"


def _rows(troubles: Sequence[Trouble]) -> list[dict[str, str]]:
    return [{"what": one.what, "reason": one.reason, "advice": one.advice} for one in troubles]


def _doctor(options: argparse.Namespace) -> int:
    if options.look_in and options.project is None:
        print_error("--look-in goes with a PROJECT", command="doctor")
        return WRONG
    if options.project is not None and options.report:
        print_error("--report is about this computer, not about a PROJECT", command="doctor")
        return WRONG
    if options.project is not None:
        return _mend(options)
    from histoloop.workflows.doctor import examine

    if options.report:
        from histoloop.workflows.support_report import save_support_report

        print(f"{run(save_support_report(options.report))} written")
        return OK
    findings = examine()
    if options.json:
        print(json.dumps([finding.as_json() for finding in findings], indent=2))
    else:
        for finding in findings:
            print(f"{finding.state:8} {finding.name}: {finding.value}")
            if finding.advice:
                print(f"{'':8} {finding.advice}")
    return FAILED if any(finding.state == "problem" for finding in findings) else OK


def _probe_opengl(_options: argparse.Namespace) -> int:
    from histoloop.gui.opengl_probe import probe

    return probe()
