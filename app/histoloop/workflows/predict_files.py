"""Predict slides straight from files: polygons, a mask picture each, and one summary."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import ExportError, HistoLoopError
from histoloop.exchange.geojson import write_geojson
from histoloop.exchange.masks import write_mask_png
from histoloop.exchange.tables import SlideSummary, mask_areas, write_summary
from histoloop.inference.contours import polygons_of_mask
from histoloop.progress import Progress, Work
from histoloop.slides.reader import find_slides, open_slide
from histoloop.slides.tissue import find_tissue
from histoloop.store.maps import open_map
from histoloop.workflows.masks import mask_of_map
from histoloop.workflows.models import LoadedModel, choose_device, load_model
from histoloop.workflows.naming import unique_stems
from histoloop.workflows.predict import map_writer, predict_maps, probabilities, staged
from histoloop.workflows.shipped import find_model

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_POLYGON_UM2 = 200.0
"""Polygons below this area (a few cells) are left out of GeoJSON; they stay in the mask."""

SIMPLIFY_PX = 0.7
UNKNOWN_MPP = "its resolution is unknown (see --mpp): predicted with its pixels as they are"


@dataclass(frozen=True, slots=True)
class FilesReport:
    """How many slides were predicted, (file, reason) of those that were not, and where the summary is."""

    predicted: int
    failed: tuple[tuple[str, str], ...]
    summary: Path


def predict_files(
    paths: Sequence[Path], *, out: Path, model: str | Path, device: str = "auto", mpp: float | None = None
) -> Work[FilesReport]:
    """Write `<stem>.geojson` and `<stem>-mask.png` per slide and one `summary.csv` into `out`.

    A slide that fails has its row and reason in the summary, and the rest goes on. `mpp` is used for slides that do
    not state their resolution. Files of one stem from several folders get their folder's name in front.
    """
    loaded = load_model(find_model(model), choose_device(device))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"{out} cannot be made: {error}.", advice="Choose a folder you may write to.") from error
    files = find_slides(paths)
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
    return FilesReport(len(rows) - len(failed), failed, summary)


def _predict_file(file: Path, target: Path, model: LoadedModel, mpp: float | None) -> Work[SlideSummary]:
    scheme = model.card.scheme
    with open_slide(file) as stated, open_slide(file, mpp=stated.mpp or mpp) as slide:
        tissue = find_tissue(slide)
        with tempfile.TemporaryDirectory(prefix="histoloop-maps-") as scratch:
            with map_writer(Path(scratch) / "maps", slide, model) as writer:
                prediction = yield from predict_maps(slide, model, sink=writer, tissue=tissue)
            slide_map = open_map(Path(scratch) / "maps")
            mask = mask_of_map(slide_map, scheme, threshold=model.card.threshold)
            downsample = slide_map.downsample
        resolution = slide.mpp
    polygons = polygons_of_mask(
        mask,
        downsample=downsample,
        min_area_px=MIN_POLYGON_UM2 / model.card.mpp**2,
        simplify_px=SIMPLIFY_PX,
    )
    write_mask_png(target.with_name(f"{target.name}-mask.png"), mask, scheme)
    write_geojson(target.with_name(f"{target.name}.geojson"), polygons, scheme, mpp=resolution)
    notes = [prediction.reason] if prediction.reason else []
    return SlideSummary(
        slide=str(file),
        status="predicted",
        message="; ".join(notes + ([UNKNOWN_MPP] if resolution is None else [])),
        model=model.card.name,
        mpp=resolution,
        probabilities=probabilities(prediction, model),
        tissue_area_px=tissue.area_level0_px,
        mask_area_px=mask_areas(mask, scheme, downsample=downsample),
    )
