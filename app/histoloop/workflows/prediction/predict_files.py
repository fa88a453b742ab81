"""Predict slides straight from files: polygons, a mask picture each, and one summary that grows with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import DataError
from histoloop.exchange.naming import unique_stems
from histoloop.exchange.tables import UNLIKE, EarlierSummary, SlideSummary, SummaryTable, earlier_summary, mask_areas
from histoloop.inference.precision import Precision
from histoloop.progress import Progress, Work, staged
from histoloop.slides.find import search_slides
from histoloop.slides.reader import open_slide
from histoloop.store.records import is_unlike
from histoloop.store.temporary import place_for_temporary_files
from histoloop.workflows.boundary import prepare_folder, results_folder, why_it_failed
from histoloop.workflows.contents.slides import resolution_of
from histoloop.workflows.prediction.loaded_model import LoadedModel, check_taught, open_model
from histoloop.workflows.prediction.predict_slide import predict_slide, write_mask, write_polygons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.slides.find import Search

UNKNOWN_MPP = "it states no resolution that a microscope can have (see --mpp): predicted with its pixels as they are"


ESTIMATED_MPP = "its resolution of {mpp:.4g} um per pixel is estimated by its objective"


@dataclass(frozen=True, slots=True)
class _Given:
    """The resolution of slides that state none, and how to predict."""

    mpp: float | None
    from_objective: bool
    precision: Precision


@dataclass(frozen=True, slots=True)
class FilesReport:
    """How many slides were predicted, (file, reason) of those that were not, and where the summary is.

    `passed_over` are (file, reason) of what was found in folders and is no slide; `rows` are those of the summary;
    `notes` say what became of the results of an earlier run.
    """

    predicted: int
    failed: tuple[tuple[str, str], ...]
    summary: Path
    passed_over: tuple[tuple[str, str], ...] = ()
    rows: tuple[SlideSummary, ...] = ()
    notes: tuple[str, ...] = ()


def predict_files(
    paths: Sequence[Path],
    *,
    out: Path,
    model: str | Path,
    device: str = "auto",
    mpp: float | None = None,
    mpp_from_objective: bool = False,
    precision: Precision = "fast",
) -> Work[FilesReport]:
    """Write `<stem>.geojson` and `<stem>-mask.png` per slide and one `summary.csv` into `out`.

    A slide that fails has its row and reason in the summary, and the rest goes on. Each row is on the disk when its
    slide is done. The rows of other slides from an earlier run stay in the summary, and so do their files; a
    summary with other classes is set aside under another name. `mpp` is used for slides that do not state their
    resolution; with `mpp_from_objective` the estimate by their objective comes before. Files of one stem from several
    folders get their folder's name in front, and names too long for results are shortened, which the row states. The
    `precision` 'fast' takes half precision where the device has it; the rows state which numbers were computed in.
    PlaceError where `out`, or the folder for temporary files, cannot be written.
    """
    loaded = open_model(model, device=device)
    check_taught(loaded.card)
    search = search_slides(paths)
    if not search.slides and not any(each.is_failure for each in search.passed_over):
        raise DataError("There is no slide or picture in what was named.", advice="Name slide files or folders.")
    scratch = place_for_temporary_files()
    with results_folder(out):
        prepare_folder(scratch)
        given = _Given(mpp, mpp_from_objective, precision)
        return (yield from _predict_into(out, search, loaded, given, (out, scratch)))


def _predict_into(
    out: Path, search: Search, loaded: LoadedModel, given: _Given, places: Sequence[Path]
) -> Work[FilesReport]:
    files, scheme = search.slides, loaded.card.scheme
    not_understood = [each for each in search.passed_over if each.is_failure]
    summary = out / "summary.csv"
    earlier = earlier_summary(summary, scheme, but=(*files, *(each.path for each in not_understood)))
    notes = _keep_earlier(summary, earlier)
    rows: list[SlideSummary] = []
    stems = unique_stems(files, taken=earlier.stems if earlier else ())
    with SummaryTable(summary, scheme, earlier=earlier) as table:
        for number, (file, stem) in enumerate(stems.items()):
            yield Progress(f"Predicting {file.name}", number, len(files))
            try:
                row = yield from staged(_predict_file(file, out / stem, loaded, given), number=number, of=len(files))
            except Exception as error:
                row = SlideSummary(str(file), "failed", why_it_failed(error, writing_to=places), loaded.card.name)
            table.add(row)
            rows.append(row)
        for each in not_understood:
            rows.append(SlideSummary(str(each.path), "failed", each.reason, loaded.card.name))
            table.add(rows[-1])
    passed_over = tuple(
        (str(each.path), each.reason) for each in search.passed_over if each.why != "hidden" and not each.is_failure
    )
    failed = tuple((row.slide, row.message) for row in rows if row.status == "failed")
    return FilesReport(len(rows) - len(failed), failed, table.path, passed_over, tuple(rows), notes)


def _keep_earlier(summary: Path, earlier: EarlierSummary | None) -> tuple[str, ...]:
    """Set a summary aside that the rows of this run cannot be added to; a note on it."""
    if earlier is None:
        return ()
    if earlier.fits:
        return (f"{summary} goes on with the {len(earlier.rows)} rows of other slides that it has.",)
    number = 1
    while (aside := summary.with_name(f"summary-{number}.csv")).exists():
        number += 1
    summary.rename(aside)
    return (f"{summary} was of a model with other classes: it is kept as {aside}.",)


def _predict_file(file: Path, target: Path, model: LoadedModel, given: _Given) -> Work[SlideSummary]:
    with open_slide(file) as stated:
        resolved = resolution_of(stated, given=given.mpp, from_objective=given.from_objective)
    with open_slide(file, mpp=resolved.mpp) as slide:
        predicted = yield from predict_slide(slide, model, precision=given.precision)
    mask, polygons = target.with_name(f"{target.name}-mask.png"), target.with_name(f"{target.name}.geojson")
    write_polygons(polygons, predicted)
    try:
        write_mask(mask, predicted)
    except BaseException:
        polygons.unlink(missing_ok=True)
        raise
    notes = [
        UNLIKE if is_unlike(predicted.unlike) else "",
        predicted.note,
        UNKNOWN_MPP if predicted.mpp is None else "",
        ESTIMATED_MPP.format(mpp=predicted.mpp) if resolved.source == "objective" else "",
    ]
    return SlideSummary(
        slide=str(file),
        status="predicted",
        message="; ".join(filter(None, notes)),
        model=predicted.model,
        mpp=predicted.mpp,
        probabilities=predicted.probabilities,
        tissue_area_px=predicted.tissue_area_px,
        mask_area_px=mask_areas(predicted.mask, predicted.scheme, downsample=predicted.downsample),
        files=(f"{target.name}.geojson", f"{target.name}-mask.png"),
        model_hash=model.hash,
        unlike=predicted.unlike,
        mpp_from=resolved.source,
        numbers=predicted.numbers,
    )
