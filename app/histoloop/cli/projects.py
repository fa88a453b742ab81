"""Commands of the loop: open, import, predict, query, annotate, train a project, export; demo and tour."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from histoloop.cli.arguments import (
    add_command,
    add_device,
    add_json,
    add_mpp_from_objective,
    add_precision,
    add_seed,
    add_shard,
    add_spread,
    count,
    fraction,
    mapping,
    mask_resolution,
    rectangle,
    resolution,
    side,
    spread_of,
    window_size,
)
from histoloop.cli.outcome import Outcome
from histoloop.cli.terminal import OK, WRONG, print_error, report_failures, run, write_json
from histoloop.errors import suggestion
from histoloop.language import ENGLISH, LANGUAGES

if TYPE_CHECKING:
    import argparse

    from histoloop.cli.arguments import Commands
    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord
    from histoloop.workflows.contents.export_choices import ExportChoices
    from histoloop.workflows.prediction.predict_files import FilesReport
    from histoloop.workflows.reports import ImportedAnnotation


UNKNOWN_MPP = "it states no resolution that a microscope can have; give it with --mpp, or in the window"


def add_commands(commands: Commands) -> None:
    """Add this module's commands."""
    opened = add_command(commands, "open", _open, "open the window on a project, on slides, or on the demo project")
    opened.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="a project (its folder or its .histoloop file), or slides"
    )
    opened.add_argument("--demo", action="store_true", help="open the demo project, made on first use")

    imported = add_command(
        commands, "import", _import, "add slides and folders to a project, which is created if it does not exist"
    )
    imported.add_argument("project", type=Path)
    imported.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    imported.add_argument("--model", help="model a new project starts from (name or folder)")
    imported.add_argument("--mpp", type=resolution, help="micrometres per pixel of slides that do not state them")
    add_mpp_from_objective(imported)
    add_json(imported)

    predicted = add_command(commands, "predict", _predict, "predict masks and classes of slides, pictures and folders")
    predicted.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    predicted.add_argument("--out", type=Path, required=True, help="folder for the results")
    predicted.add_argument("--model", help="name of a shipped model, or a model folder")
    predicted.add_argument("--mpp", type=resolution, help="micrometres per pixel of slides that do not state them")
    add_mpp_from_objective(predicted)
    predicted.add_argument(
        "--again",
        action="store_true",
        help="predict everything again, also what the same model with the same settings predicted before (default: "
        "left as it is)",
    )
    add_spread(predicted, of="slides")
    add_shard(predicted)
    add_precision(predicted)
    add_json(predicted)
    add_device(predicted)

    asked = add_command(commands, "query", _query, "choose the regions of a project to annotate next, and list them")
    asked.add_argument("project", type=Path)
    asked.add_argument(
        "--strategy",
        help="entropy (default), random, least-confidence, margin, ratio, mc-dropout, k-center, vaal, svm-margin, "
        "learned-loss, cod or cod-softmax; see docs/active-learning.md. Before the first retraining of a project that "
        "begins with an encoder: k-center (default) or random",
    )
    asked.add_argument("--count", type=count, default=6, help="how many regions (default: 6)")
    asked.add_argument(
        "--side",
        type=side,
        default=384,
        help="side of a region, in pixels as the model sees them: 128 to 1024 (default: 384)",
    )
    asked.add_argument(
        "--random",
        type=fraction,
        default=0.0,
        metavar="SHARE",
        help="share of them sampled at random, e.g. 0.25 (default: 0)",
    )
    add_seed(asked)
    add_json(asked)
    add_precision(asked)
    add_device(asked)

    annotated = add_command(commands, "annotate", _annotate, "import a mask, a label or a size of a region or slide")
    annotated.add_argument("project", type=Path)
    annotated.add_argument(
        "--mask",
        type=Path,
        help="mask image (PNG, TIFF, BMP), GeoJSON of QuPath (.gz, .zip too), XML of ASAP, ImageScope",
    )
    where = annotated.add_mutually_exclusive_group(required=True)
    where.add_argument("--query", type=int, metavar="ID", help="the region of this query (see: histoloop query)")
    where.add_argument("--slide", metavar="NAME", help="a slide by name; the whole slide unless --region is given")
    annotated.add_argument("--region", type=rectangle, metavar="X,Y,WIDTH,HEIGHT", help="level-0 pixels of the slide")
    annotated.add_argument(
        "--mask-class",
        metavar="NAME",
        help="class of all foreground in an image (two-valued, or one number per object), or of unclassified outlines",
    )
    annotated.add_argument(
        "--map-class",
        type=mapping,
        action="append",
        default=[],
        metavar="FOREIGN=OWN",
        help="what a class of outlines is here: a mask class, background, or - to leave it out; remembered",
    )
    annotated.add_argument(
        "--frame",
        choices=("auto", "slide", "bounds"),
        default="auto",
        help="origin of the outlines on slides with bounds: the bounds, as in QuPath, or the whole slide (default: "
        "as in the program that wrote them)",
    )
    annotated.add_argument(
        "--mask-mpp",
        type=mask_resolution,
        metavar="UM",
        help="micrometres per pixel of the mask, or per unit of outlines",
    )
    annotated.add_argument(
        "--counts",
        choices=("region", "strokes"),
        help="what of the mask is used: the whole region (the default), or only what has a class, and background "
        "where outlines are mapped to it",
    )
    annotated.add_argument("--label", help="label class of the region, or of the slide")
    annotated.add_argument(
        "--size", type=fraction, metavar="FRACTION", help="how much of the region is foreground: 0.4 or 40%%"
    )
    annotated.add_argument("--replace", action="store_true", help="replace what is already finished there")
    annotated.add_argument("--person", default="command line", help="who annotated")
    add_json(annotated)

    exported = add_command(
        commands, "export", _export, "write a project's masks, polygons and areas for other programs"
    )
    exported.add_argument("project", type=Path)
    exported.add_argument("--out", type=Path, required=True)
    exported.add_argument("--slides", nargs="+", metavar="NAME", help="these slides alone, by their names")
    exported.add_argument("--classes", nargs="+", metavar="CLASS", help="these mask classes alone")
    exported.add_argument(
        "--formats", nargs="+", choices=("geojson", "png", "tiff"), help="these files of each slide alone"
    )
    exported.add_argument(
        "--drawn-by",
        nargs="+",
        choices=("person", "accepted", "model"),
        help="what these drew alone: a person, the model where a person accepted it, the model elsewhere",
    )
    exported.add_argument(
        "--table",
        choices=("csv", "excel", "excel-semicolon"),
        default="csv",
        help="tables for programs, or for a double click in Excel: in English, or in German and French (semicolons, "
        "decimal commas); default: %(default)s",
    )
    add_json(exported)

    demo = add_command(commands, "demo", _demo, "run the loop on synthetic slides that annotate themselves")
    demo.add_argument("--rounds", type=count, default=3)
    add_seed(demo)
    demo.add_argument(
        "--classes",
        action="store_true",
        help="learn to tell gland and tumour apart, not one foreground as the paper has it",
    )
    demo.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON")
    demo.add_argument("--project", type=Path, metavar="FOLDER", help="keep the project here")
    add_device(demo)

    tour = add_command(commands, "tour", _tour, "drive the window through the loop and save a picture of each step")
    tour.add_argument("--out", type=Path, required=True)
    codes = [language.code for language in LANGUAGES]
    tour.add_argument("--language", choices=codes, default=ENGLISH.code, help="language of the window")
    tour.add_argument("--theme", choices=("light", "dark"), default="light", help="theme of the window")
    tour.add_argument(
        "--size", type=window_size, metavar="WIDTHxHEIGHT", default=(1480, 920), help="of the window, in pixels"
    )


