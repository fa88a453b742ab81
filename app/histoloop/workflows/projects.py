"""Create and open projects; bring slides into them."""

from __future__ import annotations

import logging
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from histoloop.errors import HistoLoopError, ModelError, ProjectError, SlideError
from histoloop.language import tr
from histoloop.progress import Progress, Work
from histoloop.slides.find import search_slides, slide_name
from histoloop.slides.reader import open_slide
from histoloop.store.cards import WEIGHTS, list_models, load_card, model_hash
from histoloop.store.model_folder import copy_model
from histoloop.store.project import DATABASE, MODELS, Project
from histoloop.store.records import ModelStatus
from histoloop.store.shipped import check_shipped
from histoloop.workflows.boundary import why_it_failed
from histoloop.workflows.contents.slides import in_words, is_readable, resolution_of, save_thumbnail, thumbnail_path
from histoloop.workflows.reports import ImportReport
from histoloop.workflows.starts import find_start, save_untrained, scheme_of_start

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from histoloop.annotations.records import LabelClass, MaskClass
    from histoloop.store.records import SlideRecord

_log = logging.getLogger(__name__)

THUMBNAIL_PX = 256


def create_project(
    folder: Path,
    *,
    name: str,
    start: str | Path,
    classes: Sequence[MaskClass] | None = None,
    labels: Sequence[LabelClass] | None = None,
    encoder_only: bool = False,
) -> Project:
    """Create a project around a model or an encoder (see `find_start`), which it keeps.

    Without `classes` and `labels` those of the model are the project's. Of a model that `encoder_only` is to be taken
    of, and of an encoder, there is nothing to predict with before the first retraining (`Card.trained`).

    ProjectError when the folder holds a project already or cannot be written; other files there stay. ClassError and
    ModelError as for `scheme_of_start`, before anything is made. Whatever happens meanwhile, there is a whole project
    afterwards or none.
    """
    found = find_start(start, encoder_only=encoder_only)
    scheme = scheme_of_start(found, classes, labels)
    if (folder / DATABASE).exists():  # which says so
        return Project.create(folder, name=name, scheme=scheme)
    if found.folder is not None and not found.is_encoder:
        return Project.create(folder, name=name, scheme=scheme, start_model=_place_model(found.folder, folder / MODELS))
    place = folder / MODELS / f"start-{secrets.token_hex(4)}"
    try:
        return Project.create(folder, name=name, scheme=scheme, start_model=save_untrained(place, found, scheme))
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def create_or_open_project(folder: Path, *, name: str, start: str | Path) -> Project:
    """Create a project, or open the one that another process has created meanwhile."""
    try:
        return create_project(folder, name=name, start=start)
    except ProjectError:
        if (folder / DATABASE).exists():
            return opened_project(folder)
        raise


def _place_model(source: Path, models: Path) -> tuple[str, str]:
    """Copy a model among those of a project; its folder's name there, and its hash.

    A copy that is there already, of a project that was not made to its end or that another process makes now, is used.
    """
    target = models / source.name
    digest = model_hash(source)
    check_shipped(source, digest)
    if not target.exists():
        with suppress(FileExistsError):
            return target.name, copy_model(source, target)
    with suppress(ModelError):
        if model_hash(target) == digest and load_card(target) == load_card(source):
            return target.name, digest
    target = models / f"{source.name}-{secrets.token_hex(4)}"
    return target.name, copy_model(source, target)


def import_slides(
    project: Project,
    paths: Sequence[Path],
    *,
    mpp: float | None = None,
    mpp_from_objective: bool = False,
    without: Collection[Path] = (),
) -> Work[ImportReport]:
    """Add slides, pictures and folders of them by reference; a file that fails is reported and the rest goes on.

    A link to a slide of the project is that slide, and so is a copy of a DICOM series; a copy of another file is a
    slide of its own, and told. A slide whose file was not in its place is found again by its content. `mpp` is used for
    slides that do not state their resolution, new or known before; with `mpp_from_objective` the estimate by their
    objective comes before. Files `without` which (absolute paths) it is to be done are left out.
    """
    project.check_writable()
    search = search_slides(paths)
    files = [file for file in search.slides if _as_named(file) not in without]
    taken = _Taken()
    for number, file in enumerate(files):
        yield Progress(tr("Importing"), number, len(files), slide_name(file))
        try:
            _take(project, file, mpp, taken, from_objective=mpp_from_objective)
        except Exception as error:
            taken.failed.append((file, why_it_failed(error, writing_to=[project.folder])))
    taken.failed += [(each.path, each.reason) for each in search.passed_over if each.is_failure]
    yield from restore_thumbnails(project)
    yield Progress(tr("Importing"), len(files), len(files))
    _log.info("%d slides added, %d known before, %d failed", len(taken.added), len(taken.known), len(taken.failed))
    left = [each for each in search.passed_over if each.why != "hidden" and not each.is_failure]
    passed_over = tuple((each.path, each.reason) for each in left)
    return ImportReport(
        tuple(taken.added),
        tuple(taken.known),
        tuple(taken.failed),
        passed_over,
        tuple(taken.recognised),
        tuple(taken.notes),
    )


