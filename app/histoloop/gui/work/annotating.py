"""The region that is being annotated: begun or resumed, painted, labelled, ended. All of it is written in order."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from histoloop.annotations.records import AnnotationStatus, Mask, Patch
from histoloop.language import tr
from histoloop.store.records import AnnotationRecord
from histoloop.workflows import annotate

if TYPE_CHECKING:
    from collections.abc import Callable

    from histoloop.geometry import Region
    from histoloop.gui.work.failure import Failure
    from histoloop.gui.work.session import Session
    from histoloop.store.project import Project


@dataclass(frozen=True, slots=True, eq=False)
class ActiveAnnotation:
    """A region that is being painted: its draft, the mask to go on from, and the model's mask it began with."""

    record: AnnotationRecord
    mask: Mask
    predicted: Mask


class Annotating(QObject):
    """What a session does with regions, one at a time.

    `started` comes with the `ActiveAnnotation`, `ended` with the record; `saved` says whether everything painted and
    said so far is on disk.
    """

    started = Signal(object)
    ended = Signal(object)
    saved = Signal(bool)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._active: ActiveAnnotation | None = None
        self._unsaved = 0

    @property
    def active(self) -> ActiveAnnotation | None:
        """What is being painted."""
        return self._active

    def begin(self) -> None:
        """Another project, or none: nothing is painted."""
        self._active = None

    def begin_query(self, query_id: int) -> None:
        """Start or resume the annotation of a query's region."""
        project = self._session.project
        if project is not None:
            query = project.queries.get(query_id)
            self.begin_region(query.slide_id, query.region, query_id)

    def begin_region(self, slide_id: int, region: Region, query_id: int | None = None) -> None:
        """Start or resume the annotation of a region; `started` is emitted then."""
        change = functools.partial(_begin, slide_id, region, query_id, self._session.person)
        self._session.write(change, on_done=self._on_begun)

    def paint(self, patch: Patch) -> None:
        """Journal a change; `saved(True)` is emitted when everything painted so far is on disk."""
        if self._active is not None:
            self._journal(functools.partial(_append, self._active.record.id, patch))

    def assess(self, label: str | None, size: float | None) -> None:
        """Journal label and size of the region as a whole; reported as saved like a stroke."""
        if self._active is not None:
            self._journal(functools.partial(_assess, self._active.record.id, label, size, self._session.person))

    def finish(self, *, with_mask: bool = True) -> None:
        """Call the region done, with its label and size and, unless `with_mask` is off, its mask."""
        self._end_as(AnnotationStatus.DONE, with_mask=with_mask)

    def skip(self) -> None:
        """Leave the region out: it is not asked again."""
        self._end_as(AnnotationStatus.SKIPPED)

    def cannot_tell(self) -> None:
        """Leave the region out as one nobody could answer."""
        self._end_as(AnnotationStatus.CANNOT_TELL)

    def leave(self) -> None:
        """Stop painting; the draft stays and can be resumed."""
        if self._active is not None:
            ended, self._active = self._active, None
            self.ended.emit(ended.record)

    def skip_query(self, query_id: int) -> None:
        """Take a query off the queue without opening it."""
        self._session.write(functools.partial(_skip, query_id), on_done=self._on_left_out)

    def cannot_tell_query(self, query_id: int) -> None:
        """Take a query off the queue, without opening it, as one nobody could answer."""
        self._session.write(functools.partial(_cannot_tell, query_id), on_done=self._on_left_out)

    def _end_as(self, status: AnnotationStatus, *, with_mask: bool = True) -> None:
        if self._active is not None:
            change = functools.partial(_finish, self._active.record.id, status, with_mask)
            self._session.write(change, on_done=self._on_finished)

    def _journal(self, change: Callable[[Project], None]) -> None:
        self._unsaved += 1
        self.saved.emit(False)
        self._session.write(change, on_done=self._on_journaled, on_failed=self._show_not_saved)

    def _on_begun(self, active: ActiveAnnotation) -> None:
        self._active = active
        self._unsaved = 0
        self.started.emit(active)
        self.saved.emit(True)

    def _on_journaled(self, _nothing: None) -> None:
        self._unsaved -= 1
        if self._unsaved == 0:
            self.saved.emit(True)

    def _on_finished(self, record: AnnotationRecord) -> None:
        self._active = None
        self._session.queries_changed.emit()
        self.ended.emit(record)

    def _on_left_out(self, _nothing: None) -> None:
        self._session.queries_changed.emit()

    def _show_not_saved(self, failure: Failure) -> None:
        message = " ".join((tr("What you painted or said could not be saved."), str(failure)))
        self._session.problem.emit(message, "")


def _begin(slide_id: int, region: Region, query_id: int | None, person: str, project: Project) -> ActiveAnnotation:
    record = annotate.begin(project, slide_id=slide_id, region=region, query_id=query_id, person=person)
    predicted, _model = annotate.starting_mask(project, slide_id, region)
    return ActiveAnnotation(record, project.annotations.load_mask(record.id)[0], predicted)


def _append(annotation_id: int, patch: Patch, project: Project) -> None:
    project.drafts.append_patch(annotation_id, patch)


def _assess(annotation_id: int, label: str | None, size: float | None, person: str, project: Project) -> None:
    project.drafts.assess(annotation_id, label=label, size=size, person=person)


def _finish(annotation_id: int, status: AnnotationStatus, with_mask: bool, project: Project) -> AnnotationRecord:
    if status is AnnotationStatus.DONE:
        return annotate.finish(project, annotation_id, with_mask=with_mask)
    return project.drafts.finish(annotation_id, status)


def _skip(query_id: int, project: Project) -> None:
    annotate.skip(project, query_id)


def _cannot_tell(query_id: int, project: Project) -> None:
    annotate.cannot_tell(project, query_id)
