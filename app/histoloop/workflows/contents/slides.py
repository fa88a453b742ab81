"""The pixels and thumbnails of a project's slides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.errors import SlideError
from histoloop.language import tr
from histoloop.slides.reader import Slide, open_slide
from histoloop.store.files import file_beside, make_folder, written_to

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord


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
    """The pixels of a project's slide, at the resolution the project knows; SlideError when the file moved."""
    if not record.path.exists():
        raise SlideError(
            record.path,
            tr("the file is not where it was"),
            advice=tr("Connect its disk, or use 'Find moved slides' and point to the folder it is in now."),
        )
    return open_slide(record.path, mpp=record.mpp)