@dataclass(slots=True)
class _Taken:
    """What became of the files so far, as in the report."""

    added: list[int] = field(default_factory=list)
    known: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)
    recognised: list[tuple[Path, str]] = field(default_factory=list)
    notes: list[tuple[Path, str]] = field(default_factory=list)


def _take(project: Project, file: Path, mpp: float | None, taken: _Taken, *, from_objective: bool) -> None:
    """Add a slide, or find out which slide of the project it is."""
    path = _as_named(file)
    _check_name(path)
    known = project.slides.find(path) if path.is_file() else None
    if known is None:
        record, note = _add(project, path, mpp, from_objective=from_objective)
        taken.added.append(record.id)
        if copies := project.slides.copies_of(record.id):
            note = " ".join(filter(None, (note, tr("It has the same content as {name}.", name=copies[0].name))))
        if note:
            taken.notes.append((file, note))
        return
    taken.known.append(file)
    if known.mpp is None and mpp is not None:
        project.slides.set_mpp(known.id, mpp)
        taken.notes.append((file, tr("It was already known; its resolution is {mpp:g} um per pixel now.", mpp=mpp)))
    if known.path == path:
        return
    if is_readable(known):
        what = tr("it is the same slide as {name}, which is already in the project", name=known.name)
    else:
        moved = project.slides.relocate(known.id, path)
        what = tr("it is the slide {name}, which was at {path} before", name=moved.name, path=known.path)
    taken.recognised.append((file, what))


def _as_named(file: Path) -> Path:
    """The absolute path of a file by the names that the user gave: links are not followed."""
    path = file.absolute()
    return path.parent.resolve() / path.name if ".." in path.parts else path


def _add(project: Project, path: Path, mpp: float | None, *, from_objective: bool) -> tuple[SlideRecord, str]:
    """A new slide, and what is unusual about it."""
    with open_slide(path) as slide:
        thumbnail = slide.thumbnail(THUMBNAIL_PX)  # also proves that pixels can be decoded
        note = in_words(slide)
        with project.transaction():  # no slide without its thumbnail
            resolved = resolution_of(slide, given=mpp, from_objective=from_objective)
            record = project.slides.add(
                path,
                width=slide.width,
                height=slide.height,
                mpp=resolved.mpp,
                vendor=slide.vendor,
                mpp_from=resolved.source,
                objective=slide.objective,
            )
            save_thumbnail(thumbnail_path(project, record.id), Image.fromarray(thumbnail))
    return record, note


def restore_thumbnails(project: Project) -> Work[None]:
    """Make the thumbnails again that slides lack, where their files can be read."""
    lacking = [record for record in project.slides.all() if not thumbnail_path(project, record.id).exists()]
    for number, record in enumerate(lacking):
        yield Progress(tr("Importing"), number, len(lacking), record.name)
        if record.exists():
            try:
                with open_slide(record.path) as slide:
                    picture = slide.thumbnail(THUMBNAIL_PX)
            except HistoLoopError as error:
                _log.info("slide %d gets no thumbnail: %s", record.id, error)
            else:
                save_thumbnail(thumbnail_path(project, record.id), Image.fromarray(picture))


def opened_project(folder: Path, *, read_only: bool = False) -> Project:
    """Open a project and look for slides that moved along with it; ProjectError when it cannot be opened.

    A project whose making was broken off before it had a model is completed. With `read_only`, and where its place
    cannot be written, it is opened to be looked at and exported from.
    """
    project = Project.open(folder, read_only=read_only)
    try:
        if not project.read_only:
            _complete(project)
            project.slides.find_moved(folder)
    except BaseException:
        project.close()
        raise
    return project


def _complete(project: Project) -> None:
    """Give a project without a current model the one that was copied into it; ProjectError when there is none."""
    models = project.models.all()
    if any(model.status is ModelStatus.CURRENT for model in models):
        return
    if models:
        project.models.make_current(project.models.first().id)
        return
    copied = [folder for folder in list_models(project.models.folder) if _is_start_model(folder, project)]
    if len(copied) != 1:
        raise ProjectError(
            tr("The project in {folder} was never completed: it has no model.", folder=project.folder),
            advice=tr("Create the project again in another folder, or restore this one from a backup."),
        )
    project.models.add_first(copied[0].name, hash=model_hash(copied[0]))


def _is_start_model(folder: Path, project: Project) -> bool:
    try:
        return load_card(folder).scheme == project.scheme and (folder / WEIGHTS).is_file()
    except ModelError:
        return False


def _check_name(path: Path) -> None:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise SlideError(
            path,
            tr("its name, or that of a folder above it, is not valid text (UTF-8)"),
            advice=tr("Rename it: names in other encodings come from disks of older systems."),
        ) from error
