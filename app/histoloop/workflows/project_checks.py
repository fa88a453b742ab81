"""What can be wrong in a project, how it is found, and how it is mended: one list for `status` and `doctor`.

Finding reads only. What was written in the last minute may be somebody's work that goes on, and is passed over.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from histoloop import paths
from histoloop.errors import HistoLoopError, ProjectError, ReplacedSlideError, SlideError
from histoloop.store.cards import list_models, load_card, model_hash
from histoloop.store.encoders import weights_of_encoder
from histoloop.store.files import folder_beside
from histoloop.store.maps import check_map
from histoloop.store.model_folder import load_weights
from histoloop.store.parts.maps import DAMAGED
from histoloop.store.project import Project
from histoloop.store.records import ModelStatus
from histoloop.store.recovery import recover_models
from histoloop.workflows.contents.slides import check_slide, open_project_slide, save_thumbnail, thumbnail_path
from histoloop.workflows.projects import THUMBNAIL_PX

if TYPE_CHECKING:
    from histoloop.store.records import ModelRecord, SlideRecord

SECONDS_OF_WORK = 60
"""What is younger may be being written just now."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something in a project that is not whole: what, why, and how it is mended.

    `slide_id`, `model_id` and `path` say what it is about, as far as there is such a thing.
    """

    what: str
    reason: str
    advice: str
    slide_id: int | None = None
    model_id: int | None = None
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One kind of trouble: `mend` tries to end what was found, and may look for slides in folders; None: nothing can.

    Whether it is ended is seen by finding again.
    """

    title: str
    find: Callable[[Project], Iterable[Trouble]]
    mend: Callable[[Project, Sequence[Trouble], Sequence[Path]], None] | None = None


DOCTOR = "histoloop doctor PROJECT"


def _by_doctor(what: str) -> str:
    return f"{DOCTOR} {what}."


# --- models -----------------------------------------------------------------------------------------------------------


def _no_current_model(project: Project) -> Iterator[Trouble]:
    if not any(model.status is ModelStatus.CURRENT for model in project.models.all()):
        advice = _by_doctor("makes the model that the project began with the current one")
        yield Trouble("the project", "it has no current model", advice)


def _make_first_current(project: Project, _found: Sequence[Trouble], _look_in: Sequence[Path]) -> None:
    models = project.models.all()
    if not models:
        raise ProjectError(
            "The project has no model at all.", advice="Make a new project, and import its slides there."
        )
    project.models.make_current(models[0].id)


def _changed_models(project: Project) -> Iterator[Trouble]:
    for model in project.models.all():
        advice = f"Restore the folder from a backup. {DOCTOR} copies a shipped model again."
        what = f"model {model.folder.name}"
        try:
            load_card(model.folder)
            digest = model_hash(model.folder)
        except (HistoLoopError, OSError) as error:
            reason = error.message if isinstance(error, HistoLoopError) else str(error)
            yield Trouble(what, reason, advice, model_id=model.id, path=model.folder)
            continue
        if digest != model.hash:
            reason = "its weights are not those that the project knows"
            yield Trouble(what, reason, advice, model_id=model.id, path=model.folder)


def _missing_encoders(project: Project) -> Iterator[Trouble]:
    for model in project.models.all():
        try:
            encoder = load_card(model.folder).encoder
        except HistoLoopError:
            continue  # found by another check
        try:
            if encoder is not None:
                weights_of_encoder(encoder)
        except HistoLoopError as error:
            yield Trouble(f"model {model.folder.name}", error.message, error.advice, model_id=model.id)


def _copy_shipped_models(project: Project, found: Sequence[Trouble], _look_in: Sequence[Path]) -> None:
    shipped = {model_hash(folder): folder for folder in list_models(paths.shipped_models())}
    broken = {trouble.model_id for trouble in found}
    for model in project.models.all():
        if model.id in broken and model.hash in shipped and model.folder.parent == project.models.folder:
            _set_folder_aside(model.folder)
            with folder_beside(model.folder) as partial:
                shutil.copytree(shipped[model.hash], partial, dirs_exist_ok=True)


def _set_folder_aside(folder: Path) -> None:
    """Rename a folder, so that nothing of it is lost, to a name that is free."""
    if not folder.exists():
        return
    number = 1
    while (aside := folder.with_name(f"{folder.name}.broken-{number}")).exists():
        number += 1
    folder.rename(aside)