# --- each imports what it needs, so that --help stays quick --------------------------------------------------------


def _open(options: argparse.Namespace) -> int:
    from histoloop.gui.start import check_window

    check_window()
    from histoloop.gui.application import main

    return main([str(path) for path in options.paths] + (["--demo"] if options.demo else []))


def _import(options: argparse.Namespace) -> int | Outcome:
    from histoloop.store.shipped import DEFAULT_MODEL
    from histoloop.workflows.projects import create_or_open_project, import_slides, opened_project

    there = (options.project / "project.db").exists()
    if there and options.model:
        print_error(f"{options.project} has its models already; --model is for new projects", command="import")
        return WRONG
    model = options.model or DEFAULT_MODEL
    name = options.project.resolve().name
    with (
        opened_project(options.project)
        if there
        else create_or_open_project(options.project, name=name, start=model) as project
    ):
        report = run(
            import_slides(project, options.paths, mpp=options.mpp, mpp_from_objective=options.mpp_from_objective)
        )
        added = [project.slides.get(slide_id) for slide_id in report.added]
    done = [{"slide": slide.name, "path": str(slide.path), "id": slide.id, "state": "added"} for slide in added]
    done += [{"slide": path.name, "path": str(path), "state": "known before"} for path in report.known]
    return Outcome(
        [f"{len(report.added)} added, {len(report.known)} known before, {len(report.failed)} failed"],
        done=done,
        failed=[(str(path), reason) for path, reason in report.failed],
        passed_over=[(str(path), reason) for path, reason in report.passed_over],
        notes=[
            *(f"{path}: {what}" for path, what in (*report.recognised, *report.notes)),
            *(f"{slide.name}: {_unknown(slide.objective)}" for slide in added if slide.mpp is None),
            *(
                f"{slide.name}: {slide.mpp:.4g} um per pixel is estimated by its objective"
                for slide in added
                if slide.mpp_from == "objective"
            ),
        ],
    )


