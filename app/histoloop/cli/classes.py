"""Commands for a project's own classes: make a project that has some, list and change them."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histoloop.annotations.template_names import TEMPLATE_NAMES
from histoloop.cli.arguments import Once, add_command, add_json
from histoloop.cli.checks import WrongUsageError
from histoloop.cli.outcome import Outcome
from histoloop.cli.terminal import run
from histoloop.errors import ClassError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
    from histoloop.cli.arguments import Commands
    from histoloop.store.project import Project


_WEIGHTS = (".safetensors", ".bin", ".ckpt", ".pt", ".pth")
"""Endings of files of weights; those that are not .safetensors are refused with how to convert them."""


def add_commands(commands: Commands) -> None:
    """Add this module's commands."""
    made = add_command(commands, "new", _new, "make a project with classes of its own, or with those of a model")
    made.add_argument("project", type=_new_folder)
    what = made.add_mutually_exclusive_group()
    what.add_argument(
        "--classes",
        action=Once,
        type=_classes,
        metavar="NAMES",
        help='what to find, separated by commas; each may have a colour: "tumour,stroma=#0072b2"',
    )
    what.add_argument(
        "--template",
        action=Once,
        type=_template,
        metavar="NAME",
        help=f"classes to start with: {'; '.join(TEMPLATE_NAMES)}",
    )
    made.add_argument(
        "--labels",
        action=Once,
        type=_labels,
        metavar="NAMES",
        help='diagnoses of slides, separated by commas; each may name the class it paints: "benign,malignant=tumour"',
    )
    begun = made.add_mutually_exclusive_group()
    begun.add_argument("--model", metavar="NAME|FOLDER", help="start with a model that predicts these classes")
    begun.add_argument(
        "--encoder",
        metavar="NAME|FILE",
        help="start with an encoder alone: that of a model, one of `histoloop encoders`, or a .safetensors file",
    )
    made.add_argument("--name", help="name of the project (default: its folder's name)")
    add_json(made)

    parser = add_command(commands, "classes", _list, "list a project's classes, or change them")
    parser.add_argument("project", type=Path)
    add_json(parser)
    doing = parser.add_subparsers(metavar="list | add | rename | recolour | order | merge | remove | undo")
    _change(doing, "list", _list, "list all, with how much is painted of each (default)")
    added = _change(doing, "add", _add, "add a class")
    added.add_argument("class_name", metavar="NAME")
    added.add_argument("--colour", metavar="#RRGGBB", help="default: the next of those that are easy to tell apart")
    renamed = _change(doing, "rename", _rename, "rename a class, also in what was predicted and painted")
    renamed.add_argument("class_name", metavar="NAME")
    renamed.add_argument("new", metavar="NEW")
    coloured = _change(doing, "recolour", _recolour, "change the colour of a class")
    coloured.add_argument("class_name", metavar="NAME")
    coloured.add_argument("colour", metavar="#RRGGBB")
    ordered = _change(doing, "order", _order, "set the order of the classes, which is that of their keys")
    ordered.add_argument("class_names", nargs="+", metavar="NAME")
    merged = _change(doing, "merge", _merge, "merge a class into another")
    merged.add_argument("class_name", metavar="NAME")
    merged.add_argument("--into", required=True, metavar="OTHER")
    removed = _change(doing, "remove", _remove, "remove a class; what is painted of it is ignored")
    removed.add_argument("class_name", metavar="NAME")
    _change(doing, "undo", _undo, "undo the last change of the classes")


