"""Predict one slide straight from its pixels, without a project, and write what was predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.exchange.geojson import geojson_file
from histoloop.exchange.mask_pictures import mask_png, write_mask_png
from histoloop.exchange.outlines.placing import bounds_of
from histoloop.exchange.tables import mask_areas
from histoloop.language import tr
from histoloop.localisation.bands import MaskBands, ValueCounts, in_bands, whole_mask
from histoloop.localisation.contours import Outliner
from histoloop.progress import Progress
from histoloop.slides.tissue import survey
from histoloop.store.maps import open_map
from histoloop.store.temporary import temporary_folder
from histoloop.workflows.contents.masks import bands_of_map
from histoloop.workflows.prediction.loaded_model import check_trained
from histoloop.workflows.prediction.predict import check_brightfield, map_writer, predict_maps, probabilities
from histoloop.workflows.reports import PredictedSlide

if TYPE_CHECKING:
    from histoloop.inference.precision import Precision
    from histoloop.progress import Work
    from histoloop.slides.reader import Slide
    from histoloop.workflows.prediction.loaded_model import LoadedModel

MIN_POLYGON_UM2 = 200.0
"""Polygons below this area (a few cells) are left out of GeoJSON; they stay in the mask."""

SIMPLIFY_PX = 0.7


def predict_slide(slide: Slide, model: LoadedModel, *, precision: Precision = "fast") -> Work[PredictedSlide]:
    """Run a model over the tissue of a slide; where its resolution is unknown, its pixels are taken as they are.

    The `precision` 'fast' takes half precision where the device has it.
    The maps wait in a temporary folder; the mask of the whole slide is held in memory. SlideError when the slide
    cannot be read or is not a brightfield picture, ModelError for a model that nobody has trained.
    """
    with temporary_folder("histoloop-maps") as scratch:
        found = yield from _predicted(slide, model, scratch / "maps", precision)
        mask = whole_mask(found.bands)
    return PredictedSlide(
        mask=mask,
        downsample=found.downsample,
        scheme=model.card.scheme,
        probabilities=found.probabilities,
        tissue_area_px=found.tissue_area_px,
        mpp=slide.mpp,
        model=model.card.name,
        model_mpp=model.card.mpp,
        note=found.note,
        bounds=bounds_of(slide.properties, slide.extent),
        unlike=found.unlike,
        numbers=found.numbers,
    )


def predict_to_files(
    slide: Slide, model: LoadedModel, *, polygons: Path, mask: Path, precision: Precision = "fast"
) -> Work[WrittenSlide]:
    """As `predict_slide`, but write the outlines as GeoJSON and the mask as PNG; both or neither are there then.

    Both are made a band of rows at a time: no mask of the whole slide is held in memory. ExportError where one cannot
    be written.
    """
    stage, scheme = tr("Predicting {slide}", slide=slide.path.name), model.card.scheme
    mask_is_there = False
    with temporary_folder("histoloop-maps") as scratch:
        found = yield from _predicted(slide, model, scratch / "maps", precision)
        bands, counts = found.bands, ValueCounts()
        outliner = _outliner(bands.width, downsample=found.downsample, model_mpp=model.card.mpp)
        bounds = bounds_of(slide.properties, slide.extent)
        try:
            with geojson_file(polygons, scheme, mpp=slide.mpp, bounds=bounds, unlike=found.unlike) as outlines:
                with mask_png(mask, scheme, height=bands.height, width=bands.width) as picture:
                    for band in bands:
                        counts.add(band)
                        picture.add(band)
                        outlines.add_all(outliner.add(band))
                        yield Progress(stage, 1, 1, tr("computing the masks"))
                    outlines.add_all(outliner.close())
                mask_is_there = True
        except BaseException:
            if mask_is_there:
                mask.unlink(missing_ok=True)
            raise
    return WrittenSlide(
        mask_area_px=mask_areas(counts.values(), scheme, downsample=found.downsample),
        probabilities=found.probabilities,
        tissue_area_px=found.tissue_area_px,
        note=found.note,
        unlike=found.unlike,
        numbers=found.numbers,
    )


@dataclass(frozen=True, slots=True, eq=False)
class WrittenSlide:
    """What is known of a slide whose mask and outlines were written; areas in level-0 pixels, see `PredictedSlide`."""

    mask_area_px: Mapping[str, float]
    probabilities: Mapping[str, float]
    tissue_area_px: float
    note: str
    unlike: float | None
    numbers: str


@dataclass(frozen=True, slots=True, eq=False)
class _Predicted:
    """What a model says of a slide; the `bands` of its mask as long as its maps are there."""

    bands: MaskBands
    downsample: float
    probabilities: Mapping[str, float]
    tissue_area_px: float
    note: str
    unlike: float | None
    numbers: str


def _predicted(slide: Slide, model: LoadedModel, maps: Path, precision: Precision) -> Work[_Predicted]:
    check_trained(model.card)
    check_brightfield(slide)
    found = survey(slide)
    with map_writer(maps, slide, model, specimen=found.specimen, precision=precision, pyramid=False) as writer:
        prediction = yield from predict_maps(slide, model, sink=writer, specimen=found.specimen, precision=precision)
    slide_map = open_map(maps)
    return _Predicted(
        bands=bands_of_map(slide_map, model.card, threshold=model.card.threshold),
        downsample=slide_map.downsample,
        probabilities=probabilities(prediction, model),
        tissue_area_px=found.tissue.area_level0_px,
        note="; ".join(filter(None, (slide.note, prediction.reason))),
        unlike=prediction.unlike,
        numbers=slide_map.numbers,
    )


def _outliner(width: int, *, downsample: float, model_mpp: float) -> Outliner:
    smallest = MIN_POLYGON_UM2 / model_mpp**2
    return Outliner(width, downsample=downsample, min_area_px=smallest, simplify_px=SIMPLIFY_PX)


def write_mask(path: str | Path, predicted: PredictedSlide) -> None:
    """The mask as a palette PNG: values as in the mask, classes in their colours; ExportError if it cannot be."""
    write_mask_png(Path(path), predicted.mask, predicted.scheme)


def write_polygons(path: str | Path, predicted: PredictedSlide) -> None:
    """The outlines as GeoJSON for QuPath, in level-0 pixels; ExportError if it cannot be written."""
    width = predicted.mask.shape[1]
    outliner = _outliner(width, downsample=predicted.downsample, model_mpp=predicted.model_mpp)
    with geojson_file(
        Path(path), predicted.scheme, mpp=predicted.mpp, bounds=predicted.bounds, unlike=predicted.unlike
    ) as outlines:
        for band in in_bands(predicted.mask):
            outlines.add_all(outliner.add(band))
        outlines.add_all(outliner.close())
