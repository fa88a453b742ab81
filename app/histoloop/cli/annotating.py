"""What a person drew or states of a region, from files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from histoloop.cli.arguments import add_command, add_json, fraction, mapping, mask_resolution, rectangle
from histoloop.cli.outcome import Outcome
from histoloop.cli.terminal import WRONG, print_error

if TYPE_CHECKING:
    import argparse

    from histoloop.cli.arguments import Commands
    from histoloop.store.records import AnnotationRecord
    from histoloop.workflows.reports import ImportedAnnotation


def add_commands(commands: Commands) -> None:
    """Add this module's commands."""
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


# --- each imports what it needs, so that --help stays quick --------------------------------------------------------


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
