"""The pixels and thumbnails of a project's slides."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from histoloop.errors import ProjectError, ReplacedSlideError, SlideError
from histoloop.language import tr, tr_plural
from histoloop.slides.find import slide_of
from histoloop.slides.objective import mpp_of_objective
from histoloop.slides.reader import Slide, open_slide
from histoloop.store.files import file_beside, make_folder, written_to
from histoloop.store.fingerprint import has_content
from histoloop.store.records import MppFrom

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from PIL import Image

    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord

MOST_NAMED = 8
"""Slides that a message names, at most."""


def thumbnail_path(project: Project, slide_id: int) -> Path:
    """Where a slide's thumbnail is kept (PNG)."""
    return project.folder / "thumbnails" / f"slide-{slide_id}.png"


def save_thumbnail(path: Path, picture: Image.Image) -> None:
    """Write a PNG beside and rename it into place; ProjectPlaceError when it cannot be written."""
    with written_to(path):
        make_folder(path.parent)
        with file_beside(path) as partial:
            picture.save(partial, format="PNG")


def open_project_slide(record: SlideRecord) -> Slide:
    """The pixels of a project's slide, at the resolution the project knows; SlideError as `check_slide` has it."""
    check_slide(record)
    return open_slide(record.path, mpp=record.mpp)


@dataclass(frozen=True, slots=True)
class Resolution:
    """um per level-0 pixel, None where it is unknown, and where that is from."""

    mpp: float | None
    source: MppFrom


def resolution_of(slide: Slide, *, given: float | None, from_objective: bool) -> Resolution:
    """What a slide states; else, where that is wanted, the estimate by its objective; else what was given."""
    if slide.mpp is not None:
        return Resolution(slide.mpp, MppFrom.STATED)
    if from_objective and slide.objective is not None:
        return Resolution(mpp_of_objective(slide.objective), MppFrom.OBJECTIVE)
    return Resolution(given, MppFrom.NOT_KEPT if given is None else MppFrom.GIVEN)


def in_words(slide: Slide) -> str:
    """What is unusual about a slide, in sentences; empty where nothing is."""
    never = tr(
        "It is not a brightfield image (channels: {names}): it is shown, but never predicted.",
        names=", ".join(slide.channels),
    )
    return " ".join(filter(None, (slide.note, "" if slide.is_brightfield else never)))


def check_slide(record: SlideRecord) -> None:
    """Raise SlideError when the file of a slide is not where it was, or another one is there (ReplacedSlideError).

    The file is read in part when it has changed since this process read it last (store/fingerprint.py).
    """
    if not record.path.exists():
        raise SlideError(
            record.path,
            tr("the file is not where it was"),
            advice=tr(
                "Connect its disk, or use 'Find moved slides' and point to the folder it is in now; importing that "
                "folder does the same."
            ),
        )
    if not has_content(record.path, record.fingerprint):
        raise ReplacedSlideError(record.path)


def check_not_replaced(record: SlideRecord) -> None:
    """Raise ReplacedSlideError where another file is in a slide's place; a slide whose file is missing passes."""
    if record.exists() and not has_content(record.path, record.fingerprint):
        raise ReplacedSlideError(record.path)


def is_readable(record: SlideRecord) -> bool:
    """Whether the file of a slide is there, and is the one that was added."""
    try:
        check_slide(record)
    except SlideError:
        return False
    return True


LITTLE = 1e-3
"""The share of a slide with which nothing is done, beside one whose share is 1."""

BESIDES_MM2 = 0.25
"""What a slide takes besides its area, to open it, to find its tissue, to keep what was found: as much as this area.

Measured with the shipped model on one thread of a processor (tests/benchmarks/time_left.py).
"""


def shares_of_work(slides: Sequence[SlideRecord], *, skipped: Collection[int] = ()) -> list[float]:
    """How much of the work on slides each is: by its tissue where that is known of all, else by its area, in mm2.

    `BESIDES_MM2` is in each. Where a resolution is not known a slide is as large as with 0.5 um per pixel. Those that
    are `skipped` (ids) take next to nothing.
    """
    tissue = all(slide.tissue_px is not None for slide in slides)
    areas = [(slide.tissue_px or 0.0) if tissue else slide.width * slide.height for slide in slides]
    sizes = [BESIDES_MM2 + area * (slide.mpp or 0.5) ** 2 / 1e6 for area, slide in zip(areas, slides, strict=True)]
    least = LITTLE * max(sizes, default=1.0)
    return [least if slide.id in skipped else size for size, slide in zip(sizes, slides, strict=True)]


def slide_called(project: Project, name: str) -> SlideRecord:
    """The slide that is meant by a name, its name without the ending, or a path, also one from the current folder.

    Of a DICOM series any file and its folder will do. ProjectError, with names that work, where none or several are.
    """
    slides = project.slides.all()
    found = [slide for slide in slides if slide.name == name]
    found = found or _at_path(slides, name)
    found = found or [slide for slide in slides if name in (slide.path.name, PurePath(slide.name).name)]
    found = found or [slide for slide in slides if name in (PurePath(slide.name).stem, slide.path.stem)]
    found = found or [
        slide for slide in slides if slide.path.parts[-len(PurePath(name).parts) :] == PurePath(name).parts
    ]
    if len(found) == 1:
        return found[0]
    message = tr("No slides are called {name!r}.", name=name)
    if found:
        message = tr_plural(
            "{count} slide is called {name!r}.", "{count} slides are called {name!r}.", len(found), name=name
        )
    names = ", ".join(shlex.quote(slide.name) for slide in (found or slides)[:MOST_NAMED])
    raise ProjectError(message, advice=tr("Name one by its name or path: {names}.", names=names))


def _at_path(slides: Sequence[SlideRecord], name: str) -> list[SlideRecord]:
    path = Path(name)
    try:
        path = slide_of(path)
        there = path.exists()
    except (OSError, ValueError, IndexError):
        return []
    return [
        slide
        for slide in slides
        if slide.path == path.absolute() or (there and slide.exists() and path.samefile(slide.path))
    ]
