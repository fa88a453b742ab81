"""Predict one slide straight from its pixels, without a project, and write what was predicted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.exchange.geojson import write_geojson
from histoloop.exchange.mask_pictures import write_mask_png
from histoloop.exchange.outlines.placing import bounds_of
from histoloop.localisation.contours import polygons_of_mask
from histoloop.slides.tissue import survey
from histoloop.store.maps import open_map
from histoloop.store.temporary import temporary_folder
from histoloop.workflows.contents.masks import mask_of_map
from histoloop.workflows.prediction.loaded_model import check_taught
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
    cannot be read or is not a brightfield picture, ModelError for a model that nobody has taught.
    """
    check_taught(model.card)
    check_brightfield(slide)
    scheme = model.card.scheme
    found = survey(slide)
    with temporary_folder("histoloop-maps") as scratch:
        with map_writer(scratch / "maps", slide, model, specimen=found.specimen, precision=precision) as writer:
            prediction = yield from predict_maps(
                slide, model, sink=writer, specimen=found.specimen, precision=precision
            )
        slide_map = open_map(scratch / "maps")
        mask = mask_of_map(slide_map, model.card, threshold=model.card.threshold)
    return PredictedSlide(
        mask=mask,
        downsample=slide_map.downsample,
        scheme=scheme,
        probabilities=probabilities(prediction, model),
        tissue_area_px=found.tissue.area_level0_px,
        mpp=slide.mpp,
        model=model.card.name,
        model_mpp=model.card.mpp,
        note="; ".join(filter(None, (slide.note, prediction.reason))),
        bounds=bounds_of(slide.properties, slide.extent),
        unlike=prediction.unlike,
        numbers=slide_map.numbers,
    )


def write_mask(path: str | Path, predicted: PredictedSlide) -> None:
    """The mask as a palette PNG: values as in the mask, classes in their colours; ExportError if it cannot be."""
    write_mask_png(Path(path), predicted.mask, predicted.scheme)


def write_polygons(path: str | Path, predicted: PredictedSlide) -> None:
    """The outlines as GeoJSON for QuPath, in level-0 pixels; ExportError if it cannot be written."""
    polygons = polygons_of_mask(
        predicted.mask,
        downsample=predicted.downsample,
        min_area_px=MIN_POLYGON_UM2 / predicted.model_mpp**2,
        simplify_px=SIMPLIFY_PX,
    )
    write_geojson(
        Path(path), polygons, predicted.scheme, mpp=predicted.mpp, bounds=predicted.bounds, unlike=predicted.unlike
    )
