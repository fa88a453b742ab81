"""Predict slides straight from files: polygons, a mask picture each, and one summary."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import ExportError, HistoLoopError
from histoloop.exchange.naming import unique_stems
from histoloop.exchange.tables import SlideSummary, mask_areas, write_summary
from histoloop.progress import Progress, Work, staged
from histoloop.slides.find import search_slides
from histoloop.slides.reader import open_slide
from histoloop.store.files import clear_partial
from histoloop.workflows.prediction.loaded_model import LoadedModel, open_model
from histoloop.workflows.prediction.predict_slide import predict_slide, write_mask, write_polygons

if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN_MPP = "its resolution is unknown (see --mpp): predicted with its pixels as they are"


@dataclass(frozen=True, slots=True)
class FilesReport:
    """How many slides were predicted, (file, reason) of those that were not, and where the summary is.

    `passed_over` are (file, reason) of what was found in folders and is no slide.
    """

    predicted: int
    failed: tuple[tuple[str, str], ...]
    summary: Path
    passed_over: tuple[tuple[str, str], ...] = ()


def predict_files(
    paths: Sequence[Path], *, out: Path, model: str | Path, device: str = "auto", mpp: float | None = None
) -> Work[FilesReport]:
    """Write `<stem>.geojson` and `<stem>-mask.png` per slide and one `summary.csv` into `out`.

    A slide that fails has its row and reason in the summary, and the rest goes on. `mpp` is used for slides that do
    not state their resolution. Files of one stem from several folders get their folder's name in front.
    """
    loaded = open_model(model, device=device)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"{out} cannot be made: {error}.", advice="Choose a folder you may write to.") from error
    clear_partial(out)
    search = search_slides(paths)
    files = search.slides
    if not files:
        raise ExportError("There is no slide or picture in what was named.", advice="Name slide files or folders.")
    rows: list[SlideSummary] = []
    for number, (file, stem) in enumerate(unique_stems(files).items()):
        yield Progress(f"Predicting {file.name}", number, len(files))
        try:
            row = yield from staged(_predict_file(file, out / stem, loaded, mpp), number=number, of=len(files))
        except HistoLoopError as error:
            row = SlideSummary(str(file), "failed", str(error), loaded.card.name)
        rows.append(row)
    summary = out / "summary.csv"
    write_summary(summary, rows, loaded.card.scheme)
    failed = tuple((row.slide, row.message) for row in rows if row.status == "failed")
    passed_over = tuple((str(each.path), each.reason) for each in search.passed_over if each.why != "hidden")
    return FilesReport(len(rows) - len(failed), failed, summary, passed_over)


def _predict_file(file: Path, target: Path, model: LoadedModel, mpp: float | None) -> Work[SlideSummary]:
    with open_slide(file) as stated, open_slide(file, mpp=stated.mpp or mpp) as slide:
        predicted = yield from predict_slide(slide, model)
    write_mask(target.with_name(f"{target.name}-mask.png"), predicted)
    write_polygons(target.with_name(f"{target.name}.geojson"), predicted)
    notes = [predicted.note] if predicted.note else []
    return SlideSummary(
        slide=str(file),
        status="predicted",
        message="; ".join(notes + ([UNKNOWN_MPP] if predicted.mpp is None else [])),
        model=predicted.model,
        mpp=predicted.mpp,
        probabilities=predicted.probabilities,
        tissue_area_px=predicted.tissue_area_px,
        mask_area_px=mask_areas(predicted.mask, predicted.scheme, downsample=predicted.downsample),
    )
