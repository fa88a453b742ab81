"""The reports for people, written as a job; what could not be written is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.gui.work import tasks
from histoloop.gui.work.report import Report, sections
from histoloop.language import tr, tr_plural

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from histoloop.gui.work.session import Session
    from histoloop.workflows.report_pages import PageFormat
    from histoloop.workflows.reports import PagesReport


def write_pages(
    session: Session, out: Path, *, slide_ids: Collection[int] | None, formats: Collection[PageFormat]
) -> None:
    """Write the pages of slides (ids), or of the project and all its slides (None)."""

    def tell(report: PagesReport) -> None:
        files, count = len(report.files), len(report.failed)
        session.notice.emit(
            tr_plural("{count} file written to {folder}.", "{count} files written to {folder}.", files, folder=out)
        )
        if report.failed:
            what = tr_plural("{count} slide has no report.", "{count} slides have no report.", count)
            session.reported.emit(Report(what, sections((tr("Without a report"), report.failed)), is_problem=True))

    chosen = None if slide_ids is None else list(slide_ids)
    arguments = {"out": out, "slide_ids": chosen, "formats": sorted(formats)}
    session.submit(tr("Writing reports"), tasks.write_pages, arguments, on_done=tell, writes=False)
