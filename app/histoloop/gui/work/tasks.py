"""The long work of the window, by project folder: what a job runs in the child process. Each opens its own project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.language import tr
from histoloop.store.project import Project
from histoloop.workflows.contents.import_preview import look_at_file
from histoloop.workflows.demo_project import create_demo_project
from histoloop.workflows.import_annotations import import_file
from histoloop.workflows.projects import import_slides, opened_project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from histoloop.geometry import Region
    from histoloop.progress import Work
    from histoloop.store.encoders import AddedEncoder
    from histoloop.workflows.contents.cross_validation import CrossValidated
    from histoloop.workflows.contents.export_choices import ExportChoices
    from histoloop.workflows.contents.import_preview import FilePreview
    from histoloop.workflows.contents.live_masks import LiveReport
    from histoloop.workflows.contents.mask_files import MaskFile
    from histoloop.workflows.contents.rounds import CandidateModel, HowToLearn
    from histoloop.workflows.contents.suited_models import SuitedModels
    from histoloop.workflows.doctor import Finding
    from histoloop.workflows.import_annotations import PlannedImport
    from histoloop.workflows.report_pages import PageFormat
    from histoloop.workflows.reports import (
        AskReport,
        ExportReport,
        ImportedAnnotation,
        ImportReport,
        PagesReport,
        PredictedSlide,
        PredictReport,
    )


def add_slides(folder: Path, *, paths: Sequence[Path], without: Sequence[Path] = ()) -> Work[ImportReport]:
    """Bring slides and folders into the project, but for files `without` which it is to be done."""
    with opened_project(folder) as project:
        return (yield from import_slides(project, paths, without=frozenset(without)))


def look_at_annotations(folder: Path, *, file: MaskFile, slide_id: int) -> Work[FilePreview]:
    """Find out what a file of annotations would become on a slide; nothing in the project is changed."""
    with opened_project(folder, read_only=True) as project:
        return (yield from look_at_file(project, file, project.slides.get(slide_id)))


def import_annotations(folder: Path, *, planned: PlannedImport, person: str) -> Work[ImportedAnnotation]:
    """Take a file of annotations as it was looked at."""
    with opened_project(folder) as project:
        return (yield from import_file(project, planned, person=person))


def predict(
    folder: Path,
    *,
    slide_ids: Sequence[int] | None,
    device: str,
    model_id: int | None = None,
    exactly: bool = False,
) -> Work[PredictReport]:
    """Predict slides (None: all) that a model (None: the current one) has not predicted, or not as exactly."""
    from histoloop.workflows.prediction.predict import predict_project

    with opened_project(folder) as project:
        return (
            yield from predict_project(
                project,
                slide_ids=slide_ids,
                device=device,
                model_id=model_id,
                precision="exact" if exactly else "fast",
            )
        )


def predict_file(file: Path, *, mpp: float | None, model: str, device: str = "auto") -> Work[PredictedSlide]:
    """Predict a slide that is in no project; `mpp` is used where the file does not state it."""
    from histoloop.slides.reader import open_slide
    from histoloop.workflows.prediction.loaded_model import open_model
    from histoloop.workflows.prediction.predict_slide import predict_slide

    with open_slide(file, mpp=mpp) as slide:
        return (yield from predict_slide(slide, open_model(model, device=device)))


def add_encoder(*, source: Path) -> Work[AddedEncoder]:
    """Keep a file of weights as the encoder that it is of."""
    from histoloop.workflows.retraining.encoders import add_encoder as add

    return (yield from add(source))


def ask(
    folder: Path, *, strategy: str, count: int, seed: int, region_map_px: int, random_share: float, device: str
) -> Work[AskReport]:
    """Choose the regions to ask about."""
    from histoloop.workflows.queries.ask import ask as choose

    with opened_project(folder) as project:
        return (
            yield from choose(
                project,
                strategy=strategy,
                count=count,
                seed=seed,
                region_map_px=region_map_px,
                random_share=random_share,
                device=device,
            )
        )


def retrain(
    folder: Path,
    *,
    device: str,
    seed: int,
    epochs: int | None = None,
    how: HowToLearn | None = None,
    person: str = "",
) -> Work[CandidateModel]:
    """Retrain on all annotations; `epochs` other than the recipe's. The candidate has predicted nothing yet."""
    from histoloop.workflows.retraining.retrain import learn

    with opened_project(folder) as project:
        return (yield from learn(project, how=how, device=device, seed=seed, epochs=epochs, person=person))


def cross_validate(
    folder: Path, *, model_id: int, device: str, seed: int, epochs: int | None = None
) -> Work[CrossValidated]:
    """Measure the round that made a model by cross-validation; `epochs` other than the recipe's."""
    from histoloop.workflows.retraining.cross_validate import cross_validate as measure

    with opened_project(folder) as project:
        return (yield from measure(project, model_id, device=device, seed=seed, epochs=epochs))


def suit_slides(folder: Path, *, device: str) -> Work[SuitedModels]:
    """Find for each slide the model that moved least there; nothing in the project is changed."""
    from histoloop.workflows.experiments.rank_models import suit_slides as suit

    with opened_project(folder, read_only=True) as project:
        return (yield from suit(project, device=device))


def learn_live(folder: Path, *, slide_id: int, view: Region, device: str, afresh: bool) -> Work[LiveReport]:
    """Learn from what was painted, and make the live masks of a slide; what was learned stays in this process."""
    from histoloop.workflows.live.learner import learner_of

    with Project.connect(folder, read_only=True) as project:  # the window has it open, with what was moved found again
        learner = learner_of(str(folder), device)
        return (yield from learner.update(project, slide_id=slide_id, view=view, afresh=afresh))


def export(folder: Path, *, out: Path, choices: ExportChoices | None = None) -> Work[ExportReport]:
    """Write masks, polygons and areas, all or what is chosen; nothing in the project is changed."""
    from histoloop.workflows.export import export_project

    with opened_project(folder, read_only=True) as project:
        return (yield from export_project(project, out, choices))


def write_pages(
    folder: Path, *, out: Path, slide_ids: Sequence[int] | None, formats: Sequence[PageFormat]
) -> Work[PagesReport]:
    """Write reports for people, of slides or of all and the project; nothing in the project is changed."""
    from histoloop.workflows.report_pages import write_pages as write

    with opened_project(folder, read_only=True) as project:
        return (yield from write(project, out, slide_ids=slide_ids, formats=formats))


def make_demo(folder: Path, *, seed: int) -> Work[Path]:
    """Make the demo project with its synthetic slides."""
    return (yield from create_demo_project(folder, seed=seed))


def save_report(path: Path) -> Work[Path]:
    """Write the report for support."""
    from histoloop.workflows.support_report import save_support_report

    return (yield from save_support_report(path))


def examine() -> Work[list[Finding]]:
    """Examine the machine."""
    from histoloop.progress import Progress
    from histoloop.workflows.doctor import examine as found

    yield Progress(tr("Checking this computer"), 0, 1)
    return found()
