"""Write a page about each slide of a project and one about the project, as HTML or PDF, for people to read and file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from histoloop.exchange.naming import unique_stems
from histoloop.exchange.pages.as_html import write_html
from histoloop.exchange.pages.as_pdf import write_pdf
from histoloop.language import tr
from histoloop.progress import Progress, Work
from histoloop.workflows.boundary import results_folder, why_it_failed
from histoloop.workflows.contents.slide_overview import slide_overview
from histoloop.workflows.contents.slide_page import SeenSlide, names_on_pages, page_of_project, page_of_slide
from histoloop.workflows.contents.slides import check_not_replaced
from histoloop.workflows.reports import PagesReport

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from histoloop.exchange.pages.page import Page
    from histoloop.store.project import Project

PageFormat = Literal["html", "pdf"]
PAGE_FORMATS: tuple[PageFormat, ...] = get_args(PageFormat)
WRITERS: Mapping[PageFormat, Callable[[Path, Page], None]] = {"html": write_html, "pdf": write_pdf}
PROJECT_PAGE = "report"
PICTURE_PX = 1400


def write_pages(
    project: Project,
    out: Path,
    *,
    slide_ids: Collection[int] | None = None,
    formats: Collection[PageFormat] = PAGE_FORMATS[:1],
) -> Work[PagesReport]:
    """`<slide>-report.html` or `.pdf` of each slide, and `report.html` of the project where no slides are chosen.

    The pages are in the language spoken. A slide of which no page can be made is reported with its reason and left out
    of the project's page; the rest goes on. Files that were there are replaced. ValueError for a format that there is
    not or none at all, PlaceError where `out` cannot be written.
    """
    if not formats or not set(formats) <= set(PAGE_FORMATS):
        raise ValueError(f"cannot write pages as {sorted(formats)}")
    slides = project.slides.all()
    stems = unique_stems([one.path for one in slides], names=[one.name for one in slides], taken=[PROJECT_PAGE])
    names = names_on_pages(slides)
    chosen = [one for one in slides if slide_ids is None or one.id in slide_ids]
    files: list[Path] = []
    failed: list[tuple[str, str]] = []
    done: list[SeenSlide] = []
    with results_folder(out):
        for number, slide in enumerate(chosen):
            yield Progress(tr("Writing reports"), number, len(chosen), slide.name)
            try:
                check_not_replaced(slide)
                seen = SeenSlide(slide, names[slide.id], slide_overview(project, slide, side_px=PICTURE_PX))
                files += _write(out / f"{stems[slide.path]}-report", page_of_slide(project, seen), formats)
            except Exception as error:
                failed.append((slide.name, why_it_failed(error, writing_to=[out])))
                continue
            done.append(seen)
        if slide_ids is None:
            files += _write(out / PROJECT_PAGE, page_of_project(project, done), formats)
    yield Progress(tr("Writing reports"), len(chosen), len(chosen))
    return PagesReport(tuple(files), tuple(failed), tuple(one.slide.name for one in done))


def _write(place: Path, page: Page, formats: Collection[PageFormat]) -> list[Path]:
    """The files of a page: their names begin with that of `place`."""
    written = []
    for kind in PAGE_FORMATS:
        if kind in formats:
            path = place.with_name(f"{place.name}.{kind}")
            WRITERS[kind](path, page)
            written.append(path)
    return written
