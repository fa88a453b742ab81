"""Write a project's masks, polygons, areas, labels and sizes for other programs."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import SlideError
from histoloop.exchange.geojson import geojson_file
from histoloop.exchange.mask_pictures import mask_png, write_mask_tiff
from histoloop.exchange.naming import unique_stems
from histoloop.exchange.outlines.placing import bounds_of
from histoloop.exchange.tables import (
    UNLIKE,
    AreasTable,
    AssessmentRow,
    AssessmentsTable,
    PolygonRow,
    SlideSummary,
    SummaryTable,
    mask_areas,
    polygon_row,
)
from histoloop.language import tr
from histoloop.localisation.bands import MaskBands, ValueCounts
from histoloop.localisation.contours import Outliner
from histoloop.progress import Progress, Work
from histoloop.store.maps import check_map, open_map
from histoloop.workflows.boundary import results_folder, why_it_failed
from histoloop.workflows.contents.export_choices import ExportChoices, Format, Provenance, Provenances
from histoloop.workflows.contents.masks import SlideMask, mask_of_slide
from histoloop.workflows.contents.slides import check_not_replaced, open_project_slide, shares_of_work
from histoloop.workflows.contents.weak_annotations import size_of
from histoloop.workflows.reports import ExportReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from histoloop.annotations.records import Mask
    from histoloop.exchange.geojson import GeojsonFile
    from histoloop.geometry import Region
    from histoloop.localisation.contours import Polygon
    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord

MIN_POLYGON_PX = 64
"""Mask pixels below which a part is left out of polygons; it stays in the mask."""

SIMPLIFY_PX = 0.7

NO_MPP = "its resolution is unknown"

_WITH_BOUNDS = frozenset({"mirax", "leica", "ventana"})
"""Makers whose slides state bounds: docs/how-to/export-to-qupath.md."""


def export_project(project: Project, out: Path, choices: ExportChoices | None = None) -> Work[ExportReport]:
    """Per slide with maps: `<name>.geojson`, `<name>-mask.png`, `<name>-mask.tiff`; `summary.csv`, `areas.csv`.

    With `choices` of some slides, classes and files alone; areas are then those of what is exported. Each polygon
    states who drew it (`Provenance`).

    Labels and sizes that people gave are in `annotations.csv` and, as rectangles, in the GeoJSON of the slide. Masks
    are the current model's with what people painted on top. Files of an earlier export are replaced. A slide that
    cannot be exported, or in whose place another file is, has its row and reason in the summary, and the rest goes on;
    each row is on the disk when its slide is done. PlaceError where `out` cannot be written.
    """
    with results_folder(out):
        return (yield from _export_into(project, out, choices or ExportChoices()))


def _export_into(project: Project, out: Path, choices: ExportChoices) -> Work[ExportReport]:
    slides = project.slides.all()
    stems = unique_stems([record.path for record in slides], names=[record.name for record in slides])
    slides = [record for record in slides if choices.slide_ids is None or record.id in choices.slide_ids]
    shares, style = shares_of_work(slides), choices.table
    files: list[Path] = []
    exported: list[str] = []
    failed: list[tuple[str, str]] = []
    with (
        SummaryTable(out / "summary.csv", project.scheme, style=style) as summary,
        AreasTable(out / "areas.csv", project.scheme, style=style) as areas,
        AssessmentsTable(out / "annotations.csv", style=style) as assessments,
    ):
        for number, record in enumerate(slides):
            yield Progress(tr("Exporting"), sum(shares[:number]), sum(shares), record.name)
            try:
                check_not_replaced(record)
                if (maps := project.maps.find(record.id)) is not None:
                    check_map(maps)  # all of it, so that what is exported is of a map that is whole
                of_slide = _assessments_of(project, record)
                assessments.add(of_slide)
                if (found := mask_of_slide(project, record.id)) is None:
                    failed.append((record.name, _not_predicted(project)))
                    summary.add(_row_of_none(record, "not predicted"))
                    continue
                written = _write_slide(out, stems[record.path], found, of_slide, project, record, choices)
            except Exception as error:
                reason = why_it_failed(error, writing_to=[out])
                failed.append((record.name, reason))
                summary.add(_row_of_none(record, "failed", reason))
                continue
            files += written.paths
            if not record.exists() and record.vendor in _WITH_BOUNDS:
                what = tr("its file is missing: its outlines start from the corner of the whole slide, QuPath's do not")
                failed.append((record.name, what))
            areas.add(record.name, written.polygons, mpp=record.mpp, path=str(record.path))
            summary.add(_row(project, record, written))
            exported.append(record.name)
        tables = (summary.path, areas.path, assessments.path)
    yield Progress(tr("Exporting"), sum(shares), sum(shares))
    return ExportReport((*files, *tables), tuple(failed), tuple(exported))


def _not_predicted(project: Project) -> str:
    if project.models.current_card().trained:
        return tr("it is not predicted yet; predict it, then export again")
    return tr("no model has been trained yet; annotate regions and retrain, then export again")


@dataclass(frozen=True, slots=True, eq=False)
class _Written:
    """The files of a slide, and what the tables say of it."""

    paths: tuple[Path, ...]
    polygons: Sequence[PolygonRow]
    mask_area_px: Mapping[str, float]


def _write_slide(
    out: Path,
    stem: str,
    found: SlideMask,
    assessments: Sequence[AssessmentRow],
    project: Project,
    record: SlideRecord,
    choices: ExportChoices,
) -> _Written:
    """Write the files of a slide, all or none, a band of its mask at a time."""
    scheme, counts = project.scheme, ValueCounts()
    bands = choices.chosen(scheme, found.bands, project, record.id, found.downsample)
    paths: dict[Format, Path] = {
        "geojson": out / f"{stem}.geojson",
        "png": out / f"{stem}-mask.png",
        "tiff": out / f"{stem}-mask.tiff",
    }
    wanted = {kind: path for kind, path in paths.items() if kind in choices.formats}
    map_mpp = None if record.mpp is None else record.mpp * found.downsample
    outliner = Outliner(bands.width, downsample=found.downsample, min_area_px=MIN_POLYGON_PX, simplify_px=SIMPLIFY_PX)
    provenances = Provenances(project, record.id)
    rows: list[PolygonRow] = []
    there: list[Path] = []
    with ExitStack() as stack:
        stack.push(functools.partial(_remove_if_failed, there))
        outlines: GeojsonFile | None = None
        if "geojson" in wanted:
            file = geojson_file(
                wanted["geojson"], scheme, mpp=record.mpp, bounds=_bounds_of(record), unlike=record.unlike
            )
            outlines = stack.enter_context(file)
        picture = None
        if "png" in wanted:
            stack.push(functools.partial(_note_if_whole, there, wanted["png"]))
            picture = stack.enter_context(mask_png(wanted["png"], scheme, height=bands.height, width=bands.width))

        def draw(polygons: Iterable[Polygon]) -> None:
            for polygon in polygons:
                where = provenances.of(polygon)
                if outlines is not None:
                    outlines.add(polygon, _in_metadata(where))
                rows.append(polygon_row(polygon, drawn_by=where.drawn_by, person=where.person))

        def drawn() -> Iterator[Mask]:
            for band in bands:
                counts.add(band)
                if picture is not None:
                    picture.add(band)
                draw(outliner.add(band))
                yield band

        if "tiff" in wanted:
            write_mask_tiff(wanted["tiff"], MaskBands(bands.height, bands.width, drawn), scheme, mpp=map_mpp)
            there.append(wanted["tiff"])
        else:
            for _band in drawn():
                pass
        draw(outliner.close())
        for one in assessments:
            if outlines is not None and (one.label is not None or one.size_from == "person"):
                outlines.add_assessment(one)
    areas = mask_areas(counts.values(), scheme, downsample=found.downsample)
    return _Written(tuple(wanted.values()), rows, areas)


def _note_if_whole(
    there: list[Path],
    path: Path,
    kind: type[BaseException] | None,
    _error: BaseException | None,
    _trace: TracebackType | None,
) -> None:
    """A file is in its place now, unless something failed before."""
    if kind is None:
        there.append(path)


def _remove_if_failed(
    paths: Sequence[Path], kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
) -> None:
    """What was written of a slide before the rest of it could not be."""
    for path in paths if kind is not None else ():
        path.unlink(missing_ok=True)


def _in_metadata(where: Provenance) -> dict[str, str]:
    """As a GeoJSON file states it, without what is not known."""
    stated = {"drawn by": where.drawn_by, "person": where.person, "time": where.time, "model": where.model}
    return {name: value for name, value in stated.items() if value}


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
            size=(size := size_of(project, record)),
            size_from="person" if record.size is not None else "" if size is None else "mask",
            has_mask=record.has_mask,
            held_out=record.held_out,
            person=record.person,
            time=record.updated,
            path=str(slide.path),
            counts=str(record.counts),
        )
        for record in project.annotations.finished()
        if record.slide_id == slide.id
    ]
    whole = project.slides.get(slide.id).given_label
    if whole is None:
        return regions
    on_slide = AssessmentRow(
        slide=slide.name,
        of="slide",
        region=slide.extent,
        label=whole.label,
        size=None,
        size_from="",
        has_mask=False,
        held_out=False,
        person=whole.person,
        time=whole.created,
        path=str(slide.path),
    )
    return [on_slide, *regions]


def _row(project: Project, record: SlideRecord, written: _Written) -> SlideSummary:
    return SlideSummary(
        slide=record.name,
        status="predicted",
        message="; ".join(filter(None, (UNLIKE if record.is_unlike else "", "" if record.mpp else NO_MPP))),
        model=project.models.current_card().name,
        mpp=record.mpp,
        probabilities=record.predicted,
        tissue_area_px=record.tissue_px,
        mask_area_px=written.mask_area_px,
        label=record.label or "",
        path=str(record.path),
        files=tuple(path.name for path in written.paths),
        model_hash=project.models.current().hash,
        unlike=record.unlike,
        mpp_from=record.mpp_from,
        numbers="" if (maps := project.maps.find(record.id)) is None else open_map(maps).numbers,
    )


def _row_of_none(record: SlideRecord, status: str, reason: str = "") -> SlideSummary:
    """The row of a slide of which there are no files."""
    return SlideSummary(record.name, status, reason, label=record.label or "", path=str(record.path))
