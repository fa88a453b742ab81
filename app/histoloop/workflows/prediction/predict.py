"""Predict the maps and classes of the slides of a project."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from histoloop.errors import ProjectError, SlideError
from histoloop.inference.predictor import PredictorSettings, SlidePrediction, predict_slide
from histoloop.language import tr
from histoloop.log import operation
from histoloop.progress import Progress, Work, staged
from histoloop.slides.tiling import working_downsample
from histoloop.store.cards import load_card
from histoloop.store.maps import MapWriter, open_map
from histoloop.workflows.boundary import why_it_failed
from histoloop.workflows.contents.kept_tissue import survey_of_slide
from histoloop.workflows.contents.slides import check_slide, open_project_slide, shares_of_work
from histoloop.workflows.prediction.loaded_model import LoadedModel, check_trained, choose_device, load_project_model
from histoloop.workflows.reports import PredictReport, SlidePredicted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from histoloop.inference.precision import Precision
    from histoloop.slides.reader import Slide
    from histoloop.slides.tissue import TissueMask
    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord


_log = logging.getLogger(__name__)


def predict_project(
    project: Project,
    *,
    slide_ids: Sequence[int] | None = None,
    device: str = "auto",
    model_id: int | None = None,
    precision: Precision = "fast",
) -> Work[PredictReport]:
    """Predict slides (all, or those named, in that order) with a model of the project (the current one).

    `SlidePredicted` tells of each as soon as it can be shown.
    A slide that fails is reported and the rest goes on, also one that is not where it was or that another one took the
    place of. The `precision` 'fast' takes half precision where the device has it. Maps that this model made before are
    not made again, unless they are damaged, lack their prediction, or are not exact where that is wanted.
    PlaceError where the project cannot be written, ModelError for a model that nobody has trained.
    """
    project.check_writable()
    record = project.models.current() if model_id is None else project.models.get(model_id)
    check_trained(load_card(record.folder))
    model = load_project_model(record, choose_device(device))
    slides = {slide.id: slide for slide in project.slides.all()}
    wanted = [slides[one] for one in (slides if slide_ids is None else dict.fromkeys(slide_ids)) if one in slides]
    _log.info("predicting %d slides", len(wanted))
    predicted: list[int] = []
    failed: list[tuple[str, str]] = []
    there = {slide.id for slide in wanted if project.maps.find(slide.id, record.id) is not None}
    shares = shares_of_work(wanted, skipped=there)
    done, of = 0.0, sum(shares)
    for share, slide in zip(shares, wanted, strict=True):
        yield Progress(tr("Predicting {slide}", slide=slide.name), done, of)
        try:
            check_slide(slide)
            if not _is_predicted(project, slide.id, record.id, precision):
                predicting = _predict_one(project, slide, model, record.id, precision)
                yield from staged(predicting, number=done, of=of, weight=share)
                stage = tr("Predicting {slide}", slide=slide.name)
                yield SlidePredicted(stage, done + share, of, slide_id=slide.id, model_id=record.id)
            predicted.append(slide.id)
        except Exception as error:
            _log.info("slide %d is not predicted", slide.id)
            failed.append((slide.name, why_it_failed(error, writing_to=[project.folder])))
        done += share
    yield Progress(tr("Predicting"), of, of)
    return PredictReport(tuple(predicted), tuple(failed))


def _is_predicted(project: Project, slide_id: int, model_id: int, precision: Precision) -> bool:
    """Whether there are both the maps and the probabilities of a slide by a model, the maps whole at first sight."""
    folder = project.maps.find(slide_id, model_id)
    if folder is None or project.predictions.find(slide_id, model_id) is None:
        return False
    try:
        found = open_map(folder)
    except ProjectError as error:
        _log.info("slide %d is predicted again: %s", slide_id, error)
        return False
    return precision == "fast" or found.numbers == "float32"


def _predict_one(
    project: Project, record: SlideRecord, model: LoadedModel, model_id: int, precision: Precision
) -> Work[None]:
    with open_project_slide(record) as slide, operation(_log, f"slide {record.id}", pixels=slide.extent.area):
        check_brightfield(slide)
        folder = project.maps.new_folder(record.id, model_id)
        found = survey_of_slide(project, record, slide=slide)
        with map_writer(folder, slide, model, specimen=found.specimen, precision=precision) as writer:
            prediction = yield from predict_maps(
                slide, model, sink=writer, specimen=found.specimen, precision=precision
            )
        with project.transaction():
            project.maps.add(record.id, model_id, folder.name)
            project.slides.set_tissue(record.id, found.tissue.area_level0_px)
            project.predictions.add(record.id, model_id, probabilities(prediction, model), unlike=prediction.unlike)


def check_brightfield(slide: Slide) -> None:
    """Raise SlideError for a slide that is no picture of stained tissue in transmitted light: no model knows such."""
    if not slide.is_brightfield:
        raise SlideError(
            slide.path,
            tr("it is not a brightfield picture (channels: {names})", names=", ".join(slide.channels)),
            advice=tr("The models are made for stained tissue in transmitted light. Export it as RGB to predict it."),
        )


def map_writer(
    folder: Path,
    slide: Slide,
    model: LoadedModel,
    *,
    specimen: TissueMask,
    precision: Precision,
    pyramid: bool = True,
) -> MapWriter:
    """Where the maps of a slide go; without a `pyramid` where nobody looks at them."""
    return MapWriter(
        folder,
        slide_width=slide.width,
        slide_height=slide.height,
        downsample=working_downsample(slide.mpp, model.card.mpp),
        labels=model.card.scheme.label_names,
        maps=model.card.network.map_names(model.card.scheme.label_names),
        label_bias=model.network.label_bias(),
        mask_classes=model.card.scheme.mask_names if model.card.network.decodes_classes else (),
        stride_px=model.network.stride_px,
        model_hash=model.hash,
        tissue=specimen,
        numbers=model.numbers(precision),
        pyramid=pyramid,
    )


def predict_maps(
    slide: Slide, model: LoadedModel, *, sink: MapWriter, specimen: TissueMask, precision: Precision
) -> Work[SlidePrediction]:
    """Run a model over the specimen of a slide, at the model's resolution, into a sink."""
    return (
        yield from predict_slide(
            slide,
            model,
            downsample=working_downsample(slide.mpp, model.card.mpp),
            settings=PredictorSettings(precision=precision),
            tissue=specimen,
            sink=sink,
            statistics=model.statistics,
        )
    )


def probabilities(prediction: SlidePrediction, model: LoadedModel) -> dict[str, float]:
    """Probability per label class by name; empty where no tissue was found, and by a model that knows no labels."""
    if prediction.probabilities is None or not (model.card.scheme.labels and model.card.knows_labels):
        return {}
    return dict(zip(model.card.scheme.label_names, map(float, prediction.probabilities), strict=True))