def _change(
    doing: Any, name: str, command: Callable[[argparse.Namespace], Outcome], summary: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = doing.add_parser(name, help=summary)
    add_json(parser, inner=True)
    parser.set_defaults(command=command)
    return parser


# --- values of arguments ----------------------------------------------------------------------------------------------


def _names(text: str) -> list[str]:
    """Names with commas between; one that has a comma itself stands in quotation marks."""
    try:
        (names,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text} is not a list of names separated by commas") from error
    return names


def _new_folder(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty: name the folder of the new project")
    return Path(text)


def _classes(text: str) -> tuple[MaskClass, ...]:
    from histoloop.annotations.records import MaskClass

    found = []
    for each in _names(text):
        name, sign, colour = each.rpartition("=")
        found.append(MaskClass(name.strip(), colour.strip()) if sign else MaskClass(each, ""))
    return tuple(found)


def _labels(text: str) -> tuple[LabelClass, ...]:
    from histoloop.annotations.records import LabelClass

    found = []
    for each in _names(text):
        name, sign, mask = each.rpartition("=")
        found.append(LabelClass(name.strip(), mask.strip()) if sign else LabelClass(each))
    return tuple(found)


def _template(text: str) -> tuple[MaskClass, ...]:
    from histoloop.annotations.palette import TEMPLATES

    begun = [name for name in TEMPLATE_NAMES if name.casefold().startswith(text.strip().casefold())]
    if len(begun) != 1:
        raise argparse.ArgumentTypeError(f"{text} is none of the templates: {'; '.join(TEMPLATE_NAMES)}")
    return TEMPLATES[begun[0]]


# --- each imports what it needs, so that --help stays quick --------------------------------------------------------


def _new(options: argparse.Namespace) -> Outcome:
    from histoloop.workflows.classes import own_scheme
    from histoloop.workflows.projects import create_project

    labels, classes = options.labels, options.template if options.classes is None else options.classes
    try:
        if classes is not None:
            own_scheme(classes, labels or ())
    except ClassError as error:
        raise WrongUsageError(error.message, advice=error.advice) from error
    start, encoder_only = _start(options, classes)
    name = options.name or options.project.resolve().name
    with create_project(
        options.project, name=name, start=start, classes=classes, labels=labels, encoder_only=encoder_only
    ) as project:
        scheme, card = project.scheme, project.models.current_card()
        folder = str(project.folder)
    made = {"project": folder, "name": name, "start": card.name, "trained": card.trained, **_as_json(scheme)}
    names = ", ".join(scheme.mask_names)
    return Outcome([f"{folder}: {names}"], done=[made], notes=_notes(scheme, start, encoder_only, trained=card.trained))


def _start(options: argparse.Namespace, classes: Sequence[MaskClass] | None) -> tuple[str, bool]:
    """What a project begins with, and whether with its encoder alone.

    Unless one is named: with the shipped model if it has all the classes, else with the general encoder.
    """
    from histoloop.store.shipped import DEFAULT_ENCODER, DEFAULT_MODEL
    from histoloop.workflows.classes import own_scheme
    from histoloop.workflows.starts import find_start, not_drawn

    if options.encoder is not None:
        _bring(Path(options.encoder))
        return options.encoder, True
    if options.model is not None:
        return options.model, False
    if classes is None:
        return DEFAULT_MODEL, False
    fits = not not_drawn(find_start(DEFAULT_MODEL), own_scheme(classes)) and options.labels is None
    return (DEFAULT_MODEL, False) if fits else (DEFAULT_ENCODER, True)


def _bring(path: Path) -> None:
    """Add a file of weights to the encoders of this machine, unless it was added before."""
    if not path.is_file() or path.suffix not in _WEIGHTS:
        return
    from histoloop.errors import ModelError
    from histoloop.store.encoders import encoder_of_file
    from histoloop.workflows.retraining.encoders import add_encoder

    try:
        encoder_of_file(path)
    except ModelError:
        run(add_encoder(path))


def _notes(scheme: ClassScheme, start: str, encoder_only: bool, *, trained: bool) -> list[str]:
    from histoloop.workflows.starts import find_start, not_drawn

    if not trained:
        return [
            f"nothing is predicted before the first retraining: the encoder of {start} knows none of the classes yet. "
            "Import slides, ask for regions (histoloop query), annotate them, then histoloop train."
        ]
    lacking = not_drawn(find_start(start, encoder_only=encoder_only), scheme)
    if not lacking:
        return []
    return [f"{start} does not predict {', '.join(lacking)} until it has been trained on what you paint."]


def _as_json(scheme: ClassScheme) -> dict[str, Any]:
    return {
        "classes": [{"name": mask.name, "colour": mask.colour} for mask in scheme.masks],
        "labels": [{"name": label.name, "mask": label.mask} for label in scheme.labels],
    }


def _list(options: argparse.Namespace) -> Outcome:
    from histoloop.workflows.classes import use_in_words, use_of_classes
    from histoloop.workflows.projects import opened_project

    with opened_project(options.project, read_only=True) as project:
        scheme, uses = project.scheme, use_of_classes(project)
    lines, done = [], []
    for number, mask in enumerate(scheme.masks, start=1):
        use = uses[mask.name]
        lines.append(f"{number}\t{mask.name}\t{mask.colour}\t{use_in_words(use)}")
        area = {"unit": use.unit, "area": use.area}
        counts = {"finished": use.finished, "drafts": use.drafts, "queries": use.queries}
        done.append({"number": number, "name": mask.name, "colour": mask.colour, **counts, **area})
    for label in scheme.labels:
        lines.append(f"label\t{label.name}\t{f'paints {label.mask}' if label.mask else ''}".rstrip())
    return Outcome(lines, done=done)


def _changed(
    options: argparse.Namespace,
    change: Callable[[Project], object],
    notes: Callable[[Project], Sequence[str]] = lambda _project: (),
) -> Outcome:
    """Make a change, and say what the classes are then; `notes` are found before it."""
    from histoloop.workflows.projects import opened_project

    with opened_project(options.project) as project:
        said = notes(project)
        change(project)
        scheme = project.scheme
    return Outcome([", ".join(scheme.mask_names)], done=[_as_json(scheme)], notes=said)


def _add(options: argparse.Namespace) -> Outcome:
    from histoloop.workflows.classes import add_class

    note = "it is predicted once it has been painted and the project retrained."
    return _changed(
        options, lambda project: add_class(project, options.class_name, colour=options.colour), lambda _project: [note]
    )


def _rename(options: argparse.Namespace) -> Outcome:
    from histoloop.workflows.classes import rename_class

    return _changed(options, lambda project: rename_class(project, options.class_name, options.new))


def _recolour(options: argparse.Namespace) -> Outcome:
    from histoloop.workflows.classes import recolour_class

    return _changed(options, lambda project: recolour_class(project, options.class_name, options.colour))


def _order(options: argparse.Namespace) -> Outcome:
    from histoloop.workflows.classes import reorder_classes

    return _changed(options, lambda project: reorder_classes(project, options.class_names))


def _merge(options: argparse.Namespace) -> Outcome:
    from histoloop.workflows.classes import merge_classes

    return _changed(
        options,
        lambda project: merge_classes(project, options.class_name, into=options.into),
        lambda project: _use(project, options.class_name, f"becomes {options.into} from now on"),
    )


def _remove(options: argparse.Namespace) -> Outcome:
    from histoloop.workflows.classes import remove_class

    return _changed(
        options,
        lambda project: remove_class(project, options.class_name),
        lambda project: [
            *_use(project, options.class_name, "is ignored from now on"),
            *_unpainted(project, options.class_name),
        ],
    )


def _use(project: Project, name: str, becomes: str) -> list[str]:
    from histoloop.workflows.classes import use_in_words, use_of_class

    use = use_of_class(project, name)
    waiting = ""
    if use.queries:
        waiting = " 1 open question is about it, and stays." if use.queries == 1 else ""
        waiting = waiting or f" {use.queries} open questions are about it, and stay."
    return [f"{name}: {use_in_words(use)} That {becomes}; `histoloop classes PROJECT undo` reverts it.{waiting}"]


def _unpainted(project: Project, name: str) -> list[str]:
    """That labels which paint a class paint nothing once it is removed."""
    from histoloop.workflows.classes import labels_that_paint

    return [f"The label {label} paints no class any more." for label in labels_that_paint(project, name)]


def _undo(options: argparse.Namespace) -> Outcome:
    from histoloop.workflows.classes import undo_class_change
    from histoloop.workflows.projects import opened_project

    with opened_project(options.project) as project:
        undone = undo_class_change(project)
        scheme = project.scheme
    if undone is None:
        raise ClassError("There is no change of the classes to undo.", advice="Nothing was changed.")
    lines = [f"undone: {undone}", ", ".join(scheme.mask_names)]
    return Outcome(lines, done=[{"undone": undone, **_as_json(scheme)}])