def _trainings_not_offered(project: Project) -> Iterator[Trouble]:
    advice = _by_doctor("offers its model for you to decide about")
    rounds = {record.model_id for record in project.rounds.all()}
    models = project.models.all()
    for model in models:
        waits = model.status is ModelStatus.CANDIDATE and model.parent is not None
        if waits and model.id not in rounds and _is_whole(model.folder):
            reason = "the training was finished, but its model was never offered"
            yield Trouble(f"model {model.folder.name}", reason, advice, model_id=model.id)
    known = {model.folder for model in models}
    for folder in _older_than_work(project.models.folder, "round-*"):
        if folder not in known and ".broken-" not in folder.name and _is_whole(folder):
            reason = "the training was finished, but the project does not know its model"
            yield Trouble(f"model {folder.name}", reason, advice, path=folder)


def _offer_trainings(project: Project, found: Sequence[Trouble], _look_in: Sequence[Path]) -> None:
    recover_models(project.models, project.rounds)
    for trouble in found:
        if trouble.model_id is not None:
            model = project.models.get(trouble.model_id)
            card = load_card(model.folder)
            figures = {name: value for name, value in card.figures.items() if isinstance(value, int | float)}
            project.rounds.add(model.id, model.parent, figures, int(float(card.training.get("regions", 0))))


def _is_whole(folder: Path) -> bool:
    try:
        load_card(folder)
        load_weights(folder)
    except (HistoLoopError, OSError):
        return False
    return True


# --- slides -----------------------------------------------------------------------------------------------------------


def _file_troubles(project: Project) -> Iterator[tuple[SlideRecord, SlideError]]:
    for slide in project.slides.all():
        try:
            check_slide(slide)
        except SlideError as error:
            yield slide, error


def _missing_slides(project: Project) -> Iterator[Trouble]:
    for slide, error in _file_troubles(project):
        if not isinstance(error, ReplacedSlideError):
            advice = f"Connect its disk. {DOCTOR} --look-in FOLDER finds it where it was moved to."
            yield Trouble(slide.name, error.message, advice, slide_id=slide.id, path=slide.path)


def _find_moved_slides(project: Project, found: Sequence[Trouble], look_in: Sequence[Path]) -> None:
    beside = (trouble.path.parent for trouble in found if trouble.path is not None)
    for folder in dict.fromkeys((*look_in, project.folder, *(place for place in beside if place.is_dir()))):
        project.slides.find_moved(folder)


def _replaced_slides(project: Project) -> Iterator[Trouble]:
    for slide, error in _file_troubles(project):
        if isinstance(error, ReplacedSlideError):
            yield Trouble(slide.name, error.message, error.advice, slide_id=slide.id, path=slide.path)


def _missing_thumbnails(project: Project) -> Iterator[Trouble]:
    for slide in project.slides.all():
        path = thumbnail_path(project, slide.id)
        try:
            with Image.open(path, formats=("PNG",)) as picture:
                picture.load()
        except Exception as error:  # a damaged picture makes decoders raise anything
            reason = "it has no thumbnail" if isinstance(error, FileNotFoundError) else "its thumbnail is damaged"
            yield Trouble(slide.name, reason, _by_doctor("makes it again"), slide_id=slide.id, path=path)


def _make_thumbnails(project: Project, found: Sequence[Trouble], _look_in: Sequence[Path]) -> None:
    for trouble in found:
        assert trouble.slide_id is not None
        assert trouble.path is not None
        try:
            with open_project_slide(project.slides.get(trouble.slide_id)) as slide:
                save_thumbnail(trouble.path, Image.fromarray(slide.thumbnail(THUMBNAIL_PX)))
        except SlideError:
            continue  # found again, and named as left


# --- maps -------------------------------------------------------------------------------------------------------------


def _maps(project: Project) -> Iterator[tuple[SlideRecord, ModelRecord, Path]]:
    """The maps of the models that are current or wait."""
    models = [one for one in project.models.all() if one.status in (ModelStatus.CURRENT, ModelStatus.CANDIDATE)]
    for slide in project.slides.all():
        for model in models:
            if (folder := project.maps.find(slide.id, model.id)) is not None:
                yield slide, model, folder


def _again() -> str:
    return f"{DOCTOR} sets them aside; predict the slide again then."


