"""Create and open projects; bring slides into them."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from histoloop.errors import HistoLoopError, ProjectError, SlideError
from histoloop.language import tr
from histoloop.progress import Progress, Work
from histoloop.slides.find import search_slides, slide_name
from histoloop.slides.reader import open_slide
from histoloop.store.cards import load_card, model_hash
from histoloop.store.project import DATABASE, Project
from histoloop.store.shipped import find_model
from histoloop.workflows.contents.slides import in_words, is_readable, save_thumbnail, thumbnail_path
from histoloop.workflows.reports import ImportReport

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from histoloop.store.records import SlideRecord

_log = logging.getLogger(__name__)

THUMBNAIL_PX = 256


def create_project(folder: Path, *, name: str, model: str | Path) -> Project:
    """Create a project around a model, of which it keeps a copy; the model's classes become the project's.

    ProjectError when the folder holds a project already or cannot be written; other files there stay.
    """
    source = find_model(model)
    card, digest = load_card(source), model_hash(source)
    if not (folder / DATABASE).exists():
        _copy_model(source, folder / "models" / source.name)
    project = Project.create(folder, name=name, scheme=card.scheme)
    record = project.models.add(source.name, hash=digest, parent=None, round=0)
    project.models.make_current(record.id)
    return project


def _copy_model(source: Path, target: Path) -> None:
    try:
        shutil.copytree(source, target, dirs_exist_ok=True)
    except OSError as error:
        advice = tr("Choose a folder that you may write to, on a disk with free space.")
        raise ProjectError(
            tr("The model cannot be copied to {folder}: {reason}.", folder=target, reason=error), advice=advice
        ) from error


def import_slides(
    project: Project, paths: Sequence[Path], *, mpp: float | None = None, without: Collection[Path] = ()
) -> Work[ImportReport]:
    """Add slides, pictures and folders of them by reference; a file that fails is reported and the rest goes on.

    A file of the content of a slide of the project is that slide, whatever it is called; one whose file was not in its
    place is found again. `mpp` is used for slides that do not state their resolution. Files `without` which (absolute
    paths) it is to be done are left out.
    """
    project.check_writable()
    search = search_slides(paths)
    files = [file for file in search.slides if _as_named(file) not in without]
    taken = _Taken()
    for number, file in enumerate(files):
        yield Progress(tr("Importing"), number, len(files), slide_name(file))
        try:
            _take(project, file, mpp, taken)
        except HistoLoopError as error:
            taken.failed.append((file, str(error)))
        except Exception as error:  # one slide must not stop the others
            _log.exception("a slide is not added")
            taken.failed.append((file, f"{type(error).__name__}: {error}"))
    yield Progress(tr("Importing"), len(files), len(files))
    _log.info("%d slides added, %d known before, %d failed", len(taken.added), len(taken.known), len(taken.failed))
    passed_over = tuple((each.path, each.reason) for each in search.passed_over if each.why != "hidden")
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


def _take(project: Project, file: Path, mpp: float | None, taken: _Taken) -> None:
    """Add a slide, or find out which slide of the project it is."""
    path = _as_named(file)
    _check_name(path)
    known = project.slides.find(path) if path.is_file() else None
    if known is None:
        record, note = _add(project, path, mpp)
        taken.added.append(record.id)
        if note:
            taken.notes.append((file, note))
        return
    taken.known.append(file)
    if known.path == path:
        return
    if is_readable(known):
        what = tr("it is the same slide as {name}, which is in the project already", name=known.name)
    else:
        moved = project.slides.relocate(known.id, path)
        what = tr("it is the slide {name}, which was at {path} before", name=moved.name, path=known.path)
    taken.recognised.append((file, what))


def _as_named(file: Path) -> Path:
    """The absolute path of a file by the names that the user gave: links are not followed."""
    path = file.absolute()
    return path.parent.resolve() / path.name if ".." in path.parts else path


def _add(project: Project, path: Path, mpp: float | None) -> tuple[SlideRecord, str]:
    """A new slide, and what is unusual about it."""
    with open_slide(path) as slide:
        thumbnail = slide.thumbnail(THUMBNAIL_PX)  # also proves that pixels can be decoded
        note = in_words(slide)
        record = project.slides.add(
            path, width=slide.width, height=slide.height, mpp=slide.mpp or mpp, vendor=slide.vendor
        )
    save_thumbnail(thumbnail_path(project, record.id), Image.fromarray(thumbnail))
    return record, note


def opened_project(folder: Path, *, read_only: bool = False) -> Project:
    """Open a project and look for slides that moved along with it; ProjectError when it cannot be opened.

    With `read_only`, and where its place cannot be written, it is opened to be looked at and exported from.
    """
    project = Project.open(folder, read_only=read_only)
    if not project.read_only:
        project.slides.find_moved(folder)
    return project


def _check_name(path: Path) -> None:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise SlideError(
            path,
            tr("its name, or that of a folder above it, is not valid text (UTF-8)"),
            advice=tr("Rename it: names in other encodings come from disks of older systems."),
        ) from error
