"""Write a project's masks, polygons, areas, labels and sizes for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.errors import ExportError, SlideError
from histoloop.exchange.geojson import write_geojson
from histoloop.exchange.mask_pictures import write_mask_png, write_mask_tiff
from histoloop.exchange.naming import unique_stems
from histoloop.exchange.outlines.placing import bounds_of
from histoloop.exchange.tables import (
    AssessmentRow,
    SlideSummary,
    mask_areas,
    write_areas,
    write_assessments,
    write_summary,
)
from histoloop.language import tr
from histoloop.localisation.contours import Polygon, polygons_of_mask
from histoloop.progress import Progress, Work
from histoloop.store.files import clear_partial
from histoloop.workflows.contents.masks import SlideMask, mask_of_slide
from histoloop.workflows.contents.slides import open_project_slide
from histoloop.workflows.contents.weak_annotations import size_of
from histoloop.workflows.reports import ExportReport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from histoloop.geometry import Region
    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord

MIN_POLYGON_PX = 64
"""Mask pixels below which a part is left out of polygons; it stays in the mask."""

SIMPLIFY_PX = 0.7

_WITH_BOUNDS = frozenset({"mirax", "leica", "ventana"})
"""Makers whose slides state bounds: docs/how-to/export-to-qupath.md."""


def export_project(project: Project, out: Path) -> Work[ExportReport]:
    """Per slide with maps: `<name>.geojson`, `<name>-mask.png`, `<name>-mask.tiff`; `summary.csv`, `areas.csv`.

    Labels and sizes that people gave are in `annotations.csv` and, as rectangles, in the GeoJSON of the slide. Masks
    are the current model's with what people painted on top. Files of an earlier export are replaced.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(
            tr("{folder} cannot be made: {reason}.", folder=out, reason=error),
            advice=tr("Choose a folder you may write to."),
        ) from error
    clear_partial(out)
    files: list[Path] = []
    failed: list[tuple[str, str]] = []
    rows: list[SlideSummary] = []
    shapes: dict[str, tuple[Sequence[Polygon], float | None]] = {}
    slides = project.slides.all()
    stems = unique_stems([record.path for record in slides])
    said: list[AssessmentRow] = []
    for number, record in enumerate(slides):
        yield Progress(tr("Exporting"), number, len(slides), record.name)
        said += (of_slide := _assessments_of(project, record))
        found = mask_of_slide(project, record.id)
        if found is None:
            failed.append((record.name, tr("it is not predicted yet; predict it, then export again")))
            rows.append(SlideSummary(record.name, "not predicted", label=record.label or ""))
            continue
        polygons = polygons_of_mask(
            found.mask, downsample=found.downsample, min_area_px=MIN_POLYGON_PX, simplify_px=SIMPLIFY_PX
        )
        if not record.exists() and record.vendor in _WITH_BOUNDS:
            what = tr("its file is not there: its outlines count from the corner of the whole slide, QuPath's do not")
            failed.append((record.name, what))
        files += _write_slide(out, stems[record.path], found, polygons, of_slide, project, record)
        alike = sum(other.name == record.name for other in slides)
        shapes[record.name if alike == 1 else str(record.path)] = (polygons, record.mpp)
        rows.append(_row(project, record, found))
    write_summary(out / "summary.csv", rows, project.scheme)
    write_areas(out / "areas.csv", shapes, project.scheme)
    write_assessments(out / "annotations.csv", said)
    yield Progress(tr("Exporting"), len(slides), len(slides))
    tables = (out / "summary.csv", out / "areas.csv", out / "annotations.csv")
    return ExportReport((*files, *tables), tuple(failed))


def _write_slide(
    out: Path,
    stem: str,
    found: SlideMask,
    polygons: Sequence[Polygon],
    said: Sequence[AssessmentRow],
    project: Project,
    record: SlideRecord,
) -> list[Path]:
    scheme = project.scheme
    paths = [out / f"{stem}.geojson", out / f"{stem}-mask.png", out / f"{stem}-mask.tiff"]
    told = [one for one in said if one.label is not None or one.size_from == "person"]
    write_geojson(paths[0], polygons, scheme, mpp=record.mpp, said=told, bounds=_bounds_of(record))
    write_mask_png(paths[1], found.mask, scheme)
    map_mpp = None if record.mpp is None else record.mpp * found.downsample
    write_mask_tiff(paths[2], found.mask, scheme, mpp=map_mpp)
    return paths


def _bounds_of(record: SlideRecord) -> Region | None:
    """The part of a slide that QuPath shows, where OpenSlide states one; None where its file cannot be read."""
    try:
        with open_project_slide(record) as slide:
            return bounds_of(slide.properties, slide.extent)
    except SlideError:
        return None


def _assessments_of(project: Project, slide: SlideRecord) -> list[AssessmentRow]:
    """The labels and sizes that people gave to a slide and its regions."""
    regions = [
        AssessmentRow(
            slide=slide.name,
            of="region",
            region=record.region,
            label=record.label,
            size=size_of(project, record),
            size_from="person" if record.size is not None else "mask" if record.has_mask else "",
            has_mask=record.has_mask,
            held_out=record.held_out,
            person=record.person,
            time=record.updated,
        )
        for record in project.annotations.finished()
        if record.slide_id == slide.id
    ]
    whole = project.slides.get(slide.id).given_label
    if whole is None:
        return regions
    on_slide = AssessmentRow(
        slide.name, "slide", slide.extent, whole.label, None, "", False, False, whole.person, whole.created
    )
    return [on_slide, *regions]


def _row(project: Project, record: SlideRecord, found: SlideMask) -> SlideSummary:
    return SlideSummary(
        slide=record.name,
        status="predicted",
        message="" if record.mpp else "its resolution is unknown",
        model=project.models.current_card().name,
        mpp=record.mpp,
        probabilities=record.predicted,
        tissue_area_px=record.tissue_px,
        mask_area_px=mask_areas(found.mask, project.scheme, downsample=found.downsample),
        label=record.label or "",
    )