def _unknown(objective: float | None) -> str:
    """That a slide states no resolution, and what its objective suggests."""
    from histoloop.slides.objective import mpp_of_objective

    estimate = None if objective is None else mpp_of_objective(objective)
    if estimate is None:
        return UNKNOWN_MPP
    hint = f"its objective of {objective:g}x suggests {estimate:.4g} um per pixel (--mpp-from-objective)"
    return f"{UNKNOWN_MPP}; {hint}"


def _predict(options: argparse.Namespace) -> Outcome:
    from histoloop.store.records import is_unlike
    from histoloop.store.shipped import DEFAULT_MODEL
    from histoloop.workflows.prediction.cohort import Shard
    from histoloop.workflows.prediction.predict_files import predict_files

    report = run(
        predict_files(
            options.paths,
            out=options.out,
            model=options.model or DEFAULT_MODEL,
            device=options.device,
            mpp=options.mpp,
            mpp_from_objective=options.mpp_from_objective,
            again=options.again,
            shard=Shard(*options.shard),
            spread=spread_of(options),
            precision=options.precision,
        )
    )
    predicted = [row for row in report.rows if row.status == "predicted"]
    return Outcome(
        [_predicted(report)],
        done=[
            *({"slide": row.cell("slide"), "state": "predicted before"} for row in report.done_before),
            *(
                {
                    "state": "predicted",
                    "slide": row.slide,
                    "class": row.predicted_class,
                    "probabilities": {} if is_unlike(row.unlike) else dict(row.probabilities or {}),
                    "unlike_training_data": None if row.unlike is None else is_unlike(row.unlike),
                    "distance_from_training_data": row.unlike,
                    "mpp": row.mpp,
                    "mpp_from": row.mpp_from,
                    "numbers": row.numbers,
                }
                for row in predicted
            ),
        ],
        failed=report.failed,
        passed_over=report.passed_over,
        notes=[*report.notes, *(f"{row.slide}: {row.message}" for row in predicted if row.message)],
    )