def _damaged_maps(project: Project) -> Iterator[Trouble]:
    for slide, model, folder in _maps(project):
        try:
            check_map(folder)
        except (ProjectError, OSError) as error:
            reason = error.message if isinstance(error, ProjectError) else str(error)
            yield Trouble(slide.name, reason, _again(), slide_id=slide.id, model_id=model.id, path=folder)


def _maps_without_prediction(project: Project) -> Iterator[Trouble]:
    for slide, model, folder in _maps(project):
        if project.predictions.find(slide.id, model.id) is None:
            reason = "it has maps, but no class: predicting was ended in between"
            yield Trouble(slide.name, reason, _again(), slide_id=slide.id, model_id=model.id, path=folder)


def _marked_maps(project: Project) -> Iterator[Trouble]:
    """Maps that were found damaged when they were read: they count no more, and only take room."""
    for mark in sorted(project.maps.folder.glob(f"slide-*/{DAMAGED}")):
        reason = "it was found damaged, and counts no more: predict the slide again"
        yield Trouble(f"map {mark.parent.name}", reason, f"{DOCTOR} removes it.", path=mark.parent)


def _set_maps_aside(project: Project, found: Sequence[Trouble], _look_in: Sequence[Path]) -> None:
    for trouble in found:
        assert trouble.slide_id is not None
        assert trouble.path is not None
        project.maps.forget(trouble.slide_id, trouble.model_id)
        _remove(project, trouble.path)


# --- annotations, leftovers -------------------------------------------------------------------------------------------


def _unreadable_masks(project: Project) -> Iterator[Trouble]:
    for record in project.annotations.with_mask():
        try:
            project.annotations.load_mask(record.id)
        except Exception as error:  # damage makes decoders raise anything
            slide = project.slides.get(record.slide_id)
            reason = error.message if isinstance(error, HistoLoopError) else str(error)
            yield Trouble(
                f"annotation {record.id} of {slide.name}",
                f"its mask cannot be read: {reason.rstrip('.')}",
                "Restore the folder 'masks' from a backup, or annotate the region again.",
                slide_id=record.slide_id,
            )


def _leftovers(project: Project) -> Iterator[Trouble]:
    advice = _by_doctor("removes it")
    for folder in (project.folder, *(each for each in project.folder.iterdir() if each.is_dir())):
        for path in _older_than_work(folder, ".*.partial*"):
            yield Trouble(path.name, "it is part of something that was ended before it was done", advice, path=path)
    kept = project.maps.folder_names()
    for path in _older_than_work(project.maps.folder, "slide-*-model-*"):
        if path.name not in kept:
            yield Trouble(path.name, "these maps belong to no slide any more", advice, path=path)


def _remove_found(project: Project, found: Sequence[Trouble], _look_in: Sequence[Path]) -> None:
    for trouble in found:
        assert trouble.path is not None
        _remove(project, trouble.path)


def _remove(project: Project, path: Path) -> None:
    """Remove a file or folder that lies in the project, and not by a link."""
    if not path.is_relative_to(project.folder) or path.is_symlink() or path.parent.is_symlink():
        return
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _older_than_work(folder: Path, pattern: str) -> Iterator[Path]:
    """What lies in a folder under such a name and was not written in the last `SECONDS_OF_WORK`."""
    if not folder.is_dir() or folder.is_symlink():
        return
    for path in sorted(folder.glob(pattern)):
        inside = path.rglob("*") if path.is_dir() else ()
        try:
            newest = max(each.lstat().st_mtime for each in (path, *inside))
        except OSError:  # it has just gone
            continue
        if time.time() - newest > SECONDS_OF_WORK:
            yield path


CHECKS: tuple[Check, ...] = (
    Check("current model", _no_current_model, _make_first_current),
    Check("models", _changed_models, _copy_shipped_models),
    Check("encoders", _missing_encoders),
    Check("trainings", _trainings_not_offered, _offer_trainings),
    Check("slide files", _missing_slides, _find_moved_slides),
    Check("replaced slides", _replaced_slides, _find_moved_slides),
    Check("thumbnails", _missing_thumbnails, _make_thumbnails),
    Check("maps marked as damaged", _marked_maps, _remove_found),
    Check("maps", _damaged_maps, _set_maps_aside),
    Check("predictions", _maps_without_prediction, _set_maps_aside),
    Check("masks", _unreadable_masks),
    Check("leftovers", _leftovers, _remove_found),
)
"""In the order of mending: what others need comes first."""
