"""The `histoloop` command: arguments to workflows. `--help` imports neither torch nor Qt.

Exit codes: 0 done; 1 an error that the message explains; 2 wrong arguments; 3 done, but some inputs failed;
130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import histoloop
from histoloop.errors import HistoLoopError
from histoloop.threads import wait_without_spinning

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histoloop.progress import Progress, Work

Result = TypeVar("Result")

OK, FAILED, PARTLY = 0, 1, 3
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    wait_without_spinning()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    except HistoLoopError as error:
        print(f"histoloop: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("histoloop: interrupted", file=sys.stderr)
        return INTERRUPTED


# --- arguments ----------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="histoloop",
        description="Predict, query, annotate, retrain on histology slides. Research use only, no diagnostic device.",
    )
    parser.add_argument("--version", action="version", version=f"histoloop {histoloop.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    opened = _command(commands, "open", _open, "open the window on a project, on slides, or on the demo project")
    opened.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="a project folder, or slides to look at")
    opened.add_argument("--demo", action="store_true", help="open the demo project, made on first use")

    imported = _command(commands, "import", _import, "bring slides and folders into a project, made if it is not there")
    imported.add_argument("project", type=Path)
    imported.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    imported.add_argument("--model", help="model a new project starts from (name or folder)")
    imported.add_argument("--mpp", type=_positive, help="micrometres per pixel of slides that do not say")

    predicted = _command(commands, "predict", _predict, "predict masks and classes of slides, pictures and folders")
    predicted.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    predicted.add_argument("--out", type=Path, required=True, help="folder for the results")
    predicted.add_argument("--model", help="name of a shipped model, or a model folder")
    predicted.add_argument("--mpp", type=_positive, help="micrometres per pixel of slides that do not say")
    _add_device(predicted)

    asked = _command(commands, "query", _query, "choose the regions of a project to annotate next, and list them")
    asked.add_argument("project", type=Path)
    asked.add_argument("--strategy", default="entropy", help="random or entropy (default: entropy)")
    asked.add_argument("--count", type=_count, default=6, help="how many regions (default: 6)")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the list as JSON ('-': to standard output)"
    )
    _add_device(asked)

    annotated = _command(commands, "annotate", _annotate, "import a mask, a label or a size of a region or slide")
    annotated.add_argument("project", type=Path)
    annotated.add_argument("--mask", type=Path, help="mask picture, or GeoJSON as QuPath exports it")
    where = annotated.add_mutually_exclusive_group(required=True)
    where.add_argument("--query", type=int, metavar="ID", help="the region of this query (see: histoloop query)")
    where.add_argument("--slide", metavar="NAME", help="a slide by name; the whole slide unless --region is given")
    annotated.add_argument("--region", type=_region, metavar="X,Y,WIDTH,HEIGHT", help="level-0 pixels of the slide")
    annotated.add_argument("--mask-class", metavar="NAME", help="class of the foreground of a two-valued mask")
    annotated.add_argument("--label", help="label class of the region, or of the slide")
    annotated.add_argument(
        "--size", type=_fraction, metavar="FRACTION", help="how much of the region is foreground: 0.4 or 40%%"
    )
    annotated.add_argument("--person", default="command line", help="who annotated")

    trained = _command(
        commands, "train", _train, "retrain a project on its annotations, or make a model from a data set by a recipe"
    )
    trained.add_argument("project", type=Path, nargs="?", help="project to retrain")
    trained.add_argument(
        "--learn-from",
        choices=("masks", "sizes", "labels", "min-max"),
        default="masks",
        help="what a project learns from (default: masks; sizes and labels learn from the masks too, afterwards)",
    )
    trained.add_argument("--recipe", help="recipe name or file (with --data and --out); see: histoloop recipes")
    trained.add_argument("--data", type=Path, help="folder or CSV file of the data set")
    trained.add_argument("--out", type=Path, help="model folder to write; the same command goes on where it stopped")
    trained.add_argument("--epochs", type=_count, help="shorten or lengthen the training")
    trained.add_argument("--seed", type=int, default=0)
    _add_dealing(trained)
    trained.add_argument("--roll-back", action="store_true", help="keep the old model, whatever the figures say")
    _add_device(trained)

    listed = _command(commands, "recipes", _recipes, "list the recipes that make a model from a data set")
    listed.add_argument("--show", metavar="NAME", help="print one with all its settings, to start your own from")

    measured = _command(commands, "evaluate", _evaluate, "measure a model on a data set: labels, masks, pictures")
    measured.add_argument("--model", required=True, help="name of a shipped model, or a model folder")
    measured.add_argument("--data", type=Path, required=True, help="folder or CSV file of the data set")
    measured.add_argument("--split", choices=("train", "val", "test"), default="test", help="part (default: test)")
    measured.add_argument("--seed", type=int, default=0)
    measured.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON")
    measured.add_argument("--pictures", type=Path, metavar="FOLDER", help="write a page of pictures")
    measured.add_argument("--count", type=_count, default=12, help="how many tiles to draw (default: 12)")
    measured.add_argument("--layer", help="also Grad-CAM at this layer, e.g. classifier.backbone.layer3")
    measured.add_argument("--robustness", action="store_true", help="attack some tiles by DDN")
    _add_dealing(measured)
    _add_device(measured)

    exported = _command(commands, "export", _export, "write a project's masks, polygons and areas for other programs")
    exported.add_argument("project", type=Path)
    exported.add_argument("--out", type=Path, required=True)

    demo = _command(commands, "demo", _demo, "run the loop on synthetic slides that annotate themselves")
    demo.add_argument("--rounds", type=_count, default=3)
    demo.add_argument("--seed", type=int, default=0)
    demo.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON")
    demo.add_argument("--project", type=Path, metavar="FOLDER", help="keep the project here")
    _add_device(demo)

    tour = _command(commands, "tour", _tour, "drive the window through the loop and save a picture of each step")
    tour.add_argument("--out", type=Path, required=True)

    doctor = _command(commands, "doctor", _doctor, "check versions, GPU, OpenGL, OpenSlide; say what to do")
    doctor.add_argument("--json", action="store_true", help="print JSON")

    commands.add_parser("probe-opengl").set_defaults(command=_probe_opengl)  # for doctor; without help, so not listed
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    parser.set_defaults(command=run)
    return parser


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def _add_dealing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by",
        choices=("official", "case", "whole"),
        default="official",
        help="parts as the data set states them (default), dealt by case, or all of it as test",
    )
    parser.add_argument("--mpp", type=_positive, help="micrometres per pixel of the data set, where it does not say")


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _fraction(text: str) -> float:
    value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1, or 0% and 100%")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def _region(text: str) -> tuple[int, int, int, int]:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not X,Y,WIDTH,HEIGHT in whole pixels") from None
    return x, y, width, height


# --- progress -----------------------------------------------------------------------------------------------------


class _ProgressBar:
    """One line on a terminal, rewritten; a line per stage elsewhere; both on standard error."""

    WIDTH = 30

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._stage = ""

    def __call__(self, step: Progress) -> None:
        if self._terminal:
            filled = round(step.fraction * self.WIDTH)
            figures = "  ".join(f"{name} {value:.3g}" for name, value in step.figures.items())
            bar = "#" * filled + "." * (self.WIDTH - filled)
            line = f"{step.stage} [{bar}] {step.fraction:4.0%} {step.message} {figures}"
            print(f"\r\x1b[K{line[:140]}", end="", file=sys.stderr, flush=True)
        elif step.stage != self._stage:
            print(step.stage, file=sys.stderr, flush=True)
        self._stage = step.stage

    def close(self) -> None:
        if self._terminal and self._stage:
            print(file=sys.stderr)


def _run(work: Work[Result]) -> Result:
    from histoloop.progress import finish

    bar = _ProgressBar()
    try:
        return finish(work, bar)
    finally:
        work.close()
        bar.close()


# --- commands: each imports what it needs, so that --help stays quick ------------------------------------------------


def _open(options: argparse.Namespace) -> int:
    application = importlib.import_module("histoloop.gui.application")
    arguments = [str(path) for path in options.paths] + (["--demo"] if options.demo else [])
    return int(application.main(arguments))


def _import(options: argparse.Namespace) -> int:
    from histoloop.workflows.projects import create_project, import_slides, opened_project
    from histoloop.workflows.shipped import DEFAULT_MODEL

    there = (options.project / "project.db").exists()
    if there and options.model:
        print(f"histoloop: {options.project} has its models already; --model is for new projects", file=sys.stderr)
        return FAILED
    model = options.model or DEFAULT_MODEL
    name = options.project.resolve().name
    with (
        opened_project(options.project) if there else create_project(options.project, name=name, model=model) as project
    ):
        report = _run(import_slides(project, options.paths, mpp=options.mpp))
    print(f"{len(report.added)} added, {len(report.known)} known before, {len(report.failed)} failed")
    return _tell_failures([(str(path), reason) for path, reason in report.failed])


def _predict(options: argparse.Namespace) -> int:
    from histoloop.workflows.predict_files import predict_files
    from histoloop.workflows.shipped import DEFAULT_MODEL

    report = _run(
        predict_files(
            options.paths, out=options.out, model=options.model or DEFAULT_MODEL, device=options.device, mpp=options.mpp
        )
    )
    print(f"{report.predicted} predicted, {len(report.failed)} failed; see {report.summary}")
    return _tell_failures(report.failed)


def _query(options: argparse.Namespace) -> int:
    from histoloop.workflows.predict import predict_project
    from histoloop.workflows.projects import opened_project
    from histoloop.workflows.query import ask

    with opened_project(options.project) as project:
        report = _run(predict_project(project, device=options.device))
        queries = _run(ask(project, strategy=options.strategy, count=options.count, seed=options.seed))
        names = {slide.id: slide.name for slide in project.slides()}
    rows = [
        {
            "id": query.id,
            "slide": names[query.slide_id],
            "region": [query.region.x, query.region.y, query.region.width, query.region.height],
            "class": query.class_name,
            "strategy": query.strategy,
            "score": query.score,
            "reason": query.reason,
        }
        for query in queries
    ]
    if options.json:
        _write_json(options.json, rows)
    if options.json != Path("-"):
        for row in rows:
            print(f"{row['id']}\t{row['slide']}\t{row['region']}\t{row['class']}\t{row['score']:.3f}\t{row['reason']}")
    return _tell_failures(report.failed)


def _annotate(options: argparse.Namespace) -> int:
    if options.mask is None and (options.mask_class or (options.label is None and options.size is None)):
        print("histoloop annotate: give --mask, --label or --size; --mask-class goes with --mask", file=sys.stderr)
        return 2
    from histoloop.geometry import Region
    from histoloop.workflows.annotate import import_annotation, label_slide
    from histoloop.workflows.projects import opened_project

    if options.slide and not (options.mask or options.region or options.size is not None):
        with opened_project(options.project) as project:
            slide = label_slide(project, slide_name=options.slide, label=options.label, person=options.person)
        print(f"{slide.name} is kept as {slide.label}")
        return OK
    with opened_project(options.project) as project:
        record = import_annotation(
            project,
            mask_file=options.mask,
            query_id=options.query,
            slide_name=options.slide,
            region=Region(*options.region) if options.region else None,
            mask_class=options.mask_class,
            label=options.label,
            size=options.size,
            person=options.person,
        )
    if not record.has_mask:
        size = "" if record.size is None else f" size {record.size:.0%}"
        print(f"annotation {record.id} saved without a mask:{f' {record.label}' if record.label else ''}{size}")
        return OK
    use = "held out to measure the model" if record.held_out else "used for training"
    print(f"annotation {record.id} saved; it is {use}")
    return OK


def _train(options: argparse.Namespace) -> int:
    data_set = (options.recipe, options.data, options.out)
    if options.project is None and all(data_set):
        from histoloop.workflows.train import train_model

        folder = _run(
            train_model(
                recipe=options.recipe,
                data=options.data,
                out=options.out,
                device=options.device,
                seed=options.seed,
                epochs=options.epochs,
                split=options.by,
                mpp=options.mpp,
            )
        )
        print(f"model written to {folder}")
        return OK
    if options.project is None or any(data_set):
        print("histoloop train: give a PROJECT, or --recipe, --data and --out together", file=sys.stderr)
        return 2
    from histoloop.workflows.projects import opened_project
    from histoloop.workflows.retrain import retrain
    from histoloop.workflows.rounds import keep, roll_back

    with opened_project(options.project) as project:
        result = _run(
            retrain(
                project,
                learn_from=options.learn_from,
                device=options.device,
                seed=options.seed,
                epochs=options.epochs,
            )
        )
        print(f"trained on {result.annotations} annotations; Dice on {result.held_out} held-out ones: "
              f"{_figure(result.old_dice)} before, {_figure(result.new_dice)} now")  # fmt: skip
        if options.roll_back:
            roll_back(project, result.model_id)
            print("rolled back: the old model stays")
        else:
            keep(project, result.model_id)
            print("the new model is kept")
    return OK


def _recipes(options: argparse.Namespace) -> int:
    from histoloop.training.recipe import load_recipe, recipe_path
    from histoloop.workflows.recipes import list_recipes, recipe_text

    if options.show:
        print(recipe_text(load_recipe(recipe_path(options.show))), end="")
        return OK
    for recipe in list_recipes():
        print(f"{recipe.name}\n    {recipe.description}\n    Source: {recipe.source}")
    return OK


def _evaluate(options: argparse.Namespace) -> int:
    from histoloop.exchange.evaluation import table_text
    from histoloop.workflows.evaluate import EvaluationSettings, evaluate_model
    from histoloop.workflows.shipped import find_model

    settings = EvaluationSettings(
        part=options.split,
        split=options.by,
        seed=options.seed,
        layer=options.layer,
        pictures=options.count,
        robustness=options.robustness,
    )
    found = _run(
        evaluate_model(
            find_model(options.model),
            data=options.data,
            settings=settings,
            device=options.device,
            mpp=options.mpp,
            json=options.json,
            pictures=options.pictures,
        )
    )
    print(table_text(found.table), end="")
    for warning in found.warnings:
        print(f"Mind: {warning}", file=sys.stderr)
    return OK


def _figure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _export(options: argparse.Namespace) -> int:
    from histoloop.workflows.export import export_project
    from histoloop.workflows.projects import opened_project

    with opened_project(options.project) as project:
        report = _run(export_project(project, options.out))
    print(f"{len(report.files)} files written to {options.out}")
    return _tell_failures(report.failed)


def _demo(options: argparse.Namespace) -> int:
    from histoloop.workflows.demo import run_demo

    with tempfile.TemporaryDirectory(prefix="histoloop-demo-") as scratch:
        folder = options.project or Path(scratch) / "project"
        report = _run(run_demo(folder, rounds=options.rounds, seed=options.seed, device=options.device))
    print("round  annotations  Dice on test slides")
    for row in report.rounds:
        print(f"{row.round:5d}  {row.annotations:11d}  {row.dice:.4f}")
    if options.json:
        _write_json(options.json, report.as_json())
    return OK


def _tour(options: argparse.Namespace) -> int:
    tour = importlib.import_module("histoloop.gui.tour")
    return int(tour.run_tour(options.out))


def _doctor(options: argparse.Namespace) -> int:
    from histoloop.workflows.doctor import examine

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
    return int(importlib.import_module("histoloop.gui.opengl_probe").probe())


def _tell_failures(failed: Sequence[tuple[str, str]]) -> int:
    for name, reason in failed:
        print(f"histoloop: {name}: {reason}", file=sys.stderr)
    return PARTLY if failed else OK


def _write_json(path: Path, content: object) -> None:
    text = json.dumps(content, indent=2) + "\n"
    if path == Path("-"):
        print(text, end="")
        return
    from histoloop.store.files import write_beside

    path.parent.mkdir(parents=True, exist_ok=True)
    write_beside(path, text)