def _predicted(report: FilesReport) -> str:
    """What became of a cohort, in a line."""
    before = f", {len(report.done_before)} predicted before (--again predicts them once more)"
    counts = f"{report.predicted} predicted, {len(report.failed)} failed{before if report.done_before else ''}"
    return f"{counts}; see {report.summary}"


def _query(options: argparse.Namespace) -> int | Outcome:
    from histoloop.acquisition.strategies import STRATEGIES, reason_of

    if options.strategy not in (None, *STRATEGIES):
        print_error(
            f"there is no strategy {options.strategy!r}{suggestion(options.strategy, STRATEGIES)}; "
            f"choose one of {', '.join(STRATEGIES)}",
            command="query",
        )
        return WRONG
    from histoloop.workflows.prediction.predict import predict_project
    from histoloop.workflows.projects import opened_project
    from histoloop.workflows.queries.ask import ask

    with opened_project(options.project) as project:
        failed: tuple[tuple[str, str], ...] = ()
        if project.models.current_card().taught:
            predicted = run(predict_project(project, device=options.device, precision=options.precision))
            failed = predicted.failed
            if not predicted.predicted:
                report_failures(failed)  # why there will be nothing to ask about
        asked = run(
            ask(
                project,
                strategy=options.strategy,
                count=options.count,
                seed=options.seed,
                region_map_px=options.side,
                random_share=options.random,
                device=options.device,
            )
        )
        slides = {slide.id: slide for slide in project.slides.all()}
    rows = [
        {
            "id": query.id,
            "slide": slides[query.slide_id].name,
            "path": str(slides[query.slide_id].path),
            "region": [query.region.x, query.region.y, query.region.width, query.region.height],
            "class": query.class_name,
            "strategy": query.strategy,
            "score": query.score,
            "reason": reason_of(query),
        }
        for query in asked.queries
    ]
    lines = [
        (f"{row['id']}", f"{row['slide']}", f"{row['region']}", f"{row['class']}", f"{row['score']:.3f}",
         f"{row['reason']}")
        for row in rows
    ]  # fmt: skip
    return Outcome(
        ["\t".join(cell.replace("\t", " ") for cell in line) for line in lines],
        done=rows,
        failed=tuple(dict.fromkeys((*failed, *asked.failed))),
        notes=[asked.why_fewer] if asked.why_fewer else [],
    )


def _annotate(options: argparse.Namespace) -> int | Outcome:
    of_mask = options.mask_class or options.map_class or options.mask_mpp or options.frame != "auto" or options.counts
    if options.mask is None and (of_mask or (options.label is None and options.size is None)):
        message = (
            "give --mask, --label or --size; --mask-class, --map-class, --frame, --mask-mpp and --counts go with --mask"
        )
        print_error(message, command="annotate")
        return WRONG
    from histoloop.annotations.records import Counts
    from histoloop.geometry import Region
    from histoloop.workflows.annotate import import_annotation, label_slide
    from histoloop.workflows.projects import opened_project

    if options.slide and not (options.mask or options.region or options.size is not None):
        with opened_project(options.project) as project:
            slide = label_slide(project, slide_name=options.slide, label=options.label, person=options.person)
        line = f"{slide.name} is kept as {slide.label}"
        return Outcome([line], done=[{"slide": slide.name, "slide_id": slide.id, "label": slide.label}])
    with opened_project(options.project) as project:
        kept = import_annotation(
            project,
            mask_file=options.mask,
            query_id=options.query,
            slide_name=options.slide,
            region=Region(*options.region) if options.region else None,
            mask_class=options.mask_class,
            class_map=dict(options.map_class),
            frame=options.frame,
            units_um=options.mask_mpp,
            label=options.label,
            size=options.size,
            person=options.person,
            replace=options.replace,
            counts=Counts(options.counts or Counts.REGION),
        )
        names = {slide.id: slide.name for slide in project.slides.all()}
    return Outcome(
        [_kept(kept)],
        done=[{"slide": names[record.slide_id], **_annotation_as_json(record)} for record in kept.records],
        failed=[(str(options.mask), what) for what in kept.left_out],
        notes=kept.notes,
    )


def _annotation_as_json(record: AnnotationRecord) -> dict[str, Any]:
    """An annotation for scripts; its region in level-0 pixels."""
    region = record.region
    return {
        "id": record.id,
        "slide_id": record.slide_id,
        "region": [region.x, region.y, region.width, region.height],
        "label": record.label,
        "size": record.size,
        "mask": record.has_mask,
        "counts": str(record.counts),
        "held_out": record.held_out,
    }


def _kept(done: ImportedAnnotation) -> str:
    """What an annotation is kept as, in a sentence."""
    record = done.record
    if not record.has_mask:
        size = "" if record.size is None else f" size {record.size:.0%}"
        return f"annotation {record.id} saved without a mask:{f' {record.label}' if record.label else ''}{size}"
    if len(done.records) > 1:
        held_out = sum(one.held_out for one in done.records)
        return (
            f"annotations {record.id} to {done.records[-1].id} saved: {len(done.records)} regions with tissue or "
            f"foreground; {held_out} are held out to measure the model, the others used for training"
        )
    use = "held out to measure the model" if record.held_out else "used for training"
    return f"annotation {record.id} saved; it is {use}"


def _export(options: argparse.Namespace) -> Outcome:
    from histoloop.workflows.export import export_project
    from histoloop.workflows.projects import opened_project

    with opened_project(options.project) as project:
        report = run(export_project(project, options.out, _export_choices(project, options)))
    return Outcome(
        [f"{len(report.files)} files written to {options.out}"],
        done=[{"slide": name} for name in report.exported],
        failed=report.failed,
    )


def _export_choices(project: Project, options: argparse.Namespace) -> ExportChoices:
    """What the options choose; ProjectError for a slide or class that the project has not."""
    from histoloop.errors import ProjectError
    from histoloop.exchange.tables import TABLE_STYLES
    from histoloop.workflows.contents.export_choices import DRAWN_BY, FORMATS, ExportChoices

    ids, classes = {slide.name: slide.id for slide in project.slides.all()}, project.scheme.mask_names
    for what, named, known in (("slide", options.slides, ids), ("class", options.classes, classes)):
        for name in named or ():
            if name not in known:
                raise ProjectError(
                    f"The project has no {what} '{name}'.", advice=f"It has: {', '.join(known) or 'none'}."
                )
    return ExportChoices(
        None if options.slides is None else frozenset(ids[name] for name in options.slides),
        None if options.classes is None else frozenset(options.classes),
        frozenset(options.formats or FORMATS),
        frozenset(options.drawn_by or DRAWN_BY),
        TABLE_STYLES[options.table],
    )


def _demo(options: argparse.Namespace) -> int:
    from histoloop.store.temporary import temporary_folder
    from histoloop.workflows.experiments.demo import run_demo

    with temporary_folder("histoloop-demo") as scratch:
        folder = options.project or scratch / "project"
        work = run_demo(
            folder, rounds=options.rounds, seed=options.seed, device=options.device, classes=options.classes
        )
        report = run(work)
    print("round  annotations  Dice on test slides" + ("  mean of the classes" if options.classes else ""))
    for row in report.rounds:
        classes = "" if row.class_dice is None else f"  {row.class_dice:19.4f}"
        print(f"{row.round:5d}  {row.annotations:11d}  {row.dice:<19.4f}{classes}".rstrip())
    if options.json:
        write_json(options.json, report.as_json())
    return OK


def _tour(options: argparse.Namespace) -> int:
    from histoloop.gui.start import check_window

    check_window()
    from histoloop.gui.tour import run_tour

    return run_tour(options.out, options.language, theme=options.theme, size_px=options.size)
